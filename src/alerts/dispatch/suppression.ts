import type { Alert } from "../../sdk/alert.ts";
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
  readonly #silences: Silences;
  readonly #inhibition = new Inhibition();
  #intervals: ReadonlyMap<string, TimeInterval> = new Map();
  #fingerprint = "";
  #epoch = 0;

  constructor(silences: Silences) {
    this.#silences = silences;
  }

  /** Rises whenever something may be suppressed no more, other than by the passing of time. */
  get epoch(): number {
    return this.#epoch + this.#silences.version;
  }

  /** `firing`: asked only where it matters. */
  configure({ inhibit_rules, time_intervals }: SuppressionConfig, firing: () => Iterable<Alert>): void {
    if (this.#inhibition.configure(inhibit_rules)) {
      for (const alert of firing()) this.#inhibition.changed(alert);
      this.#epoch++;
    }
    const fingerprint = JSON.stringify(time_intervals);
    if (fingerprint === this.#fingerprint) return;
    this.#fingerprint = fingerprint;
    this.#intervals = new Map(Object.entries(time_intervals).map(([name, parts]) => [name, compileInterval(parts)]));
    this.#epoch++;
  }

  /** An alert fires or is over. */
  changed(alert: Alert): void {
    if (this.#inhibition.changed(alert)) this.#epoch++;
  }

  /** Tells for one moment and one exporter why an alert is not told; undefined: it is. */
  at(now: number, policy: Policy): (alert: Alert) => Reason | undefined {
    const silenced = this.#silences.active();
    const muted = this.#isMuted(now, policy);
    return (alert) => {
      if (silenced?.(alert.labels) === true) return "silenced";
      if (this.#inhibition.isInhibited(alert)) return "inhibited";
      return muted ? "muted" : undefined;
    };
  }

  isInhibited(alert: Alert): boolean {
    return this.#inhibition.isInhibited(alert);
  }

  /** When what is suppressed for this exporter now may be told by the passing of time alone; ms. */
  nextMs(now: number, policy: Policy): number {
    const next = this.#silences.nextEndMs();
    if (!this.#isMuted(now, policy)) return next;
    const minute = Math.floor(now / MINUTE_MS) * MINUTE_MS;
    for (let ahead = 1; ahead < LOOK_AHEAD_MINUTES; ahead++) {
      const at = minute + ahead * MINUTE_MS;
      if (at >= next) return next;
      if (!this.#isMuted(at, policy)) return at;
    }
    return Math.min(next, minute + LOOK_AHEAD_MINUTES * MINUTE_MS);
  }

  #isMuted(now: number, { muteTimes, activeTimes }: Policy): boolean {
    const isIn = (name: string): boolean => this.#intervals.get(name)?.contains(now) ?? false;
    return muteTimes.some(isIn) || (activeTimes.length > 0 && !activeTimes.some(isIn));
  }
}
