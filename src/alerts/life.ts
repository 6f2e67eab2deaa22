import { createHash } from "node:crypto";
import type { Alert, ObservationBehind, ResolveReason } from "../sdk/alert.ts";
import type { Scope } from "../sdk/expression.ts";
import type { Json } from "../sdk/observation.ts";
import type { RuleDeclaration } from "../sdk/rule.ts";
import type { Template } from "../sdk/template.ts";
import { traceId } from "../sdk/trace_id.ts";
import { toAlert, type AlertState } from "./alert_state.ts";
import type { ActiveRule } from "./rule_set.ts";
import type { RuleMemory } from "./rule_memory.ts";

const LABEL_LENGTH_MAX = 1_024;
const ANNOTATION_LENGTH_MAX = 4_096;
/** Name under which the memory of a rule keeps when an alert fired: forget it with what the alert is about. */
export const FIRES = "fires:";

/** What a rule says at one moment. Reused: read it before the next call. */
export interface Verdict {
  holds: boolean;
  /** When the condition became true, if it holds. */
  activeAt: number;
  /** When it may change without a change of what it is about; Infinity: never. */
  nextMs: number;
  /** Why it does not hold any more, where that is not that it recovered. */
  ended: ResolveReason;
}

/** What an alert is about, as its life needs it. A view: read it during the call only. */
export interface Subject {
  readonly type: string;
  /** Id of the resource, or key of the group. */
  readonly key: string;
  readonly group: Readonly<Record<string, string>> | undefined;
  readonly incarnation: number;
  /** What its templates may read. */
  scope(): Scope;
  /** What was observed. */
  value(): Json;
  /** What it was compared with, for people. */
  limit(): string | undefined;
  details(): Record<string, Json>;
  /** What was just observed, if that is why it is judged. */
  behind(): ObservationBehind | undefined;
}

/** How an alert comes to be told. */
export interface Telling {
  /** It has been there before, and there may be many: its rule is judged for the first time, or goes to these exporters from now on. */
  readonly firstSync: boolean;
}

export interface LifeOptions {
  readonly externalLabels: () => Readonly<Record<string, string>>;
  readonly onFailure: (rule: RuleDeclaration, message: string) => void;
  /** The alert must be told to these exporters, with the next commit. */
  readonly notify: (alert: Alert, exporters: readonly string[], telling: Telling) => void;
  /** The alert changed: it belongs into the next commit; a soon one, if it fires or is over. */
  readonly changed: (state: AlertState) => void;
  /** A pending alert is over before it fired: nothing of it is kept. */
  readonly dropped: (state: AlertState) => void;
  readonly memory: RuleMemory;
}

const NEWS: Telling = { firstSync: false };
const FIRST_SYNC: Telling = { firstSync: true };

/**
 * The life of every alert: pending, firing, resolved. It knows nothing of how a rule comes to its verdict, so that
 * `for`, `keep_firing_for` and flapping mean the same for all kinds.
 */
export class Life {
  readonly #options: LifeOptions;

  constructor(options: LifeOptions) {
    this.#options = options;
  }

  /**
   * Takes a verdict. `key` names the subject among the open alerts of the rule. While `held` nothing fires and nothing
   * resolves. Returns when to judge again although nothing changes (ms; Infinity: never).
   */
  take(rule: ActiveRule, key: number | string, verdict: Verdict, subject: Subject, now: number, held: boolean): number {
    const open = rule.open.size === 0 ? undefined : rule.open.get(key);
    return verdict.holds
      ? this.#holds(rule, key, verdict, subject, open, now, held)
      : Math.min(verdict.nextMs, this.#ended(rule, key, verdict, subject, open, now, held));
  }

  /** The alert is over: whoever was told that it began is told why it ended. */
  resolve(state: AlertState, reason: ResolveReason, now: number): void {
    state.status = "resolved";
    state.resolvedAt = now;
    state.reason = reason;
    state.staleSince = undefined;
    this.#options.changed(state);
    this.#options.notify(toAlert(state), state.notified, NEWS);
  }

  /** What an alert was told of before its rule went to these exporters, too, is told to them. */
  #tellFurther(rule: ActiveRule, state: AlertState): void {
    const further = rule.exporters.filter((exporter) => !state.notified.includes(exporter));
    if (further.length === 0) return;
    state.notified = [...state.notified, ...further];
    this.#options.changed(state);
    this.#options.notify(toAlert(state), further, FIRST_SYNC);
  }

  #holds(rule: ActiveRule, key: number | string, verdict: Verdict, subject: Subject, open: AlertState | undefined, now: number, held: boolean): number {
    const { nextMs, activeAt } = verdict;
    let state = open;
    if (state === undefined) {
      state = this.#begin(rule, subject, activeAt);
      rule.open.set(key, state);
    } else if (state.clearSince !== undefined) {
      state.clearSince = undefined;
      this.#options.changed(state);
    }
    if (held) return nextMs;
    const firesAt = state.activeAt + (rule.declaration.forMs ?? 0);
    if (state.status === "firing") {
      if (now >= firesAt || state.firedAt! >= firesAt) {
        if (state.notified !== rule.exporters) this.#tellFurther(rule, state);
        return nextMs;
      }
      // It fired by a shorter `for`: by the rule as it is now it does not yet.
      rule.open.delete(key);
      this.resolve(state, "recovered", now);
      state = this.#begin(rule, subject, state.activeAt);
      rule.open.set(key, state);
    }
    if (now < firesAt) {
      // Shown as pending under the labels it will fire with; they are made anew when it does.
      if (state.labels["severity"] === undefined) state.labels = this.#labels(rule, subject, now);
      return Math.min(nextMs, firesAt);
    }
    this.#fire(rule, subject, state, now);
    return nextMs;
  }

  #ended(rule: ActiveRule, key: number | string, verdict: Verdict, subject: Subject, open: AlertState | undefined, now: number, held: boolean): number {
    if (open === undefined) return Infinity;
    if (open.status === "pending") {
      rule.open.delete(key);
      this.#options.dropped(open);
      return Infinity;
    }
    if (open.clearSince === undefined) {
      open.clearSince = now;
      this.#options.changed(open);
    }
    if (held) return Infinity;
    const quietMs = open.flapping ? rule.declaration.flapping?.withinMs ?? 0 : 0;
    const resolvesAt = open.clearSince + Math.max(rule.declaration.keepFiringForMs ?? 0, quietMs);
    if (now < resolvesAt) return resolvesAt;
    rule.open.delete(key);
    open.details = subject.details();
    this.resolve(open, verdict.ended, now);
    return Infinity;
  }

  #begin(rule: ActiveRule, { type, key, group, incarnation }: Subject, activeAt: number): AlertState {
    const { declaration } = rule;
    const external = this.#options.externalLabels();
    const state: AlertState = {
      type,
      rule: declaration.id,
      resource: key,
      group,
      dedupKey: dedupKey(external, type, declaration.id, key),
      alert: declaration.alert,
      status: "pending",
      activeAt,
      firedAt: undefined,
      resolvedAt: undefined,
      reason: undefined,
      clearSince: undefined,
      staleSince: undefined,
      flapping: false,
      labels: group === undefined ? { alertname: declaration.alert, resource_id: key, resource_type: type } : { alertname: declaration.alert },
      annotations: {},
      value: null,
      limit: undefined,
      details: {},
      observation: undefined,
      acknowledged: undefined,
      traceId: traceId(external, type, group === undefined ? key : `${declaration.id}\n${key}`, incarnation),
      file: rule.file,
      notified: [],
    };
    this.#options.changed(state);
    return state;
  }

  #fire(rule: ActiveRule, subject: Subject, state: AlertState, now: number): void {
    const { declaration } = rule;
    state.alert = declaration.alert;
    state.labels = this.#labels(rule, subject, now);
    state.annotations = this.#render(rule, declaration.annotations, subject, ANNOTATION_LENGTH_MAX, now);
    state.value = subject.value();
    state.limit = subject.limit();
    state.details = subject.details();
    state.observation = subject.behind();
    state.status = "firing";
    state.firedAt = now;
    state.file = rule.file;
    state.notified = rule.exporters;
    state.flapping = this.#isFlapping(rule, subject, now);
    this.#options.changed(state);
    this.#options.notify(toAlert(state), rule.exporters, rule.fresh === true ? FIRST_SYNC : NEWS);
  }

  /** Notes that it fires; true when it did so too often of late. */
  #isFlapping({ declaration }: ActiveRule, { type, key }: Subject, now: number): boolean {
    const { flapping, id } = declaration;
    if (flapping === undefined) return false;
    const name = FIRES + key;
    const before = (this.#options.memory.get(type, id, name) ?? []) as readonly number[];
    // A clock that was set back must not make them the future for ever.
    const fires = [...before.map((at) => Math.min(at, now)).filter((at) => at > now - flapping.withinMs), now].slice(-flapping.max - 1);
    this.#options.memory.put(type, id, name, fires);
    return fires.length > flapping.max;
  }

  #labels(rule: ActiveRule, subject: Subject, now: number): Record<string, string> {
    const { declaration } = rule;
    return sorted({
      ...subject.group,
      ...this.#render(rule, declaration.labels, subject, LABEL_LENGTH_MAX, now),
      ...this.#options.externalLabels(),
      alertname: declaration.alert,
      ...(subject.group === undefined ? { resource_id: subject.key.slice(0, LABEL_LENGTH_MAX) } : {}),
      ...(subject.type === "" ? {} : { resource_type: subject.type }),
    });
  }

  #render(rule: ActiveRule, templates: ReadonlyMap<string, Template>, subject: Subject, lengthMax: number, now: number): Record<string, string> {
    const failed = (message: string): void => this.#options.onFailure(rule.declaration, message);
    const scope = subject.scope();
    return Object.fromEntries([...templates].map(([name, template]) => [name, template.render(scope, now, failed).slice(0, lengthMax)]));
  }
}

/** The same for one episode from any replica, different between clusters; 64 characters. */
export function dedupKey(externalLabels: Readonly<Record<string, string>>, type: string, rule: string, subject: string): string {
  const identity = JSON.stringify([Object.entries(sorted(externalLabels)), type, rule, subject]);
  return createHash("sha256").update(identity).digest("hex");
}

function sorted(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}
