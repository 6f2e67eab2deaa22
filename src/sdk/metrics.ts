/** What a family is, for whoever reads the exposition. */
export interface FamilyOptions {
  /** As exposed, with its unit; a counter's ends in `_total`. Must be a legal Prometheus name. */
  readonly name: string;
  readonly help: string;
  /** Legal, distinct Prometheus label names. */
  readonly labels: readonly string[];
  /** Survives restarts: its changes go into the same commit as their cause. */
  readonly durable?: boolean;
  /** Further series add up in one whose labels are all `__other__`. Default 2000. */
  readonly seriesMax?: number;
}

export interface HistogramOptions extends FamilyOptions {
  /** Upper bounds, ascending, without +Inf. */
  readonly buckets: readonly number[];
}

export interface Counter {
  readonly value: number;
  /** `n` must be a finite number ≥ 0; anything else is ignored. */
  add(n: number): void;
}

export interface Gauge {
  readonly value: number;
  set(value: number): void;
}

export interface Histogram {
  readonly count: number;
  readonly sum: number;
  observe(value: number): void;
}

/** Series of one name. Keep the series, not the labels, where the labels are known beforehand. */
export interface Family<Series> {
  readonly name: string;
  /** The series with these label values, in the order of `labels`; made when new. */
  series(...values: readonly string[]): Series;
  /** Forgets one series. */
  remove(...values: readonly string[]): void;
  /** Forgets the family with all its series. */
  drop(): void;
}

/** One series of a family that is computed when it is read. */
export interface Sample {
  readonly labels: readonly string[];
  readonly value: number;
}

/**
 * The one metric store. Asking again for a family of the same name, kind and labels gives the same one
 * (a reload keeps its series); the same name otherwise is an error.
 */
export interface Metrics {
  counter(options: FamilyOptions): Family<Counter>;
  gauge(options: FamilyOptions): Family<Gauge>;
  histogram(options: HistogramOptions): Family<Histogram>;
  /** A family computed at each read. `seriesMax` holds here too. */
  observable(kind: "counter" | "gauge", options: FamilyOptions, samples: () => Iterable<Sample>): { drop(): void };
  /** True when a family of that name exists. */
  has(name: string): boolean;
}
