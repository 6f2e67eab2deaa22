import type { Json } from "../sdk/observation.ts";
import { Failure } from "../sdk/expression.ts";
import type { EvaluatedResource } from "../sdk/resource.ts";
import { formatDuration } from "../sdk/duration.ts";
import type { RuleDeclaration } from "../sdk/rule.ts";
import { timeText } from "../sdk/alert_text.ts";

/** What a rule says of a resource at one moment. Reused: read it before the next call. */
export interface Verdict {
  holds: boolean;
  /** When the condition became true, if it holds. */
  activeAt: number;
  /** When it may change without a change of the resource; Infinity: never. */
  nextMs: number;
}

export interface ConditionOptions {
  /** Rules that read the clock are looked at this often. */
  readonly evaluationIntervalMs: () => number;
  /** An expression failed: counted; the condition does not hold. */
  readonly onFailure: (rule: RuleDeclaration, message: string) => void;
}

/** Judges one resource by one rule: a function of the resource and the clock, and whether an observation is the reason. */
export function judgeRule(
  rule: RuleDeclaration,
  resource: EvaluatedResource,
  now: number,
  observed: boolean,
  options: ConditionOptions,
  verdict: Verdict,
): void {
  verdict.holds = false;
  verdict.nextMs = Infinity;
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
      return until(resource.since, rule.resolveAfterMs, now, verdict);
    case "illegal":
      if (!resource.illegal) return;
      // Not `since`: the source may say that the state began long before the move.
      return until(resource.movedAt, rule.resolveAfterMs, now, verdict);
    case "undeclared":
      verdict.holds = resource.undeclared;
      verdict.activeAt = resource.since;
      return;
    case "looping":
      verdict.holds = !resource.terminal && resource.visits(rule.state) > rule.max;
      verdict.activeAt = Math.min(resource.eventTime, now);
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

/** What the rule looked at, for whoever is paged. */
export function observedValue(rule: RuleDeclaration, resource: EvaluatedResource): Json {
  switch (rule.kind) {
    case "expr": {
      const [only, ...others] = [...rule.expr.reads.self].filter((name) => resource.attribute(name) !== undefined);
      return only !== undefined && others.length === 0 ? resource.attribute(only)! : resource.state;
    }
    case "looping":
      return resource.visits(rule.state);
    case "stuck":
    case "entered":
    case "illegal":
    case "undeclared":
      return resource.state;
    default:
      rule satisfies never;
      return null;
  }
}

/** The story: what, since when, how it came there, and the limit. */
export function detailsOf(rule: RuleDeclaration, resource: EvaluatedResource): Record<string, Json> {
  const details: Record<string, Json> = {};
  if (resource.state !== "") {
    details["state"] = resource.state;
    details["since"] = timeText(resource.since);
    if (resource.previous !== "") details["previous_state"] = resource.previous;
  }
  if (rule.kind === "stuck") details["limit"] = formatDuration(rule.afterMs);
  if (rule.kind === "expr") details["condition"] = rule.expr.text;
  if (rule.kind === "looping") details["limit"] = rule.max;
  details["last_seen"] = timeText(resource.last_seen);
  for (const [name, value] of Object.entries(resource.attributes)) {
    if (!Object.hasOwn(details, name)) details[name] = value;
  }
  return details;
}
