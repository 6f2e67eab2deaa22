import type { ResolveReason } from "../sdk/alert.ts";
import type { Clock } from "../sdk/clock.ts";
import type { EvaluatedResource, Judge } from "../sdk/resource.ts";
import type { ResourceRule } from "../sdk/rule.ts";
import { judgeRule } from "./conditions.ts";
import type { Life, Verdict } from "./life.ts";
import { ResourceSubject } from "./resource_subject.ts";
import type { ActiveResourceRule, TypeRules } from "./rule_set.ts";
import type { AlertState } from "./alert_state.ts";

export interface EvaluatorOptions {
  readonly clock: Clock;
  readonly life: Life;
  readonly evaluationIntervalMs: () => number;
  readonly onFailure: (rule: ResourceRule, message: string) => void;
  /** A pending alert is over before it fired: nothing of it is kept. */
  readonly dropped: (state: AlertState) => void;
}

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
  readonly #verdict: Verdict = { holds: false, activeAt: 0, nextMs: Infinity, ended: "recovered" };
  readonly #subject = new ResourceSubject();

  constructor(options: EvaluatorOptions) {
    this.#options = options;
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

  mayExpire(resource: EvaluatedResource): boolean {
    return !this.held.has(resource.type) && !this.isStale(resource.sources);
  }

  judge(resource: EvaluatedResource, leftState: string | undefined, observed: boolean): number {
    const rules = this.#types.get(resource.type);
    if (rules === undefined) return Infinity;
    const now = this.#options.clock.now();
    const held = this.held.has(resource.type) || this.isStale(resource.sources);
    let next = Infinity;
    for (const rule of rules.general) next = Math.min(next, this.#apply(rule, resource, now, observed, held));
    for (const rule of rules.of(resource.state)) next = Math.min(next, this.#apply(rule, resource, now, observed, held));
    if (leftState !== undefined && leftState !== resource.state) {
      for (const rule of rules.of(leftState)) next = Math.min(next, this.#apply(rule, resource, now, observed, held));
    }
    if (!observed || rules.lingering.has(resource.row)) this.#settleLeft(rules, resource, now, observed, held);
    return next;
  }

  /** Alerts about states that the resource left while nothing could be said of it, or before a restart. */
  #settleLeft(rules: TypeRules, resource: EvaluatedResource, now: number, observed: boolean, held: boolean): void {
    rules.lingering.delete(resource.row);
    for (const rule of rules.ofStates) {
      if (rule.open.size > 0 && rule.open.has(resource.row)) this.#apply(rule, resource, now, observed, held);
    }
  }

  forget(resource: EvaluatedResource, reason: "deleted" | "expired"): void {
    this.#types.get(resource.type)?.lingering.delete(resource.row);
    for (const rule of this.#types.get(resource.type)?.all ?? []) {
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
  #apply(rule: ActiveResourceRule, resource: EvaluatedResource, now: number, observed: boolean, held: boolean): number {
    const verdict = this.#verdict;
    judgeRule(rule.declaration, resource, now, observed, this.#options, verdict);
    const next = this.#options.life.take(rule, resource.row, verdict, this.#subject.of(rule.declaration, resource), now, held);
    if (held && !verdict.holds && rule.open.size > 0 && rule.open.has(resource.row)) this.#types.get(resource.type)!.lingering.add(resource.row);
    return next;
  }
}
