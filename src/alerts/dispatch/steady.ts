import type { Clock } from "../../sdk/clock.ts";

/**
 * Time in ms like `clock.now()` when it was made, that moves on as time passes and not as the clock is set: what waits for
 * half a minute, or for the next attempt, must neither wait for hours nor be skipped because somebody set the clock.
 */
export function steadyTime(clock: Pick<Clock, "now" | "monotonicMs">): () => number {
  const originMs = clock.now() - clock.monotonicMs();
  return () => originMs + clock.monotonicMs();
}

/** When that time is reached by the clock as it is set now; ms. */
export function wallTime(clock: Pick<Clock, "now">, steady: () => number, at: number): number {
  return clock.now() + Math.ceil(at - steady());
}
