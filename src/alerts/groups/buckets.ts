import type { Json } from "../../sdk/observation.ts";
import type { Statistic } from "../../sdk/rule.ts";
import { isCheap, restoredTally, tallyOfBucket, tallyOfWindow, type Tally } from "./tally.ts";

const BUCKETS = 60;
/** Of one group, those for `earlier` among them. */
const BUCKETS_MAX = 2_000;

/** How a window is divided: into sixtieths, or into fewer parts where one far back is kept for comparison. */
export interface Division {
  readonly overMs: number;
  /** 0: nothing earlier is kept. */
  readonly earlierMs: number;
  /** Buckets begin at multiples of it since the epoch, so that replicas agree. */
  readonly widthMs: number;
  /** How many there may be of one group. */
  readonly bucketsMax: number;
}

export function divisionOf(overMs: number, earlierMs: number): Division {
  const parts = Math.max(1, Math.min(BUCKETS, Math.floor((BUCKETS_MAX * overMs) / (overMs + earlierMs))));
  const widthMs = Math.max(1, Math.ceil(overMs / parts));
  return { overMs, earlierMs, widthMs, bucketsMax: Math.ceil((overMs + earlierMs) / widthMs) + 2 };
}

/** What came in one part of a window. Written as a row of its own, so that a commit writes only what has changed. */
export class Bucket {
  readonly number: number;
  /** Event time of the newest observation, ms. */
  lastMs: number;
  /** One for each statistic. */
  readonly tallies: readonly Tally[];

  constructor(number: number, lastMs: number, tallies: readonly Tally[]) {
    this.number = number;
    this.lastMs = lastMs;
    this.tallies = tallies;
  }

  toJSON(): Json {
    return [this.lastMs, ...this.tallies.map((tally) => tally.toJSON())];
  }

  static from(number: number, statistics: readonly Statistic[], json: Json): Bucket {
    const [lastMs, ...tallies] = json as readonly [number, ...Json[]];
    return new Bucket(number, lastMs, statistics.map((of, i) => restoredTally(of, tallies[i]!)));
  }
}

/**
 * The observations of one group, in buckets. A bucket counts while its newest observation is not older than the window: so an
 * observation counts for as long as the window is, and up to a bucket longer, never shorter. What it says depends on what came
 * and when, not on the order.
 */
export class Buckets {
  readonly #division: Division;
  readonly #statistics: readonly Statistic[];
  /** By number. */
  readonly #buckets: Bucket[] = [];
  /** Of the window, where adding up costs much; until a bucket leaves. */
  #sum: { readonly tallies: readonly Tally[]; readonly untilMs: number } | undefined;
  #earlier: { readonly number: number; readonly tallies: readonly Tally[] } | undefined;
  readonly #isCheap: boolean;

  constructor(division: Division, statistics: readonly Statistic[]) {
    this.#division = division;
    this.#statistics = statistics;
    this.#isCheap = statistics.every(isCheap);
  }

  get size(): number {
    return this.#buckets.length;
  }

  /** Event time of the newest observation, ms; -Infinity where there is none. */
  get newestMs(): number {
    return this.#buckets.at(-1)?.lastMs ?? -Infinity;
  }

  /** The bucket that an observation of that time belongs to; `isNew` where it was not there. */
  at(timeMs: number): { readonly bucket: Bucket; readonly isNew: boolean } {
    const number = Math.floor(timeMs / this.#division.widthMs);
    let place = this.#buckets.length;
    while (place > 0 && this.#buckets[place - 1]!.number > number) place--;
    const known = this.#buckets[place - 1];
    if (known?.number === number) return { bucket: known, isNew: false };
    const bucket = new Bucket(number, timeMs, this.#statistics.map(tallyOfBucket));
    this.#buckets.splice(place, 0, bucket);
    return { bucket, isNew: true };
  }

  /** Takes a bucket that was kept. */
  put(bucket: Bucket): void {
    this.#buckets.push(bucket);
    this.#buckets.sort((a, b) => a.number - b.number);
  }

  /** Adds to the statistics that `takes`. */
  add(bucket: Bucket, timeMs: number, now: number, which: number, number: number, text: string | undefined): void {
    const { overMs, earlierMs } = this.#division;
    // A bucket that had left comes back with all that is in it; one that leaves before the others makes the sum end sooner.
    const isIn = bucket.lastMs + overMs > now && this.#sum !== undefined && timeMs + overMs >= this.#sum.untilMs;
    bucket.tallies[which]!.add(number, text);
    if (timeMs > bucket.lastMs) bucket.lastMs = timeMs;
    if (isIn) this.#sum!.tallies[which]!.add(number, text);
    else this.#sum = undefined;
    if (earlierMs > 0 && this.#earlier !== undefined && bucket.number <= this.#earlier.number) this.#earlier = undefined;
  }

  /** The window's statistics at this moment; a view, to be read at once. */
  now(now: number): readonly Tally[] {
    if (this.#sum !== undefined && now < this.#sum.untilMs) return this.#sum.tallies;
    const tallies = this.#added(this.#firstIn(now), this.#buckets.length);
    this.#sum = this.#isCheap ? undefined : { tallies, untilMs: this.leavesAt(now) };
    return tallies;
  }

  /** The same `earlierMs` before: as many whole buckets as there are in a window. */
  before(now: number): readonly Tally[] {
    const { overMs, earlierMs, widthMs } = this.#division;
    const number = Math.floor((now - earlierMs) / widthMs);
    if (this.#earlier?.number !== number) {
      const after = (first: number): number => {
        let place = this.#buckets.length;
        while (place > 0 && this.#buckets[place - 1]!.number > first) place--;
        return place;
      };
      this.#earlier = { number, tallies: this.#added(after(number - Math.round(overMs / widthMs)), after(number)) };
    }
    return this.#earlier.tallies;
  }

  /** The clock was set back to `now`: what was counted after that was so long ago as it was before. Gives the numbers that are no more, and buckets that have changed. */
  setBack(byMs: number, now: number): { readonly taken: readonly number[]; readonly changed: readonly Bucket[] } {
    const ahead = this.#buckets.filter(({ lastMs }) => lastMs > now);
    if (ahead.length === 0) return { taken: [], changed: [] };
    this.#buckets.splice(0, Infinity, ...this.#buckets.filter(({ lastMs }) => lastMs <= now));
    const changed = new Set<Bucket>();
    for (const { lastMs, tallies } of ahead) {
      const { bucket } = this.at(Math.min(now, lastMs + byMs));
      bucket.lastMs = Math.max(bucket.lastMs, Math.min(now, lastMs + byMs));
      bucket.tallies.forEach((tally, i) => tally.merge(tallies[i]!));
      changed.add(bucket);
    }
    this.#sum = this.#earlier = undefined;
    const numbers = new Set(this.#buckets.map(({ number }) => number));
    return { taken: ahead.flatMap(({ number }) => (numbers.has(number) ? [] : [number])), changed: [...changed] };
  }

  /** When the oldest bucket of the window leaves it; Infinity where none is in it. */
  leavesAt(now: number): number {
    const oldest = this.#buckets[this.#firstIn(now)];
    return oldest === undefined ? Infinity : oldest.lastMs + this.#division.overMs;
  }

  /** Takes out what is too old for anything. */
  takeOld(now: number): Bucket[] {
    const keptMs = keptMsOf(this.#division);
    let count = 0;
    while (count < this.#buckets.length && this.#buckets[count]!.lastMs + keptMs <= now) count++;
    return count === 0 ? [] : this.#buckets.splice(0, count);
  }

  /** Place of the oldest bucket in the window. Buckets are in the order of their newest observations, too. */
  #firstIn(now: number): number {
    let place = this.#buckets.length;
    while (place > 0 && this.#buckets[place - 1]!.lastMs + this.#division.overMs > now) place--;
    return place;
  }

  #added(from: number, to: number): readonly Tally[] {
    const { overMs } = this.#division;
    const tallies = this.#statistics.map((of) => tallyOfWindow(of, overMs));
    for (let place = from; place < to; place++) {
      for (let i = 0; i < tallies.length; i++) tallies[i]!.merge(this.#buckets[place]!.tallies[i]!);
    }
    return tallies;
  }
}

/** How long an observation is of use. */
export function keptMsOf({ overMs, earlierMs, widthMs }: Division): number {
  return overMs + (earlierMs === 0 ? 0 : earlierMs + widthMs);
}
