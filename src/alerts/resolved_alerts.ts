import type { AlertState } from "./alert_state.ts";
import { alertKey } from "./reconcile.ts";

/** Resolved alerts are shown this long, and at most this many of them. */
const SHOWN_MS = 15 * 60_000;
const SHOWN_MAX = 1_000;

/** Alerts that were resolved a moment ago, in the order in which they were. */
export class ResolvedAlerts {
  readonly #states = new Map<string, AlertState>();

  /** True when there are too many now. */
  add(state: AlertState): boolean {
    const key = alertKey(state);
    this.#states.delete(key);
    this.#states.set(key, state);
    return this.#states.size > SHOWN_MAX;
  }

  values(): Iterable<AlertState> {
    return this.#states.values();
  }

  /** Takes out those that were shown long enough. */
  takeDue(now: number): { readonly forgotten: AlertState[]; readonly nextMs: number } {
    const forgotten: AlertState[] = [];
    for (const [key, state] of this.#states) {
      const due = state.resolvedAt! + SHOWN_MS;
      if (due > now && this.#states.size <= SHOWN_MAX) return { forgotten, nextMs: due };
      this.#states.delete(key);
      forgotten.push(state);
    }
    return { forgotten, nextMs: Infinity };
  }
}
