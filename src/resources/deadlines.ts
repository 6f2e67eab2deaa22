/**
 * The next deadline of each row: a binary heap with one entry a row at most, so that memory is bounded by the number
 * of resources however often they move.
 *
 * A deadline that moves further away keeps its place: when the earlier one comes, the owner looks, finds nothing due
 * and arms the later one. So an observation of a quiet resource costs nothing here.
 */
export class Deadlines {
  readonly #orderOf: (row: number) => number;
  #heap = new Int32Array(64);
  #size = 0;
  /** By row: when it is due. */
  #at = new Float64Array(64);
  /** By row: its place in the heap, plus one; 0 when not armed. */
  #place = new Int32Array(64);

  /** Of rows that are due at the same instant, the one with the lower number comes first. Default: the row itself. */
  constructor(orderOf: (row: number) => number = (row) => row) {
    this.#orderOf = orderOf;
  }

  get size(): number {
    return this.#size;
  }

  /** The earliest deadline, or Infinity. */
  get nextMs(): number {
    return this.#size === 0 ? Infinity : this.#at[this.#heap[0]!]!;
  }

  /** Its first deadline comes before that of `other`. Neither is empty. */
  isBefore(other: Deadlines): boolean {
    const at = this.nextMs;
    const otherAt = other.nextMs;
    return at < otherAt || (at === otherAt && this.#orderOf(this.#heap[0]!) < other.#orderOf(other.#heap[0]!));
  }

  /** Makes sure that `row` comes up at `atMs` or earlier. */
  arm(row: number, atMs: number): void {
    if (atMs === Infinity) return;
    this.#fit(row);
    const place = this.#place[row]!;
    if (place === 0) {
      this.#at[row] = atMs;
      this.#put(this.#size++, row);
      this.#up(this.#size - 1);
    } else if (atMs < this.#at[row]!) {
      this.#at[row] = atMs;
      this.#up(place - 1);
    }
  }

  /** Takes out the row whose deadline is first, if it is not after `nowMs`. */
  takeDue(nowMs: number): number | undefined {
    if (this.#size === 0 || this.#at[this.#heap[0]!]! > nowMs) return undefined;
    const row = this.#heap[0]!;
    this.cancel(row);
    return row;
  }

  cancel(row: number): void {
    const place = row < this.#place.length ? this.#place[row]! : 0;
    if (place === 0) return;
    this.#place[row] = 0;
    const last = this.#heap[--this.#size]!;
    if (last === row) return;
    this.#put(place - 1, last);
    this.#up(place - 1);
    this.#down(this.#place[last]! - 1);
  }

  #put(index: number, row: number): void {
    this.#heap[index] = row;
    this.#place[row] = index + 1;
  }

  #up(from: number): void {
    const row = this.#heap[from]!;
    let i = from;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = this.#heap[parent]!;
      if (!this.#precedes(row, above)) break;
      this.#put(i, above);
      i = parent;
    }
    this.#put(i, row);
  }

  #down(from: number): void {
    const row = this.#heap[from]!;
    let i = from;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && this.#precedes(this.#heap[child + 1]!, this.#heap[child]!)) child++;
      const below = this.#heap[child]!;
      if (!this.#precedes(below, row)) break;
      this.#put(i, below);
      i = child;
    }
    this.#put(i, row);
  }

  #precedes(a: number, b: number): boolean {
    const atA = this.#at[a]!;
    const atB = this.#at[b]!;
    return atA < atB || (atA === atB && this.#orderOf(a) < this.#orderOf(b));
  }

  #fit(row: number): void {
    if (row < this.#at.length && this.#size < this.#heap.length) return;
    const length = Math.max(row + 1, this.#at.length) * 2;
    this.#at = grown(this.#at, new Float64Array(length));
    this.#place = grown(this.#place, new Int32Array(length));
    this.#heap = grown(this.#heap, new Int32Array(length));
  }
}

function grown<T extends Float64Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
