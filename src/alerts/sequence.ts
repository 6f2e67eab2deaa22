import type { Expression } from "../sdk/expression.ts";
import type { EvaluatedResource } from "../sdk/resource.ts";
import type { SequenceRule } from "../sdk/rule.ts";
import type { Conditions, Question, ResourceVerdict } from "./conditions.ts";
import { after } from "./timed.ts";

/** Name under which a rule remembers how far a resource is in its sequence. */
export const SEQUENCE = "sequence:";

/** What is remembered of a resource: nothing while `after` does not hold and nothing is waited for. */
type Progress = readonly [incarnation: number, beganAt: number | null, after: boolean];

/**
 * Holds once `followedBy` has not come within `withinMs` of the moment when `after` became true, by event time. Where `after`
 * becomes true again meanwhile, the first time counts. What follows with the very observation that began it has followed. A
 * new incarnation begins anew. What fails is not true; that there was no move is no failure.
 */
export function judgeSequence(
  conditions: Conditions, rule: SequenceRule, resource: EvaluatedResource, question: Question, verdict: ResourceVerdict,
): void {
  const { memory } = conditions.options;
  const type = resource.type;
  const name = SEQUENCE + resource.id;
  const known = memory.get(type, rule.id, name) as Progress | undefined;
  const { incarnation } = resource;
  const before = known?.[0] === incarnation ? known : undefined;
  let beganAt = before?.[1] ?? null;
  if (question.observed) {
    const begins = is(conditions, rule, rule.after, question);
    if (begins && before?.[2] !== true) beganAt ??= Math.min(resource.eventTime, question.now);
    if (beganAt !== null && (is(conditions, rule, rule.followedBy, question) || (rule.unless !== undefined && is(conditions, rule, rule.unless, question)))) {
      beganAt = null;
    }
    if (beganAt === null && !begins) {
      if (known !== undefined) memory.put(type, rule.id, name, undefined);
    } else if (before === undefined || before[1] !== beganAt || before[2] !== begins) {
      memory.put(type, rule.id, name, [incarnation, beganAt, begins]);
    }
  } else if (beganAt !== null && (isBy(conditions, rule, rule.followedBy, question) || (rule.unless !== undefined && isBy(conditions, rule, rule.unless, question)))) {
    beganAt = null;
    memory.put(type, rule.id, name, before?.[2] === true ? [incarnation, null, true] : undefined);
  }
  if (beganAt === null) return;
  verdict.beganAt = beganAt;
  after(beganAt + rule.withinMs, question, verdict);
}

/** It came while the rule was not there to see it, or said something else. */
function isBy(conditions: Conditions, rule: SequenceRule, expression: Expression, question: Question): boolean {
  return !expression.reads.now && !expression.reads.scope.has("transition") && is(conditions, rule, expression, question);
}

function is(conditions: Conditions, rule: SequenceRule, expression: Expression, { now, transition }: Question): boolean {
  if (transition === undefined && expression.reads.scope.has("transition")) {
    const value = expression.evaluate(conditions.scope, now);
    return value === true;
  }
  return conditions.truth(rule, expression, now) === true;
}
