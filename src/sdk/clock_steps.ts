import type { Clock } from "./clock.ts";

/** Less than this is a clock that is adjusted, not one that is set. */
const STEP_MIN_MS = 60_000;

/** Notices that the machine's clock was set, or that the machine slept: its clock has moved against the one that never steps. */
export class ClockSteps {
  readonly #clock: Pick<Clock, "now" | "monotonicMs">;
  #offsetMs: number;

  constructor(clock: Pick<Clock, "now" | "monotonicMs">) {
    this.#clock = clock;
    this.#offsetMs = clock.now() - clock.monotonicMs();
  }

  /** By how much the clock was set since the last call, ms; negative: back; 0: it was not. */
  take(): number {
    const offsetMs = this.#clock.now() - this.#clock.monotonicMs();
    const byMs = Math.round(offsetMs - this.#offsetMs);
    this.#offsetMs = offsetMs;
    return Math.abs(byMs) < STEP_MIN_MS ? 0 : byMs;
  }
}
