import type { Json } from "../../sdk/observation.ts";

/** Interruptions that are remembered. */
const GAPS_MAX = 20;
/** A window that lacks less than this part of its length is whole. */
const LACK_PART = 4;

/** Until what was noted is on disk, at most: the commit may wait for 5 s, and timers are late. */
const COMMIT_MS = 7_000;
/** How often is noted that somebody listens: this part of a window. */
const NOTED_PART = 8;
const NOTED_MS_MIN = 5_000;

interface Gap {
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * When a window was listened to. While nobody listened, because the agent was down or its sources could not be read, nothing
 * came: that is no silence.
 */
export class Listening {
  readonly #overMs: number;
  readonly #keptMs: number;
  #beganMs: number;
  /** What came before this was measured otherwise: until then nothing is over only because it is not in the window. */
  #comparableAtMs: number;
  #gaps: Gap[];

  constructor(overMs: number, keptMs: number, beganMs: number, comparableAtMs: number) {
    this.#overMs = overMs;
    this.#keptMs = keptMs;
    this.#beganMs = beganMs;
    this.#comparableAtMs = comparableAtMs;
    this.#gaps = [];
  }

  /** What `toJSON` gave. */
  static from(overMs: number, keptMs: number, json: Json): Listening {
    const [beganMs, comparableAtMs, ...gaps] = json as readonly number[];
    const listening = new Listening(overMs, keptMs, beganMs!, comparableAtMs!);
    for (let i = 0; i + 1 < gaps.length; i += 2) listening.#gaps.push({ fromMs: gaps[i]!, toMs: gaps[i + 1]! });
    return listening;
  }

  /** How long it may be until it is noted again that somebody listens. */
  get notedMs(): number {
    return Math.max(NOTED_MS_MIN, this.#overMs / NOTED_PART);
  }

  get comparableAtMs(): number {
    return this.#comparableAtMs;
  }

  /** Nobody listened between these times. True when that is to be remembered. */
  missed(fromMs: number, toMs: number): boolean {
    // So long it may be since it was noted last that somebody listened: that is no interruption.
    if (toMs - fromMs <= this.notedMs + COMMIT_MS) return false;
    this.#gaps = [...this.#gaps.filter((gap) => gap.toMs + this.#keptMs > toMs), { fromMs, toMs }].slice(-GAPS_MAX);
    return true;
  }

  /** An observation of that time came: its source remembers what nobody listened to. True when that is to be remembered. */
  heard(atMs: number): boolean {
    if (this.#gaps.length === 0) return false;
    const left = this.#gaps.filter(({ fromMs, toMs }) => atMs <= fromMs || atMs >= toMs);
    if (left.length === this.#gaps.length) return false;
    this.#gaps = left;
    return true;
  }

  /** When the window that ends `agoMs` before the moment has been listened to; not later than `now` where it has. */
  wholeAt(now: number, agoMs: number): number {
    const overMs = this.#overMs;
    const [fromMs, toMs] = [now - agoMs - overMs, now - agoMs];
    let wholeAt = this.#beganMs + overMs + agoMs;
    let lackMs = 0;
    let gapsLeaveAt = 0;
    for (const gap of this.#gaps) {
      const within = Math.min(gap.toMs, toMs) - Math.max(gap.fromMs, fromMs);
      if (within <= 0) continue;
      lackMs += within;
      gapsLeaveAt = gap.toMs + overMs + agoMs;
    }
    if (lackMs * LACK_PART >= overMs) wholeAt = Math.max(wholeAt, gapsLeaveAt);
    return wholeAt;
  }

  /** The clock was set back to `now`, by so much (negative). */
  setBack(byMs: number, now: number): void {
    const back = (ms: number): number => (ms > now ? Math.min(now, ms + byMs) : ms);
    this.#beganMs = back(this.#beganMs);
    if (this.#comparableAtMs > now + this.#overMs) this.#comparableAtMs = Math.min(now + this.#overMs, this.#comparableAtMs + byMs);
    this.#gaps = this.#gaps.map(({ fromMs, toMs }) => ({ fromMs: back(fromMs), toMs: back(toMs) }));
  }

  toJSON(): Json {
    return [this.#beganMs, this.#comparableAtMs, ...this.#gaps.flatMap(({ fromMs, toMs }) => [fromMs, toMs])];
  }
}
