import type { Clock, Timer } from "../../sdk/clock.ts";

/** What is to be looked at when its time comes. `at` and `place` belong to the agenda. */
export interface Entry {
  at: number;
  place: number;
  /** Entries of one instant are looked at by rank, then by key: the same on any replica and after any restart. */
  readonly rank: number;
  readonly key: string;
  look(now: number): void;
}

/** One timer for the deadlines of all groups. */
export class Agenda {
  readonly #clock: Clock;
  readonly #before: () => void;
  readonly #heap: Entry[] = [];
  #timer: { readonly at: number; readonly timer: Timer } | undefined;
  #stopped = false;

  /** `before` is called before what is due is looked at. */
  constructor(clock: Clock, before: () => void = () => {}) {
    this.#clock = clock;
    this.#before = before;
  }

  /** Looks at it at `atMs`, not before the next millisecond; Infinity: not at all. Replaces what was said before. */
  set(entry: Entry, atMs: number): void {
    const at = Math.max(Math.ceil(atMs), this.#clock.now() + 1);
    if (at === Infinity || Number.isNaN(at)) return this.remove(entry);
    if (entry.place < 0) {
      entry.at = at;
      this.#up(this.#heap.push(entry) - 1, entry);
    } else if (at !== entry.at) {
      const later = at > entry.at;
      entry.at = at;
      if (later) this.#down(entry.place, entry);
      else this.#up(entry.place, entry);
    }
    this.#arm();
  }

  remove(entry: Entry): void {
    const { place } = entry;
    if (place < 0) return;
    entry.place = -1;
    entry.at = Infinity;
    const last = this.#heap.pop()!;
    if (last === entry) return;
    this.#up(place, last);
    this.#down(last.place, last);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.timer.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    const next = this.#heap[0]?.at ?? Infinity;
    if (this.#stopped || next === Infinity || (this.#timer !== undefined && this.#timer.at <= next)) return;
    this.#timer?.timer.cancel();
    this.#timer = { at: next, timer: this.#clock.at(next, () => this.#due()) };
  }

  #due(): void {
    this.#timer = undefined;
    this.#before();
    const now = this.#clock.now();
    for (let entry = this.#heap[0]; entry !== undefined && entry.at <= now; entry = this.#heap[0]) {
      this.remove(entry);
      entry.look(now);
    }
    this.#arm();
  }

  #up(from: number, entry: Entry): void {
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!before(entry, this.#heap[parent]!)) break;
      this.#put(place, this.#heap[parent]!);
      place = parent;
    }
    this.#put(place, entry);
  }

  #down(from: number, entry: Entry): void {
    let place = from;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.#heap.length) break;
      if (child + 1 < this.#heap.length && before(this.#heap[child + 1]!, this.#heap[child]!)) child++;
      if (!before(this.#heap[child]!, entry)) break;
      this.#put(place, this.#heap[child]!);
      place = child;
    }
    this.#put(place, entry);
  }

  #put(place: number, entry: Entry): void {
    this.#heap[place] = entry;
    entry.place = place;
  }
}

function before(a: Entry, b: Entry): boolean {
  if (a.at !== b.at) return a.at < b.at;
  return a.rank !== b.rank ? a.rank < b.rank : a.key < b.key;
}
