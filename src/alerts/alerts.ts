import type { Alert } from "../sdk/alert.ts";
import type { Clock, Timer } from "../sdk/clock.ts";
import type { Sample } from "../sdk/metrics.ts";
import type { EvaluatedResource, Judge } from "../sdk/resource.ts";
import type { GroupRule, RuleDeclaration } from "../sdk/rule.ts";
import type { Cell, Persistent, Store, TableChange } from "../sdk/store.ts";
import { ALERTS, alertCells, alertStates, toAlert, type AlertState, type ConfiguredRule } from "./alert_state.ts";
import { Evaluator } from "./evaluator.ts";
import { GroupEvaluator, type ActiveGroupRule } from "./groups/group_evaluator.ts";
import { Life } from "./life.ts";
import { RuleMemory } from "./rule_memory.ts";
import { TypeRules, type ActiveResourceRule, type ActiveRule } from "./rule_set.ts";

/** An alert whose rule is gone stays open this long: the file may have gone by mistake. */
const RULE_REMOVED_AFTER_MS = 5 * 60_000;
/** Resolved alerts are shown this long, and at most this many of them. */
const RESOLVED_SHOWN_MS = 15 * 60_000;
const RESOLVED_SHOWN_MAX = 1_000;

export interface AlertsOptions {
  readonly clock: Clock;
  readonly externalLabels: () => Readonly<Record<string, string>>;
  readonly evaluationIntervalMs: () => number;
  readonly onFailure: (rule: RuleDeclaration, message: string) => void;
  readonly notify: (alert: Alert, exporters: readonly string[]) => void;
  /** Something must be committed; `urgent` when somebody may have to be told. */
  readonly changed: (urgent: boolean) => void;
  /** Row of a live resource. */
  readonly rowOf: (type: string, id: string) => number | undefined;
  readonly judgeAll: (type: string) => void;
  /** The type may be judged from now on. */
  readonly resume: (type: string) => void;
  /** What this receiver feeds may be judged again. */
  readonly heard: (receiver: string) => void;
}

/** Every alert, its rule or not: what is open, and what was until a moment ago. */
export class Alerts implements Persistent, Judge {
  readonly #memory = new RuleMemory(() => this.#options.changed(false));
  readonly tables = [ALERTS, ...this.#memory.tables];
  readonly #options: AlertsOptions;
  readonly #evaluator: Evaluator;
  readonly #groups: GroupEvaluator;
  /** Open alerts whose rule is not configured now, by key. */
  readonly #orphans = new Map<string, { readonly state: AlertState; readonly at: number }>();
  /** By key, in the order in which they were resolved. */
  readonly #resolved = new Map<string, AlertState>();
  #frozenFiles: ReadonlySet<string> = new Set();
  readonly #dirty = new Set<AlertState>();
  #deletes: Cell[] = [];
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: AlertsOptions) {
    this.#options = options;
    const { clock, evaluationIntervalMs, onFailure } = options;
    const memory = this.#memory;
    const dropped = (state: AlertState): void => this.#delete(state);
    const life = new Life({
      externalLabels: options.externalLabels,
      onFailure,
      notify: options.notify,
      changed: (state) => {
        this.#dirty.add(state);
        if (state.status === "resolved") this.#showResolved(state);
        options.changed(state.status !== "pending");
      },
      dropped,
      memory,
    });
    this.#evaluator = new Evaluator({ clock, life, evaluationIntervalMs, onFailure, dropped });
    this.#groups = new GroupEvaluator({ clock, life, memory, evaluationIntervalMs, onFailure, isHeld: (type) => this.isHeld(type) });
  }

  judge(resource: EvaluatedResource, leftState: string | undefined, observed: boolean): number {
    this.#groups.tell(resource, observed);
    return this.#evaluator.judge(resource, leftState, observed);
  }

  mayExpire(resource: EvaluatedResource): boolean {
    return this.#evaluator.mayExpire(resource);
  }

  forget(resource: EvaluatedResource, reason: "deleted" | "expired"): void {
    this.#groups.forget(resource);
    this.#evaluator.forget(resource, reason);
    for (const [key, { state }] of this.#orphans) {
      if (state.type !== resource.type || state.resource !== resource.id || state.group !== undefined) continue;
      this.#orphans.delete(key);
      this.#evaluator.end(state, reason);
    }
  }

  /**
   * Takes the rules of a new graph and reconciles: alerts keep their state by type, rule and resource, pending ones too;
   * those whose rule is gone end after a while, unless a rejected file (`frozenFiles`) is why it is gone.
   * `receivers`: those that are configured.
   */
  configure(rules: readonly ConfiguredRule[], frozenFiles: ReadonlySet<string>, receivers?: ReadonlySet<string>): void {
    const now = this.#options.clock.now();
    const before = new Map<string, AlertState[]>();
    const remember = (state: AlertState): void => {
      const key = ruleKey(state.type, state.rule);
      const states = before.get(key);
      if (states === undefined) before.set(key, [state]);
      else states.push(state);
    };
    // While its file was rejected, nobody could say that the rule was gone.
    const since = new Map([...this.#orphans].filter(([, { state }]) => !this.#frozenFiles.has(state.file)).map(([key, { at }]) => [key, at]));
    this.#frozenFiles = frozenFiles;
    this.#evaluator.receivers = receivers;
    for (const rule of this.#rules()) rule.open.forEach(remember);
    for (const { state } of this.#orphans.values()) remember(state);
    this.#orphans.clear();

    const byType = new Map<string, ActiveResourceRule[]>();
    const groupRules: ActiveGroupRule[] = [];
    for (const rule of rules) {
      const { declaration } = rule;
      const open = new Map<number | string, AlertState>();
      const key = ruleKey(declaration.type, declaration.id);
      const ofGroups = isAboutGroups(declaration);
      for (const state of before.get(key) ?? []) {
        // Its kind may have changed under the same name: then it is another alert.
        const at = ofGroups === (state.group === undefined) ? undefined : ofGroups ? state.resource : this.#options.rowOf(state.type, state.resource);
        if (at !== undefined) open.set(at, state);
        else this.#evaluator.end(state, "expired");
      }
      before.delete(key);
      if (ofGroups) groupRules.push({ ...rule, declaration, open });
      else byType.set(declaration.type, [...(byType.get(declaration.type) ?? []), { ...rule, declaration, open }]);
    }
    for (const states of before.values()) {
      for (const state of states) {
        const key = alertKey(state);
        this.#orphans.set(key, { state, at: since.get(key) ?? now });
      }
    }
    this.#evaluator.setRules(new Map([...byType].map(([type, list]) => [type, new TypeRules(list)])));
    this.#groups.configure(groupRules);
    const types = new Set([...byType.keys(), ...groupRules.map(({ declaration }) => declaration.type)]);
    for (const type of types) this.#options.judgeAll(type);
    this.#tidy();
  }

  /** Nothing of these types fires or resolves until `release`. */
  hold(types: Iterable<string>): void {
    for (const type of types) this.#evaluator.held.add(type);
  }

  /** The receivers of the type have caught up: it is judged now. */
  release(type: string): void {
    if (!this.#evaluator.held.delete(type)) return;
    this.#options.resume(type);
    this.#groups.release(type);
  }

  /** The type is not fed any more: it need not wait. */
  drop(type: string): void {
    this.#evaluator.held.delete(type);
  }

  isHeld(type: string): boolean {
    return this.#evaluator.held.has(type);
  }

  /** A receiver cannot read its source (`reason` is fit to be shown), or can again (`undefined`). */
  setFailing(receiver: string, reason: string | undefined): void {
    if (reason !== undefined) this.#evaluator.failing.add(receiver);
    else if (this.#evaluator.failing.delete(receiver)) this.#options.heard(receiver);
  }

  isStale(sources: readonly string[]): boolean {
    return this.#evaluator.isStale(sources);
  }

  /** Open alerts first, in the order in which they became active, then those resolved a moment ago. Copies. */
  list(): Alert[] {
    return [...[...this.#open()].sort((a, b) => a.activeAt - b.activeAt), ...this.#resolved.values()].map(toAlert);
  }

  /** Firing alerts that this exporter was told of: it must live until they are over. */
  openOn(exporter: string): number {
    let count = 0;
    for (const state of this.#open()) if (state.status === "firing" && state.notified.includes(exporter)) count++;
    return count;
  }

  /** `sojourn_alerts{alertname,alertstate,severity}`. */
  *samples(): Iterable<Sample> {
    const counts = new Map<string, { labels: string[]; value: number }>();
    for (const state of this.#open()) {
      const labels = [state.alert, state.status, state.labels["severity"] ?? ""];
      const key = JSON.stringify(labels);
      const counted = counts.get(key);
      if (counted === undefined) counts.set(key, { labels, value: 1 });
      else counted.value++;
    }
    yield* counts.values();
  }

  async restore(store: Store): Promise<void> {
    await this.#memory.restore(store);
    const resolved: AlertState[] = [];
    await store.load(ALERTS, (cells) => {
      for (const state of alertStates(cells)) {
        if (state.status === "resolved") resolved.push(state);
        else this.#orphans.set(alertKey(state), { state, at: this.#options.clock.now() });
      }
    });
    resolved.sort((a, b) => a.resolvedAt! - b.resolvedAt!);
    for (const state of resolved) this.#resolved.set(alertKey(state), state);
  }

  drain(changes: TableChange[]): void {
    this.#memory.drain(changes);
    if (this.#dirty.size === 0 && this.#deletes.length === 0) return;
    const puts: Cell[] = [];
    for (const state of this.#dirty) puts.push(...alertCells(state));
    changes.push({ table: ALERTS, puts, deletes: this.#deletes });
    this.#dirty.clear();
    this.#deletes = [];
  }

  stop(): void {
    this.#stopped = true;
    this.#groups.stop();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  *#rules(): Iterable<ActiveRule> {
    for (const type of this.#evaluator.types.values()) yield* type.all;
    yield* this.#groups.rules;
  }

  *#open(): Iterable<AlertState> {
    for (const rule of this.#rules()) yield* rule.open.values();
    for (const { state } of this.#orphans.values()) yield state;
  }

  #delete(state: AlertState): void {
    this.#dirty.delete(state);
    this.#deletes.push(state.type, state.rule, state.resource);
    this.#options.changed(false);
  }

  #showResolved(state: AlertState): void {
    const key = alertKey(state);
    this.#resolved.delete(key);
    this.#resolved.set(key, state);
    if (this.#timer === undefined || this.#resolved.size > RESOLVED_SHOWN_MAX) this.#tidy();
  }

  /** Resolves alerts whose rule has been gone long enough; forgets resolved ones that were shown long enough. */
  #tidy(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const now = this.#options.clock.now();
    let next = Infinity;
    const removed: AlertState[] = [];
    for (const [key, { state, at }] of this.#orphans) {
      if (this.#frozenFiles.has(state.file)) continue;
      const due = at + RULE_REMOVED_AFTER_MS;
      if (due > now) {
        next = Math.min(next, due);
        continue;
      }
      this.#orphans.delete(key);
      removed.push(state);
    }
    for (const [key, state] of this.#resolved) {
      const due = state.resolvedAt! + RESOLVED_SHOWN_MS;
      if (due > now && this.#resolved.size <= RESOLVED_SHOWN_MAX) {
        next = Math.min(next, due);
        break;
      }
      this.#resolved.delete(key);
      if (!this.#isOpen(state)) this.#delete(state);
    }
    if (next !== Infinity && !this.#stopped) this.#timer = this.#options.clock.at(next, () => this.#tidy());
    for (const state of removed) this.#evaluator.end(state, "rule_removed");
  }

  /** A new episode of the same rule and subject has the same key in the store. */
  #isOpen(state: AlertState): boolean {
    if (this.#orphans.has(alertKey(state))) return true;
    const key = state.group === undefined ? this.#options.rowOf(state.type, state.resource) : state.resource;
    if (key === undefined) return false;
    const rules = state.group === undefined ? (this.#evaluator.rulesOf(state.type)?.all ?? []) : this.#groups.rules;
    return rules.some(({ declaration, open }) => declaration.type === state.type && declaration.id === state.rule && open.has(key));
  }
}

function isAboutGroups(declaration: RuleDeclaration & { readonly type: string }): declaration is GroupRule & { readonly type: string } {
  switch (declaration.kind) {
    case "aggregate":
    case "window":
    case "expect":
    case "always":
    case "failing":
      return true;
    default:
      return false;
  }
}

function ruleKey(type: string, rule: string): string {
  return JSON.stringify([type, rule]);
}

function alertKey(state: AlertState): string {
  return JSON.stringify([state.type, state.rule, state.resource]);
}
