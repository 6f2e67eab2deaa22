import type { Sample } from "../sdk/metrics.ts";
import type { AlertState } from "./alert_state.ts";

/** Finds alerts by their dedup key, and counts those that fire. Told of each change. */
export class AlertIndex {
  /** The last episode of each. */
  readonly #byKey = new Map<string, AlertState>();
  readonly #firing = new Set<AlertState>();
  /** By type, by rule: how many fire. */
  readonly #counts = new Map<string, Map<string, number>>();

  changed(state: AlertState): void {
    const last = this.#byKey.get(state.dedupKey);
    if (last === undefined || last.status === "resolved" || state.status !== "resolved") this.#byKey.set(state.dedupKey, state);
    if (state.status === "firing") {
      if (!this.#firing.has(state)) this.#count(state, 1);
      this.#firing.add(state);
    } else if (this.#firing.delete(state)) {
      this.#count(state, -1);
    }
  }

  /** Nothing is known of it any more. */
  forget(state: AlertState): void {
    if (this.#byKey.get(state.dedupKey) === state) this.#byKey.delete(state.dedupKey);
    if (this.#firing.delete(state)) this.#count(state, -1);
  }

  get(dedupKey: string): AlertState | undefined {
    return this.#byKey.get(dedupKey);
  }

  get firing(): ReadonlySet<AlertState> {
    return this.#firing;
  }

  firingOf(type: string, rule: string): number {
    return this.#counts.get(type)?.get(rule) ?? 0;
  }

  /** Open alerts by name, status and severity. */
  *samples(): Iterable<Sample> {
    const counts = new Map<string, { labels: string[]; value: number }>();
    for (const { alert, status, labels: { severity = "" } } of this.#byKey.values()) {
      if (status === "resolved") continue;
      const labels = [alert, status, severity];
      const key = JSON.stringify(labels);
      const counted = counts.get(key);
      if (counted === undefined) counts.set(key, { labels, value: 1 });
      else counted.value++;
    }
    yield* counts.values();
  }

  #count({ type, rule }: AlertState, by: number): void {
    let rules = this.#counts.get(type);
    if (rules === undefined) this.#counts.set(type, (rules = new Map()));
    const count = (rules.get(rule) ?? 0) + by;
    if (count === 0) rules.delete(rule);
    else rules.set(rule, count);
  }
}
