import type { ResolveReason } from "../sdk/alert.ts";
import type { Clock } from "../sdk/clock.ts";
import type { Observation } from "../sdk/observation.ts";
import type { EvaluatedResource, Judge, Transition } from "../sdk/resource.ts";
import { CHANGE } from "./change.ts";
import { Conditions, type ConditionOptions, type Question, type ResourceVerdict } from "./conditions.ts";
import { FIRES, type Life } from "./life.ts";
import { ResourceSubject } from "./resource_subject.ts";
import type { ActiveResourceRule, TypeRules } from "./rule_set.ts";
import type { AlertState } from "./alert_state.ts";
import { SEQUENCE } from "./sequence.ts";

export interface EvaluatorOptions extends ConditionOptions {
  readonly clock: Clock;
  readonly life: Life;
  /** A pending alert is over before it fired: nothing of it is kept. */
  readonly dropped: (state: AlertState) => void;
}

/** What rules remember of a resource, and forget with it: names, before its id. */
export const REMEMBERED = [SEQUENCE, CHANGE, FIRES] as const;

/**
 * Judges resources. A rule's verdict is a function of the resource, the clock and what the rule remembers of it, so it
 * makes no difference how observations were split into batches, or whether the agent was down meanwhile.
 */
export class Evaluator implements Judge {
  readonly #options: EvaluatorOptions;
  #types = new Map<string, TypeRules>();
  /** Types whose receivers have not caught up: nothing fires and nothing resolves. */
  readonly held = new Set<string>();
  /** Receivers that cannot read their source: what only they feed is stale. */
  readonly failing = new Set<string>();
  /** Receivers that are configured: another one has nothing to say any more. */
  receivers: ReadonlySet<string> | undefined;
  readonly #conditions: Conditions;
  readonly #question: Question = { now: 0, observed: false, transition: undefined, open: undefined };
  readonly #verdict: ResourceVerdict = { holds: false, activeAt: 0, nextMs: Infinity, ended: "recovered", measured: undefined, beganAt: undefined };
  readonly #subject = new ResourceSubject();

  constructor(options: EvaluatorOptions) {
    this.#options = options;
    this.#conditions = new Conditions(options);
  }

  rulesOf(type: string): TypeRules | undefined {
    return this.#types.get(type);
  }

  get types(): ReadonlyMap<string, TypeRules> {
    return this.#types;
  }

  /** Replaces the rules; `open` of each holds the alerts that it takes over. */
  setRules(types: Map<string, TypeRules>): void {
    this.#types = types;
  }

  /** Nobody can say whether its alerts hold: all its receivers are failing. */
  isStale(sources: readonly string[]): boolean {
    if (this.failing.size === 0 || !sources.some((source) => this.failing.has(source))) return false;
    return sources.every((source) => this.failing.has(source) || this.receivers?.has(source) === false);
  }

  /** Nobody could say so while this receiver was failing, too. */
  isStaleBut(receiver: string, sources: readonly string[]): boolean {
    return sources.every((source) => source === receiver || this.failing.has(source) || this.receivers?.has(source) === false);
  }

  /**
   * Says of each open alert whether its sources can still be read. Gives those of which something else was said before. A
   * receiver that fails, or is read again, concerns few.
   */
  *markStale(sourcesOf: (type: string, row: number) => readonly string[], now: number): Iterable<AlertState> {
    for (const [type, { all }] of this.#types) {
      for (const { open } of all) {
        for (const [row, state] of open) {
          const stale = this.failing.size > 0 && this.isStale(sourcesOf(type, row as number));
          // After a start nobody knows before the receivers have said something.
          if (stale === (state.staleSince !== undefined) || (!stale && this.held.has(type))) continue;
          state.staleSince = stale ? now : undefined;
          yield state;
        }
      }
    }
  }

  mayExpire(resource: EvaluatedResource): boolean {
    return !this.held.has(resource.type) && !this.isStale(resource.sources);
  }

  judge(
    resource: EvaluatedResource, leftState: string | undefined, observed: boolean, observation?: Observation, transition?: Transition,
  ): number {
    const rules = this.#types.get(resource.type);
    if (rules === undefined) return Infinity;
    const question = this.#question;
    question.now = this.#options.clock.now();
    question.observed = observed;
    question.transition = transition;
    const held = this.held.has(resource.type) || this.isStale(resource.sources);
    if (!held) rules.judged = true;
    this.#subject.observation = observation;
    let next = Infinity;
    for (const rule of rules.general) next = Math.min(next, this.#apply(rule, resource, held));
    for (const rule of rules.of(resource.state)) next = Math.min(next, this.#apply(rule, resource, held));
    if (leftState !== undefined && leftState !== resource.state) {
      for (const rule of rules.of(leftState)) next = Math.min(next, this.#apply(rule, resource, held));
    }
    if (!observed || rules.lingering.has(resource.row)) this.#settleLeft(rules, resource, held);
    this.#subject.observation = undefined;
    return next;
  }

  /** Alerts about states that the resource left while nothing could be said of it, or before a restart. */
  #settleLeft(rules: TypeRules, resource: EvaluatedResource, held: boolean): void {
    rules.lingering.delete(resource.row);
    for (const rule of rules.ofStates) {
      if (rule.open.size > 0 && rule.open.has(resource.row)) this.#apply(rule, resource, held);
    }
  }

  forget(resource: EvaluatedResource, reason: "deleted" | "expired"): void {
    const { memory } = this.#options;
    this.#types.get(resource.type)?.lingering.delete(resource.row);
    for (const rule of this.#types.get(resource.type)?.all ?? []) {
      const { id } = rule.declaration;
      for (const name of REMEMBERED) memory.put(resource.type, id, name + resource.id, undefined);
      const state = rule.open.get(resource.row);
      if (state === undefined) continue;
      rule.open.delete(resource.row);
      this.end(state, reason);
    }
  }

  /** Ends an alert whatever its rule says; what never fired leaves no trace. */
  end(state: AlertState, reason: ResolveReason): void {
    if (state.status === "pending") this.#options.dropped(state);
    else this.#options.life.resolve(state, reason, this.#options.clock.now());
  }

  /** Returns when to look again. */
  #apply(rule: ActiveResourceRule, resource: EvaluatedResource, held: boolean): number {
    const verdict = this.#verdict;
    const question = this.#question;
    question.open = rule.open.size === 0 ? undefined : rule.open.get(resource.row);
    this.#conditions.judge(rule.declaration, resource, question, verdict);
    const next = this.#options.life.take(rule, resource.row, verdict, this.#subject.of(rule.declaration, resource, verdict), question.now, held);
    if (held && !verdict.holds && rule.open.size > 0 && rule.open.has(resource.row)) this.#types.get(resource.type)!.lingering.add(resource.row);
    return next;
  }
}
