/** Things that are due at some time, the next one first. Each is in it once: a new time replaces the old. */
export class DueQueue<T extends object> {
  #heap: { readonly at: number; readonly item: T }[] = [];
  /** The time that counts; what stands in the heap under another is void. */
  readonly #at = new Map<T, number>();

  /** Infinity: not at all. */
  set(item: T, at: number): void {
    const before = this.#at.get(item);
    if (before === at || (before === undefined && at === Infinity)) return;
    if (at === Infinity) {
      this.#at.delete(item);
    } else {
      this.#at.set(item, at);
      this.#push({ at, item });
    }
    // What is void must not pile up.
    if (this.#heap.length > 64 && this.#heap.length > 4 * this.#at.size) this.#rebuild();
  }

  delete(item: T): void {
    this.set(item, Infinity);
  }

  /** When the next one is due; Infinity: never. */
  get nextMs(): number {
    this.#dropVoid();
    return this.#heap[0]?.at ?? Infinity;
  }

  /** Takes out one that is due. */
  take(now: number): T | undefined {
    this.#dropVoid();
    const first = this.#heap[0];
    if (first === undefined || first.at > now) return undefined;
    this.#pop();
    this.#at.delete(first.item);
    return first.item;
  }

  #dropVoid(): void {
    for (let first = this.#heap[0]; first !== undefined && this.#at.get(first.item) !== first.at; first = this.#heap[0]) this.#pop();
  }

  #rebuild(): void {
    const kept = [...this.#at];
    this.#heap = [];
    for (const [item, at] of kept) this.#push({ at, item });
  }

  #push(entry: { readonly at: number; readonly item: T }): void {
    const heap = this.#heap;
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]!.at <= entry.at) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let least = 2 * i + 1;
      if (least >= heap.length) break;
      if (least + 1 < heap.length && heap[least + 1]!.at < heap[least]!.at) least++;
      if (heap[least]!.at >= last.at) break;
      heap[i] = heap[least]!;
      i = least;
    }
    heap[i] = last;
  }
}
