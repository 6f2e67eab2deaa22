/** Neighbouring bins differ by this factor: what a bin says is off by less than 2 %. */
const FACTOR = 1.02;
const LOG_FACTOR = Math.log(FACTOR);
/** Smaller magnitudes count as zero. */
const SMALLEST = 1e-12;
/** So that keys of positive numbers are positive: `SMALLEST` has a key above zero. */
const KEY_SHIFT = 2_000;
/** Beyond, the lowest two become one: percentiles stay right as long as they lie within a factor of 25,000 of the largest. */
const BINS_MAX = 512;

interface Bin {
  count: number;
  /** Largest number of the bin: it is what the bin says, so that equal numbers come out exactly. */
  largest: number;
}

/**
 * Percentiles of numbers in bounded memory: bins that grow by 2 %, as in DDSketch (https://arxiv.org/abs/1908.10693).
 * What it holds does not depend on the order in which numbers were added. Error: below 2 % of the number.
 */
export class Sketch {
  count = 0;
  readonly #bins = new Map<number, Bin>();
  /** Keys in order; undefined when there are new ones. */
  #sorted: number[] | undefined;

  add(number: number): void {
    this.#put(keyOf(number), 1, number);
  }

  /** Takes away what was added before. */
  remove(number: number): void {
    const wanted = keyOf(number);
    // It may have gone into the lowest bin, with others.
    const key = this.#bins.has(wanted) ? wanted : this.#keys().find((known) => known > wanted);
    const bin = key === undefined ? undefined : this.#bins.get(key);
    if (bin === undefined) return;
    this.count--;
    if (--bin.count > 0) return;
    this.#bins.delete(key!);
    this.#sorted = undefined;
  }

  merge(other: Sketch): void {
    for (const [key, { count, largest }] of other.#bins) this.#put(key, count, largest);
  }

  /** The number of which `percent` of all are not larger (nearest rank); undefined where there are none. */
  percentile(percent: number): number | undefined {
    // In this order: 55 / 100 is a little more than it says, and 0.55 * 100 would be the 56th of a hundred.
    let left = Math.ceil((percent * this.count) / 100);
    for (const key of this.#keys()) {
      const bin = this.#bins.get(key)!;
      left -= bin.count;
      if (left <= 0) return bin.largest;
    }
    return undefined;
  }

  /** Key, count, largest; bin after bin. */
  toJSON(): number[] {
    return this.#keys().flatMap((key) => [key, this.#bins.get(key)!.count, this.#bins.get(key)!.largest]);
  }

  static from(json: readonly number[]): Sketch {
    const sketch = new Sketch();
    for (let i = 0; i + 2 < json.length; i += 3) sketch.#put(json[i]!, json[i + 1]!, json[i + 2]!);
    return sketch;
  }

  #put(key: number, count: number, largest: number): void {
    this.count += count;
    const bin = this.#bins.get(key);
    if (bin !== undefined) {
      bin.count += count;
      if (largest > bin.largest) bin.largest = largest;
      return;
    }
    this.#bins.set(key, { count, largest });
    this.#sorted = undefined;
    if (this.#bins.size <= BINS_MAX) return;
    const [lowest, second] = this.#keys() as [number, number];
    const low = this.#bins.get(lowest)!;
    const next = this.#bins.get(second)!;
    next.count += low.count;
    this.#bins.delete(lowest);
    this.#sorted = undefined;
  }

  #keys(): number[] {
    return (this.#sorted ??= [...this.#bins.keys()].sort((a, b) => a - b));
  }
}

/** Larger for larger numbers. */
function keyOf(number: number): number {
  const size = Math.abs(number);
  if (size < SMALLEST) return 0;
  const key = Math.ceil(Math.log(size) / LOG_FACTOR) + KEY_SHIFT;
  return number > 0 ? key : -key;
}
