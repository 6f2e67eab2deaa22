import type { EvaluatedResource } from "../sdk/resource.ts";
import type { ChangeRule } from "../sdk/rule.ts";
import type { Conditions, Question, ResourceVerdict } from "./conditions.ts";
import type { RuleMemory } from "./rule_memory.ts";

/** Name under which a rule remembers the numbers of a resource. */
export const CHANGE = "change:";

const SAMPLES_MAX = 60;
/** The span is divided into this many; of each the last sample is kept. One more may be begun, one is before the span. */
const PARTS = SAMPLES_MAX - 2;

/** When a number became what: time, value, time, value … by event time. null: missing, or no number. */
type Samples = readonly (number | null)[];

/**
 * Compares a number of a resource with what it was `overMs` ago: the last one seen at that time or before. Until the resource
 * has been watched for so long nothing is said; with missing data (`noData`) that has nothing to do. What was seen is kept to
 * 1/58 of the span.
 */
export function judgeChange(
  conditions: Conditions, rule: ChangeRule, resource: EvaluatedResource, question: Question, verdict: ResourceVerdict,
): void {
  const { memory, evaluationIntervalMs } = conditions.options;
  const { now } = question;
  const value = numberOf(rule.value.evaluate(conditions.scope, now));
  const at = Math.min(resource.eventTime, now);
  const name = CHANGE + resource.id;
  let samples = until((memory.get(resource.type, rule.id, name) ?? []) as Samples, now);
  if (question.observed) samples = remember(memory, rule, resource, name, samples, at, value, now);
  if (samples.length === 0) return;
  const base = baseOf(samples, now - rule.overMs);
  const next = base + 2 < samples.length ? (samples[base + 2] as number) + rule.overMs : Infinity;
  verdict.nextMs = rule.expr.reads.now || rule.clear?.reads.now === true ? Math.min(next, now + evaluationIntervalMs()) : next;
  if (base < 0) {
    // By a longer span, or a clock that was set back, it is not known; what was said before stands.
    verdict.holds = question.open?.status === "firing" && question.open.clearSince === undefined;
    return;
  }
  verdict.activeAt = Math.min(now, Math.max(at, (samples[base] as number) + rule.overMs));
  verdict.measured = changeOf(rule, value, samples[base + 1] as number | null);
  if (verdict.measured === undefined) {
    conditions.options.onFailure(rule, "there is no data: the number is missing, is none, or was 0 where it divides");
    verdict.holds = conditions.missing(rule, question);
    return;
  }
  conditions.scope.value = verdict.measured;
  verdict.holds = conditions.compare(rule, rule.expr, question);
}

function changeOf({ as, overMs }: ChangeRule, value: number | null, then: number | null): number | undefined {
  if (value === null || then === null) return undefined;
  switch (as) {
    case "delta":
      return value - then;
    case "rate":
      return (value - then) / (overMs / 1_000);
    case "ratio":
      return then === 0 ? undefined : (value - then) / then;
  }
}

/** Samples with none after `now`: a clock that was set back would make them the future. */
function until(samples: Samples, now: number): Samples {
  if (samples.length === 0 || (samples[samples.length - 2] as number) <= now) return samples;
  return samples.map((part, i) => (i % 2 === 0 ? Math.min(part as number, now) : part));
}

/** The place of the last sample at `time` or before; negative, such that the first one is the next, where there is none. */
function baseOf(samples: Samples, time: number): number {
  let base = samples.length - 2;
  while (base >= 0 && (samples[base] as number) > time) base -= 2;
  return base;
}

/** Adds what is seen, if it differs from what was seen last. */
function remember(
  memory: RuleMemory, rule: ChangeRule, resource: EvaluatedResource, name: string, before: Samples, at: number, value: number | null, now: number,
): Samples {
  if (before.length === 0 ? value === null : before[before.length - 1] === value) return before;
  const partMs = rule.overMs / PARTS;
  const last = before.length === 0 ? -Infinity : (before[before.length - 2] as number);
  const time = Math.max(at, last);
  // The first one stays: since then the resource has been watched.
  const first = Math.max(0, baseOf(before, now - rule.overMs));
  const replaces = first < before.length - 2 && Math.floor(time / partMs) === Math.floor(last / partMs);
  const samples = [...before.slice(first, replaces ? -2 : undefined), time, value].slice(-2 * SAMPLES_MAX);
  memory.put(resource.type, rule.id, name, samples);
  return samples;
}

function numberOf(value: unknown): number | null {
  if (typeof value === "bigint") return Number(value);
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
