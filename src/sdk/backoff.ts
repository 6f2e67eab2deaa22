import type { Clock } from "./clock.ts";

/** Exponential waiting with full jitter in its upper half, so that many who failed together do not come back together. */
export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** How long to wait after `failures` (≥ 1) failures in a row; ms. */
export function backoffMs(backoff: Backoff, failures: number, clock: Pick<Clock, "random">): number {
  const ceiling = Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(30, failures - 1));
  return Math.round(ceiling * (0.5 + 0.5 * clock.random()));
}
