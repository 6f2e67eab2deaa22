import { Failure } from "../sdk/expression.ts";
import type { EvaluatedResource } from "../sdk/resource.ts";
import type { ResourceRule } from "../sdk/rule.ts";
import type { Verdict } from "./life.ts";

export interface ConditionOptions {
  /** Rules that read the clock are looked at this often. */
  readonly evaluationIntervalMs: () => number;
  /** An expression failed: counted; the condition does not hold. */
  readonly onFailure: (rule: ResourceRule, message: string) => void;
}

/** Judges one resource by one rule: a function of the resource and the clock, and whether an observation is the reason. */
export function judgeRule(
  rule: ResourceRule,
  resource: EvaluatedResource,
  now: number,
  observed: boolean,
  options: ConditionOptions,
  verdict: Verdict,
): void {
  verdict.holds = false;
  verdict.nextMs = Infinity;
  verdict.ended = "recovered";
  switch (rule.kind) {
    case "expr": {
      const value = rule.expr.evaluate({ self: resource }, now);
      if (value instanceof Failure) options.onFailure(rule, value.message);
      else if (typeof value !== "boolean") options.onFailure(rule, "the condition is no boolean");
      verdict.holds = value === true;
      // What the clock alone made true is true from now on; anything else, since the observation.
      verdict.activeAt = observed || !rule.expr.reads.now ? Math.min(resource.eventTime, now) : now;
      if (rule.expr.reads.now) verdict.nextMs = now + options.evaluationIntervalMs();
      return;
    }
    case "stuck":
      if (resource.state !== rule.state) return;
      verdict.activeAt = resource.since + rule.afterMs;
      verdict.holds = now >= verdict.activeAt;
      if (!verdict.holds) verdict.nextMs = verdict.activeAt;
      return;
    case "entered":
      if (resource.state !== rule.state) return;
      verdict.ended = "timed_out";
      return until(resource.since, rule.resolveAfterMs, now, verdict);
    case "illegal":
      if (!resource.illegal) return;
      // Not `since`: the source may say that the state began long before the move.
      verdict.ended = "timed_out";
      return until(resource.movedAt, rule.resolveAfterMs, now, verdict);
    case "undeclared":
      verdict.holds = resource.undeclared;
      verdict.activeAt = resource.since;
      return;
    case "looping":
      verdict.holds = !resource.terminal && resource.visits(rule.state) > rule.max;
      verdict.activeAt = Math.min(resource.eventTime, now);
      return;
    case "absent": {
      if (resource.terminal) return;
      if (rule.expr !== undefined && rule.expr.evaluate({ self: resource }, now) !== true) return;
      verdict.activeAt = resource.last_seen + rule.absentForMs;
      verdict.holds = now >= verdict.activeAt;
      if (!verdict.holds) verdict.nextMs = verdict.activeAt;
      return;
    }
    case "sequence":
    case "change":
      return;
    default:
      rule satisfies never;
  }
}

/** Holds from `since` on, at most for `forMs`: so what ended while nobody looked does not begin now. */
function until(since: number, forMs: number | undefined, now: number, verdict: Verdict): void {
  verdict.activeAt = since;
  verdict.holds = forMs === undefined || now < since + forMs;
  if (verdict.holds && forMs !== undefined) verdict.nextMs = since + forMs;
}
