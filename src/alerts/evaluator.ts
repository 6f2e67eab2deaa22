import { createHash } from "node:crypto";
import type { Alert, ResolveReason } from "../sdk/alert.ts";
import type { Clock } from "../sdk/clock.ts";
import type { EvaluatedResource, Judge } from "../sdk/resource.ts";
import type { RuleDeclaration } from "../sdk/rule.ts";
import type { Template } from "../sdk/template.ts";
import { toAlert, type AlertState } from "./alert_state.ts";
import { detailsOf, judgeRule, observedValue, type Verdict } from "./conditions.ts";
import type { ActiveRule, TypeRules } from "./rule_set.ts";

const LABEL_LENGTH_MAX = 1_024;
const ANNOTATION_LENGTH_MAX = 4_096;

export interface EvaluatorOptions {
  readonly clock: Clock;
  readonly externalLabels: () => Readonly<Record<string, string>>;
  readonly evaluationIntervalMs: () => number;
  readonly onFailure: (rule: RuleDeclaration, message: string) => void;
  /** The alert must be told to these exporters, with the next commit. */
  readonly notify: (alert: Alert, exporters: readonly string[]) => void;
  /** The alert changed: it belongs into the next commit; a soon one, if it fires or is over. */
  readonly changed: (state: AlertState) => void;
  /** A pending alert is over before it fired: nothing of it is kept. */
  readonly dropped: (state: AlertState) => void;
}

/**
 * The only place that judges. A rule's verdict is a function of the resource and the clock, so it makes no difference
 * how observations were split into batches, or whether the agent was down meanwhile.
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
  readonly #verdict: Verdict = { holds: false, activeAt: 0, nextMs: Infinity };

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
      if (state.status === "pending") this.#options.dropped(state);
      else this.resolve(state, reason, this.#options.clock.now());
    }
  }

  /** The alert is over: whoever was told that it began is told why it ended. */
  resolve(state: AlertState, reason: ResolveReason, now: number): void {
    state.status = "resolved";
    state.resolvedAt = now;
    state.reason = reason;
    this.#options.changed(state);
    this.#options.notify(toAlert(state), state.notified);
  }

  /** Returns when to look again. */
  #apply(rule: ActiveRule, resource: EvaluatedResource, now: number, observed: boolean, held: boolean): number {
    const { declaration } = rule;
    const verdict = this.#verdict;
    judgeRule(declaration, resource, now, observed, this.#options, verdict);
    const open = rule.open.size === 0 ? undefined : rule.open.get(resource.row);
    return verdict.holds
      ? this.#holds(rule, resource, open, now, held)
      : Math.min(verdict.nextMs, this.#ended(rule, resource, open, now, held));
  }

  #holds(rule: ActiveRule, resource: EvaluatedResource, open: AlertState | undefined, now: number, held: boolean): number {
    const { nextMs, activeAt } = this.#verdict;
    let state = open;
    if (state === undefined) {
      state = this.#begin(rule, resource, activeAt);
      rule.open.set(resource.row, state);
    } else if (state.clearSince !== undefined) {
      state.clearSince = undefined;
      this.#options.changed(state);
    }
    if (state.status !== "pending") return nextMs;
    const firesAt = state.activeAt + (rule.declaration.kind === "expr" ? rule.declaration.forMs : 0);
    if (held) return nextMs;
    if (now < firesAt) {
      // Shown as pending under the labels it will fire with; they are made anew when it does.
      if (state.labels["severity"] === undefined) state.labels = this.#labels(rule, resource, now);
      return Math.min(nextMs, firesAt);
    }
    this.#fire(rule, resource, state, now);
    return nextMs;
  }

  #ended(rule: ActiveRule, resource: EvaluatedResource, open: AlertState | undefined, now: number, held: boolean): number {
    if (open === undefined) return Infinity;
    if (open.status === "pending") {
      rule.open.delete(resource.row);
      this.#options.dropped(open);
      return Infinity;
    }
    const keepMs = rule.declaration.kind === "expr" ? rule.declaration.keepFiringForMs : 0;
    if (open.clearSince === undefined) {
      open.clearSince = now;
      this.#options.changed(open);
    }
    if (held) {
      this.#types.get(resource.type)!.lingering.add(resource.row);
      return Infinity;
    }
    if (now < open.clearSince + keepMs) return open.clearSince + keepMs;
    rule.open.delete(resource.row);
    open.details = detailsOf(rule.declaration, resource);
    this.resolve(open, "recovered", now);
    return Infinity;
  }

  #labels(rule: ActiveRule, resource: EvaluatedResource, now: number): Record<string, string> {
    const { declaration } = rule;
    return sorted({
      ...this.#render(rule, declaration.labels, resource, LABEL_LENGTH_MAX, now),
      ...this.#options.externalLabels(),
      alertname: declaration.alert,
      resource_type: resource.type,
    });
  }

  #render(rule: ActiveRule, templates: ReadonlyMap<string, Template>, resource: EvaluatedResource, lengthMax: number, now: number): Record<string, string> {
    const failed = (message: string): void => this.#options.onFailure(rule.declaration, message);
    // Where it came from: what an illegal move is about.
    const { previous, state, since } = resource;
    const scope = { self: resource, transition: previous === "" ? undefined : { from: previous, to: state, at: since, duration: 0 } };
    return Object.fromEntries([...templates].map(([name, template]) => [name, template.render(scope, now, failed).slice(0, lengthMax)]));
  }

  #begin(rule: ActiveRule, resource: EvaluatedResource, activeAt: number): AlertState {
    const { declaration } = rule;
    const state: AlertState = {
      type: resource.type,
      rule: declaration.id,
      resource: resource.id,
      dedupKey: dedupKey(this.#options.externalLabels(), resource.type, declaration.id, resource.id),
      alert: declaration.alert,
      status: "pending",
      activeAt,
      firedAt: undefined,
      resolvedAt: undefined,
      reason: undefined,
      clearSince: undefined,
      labels: { alertname: declaration.alert, resource_type: resource.type },
      annotations: {},
      value: null,
      details: {},
      file: rule.file,
      notified: [],
    };
    this.#options.changed(state);
    return state;
  }

  #fire(rule: ActiveRule, resource: EvaluatedResource, state: AlertState, now: number): void {
    const { declaration } = rule;
    state.alert = declaration.alert;
    state.labels = this.#labels(rule, resource, now);
    state.annotations = this.#render(rule, declaration.annotations, resource, ANNOTATION_LENGTH_MAX, now);
    state.value = observedValue(declaration, resource);
    state.details = detailsOf(declaration, resource);
    state.status = "firing";
    state.firedAt = now;
    state.file = rule.file;
    state.notified = rule.exporters;
    this.#options.changed(state);
    this.#options.notify(toAlert(state), rule.exporters);
  }
}

/** The same for one episode from any replica, different between clusters; 64 characters. */
export function dedupKey(externalLabels: Readonly<Record<string, string>>, type: string, rule: string, resource: string): string {
  const identity = JSON.stringify([Object.entries(sorted(externalLabels)), type, rule, resource]);
  return createHash("sha256").update(identity).digest("hex");
}

function sorted(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}
