/** A timer that has been armed. */
export interface Timer {
  /** Harmless after it has fired, and twice. */
  cancel(): void;
}

/** What a timer may return: all that it set off are timers, and it started no promise. On virtual time nobody need wait for it. */
export const NOTHING_STARTED = Symbol("nothing started");

/**
 * The only source of time and chance. Nothing else calls `Date.now`, `setTimeout` or `Math.random`,
 * so that everything runs on virtual time as well.
 */
export interface Clock {
  /** Milliseconds since the epoch. May step when the machine's clock is set. */
  now(): number;
  /** Milliseconds from an arbitrary origin; never steps back. For measuring how long something took. */
  monotonicMs(): number;
  /**
   * Calls `run` once, as soon as `now()` has reached `atMs`, or as much time has passed as that was away: a clock that is set back by
   * an hour must not hold up what was to happen in ten seconds. Who waits for a time of day looks at `now()`, and waits again.
   * Never within this call.
   */
  at(atMs: number, run: () => void | typeof NOTHING_STARTED): Timer;
  /** Resolves after `ms`; rejects with the signal's reason when aborted before. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** A number in [0, 1). */
  random(): number;
}

/** A sleep for any clock that can arm a timer. */
export function sleepOn(clock: Pick<Clock, "now" | "at">, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.at(clock.now() + ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/**
 * A signal that aborts after `ms` with a `TimeoutError`, or with `parent`, whichever is first.
 * Call `clear` when done, so that no timer outlives its use.
 */
export function deadline(clock: Clock, ms: number, parent?: AbortSignal): { signal: AbortSignal; clear(): void } {
  const controller = new AbortController();
  const timer = clock.at(clock.now() + ms, () => {
    controller.abort(new DOMException(`timed out after ${ms} ms`, "TimeoutError"));
  });
  const signal = parent === undefined ? controller.signal : AbortSignal.any([controller.signal, parent]);
  return { signal, clear: () => timer.cancel() };
}

// A long timer is armed in steps: Node's limit is 24.8 days, and a machine's clock may be set meanwhile.
const STEP_MS = 30_000;
/** Timers are not exact to the millisecond: the clock was not set back because of that. */
const INEXACT_MS = 50;

/** The clock of the running agent. */
export const realClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  at(atMs, run) {
    let handle: NodeJS.Timeout;
    const passedAtMs = performance.now() + (atMs - Date.now()) + INEXACT_MS;
    const leftMs = (): number => Math.min(atMs - Date.now(), passedAtMs - performance.now());
    const arm = (): void => {
      const left = leftMs();
      handle = setTimeout(left > STEP_MS ? arm : fire, Math.max(0, Math.min(left, STEP_MS)));
    };
    const fire = (): unknown => (leftMs() > 0 ? arm() : run());
    arm();
    return { cancel: () => clearTimeout(handle) };
  },
  sleep: (ms, signal) => sleepOn(realClock, ms, signal),
  random: () => Math.random(),
};
