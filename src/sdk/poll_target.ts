import { backoffMs } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import { messageOf, RetryLaterError } from "./errors.ts";
import type { Json } from "./observation.ts";
import { formatTime } from "./time.ts";

const BACKOFF_MS_MAX = 300_000;
const FIRST_DELAY_MS_MAX = 1_000;
const FAILURES_MAX = 3;

/** What is asked at an interval, with what is known of its health. */
export interface Target {
  /** What to ask: a URL, or for a database its label. */
  readonly url: string;
  /** For people: without credentials, different for each target of the receiver. */
  readonly label: string;
  /** Failed polls in a row. */
  failures: number;
  /** Polls that are left out because the target asked not to come back sooner: nothing is known of it then either. */
  skipped: number;
  /** What one of its answers held is committed. */
  delivered: boolean;
  /** Of the last failed poll; undefined while it answers. */
  error: string | undefined;
  polledAt: number | undefined;
  succeededAt: number | undefined;
  durationMs: number | undefined;
}

/** When a target is polled. */
export interface Schedule {
  readonly intervalMs: number;
  readonly jitterMs: number;
}

/** A target that has not been polled yet. */
export function newTarget(url: string, label: string): Target {
  return { url, label, failures: 0, skipped: 0, delivered: false, error: undefined, polledAt: undefined, succeededAt: undefined, durationMs: undefined };
}

/**
 * Polls until the signal aborts; resolves then. `poll` throws when it failed. The next poll starts an interval after the
 * last one began, or at once when that took longer; after a failure later: exponentially, and not before `Retry-After`.
 * The first of a receiver's targets (`index` 0) is polled at once, the others within a second.
 */
export async function keepPolling(
  index: number, { intervalMs, jitterMs }: Schedule, clock: Clock, signal: AbortSignal,
  poll: () => Promise<void>, failed: (error: unknown) => number,
): Promise<void> {
  let plannedAt = clock.now();
  let waitMs = index === 0 ? 0 : clock.random() * Math.min(jitterMs, FIRST_DELAY_MS_MAX);
  while (!signal.aborted) {
    if (!(await slept(clock, waitMs, signal))) return;
    try {
      await poll();
      // A step of the clock, or a poll slower than the interval, starts a new grid: polls are skipped, never made up for.
      const nextAt = plannedAt + intervalMs;
      plannedAt = Math.abs(nextAt - clock.now()) <= intervalMs && nextAt > clock.now() ? nextAt : clock.now();
      waitMs = plannedAt - clock.now() + clock.random() * jitterMs;
    } catch (error) {
      if (signal.aborted) return;
      const failures = failed(error);
      const backoff = { firstMs: intervalMs, maxMs: Math.max(intervalMs, BACKOFF_MS_MAX) };
      waitMs = Math.max(intervalMs, backoffMs(backoff, failures, clock), error instanceof RetryLaterError ? error.retryAfterMs : 0);
      plannedAt = clock.now() + waitMs;
    }
  }
}

async function slept(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  // Always a turn of the loop, so that a target that answers at once cannot starve the others.
  return await clock.sleep(ms, signal).then(() => true, () => false);
}

/** A target as the API shows it. */
export function describeTarget(target: Target): Json {
  const { label, failures, error, polledAt, succeededAt, durationMs } = target;
  return {
    target: label,
    up: succeededAt === undefined && failures === 0 ? null : failures === 0,
    failures,
    last_error: error ?? null,
    last_poll: polledAt === undefined ? null : formatTime(polledAt),
    last_success: succeededAt === undefined ? null : formatTime(succeededAt),
    duration_seconds: durationMs === undefined ? null : durationMs / 1_000,
  };
}

/** Notes a success; true when the target had failed before. */
export function succeeded(target: Target, now: number): boolean {
  const recovered = target.failures > 0;
  target.failures = 0;
  target.skipped = 0;
  target.error = undefined;
  target.succeededAt = now;
  return recovered;
}

/** Notes a failure; true when it is news: the first, or another than the last. */
export function noteFailure(target: Target, error: unknown, intervalMs: number): boolean {
  const message = messageOf(error);
  const news = target.error !== message;
  target.failures++;
  target.skipped = error instanceof RetryLaterError ? Math.floor(error.retryAfterMs / intervalMs) : 0;
  target.error = message;
  return news;
}

/** True when three polls in a row failed, or were left out at the target's wish. */
export function isDown({ failures, skipped }: Target): boolean {
  return failures > 0 && failures + skipped >= FAILURES_MAX;
}
