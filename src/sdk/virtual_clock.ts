import { NOTHING_STARTED, sleepOn, type Clock, type Timer } from "./clock.ts";

interface Armed {
  /** When it is due, by the clock as it is set now. */
  atMs: number;
  readonly wantedMs: number;
  /** When it is due by the clock that never steps. */
  readonly passedAtMs: number;
  readonly order: number;
  readonly run: () => void | typeof NOTHING_STARTED;
  cancelled: boolean;
}

/** A clock that stands still until told to move. Runs `sojourn test` and the tests of this repository. */
export interface VirtualClock extends Clock {
  /**
   * Moves to `now() + ms`, firing every timer that falls due in the order of its time (then of its arming),
   * each settled (`settle`) before the next, unless it says that it started nothing. Timers armed on the way fire too when they fall due.
   */
  advance(ms: number, settle?: () => Promise<void>): Promise<void>;
  /** Like `advance`, to an absolute time that is not in the past. */
  advanceTo(atMs: number, settle?: () => Promise<void>): Promise<void>;
  /** Moves the clock without firing anything, as when the agent was down. */
  jump(ms: number): void;
  /** Sets the clock forwards or backwards while no time passes: `monotonicMs` does not move. Fires nothing. */
  step(ms: number): void;
  /** Timers armed and not yet fired. */
  readonly pending: number;
}

/** Lets everything that is ready run: microtasks and what they schedule on the event loop. */
export async function settled(turns = 2): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** A virtual clock at `startMs`; chance comes from `seed`, so a run repeats exactly. */
export function virtualClock(startMs: number = Date.UTC(2026, 0, 1), seed = 1): VirtualClock {
  let now = startMs;
  let steppedMs = 0;
  let order = 0;
  let state = seed >>> 0 || 1;
  const heap: Armed[] = [];

  const before = (a: Armed, b: Armed): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

  function push(entry: Armed): void {
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(heap[i]!, heap[parent]!)) break;
      [heap[i], heap[parent]] = [heap[parent]!, heap[i]!];
      i = parent;
    }
  }

  function pop(): void {
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    let i = 0;
    for (;;) {
      const left = 2 * i + 1;
      let least = i;
      if (left < heap.length && before(heap[left]!, heap[least]!)) least = left;
      if (left + 1 < heap.length && before(heap[left + 1]!, heap[least]!)) least = left + 1;
      if (least === i) return;
      [heap[i], heap[least]] = [heap[least]!, heap[i]!];
      i = least;
    }
  }

  function due(limit: number): Armed | undefined {
    while (heap[0]?.cancelled) pop();
    return heap[0] !== undefined && heap[0].atMs <= limit ? heap[0] : undefined;
  }

  const clock: VirtualClock = {
    now: () => now,
    monotonicMs: () => now - startMs - steppedMs,
    at(atMs, run): Timer {
      const wantedMs = Math.max(atMs, now);
      const entry: Armed = { atMs: wantedMs, wantedMs, passedAtMs: wantedMs - startMs - steppedMs, order: order++, run, cancelled: false };
      push(entry);
      return { cancel: () => void (entry.cancelled = true) };
    },
    sleep: (ms, signal) => sleepOn(clock, ms, signal),
    random() {
      // xorshift32: short, and enough for jitter.
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) / 2 ** 32;
    },
    async advance(ms, settle = settled) {
      await clock.advanceTo(now + ms, settle);
    },
    async advanceTo(atMs, settle = settled) {
      await settle();
      for (let entry = due(atMs); entry !== undefined; entry = due(atMs)) {
        pop();
        now = Math.max(now, entry.atMs);
        // A rule that is looked at every 15 s makes 170,000 of these in a month: none waits for nothing.
        if (entry.run() !== NOTHING_STARTED) await settle();
      }
      now = Math.max(now, atMs);
    },
    jump(ms) {
      now += ms;
    },
    step(ms) {
      now += ms;
      steppedMs += ms;
      for (const entry of heap) entry.atMs = Math.min(entry.wantedMs, entry.passedAtMs + startMs + steppedMs);
      heap.sort((a, b) => (before(a, b) ? -1 : 1)); // a sorted array is a heap
    },
    get pending() {
      return heap.filter((entry) => !entry.cancelled).length;
    },
  };
  return clock;
}
