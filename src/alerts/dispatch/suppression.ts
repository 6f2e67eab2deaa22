import type { Alert } from "../../sdk/alert.ts";
import type { Clock } from "../../sdk/clock.ts";
import { matchesAll } from "../../sdk/matchers.ts";
import { compileInterval, type TimeInterval, type TimeIntervalConfig } from "../../sdk/time_intervals.ts";
import { Inhibition, type InhibitRule } from "./inhibition.ts";
import type { Policy } from "./policy.ts";
import type { Silences } from "./silences.ts";

const MINUTE_MS = 60_000;
/** How far ahead the end of a muted time is looked for; if it is later, it is looked for again. */
const LOOK_AHEAD_MINUTES = 24 * 60;

export type Reason = "silenced" | "inhibited" | "muted";

/** What of `service` concerns it, as validated. */
export interface SuppressionConfig {
  readonly inhibit_rules: readonly InhibitRule[];
  readonly time_intervals: Readonly<Record<string, readonly TimeIntervalConfig[]>>;
}

/** Why something new is not told now: silences, inhibition, times. */
export class Suppression {
  readonly #clock: Clock;
  readonly #silences: Silences;
  readonly #inhibition = new Inhibition();
  #intervals: ReadonlyMap<string, TimeInterval> = new Map();
  #muted = new WeakMap<Policy, { readonly from: number; readonly until: number }>();
  #fingerprint = "";
  #epoch = 0;

  constructor(clock: Clock, silences: Silences) {
    this.#clock = clock;
    this.#silences = silences;
  }

  /** Silences and times of day go by the clock as it is set; ms. */
  get now(): number {
    return this.#clock.now();
  }

  /** Rises whenever something may be suppressed no more, other than by the passing of time. */
  get epoch(): number {
    return this.#epoch + this.#silences.version;
  }

  /** `firing`: asked only where it matters. */
  configure({ inhibit_rules, time_intervals }: SuppressionConfig, firing: () => Iterable<Alert>): void {
    if (this.#inhibition.configure(inhibit_rules)) {
      // Of an alert that is over, a later episode may fire.
      for (const alert of firing()) if (alert.status === "firing") this.#inhibition.changed(alert);
      this.#epoch++;
    }
    const fingerprint = JSON.stringify(time_intervals);
    if (fingerprint === this.#fingerprint) return;
    this.#fingerprint = fingerprint;
    this.#muted = new WeakMap();
    this.#intervals = new Map(Object.entries(time_intervals).map(([name, parts]) => [name, compileInterval(parts)]));
    this.#epoch++;
  }

  /** An alert fires or is over. */
  changed(alert: Alert): void {
    if (this.#inhibition.changed(alert)) this.#epoch++;
  }

  /** Tells for this moment and one exporter why an alert is not told; undefined: it is. */
  at(policy: Policy): (alert: Alert) => Reason | undefined {
    const silenced = this.#silences.active();
    const muted = this.#isMuted(this.now, policy);
    return (alert) => {
      if (silenced?.(alert.labels) === true) return "silenced";
      if (this.#inhibition.isInhibited(alert)) return "inhibited";
      return muted ? "muted" : undefined;
    };
  }

  /** Tells for this moment whether an exporter that was told of an alert may be told of it again: another `match` may not want it. */
  mayHear(policy: Policy): (alert: Alert) => boolean {
    const reasonOf = this.at(policy);
    return (alert) => matchesAll(policy.match, alert.labels) && reasonOf(alert) === undefined;
  }

  /** Nothing new is told to this exporter at this time. */
  isMuted(policy: Policy): boolean {
    return this.#isMuted(this.now, policy);
  }

  isInhibited(alert: Alert): boolean {
    return this.#inhibition.isInhibited(alert);
  }

  /** When what is suppressed for this exporter now may be told by the passing of time alone; ms. */
  nextMs(policy: Policy): number {
    return Math.min(this.#silences.nextEndMs(), this.#isMuted(this.now, policy) ? this.#mutedUntil(policy) : Infinity);
  }

  /** Looked for once: a thousand wall clocks are too much for each alert of a night. */
  #mutedUntil(policy: Policy): number {
    const now = this.now;
    const known = this.#muted.get(policy);
    if (known !== undefined && known.from <= now && now < known.until) return known.until;
    const from = Math.floor(now / MINUTE_MS) * MINUTE_MS;
    let until = from + MINUTE_MS;
    while (until < from + LOOK_AHEAD_MINUTES * MINUTE_MS && this.#isMuted(until, policy)) until += MINUTE_MS;
    this.#muted.set(policy, { from, until });
    return until;
  }

  #isMuted(now: number, { muteTimes, activeTimes }: Policy): boolean {
    const isIn = (name: string): boolean => this.#intervals.get(name)?.contains(now) ?? false;
    return muteTimes.some(isIn) || (activeTimes.length > 0 && !activeTimes.some(isIn));
  }
}
