import type { Counter, Gauge, Histogram } from "../sdk/metrics.ts";

/** Durable series that changed since the last drain: an intrusive list, so that marking one allocates nothing. */
export interface Changed {
  head: Series | undefined;
}

/** What is common to all series. A class, because a store may hold 100,000 of them and their methods are hot. */
export abstract class Series {
  /** In the order of the family's labels. */
  readonly labels: readonly string[];
  /** Since when it counts, in ms; from the store, if it was there. */
  startMs: number;
  /** Labels by name, made at the first read and kept: reads happen every few seconds. */
  attributes: Readonly<Record<string, string>> | undefined;
  /** In the list of what changed. */
  next: Series | undefined;
  detached: boolean;
  // True from the start when nothing is to be stored, so that the hot path asks one question only.
  private listed: boolean;
  private readonly changed: Changed | undefined;
  /** The key of its row in the store; only when durable. */
  readonly row: readonly [name: string, labels: string] | undefined;

  constructor(labels: readonly string[], startMs: number, changed?: Changed, row?: readonly [string, string]) {
    this.labels = labels;
    this.startMs = startMs;
    this.attributes = undefined;
    this.next = undefined;
    this.detached = false;
    this.listed = changed === undefined;
    this.changed = changed;
    this.row = row;
  }

  /** To be called on each change. */
  mark(): void {
    if (!this.listed) this.list();
  }

  /** It was drained: the next change lists it again. */
  unlist(): void {
    this.listed = this.detached;
    this.next = undefined;
  }

  /** Taken out of its family: whoever keeps it may go on counting, for nobody. */
  detach(): void {
    this.listed = true;
    this.detached = true;
  }

  private list(): void {
    this.listed = true;
    this.next = this.changed!.head;
    this.changed!.head = this;
  }
}

export class CounterSeries extends Series implements Counter {
  value = 0;

  add(n: number): void {
    if (!(n >= 0 && n < Infinity)) return;
    this.value += n;
    this.mark();
  }
}

export class GaugeSeries extends Series implements Gauge {
  value = 0;

  set(value: number): void {
    if (value === this.value) return;
    this.value = value;
    this.mark();
  }
}

export class HistogramSeries extends Series implements Histogram {
  sum = 0;
  /** One more than bounds: the last counts what is above all of them. */
  readonly counts: number[];
  readonly bounds: readonly number[];

  constructor(bounds: readonly number[], ...rest: ConstructorParameters<typeof Series>) {
    super(...rest);
    this.bounds = bounds;
    this.counts = Array<number>(bounds.length + 1).fill(0);
  }

  get count(): number {
    let count = 0;
    for (const n of this.counts) count += n;
    return count;
  }

  /** Values that are no finite number are ignored: one NaN would spoil the sum for good. */
  observe(value: number): void {
    if (!Number.isFinite(value)) return;
    const { bounds } = this;
    let i = 0;
    while (i < bounds.length && value > bounds[i]!) i++;
    this.counts[i]!++;
    this.sum += value;
    this.mark();
  }
}
