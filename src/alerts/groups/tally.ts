import type { Json } from "../../sdk/observation.ts";
import type { Statistic } from "../../sdk/rule.ts";
import { Sketch } from "./sketch.ts";

/** Different values of one bucket, and of a window made of them: what is beyond is not told apart any more. */
const DISTINCT_MAX = 1_000;
const WINDOW_DISTINCT_MAX = 10_000;

/** One statistic of some observations. */
export interface Tally {
  readonly count: number;
  add(number: number, text: string | undefined): void;
  /** Takes another one of the same statistic in. */
  merge(other: Tally): void;
  /** Undefined: no data. */
  value(): number | undefined;
  toJSON(): Json;
}

/** An empty one; `overMs` is what a rate is about, `max` how many different values are told apart. */
function make(of: Statistic, overMs: number, max: number): Tally {
  switch (of) {
    case "count":
    case "rate":
    case "share":
    case "sum":
    case "avg":
    case "min":
    case "max":
      return new Numbers(of, overMs);
    case "distinct":
      return new Values(max);
    default:
      return new Percentile(Number(of.slice(1)));
  }
}

export function tallyOfBucket(of: Statistic): Tally {
  return make(of, 0, DISTINCT_MAX);
}

export function tallyOfWindow(of: Statistic, overMs: number): Tally {
  return make(of, overMs, WINDOW_DISTINCT_MAX);
}

/** What `toJSON` gave. */
export function restoredTally(of: Statistic, json: Json): Tally {
  const tally = tallyOfBucket(of);
  const list = json as readonly (number | null)[];
  if (tally instanceof Numbers) tally.take(list);
  else if (tally instanceof Percentile) tally.merge(new Percentile(0, Sketch.from(list as readonly number[])));
  else (tally as Values).take(json as readonly [number, boolean, ...string[]]);
  return tally;
}

/** True where adding up costs next to nothing: then a window is added up from its buckets each time, always in one order. */
export function isCheap(of: Statistic): boolean {
  return make(of, 0, 0) instanceof Numbers;
}

class Numbers implements Tally {
  count = 0;
  #sum = 0;
  #min = Infinity;
  #max = -Infinity;
  readonly #of: Statistic;
  readonly #overMs: number;

  constructor(of: Statistic, overMs: number) {
    this.#of = of;
    this.#overMs = overMs;
  }

  add(number: number): void {
    this.count++;
    this.#sum += number;
    if (number < this.#min) this.#min = number;
    if (number > this.#max) this.#max = number;
  }

  merge(other: Tally): void {
    if (!(other instanceof Numbers)) return;
    this.count += other.count;
    this.#sum += other.#sum;
    this.#min = Math.min(this.#min, other.#min);
    this.#max = Math.max(this.#max, other.#max);
  }

  value(): number | undefined {
    switch (this.#of) {
      case "count":
        return this.count;
      case "rate":
        return this.count / (this.#overMs / 1_000);
      case "sum":
        return Number.isFinite(this.#sum) ? this.#sum : undefined;
    }
    if (this.count === 0) return undefined;
    const value = this.#of === "min" ? this.#min : this.#of === "max" ? this.#max : this.#sum / this.count;
    return Number.isFinite(value) ? value : undefined;
  }

  toJSON(): Json {
    return this.count === 0 ? [0] : [this.count, this.#sum, this.#min, this.#max];
  }

  take([count, sum, min, max]: readonly (number | null)[]): void {
    if (count === 0) return;
    this.count = count!;
    // JSON has no name for what is beyond all numbers: then there is no sum any more.
    this.#sum = sum ?? Number.NaN;
    this.#min = min!;
    this.#max = max!;
  }
}

class Percentile implements Tally {
  readonly #percent: number;
  readonly #sketch: Sketch;

  constructor(percent: number, sketch = new Sketch()) {
    this.#percent = percent;
    this.#sketch = sketch;
  }

  get count(): number {
    return this.#sketch.count;
  }
  add(number: number): void {
    this.#sketch.add(number);
  }
  merge(other: Tally): void {
    if (other instanceof Percentile) this.#sketch.merge(other.#sketch);
  }
  value(): number | undefined {
    return this.#sketch.percentile(this.#percent);
  }
  toJSON(): Json {
    return this.#sketch.toJSON();
  }
}

/** Different values, exact up to a number of them: then it says that number. */
class Values implements Tally {
  count = 0;
  readonly #max: number;
  readonly #values = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  add(_number: number, text: string | undefined): void {
    this.count++;
    if (this.#values.size < this.#max) this.#values.add(text!);
  }

  merge(other: Tally): void {
    if (!(other instanceof Values)) return;
    this.count += other.count;
    for (const value of other.#values) {
      if (this.#values.size >= this.#max) return;
      this.#values.add(value);
    }
  }

  value(): number {
    return this.#values.size;
  }

  toJSON(): Json {
    return [this.count, ...this.#values];
  }

  take([count, ...values]: readonly [number, ...unknown[]]): void {
    this.count = count;
    for (const value of values) this.#values.add(value as string);
  }
}
