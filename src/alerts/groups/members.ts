import type { Statistic } from "../../sdk/rule.ts";
import { Sketch } from "./sketch.ts";

/** What rows of resources give to an aggregate: the group of each (0: none) and its number. */
export class Contributions {
  group = new Int32Array(64);
  number = new Float64Array(64);
  /** Only where values are told apart. */
  readonly text: (string | undefined)[] = [];

  /** Makes room for a row. */
  reach(row: number): void {
    if (row < this.group.length) return;
    const length = Math.max(row + 1, this.group.length * 2);
    const group = new Int32Array(length);
    group.set(this.group);
    this.group = group;
    const number = new Float64Array(length);
    number.set(this.number);
    this.number = number;
  }
}

/** The members of one group, so far as one statistic needs to know them: each change costs O(1), O(log n) for min and max. */
export interface Members {
  readonly count: number;
  add(row: number, number: number, text: string | undefined): void;
  remove(row: number, number: number, text: string | undefined): void;
  /** Undefined: no data. */
  value(): number | undefined;
  /** Rows that are good examples, if some are better than others. */
  best(): number | undefined;
}

/** `number` is the group's, among the contributions. */
export function membersOf(of: Statistic, group: number, contributions: Contributions): Members {
  switch (of) {
    case "count":
    case "rate":
    case "share":
    case "sum":
    case "avg":
      return new Sum(of);
    case "min":
    case "max":
      return new Extreme(of, group, contributions);
    case "distinct":
      return new Distinct();
    default:
      return new Percentile(Number(of.slice(1)));
  }
}

/** Ten million of these have a sum; what has none once would never have one again. */
const HUGE = 1e300;

/**
 * Sums to twice the precision of a double (Knuth's two-sum), so that what was added and taken away leaves nothing behind.
 * https://en.wikipedia.org/wiki/2Sum
 */
class Sum implements Members {
  count = 0;
  readonly #of: Statistic;
  /** How many are so large that a sum with them may be none; they are in no sum. */
  #huge = 0;
  #high = 0;
  #low = 0;

  constructor(of: Statistic) {
    this.#of = of;
  }

  add(_row: number, number: number): void {
    this.count++;
    if (Math.abs(number) > HUGE) this.#huge++;
    else this.#plus(number);
  }

  remove(_row: number, number: number): void {
    this.count--;
    if (Math.abs(number) > HUGE) this.#huge--;
    else if (this.count === 0) this.#high = this.#low = 0;
    else this.#plus(-number);
  }

  value(): number | undefined {
    if (this.#of === "count") return this.count;
    if (this.#huge > 0) return undefined;
    const sum = this.#high + this.#low;
    if (this.#of === "sum") return sum;
    return this.count === 0 ? undefined : sum / this.count;
  }

  best(): undefined {}

  #plus(number: number): void {
    const sum = this.#high + number;
    const part = sum - this.#high;
    this.#low += this.#high - (sum - part) + (number - part);
    this.#high = sum;
  }
}

/** A heap of rows, in which those that are no members any more, or have another number by now, are left until they come up. */
class Extreme implements Members {
  count = 0;
  readonly #sign: 1 | -1;
  readonly #group: number;
  readonly #of: Contributions;
  #rows: number[] = [];
  #numbers: number[] = [];

  constructor(of: "min" | "max", group: number, contributions: Contributions) {
    this.#sign = of === "min" ? 1 : -1;
    this.#group = group;
    this.#of = contributions;
  }

  add(row: number, number: number): void {
    this.count++;
    this.#push(row, number * this.#sign);
    if (this.#rows.length > 64 + 2 * this.count) this.#rebuild();
  }

  remove(): void {
    this.count--;
    if (this.count > 0) return;
    this.#rows = [];
    this.#numbers = [];
  }

  value(): number | undefined {
    const row = this.best();
    return row === undefined ? undefined : this.#of.number[row];
  }

  best(): number | undefined {
    while (this.#rows.length > 0) {
      const row = this.#rows[0]!;
      if (this.#of.group[row] === this.#group && this.#of.number[row] === this.#numbers[0]! * this.#sign) return row;
      this.#pop();
    }
    return undefined;
  }

  #rebuild(): void {
    const rows = [...new Set(this.#rows)].filter((row) => this.#of.group[row] === this.#group);
    this.#rows = [];
    this.#numbers = [];
    for (const row of rows) this.#push(row, this.#of.number[row]! * this.#sign);
  }

  #push(row: number, number: number): void {
    let place = this.#rows.push(row) - 1;
    this.#numbers.push(number);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.#numbers[parent]! <= number) break;
      this.#rows[place] = this.#rows[parent]!;
      this.#numbers[place] = this.#numbers[parent]!;
      place = parent;
    }
    this.#rows[place] = row;
    this.#numbers[place] = number;
  }

  #pop(): void {
    const row = this.#rows.pop()!;
    const number = this.#numbers.pop()!;
    const { length } = this.#rows;
    if (length === 0) return;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= length) break;
      if (child + 1 < length && this.#numbers[child + 1]! < this.#numbers[child]!) child++;
      if (this.#numbers[child]! >= number) break;
      this.#rows[place] = this.#rows[child]!;
      this.#numbers[place] = this.#numbers[child]!;
      place = child;
    }
    this.#rows[place] = row;
    this.#numbers[place] = number;
  }
}

class Distinct implements Members {
  count = 0;
  readonly #counts = new Map<string, number>();

  add(_row: number, _number: number, text: string | undefined): void {
    this.count++;
    this.#counts.set(text!, (this.#counts.get(text!) ?? 0) + 1);
  }

  remove(_row: number, _number: number, text: string | undefined): void {
    this.count--;
    const left = this.#counts.get(text!)! - 1;
    if (left === 0) this.#counts.delete(text!);
    else this.#counts.set(text!, left);
  }

  value(): number {
    return this.#counts.size;
  }

  best(): undefined {}
}

class Percentile implements Members {
  readonly #percent: number;
  readonly #sketch = new Sketch();

  constructor(percent: number) {
    this.#percent = percent;
  }

  get count(): number {
    return this.#sketch.count;
  }
  add(_row: number, number: number): void {
    this.#sketch.add(number);
  }
  remove(_row: number, number: number): void {
    this.#sketch.remove(number);
  }
  value(): number | undefined {
    return this.#sketch.percentile(this.#percent);
  }
  best(): undefined {}
}
