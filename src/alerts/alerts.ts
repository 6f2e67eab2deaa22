import type { Acknowledgement, Alert } from "../sdk/alert.ts";
import { cut } from "../sdk/alert_text.ts";
import type { Timer } from "../sdk/clock.ts";
import type { Sample } from "../sdk/metrics.ts";
import type { Observation } from "../sdk/observation.ts";
import type { EvaluatedResource, Judge, Transition } from "../sdk/resource.ts";
import type { Cell, Persistent, Store, TableChange } from "../sdk/store.ts";
import { AlertIndex } from "./alert_index.ts";
import { ALERTS, alertCells, alertStates, setBack, toAlert, type AlertState, type ConfiguredRule } from "./alert_state.ts";
import type { AlertsOptions } from "./alerts_options.ts";
import { Evaluator, REMEMBERED } from "./evaluator.ts";
import { Freshness } from "./freshness.ts";
import { GroupEvaluator } from "./groups/group_evaluator.ts";
import { Life } from "./life.ts";
import { Orphans } from "./orphans.ts";
import { reconcile, ruleKey } from "./reconcile.ts";
import { ResolvedAlerts } from "./resolved_alerts.ts";
import { RuleMemory } from "./rule_memory.ts";
import type { ActiveRule } from "./rule_set.ts";

const COMMENT_LENGTH_MAX = 1_000;

/** Every alert, its rule or not: what is open, and what was until a moment ago. */
export class Alerts implements Persistent, Judge {
  readonly #memory = new RuleMemory(() => this.#options.changed(false), () => this.#options.clock.now());
  readonly tables = [ALERTS, ...this.#memory.tables];
  readonly #options: AlertsOptions;
  readonly #evaluator: Evaluator;
  readonly #groups: GroupEvaluator;
  readonly #orphans = new Orphans(this.#memory);
  readonly #resolved = new ResolvedAlerts();
  readonly #index = new AlertIndex();
  readonly #freshness = new Freshness(this.#memory);
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
        this.#index.changed(state);
        if (state.status === "resolved" && (this.#resolved.add(state) || this.#timer === undefined)) this.#tidy();
        options.changed(state.status !== "pending");
      },
      dropped,
      memory,
    });
    this.#evaluator = new Evaluator({ clock, life, memory, evaluationIntervalMs, onFailure, dropped });
    this.#groups = new GroupEvaluator({
      clock, life, memory, evaluationIntervalMs, onFailure,
      isHeld: (type) => this.isHeld(type), isStale: (receivers) => this.isStale(receivers),
    });
  }

  judge(
    resource: EvaluatedResource, leftState: string | undefined, observed: boolean, observation?: Observation, transition?: Transition,
  ): number {
    const next = this.#groups.tell(resource, observed, transition);
    return Math.min(next, this.#evaluator.judge(resource, leftState, observed, observation, transition));
  }

  mayExpire(resource: EvaluatedResource): boolean {
    return this.#evaluator.mayExpire(resource);
  }

  /** What is timed lies as far back, or ahead, as before the clock was set. */
  setBack(byMs: number): void {
    this.#write([...this.#open()].filter((state) => setBack(state, byMs, this.#options.clock.now())));
    this.#groups.setBack(byMs);
  }

  forget(resource: EvaluatedResource, reason: "deleted" | "expired"): void {
    this.#groups.forget(resource);
    this.#evaluator.forget(resource, reason);
    for (const state of this.#orphans.takeOf(resource, REMEMBERED)) this.#evaluator.end(state, reason);
  }

  /**
   * Takes the rules of a new graph and reconciles: alerts keep their state by type, rule and resource, pending ones too;
   * those whose rule is gone end after a while, unless a rejected file (`frozenFiles`) is why it is gone.
   * `receivers`: those that are configured.
   */
  configure(rules: readonly ConfiguredRule[], frozenFiles: ReadonlySet<string>, receivers?: ReadonlySet<string>): void {
    const now = this.#options.clock.now();
    this.#evaluator.receivers = receivers;
    const { types, groupRules, ended, removed, moved, orphaned } = reconcile(rules, [...this.#open()], this.#options.rowOf);
    for (const state of ended) this.#evaluator.end(state, "expired");
    for (const state of removed) this.#evaluator.end(state, "rule_removed");
    this.#write(moved);
    const configured = new Set(rules.map(({ declaration }) => ruleKey(declaration.type, declaration.id)));
    this.#orphans.replace(orphaned, (type, rule) => configured.has(ruleKey(type, rule)), frozenFiles, now);
    this.#evaluator.setRules(types);
    const active = [...[...types.values()].flatMap(({ all }) => all), ...groupRules];
    this.#freshness.configure(active);
    this.#groups.configure(groupRules);
    this.#markStale();
    this.#freshness.pass(() => {
      for (const type of new Set(active.map(({ declaration }) => declaration.type))) this.#options.judgeAll(type);
      this.#groups.settled();
    });
    this.#known();
    this.#tidy();
  }

  /** Nothing of these types fires or resolves until `release`. */
  hold(types: Iterable<string>): void {
    for (const type of types) this.#evaluator.held.add(type);
  }

  /** The receivers of the type have caught up: it is judged now. */
  release(type: string): void {
    if (!this.#evaluator.held.delete(type)) return;
    this.#markStale();
    this.#freshness.pass(() => {
      this.#options.resume(type);
      this.#groups.release(type);
    });
    this.#known();
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
    const { failing } = this.#evaluator;
    if (reason !== undefined) {
      failing.add(receiver);
      this.#groups.setFailing(receiver, reason);
      return this.#markStale();
    }
    const failed = failing.delete(receiver);
    this.#groups.setFailing(receiver, undefined);
    if (!failed) return;
    this.#markStale();
    this.#freshness.pass(() => {
      this.#options.heard(receiver, (sources) => this.#evaluator.isStaleBut(receiver, sources));
      this.#groups.heard(receiver);
    });
    this.#known();
  }

  isStale(sources: readonly string[]): boolean {
    return this.#evaluator.isStale(sources);
  }

  /** Open alerts first, in the order in which they became active, then those resolved a moment ago. Copies. */
  list(): Alert[] {
    return [...[...this.#open()].sort((a, b) => a.activeAt - b.activeAt), ...this.#resolved.values()].map(toAlert);
  }

  /** The last episode of this key: open, or resolved a moment ago. */
  get(dedupKey: string): Alert | undefined {
    const state = this.#index.get(dedupKey);
    return state && toAlert(state);
  }

  /** Somebody has seen it, until the episode is over. Undefined when there is no such alert that fires. */
  acknowledge(dedupKey: string, { by, comment, at }: Acknowledgement): Alert | undefined {
    const state = this.#index.get(dedupKey);
    if (state?.status !== "firing") return undefined;
    state.acknowledged = { by: cut(by, COMMENT_LENGTH_MAX), comment: cut(comment, COMMENT_LENGTH_MAX), at };
    this.#write([state], true);
    const alert = toAlert(state);
    this.#options.acknowledged?.(alert);
    return alert;
  }

  /** Copies of all that fire, in the order in which they began to; made one by one. */
  *firing(): Iterable<Alert> {
    for (const state of this.#index.firing) yield toAlert(state);
  }

  /** How many alerts of a rule fire. */
  firingOf(type: string, rule: string): number {
    return this.#index.firingOf(type, rule);
  }

  /** Alerts that fire on one resource. Copies. */
  firingOn(type: string, id: string): Alert[] {
    const row = this.#options.rowOf(type, id);
    if (row === undefined) return [];
    const states = [...(this.#evaluator.rulesOf(type)?.all ?? [])].map(({ open }) => open.get(row));
    for (const state of this.#orphans.states()) if (state.type === type && state.resource === id && state.group === undefined) states.push(state);
    return states.filter((state) => state?.status === "firing").map((state) => toAlert(state!));
  }

  /** Firing alerts that concern this exporter, whatever it was told of them. Copies. */
  *firingFor(exporter: string): Iterable<Alert> {
    for (const state of this.#index.firing) if (state.notified.includes(exporter)) yield toAlert(state);
  }

  /** `sojourn_alerts{alertname,alertstate,severity}`. */
  samples(): Iterable<Sample> {
    return this.#index.samples();
  }

  async restore(store: Store): Promise<void> {
    await this.#memory.restore(store);
    const resolved: AlertState[] = [];
    await store.load(ALERTS, (cells) => {
      for (const state of alertStates(cells)) {
        if (state.status === "resolved") resolved.push(state);
        else this.#orphans.add(state, this.#options.clock.now());
        this.#index.changed(state);
      }
    });
    for (const state of resolved.sort((a, b) => a.resolvedAt! - b.resolvedAt!)) this.#resolved.add(state);
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
    yield* this.#orphans.states();
  }

  /** Rules that were judged for the first time are not new any more. */
  #known(): void {
    const { types, failing, held } = this.#evaluator;
    // Where nothing was there to be judged, something may be missing for the receiver that fails.
    this.#freshness.known(({ declaration: { type } }) => !held.has(type) && (failing.size === 0 || types.get(type)?.judged === true));
  }

  #markStale(): void {
    this.#write([...this.#evaluator.markStale(this.#options.sourcesOf, this.#options.clock.now()), ...this.#groups.markStale()]);
  }

  /** They are kept as they are now; nobody is told. */
  #write(states: Iterable<AlertState>, urgent = false): void {
    for (const state of states) {
      this.#dirty.add(state);
      this.#options.changed(urgent);
    }
  }

  #delete(state: AlertState): void {
    this.#dirty.delete(state);
    this.#index.forget(state);
    this.#deletes.push(state.type, state.rule, state.resource);
    this.#options.changed(false);
  }

  /** Resolves alerts whose rule has been gone long enough; forgets resolved ones that were shown long enough. */
  #tidy(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const now = this.#options.clock.now();
    const { removed, nextMs } = this.#orphans.takeDue(now);
    const resolved = this.#resolved.takeDue(now);
    for (const state of resolved.forgotten) if (!this.#isOpen(state)) this.#delete(state);
    const next = Math.min(nextMs, resolved.nextMs);
    if (next !== Infinity && !this.#stopped) this.#timer = this.#options.clock.at(next, () => this.#tidy());
    for (const state of removed) this.#evaluator.end(state, "rule_removed");
  }

  /** A new episode of the same rule and subject has the same key in the store. */
  #isOpen(state: AlertState): boolean {
    if (this.#orphans.has(state)) return true;
    const key = state.group === undefined ? this.#options.rowOf(state.type, state.resource) : state.resource;
    if (key === undefined) return false;
    const rules = state.group === undefined ? (this.#evaluator.rulesOf(state.type)?.all ?? []) : this.#groups.rules;
    return rules.some(({ declaration, open }) => declaration.type === state.type && declaration.id === state.rule && open.has(key));
  }
}
