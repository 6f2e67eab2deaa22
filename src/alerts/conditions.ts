import { Failure, type Expression, type Scope } from "../sdk/expression.ts";
import type { EvaluatedResource, Transition } from "../sdk/resource.ts";
import type { ResourceRule } from "../sdk/rule.ts";
import type { AlertState } from "./alert_state.ts";
import { judgeChange } from "./change.ts";
import type { Verdict } from "./life.ts";
import type { RuleMemory } from "./rule_memory.ts";
import { judgeSequence } from "./sequence.ts";
import { after, from, until } from "./timed.ts";

export interface ConditionOptions {
  /** Rules that read the clock are looked at this often. */
  readonly evaluationIntervalMs: () => number;
  /** An expression failed: counted. */
  readonly onFailure: (rule: ResourceRule, message: string) => void;
  readonly memory: RuleMemory;
}

/** Why a resource is judged by a rule, and how it stood before. Reused for the next. */
export interface Question {
  now: number;
  /** An observation is the reason; with the move that it made, if any. */
  observed: boolean;
  transition: Transition | undefined;
  /** The rule's alert on the resource, if there is one. */
  open: AlertState | undefined;
}

/** A verdict on a resource, and what it rests on where that is not the resource itself. */
export interface ResourceVerdict extends Verdict {
  /** The change of a number, where it is known. */
  measured: number | undefined;
  /** When a sequence began. */
  beganAt: number | undefined;
}

/** Judges single resources: by what they are, the clock, and what their rules remember of them. */
export class Conditions {
  readonly options: ConditionOptions;
  /** Reused: an expression keeps nothing of it. */
  readonly scope: { -readonly [Name in keyof Scope]: Scope[Name] } = { self: undefined, transition: undefined, value: undefined };

  constructor(options: ConditionOptions) {
    this.options = options;
  }

  judge(rule: ResourceRule, resource: EvaluatedResource, question: Question, verdict: ResourceVerdict): void {
    const { now, observed } = question;
    verdict.holds = false;
    verdict.nextMs = Infinity;
    verdict.ended = "recovered";
    verdict.measured = undefined;
    verdict.beganAt = undefined;
    this.scope.self = resource;
    this.scope.transition = question.transition;
    this.scope.value = undefined;
    switch (rule.kind) {
      case "expr":
        verdict.holds = this.compare(rule, rule.expr, question);
        // What the clock alone made true is true from now on; anything else, since the observation.
        verdict.activeAt = observed || !rule.expr.reads.now ? Math.min(resource.eventTime, now) : now;
        if (rule.expr.reads.now || rule.clear?.reads.now === true) verdict.nextMs = now + this.options.evaluationIntervalMs();
        return;
      case "stuck":
        if (resource.state !== rule.state) return;
        return after(resource.since + rule.afterMs, question, verdict);
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
        if (rule.expr !== undefined && !this.holds(rule, rule.expr, question)) {
          if (rule.expr.reads.now) verdict.nextMs = now + this.options.evaluationIntervalMs();
          return;
        }
        // Silence while nobody could hear is none. But what was silent before is not back because the agent is.
        const silent = question.open?.status === "firing" && question.open.clearSince === undefined;
        return from((silent ? resource.last_seen : Math.max(resource.last_seen, resource.listenedSince)) + rule.absentForMs, now, verdict);
      }
      case "sequence":
        return judgeSequence(this, rule, resource, question, verdict);
      case "change":
        return judgeChange(this, rule, resource, question, verdict);
      default:
        rule satisfies never;
    }
  }

  /** The rule's condition; once it fires, until `clear` holds. Where both hold, the condition is what counts. */
  compare(rule: ResourceRule, condition: Expression, question: Question): boolean {
    if (this.holds(rule, condition, question)) return true;
    return rule.clear !== undefined && question.open?.status === "firing" && !this.holds(rule, rule.clear, question, true);
  }

  /** Whether an expression holds; where it fails, what the rule says of missing data. */
  holds(rule: ResourceRule, expression: Expression, question: Question, clears = false): boolean {
    const value = this.truth(rule, expression, question.now);
    return value ?? (clears ? !this.missing(rule, question) : this.missing(rule, question));
  }

  /** True or false, or undefined where the expression fails, or says neither: that is counted. */
  truth(rule: ResourceRule, expression: Expression, now: number): boolean | undefined {
    const value = expression.evaluate(this.scope, now);
    if (typeof value === "boolean") return value;
    this.options.onFailure(rule, value instanceof Failure ? value.message : "the condition is no boolean");
    return undefined;
  }

  /** Whether the rule holds where there is no data. */
  missing(rule: ResourceRule, { open }: Question): boolean {
    switch (rule.noData ?? "ok") {
      case "ok":
        return false;
      case "alert":
        return true;
      case "keep":
        return open !== undefined && open.clearSince === undefined;
    }
  }
}
