import { realClock, type Clock } from "../sdk/clock.ts";
import type { FamilyOptions, HistogramOptions, Metrics, Sample } from "../sdk/metrics.ts";
import type { Cell, Persistent } from "../sdk/store.ts";
import { createFamily, type FamilyParts, type FamilyState } from "./family.ts";
import { checkBuckets, checkDeclaration, exposedNames, type Kind } from "./names.ts";
import { CounterSeries, GaugeSeries, HistogramSeries, type Changed, type Series } from "./series.ts";
import { decodeLabels, decodeValue, encodeLabels, encodeValue, SERIES_TABLE } from "./series_table.ts";

const SERIES_MAX = 2_000;
const OVERFLOW = "sojourn_metric_series_overflow_total";

/** A family and its series at one moment. The series are live: read them in the same tick. */
export interface FamilyReading {
  readonly name: string;
  readonly kind: Kind;
  readonly help: string;
  readonly labels: readonly string[];
  readonly series: Iterable<Series>;
}

/** The one metric store of the agent, and what readers and the commit need of it. */
export interface MetricStore extends Metrics, Persistent {
  /**
   * Every family that has series, in the order of declaration. An observable that throws is left out,
   * and what it threw goes to `onError`.
   */
  read(onError?: (error: unknown) => void): FamilyReading[];
}

interface Observable {
  readonly kind: "counter" | "gauge";
  options: FamilyOptions;
  samples: () => Iterable<Sample>;
  readonly startMs: number;
}

type Entry = { readonly state: FamilyState<Series>; readonly durable: boolean } | { readonly observable: Observable };

/**
 * Makes the metric store. Durable series that were stored under a name nobody has declared yet wait in memory (and stay
 * in the store) and are exposed once it is declared with the same labels, kind and buckets; with others they are deleted.
 * The clock gives the start times of series.
 */
export function createMetrics(clock: Clock = realClock): MetricStore {
  const families = new Map<string, Entry>();
  const claims = new Map<string, string>();
  const changed: Changed = { head: undefined };
  const waiting = new Map<string, Map<string, string>>();
  let deleted: Cell[] = [];

  function claim(kind: Kind, name: string): void {
    for (const exposed of exposedNames(kind, name)) {
      const owner = claims.get(exposed);
      if (owner !== undefined) throw new Error(`the metric name "${name}" is taken: "${owner}" exposes "${exposed}"`);
    }
    for (const exposed of exposedNames(kind, name)) claims.set(exposed, name);
  }

  function release(kind: Kind, name: string): void {
    families.delete(name);
    for (const exposed of exposedNames(kind, name)) claims.delete(exposed);
  }

  function countOverflow(name: string): void {
    // Its own overflow is not counted: that would never end.
    if (name !== OVERFLOW) overflow.series(name).add(1);
  }

  /** The same family when it was declared before; an error when it was declared otherwise. */
  function again(kind: Kind, options: FamilyOptions, buckets?: readonly number[]): FamilyState<Series> | undefined {
    const entry = families.get(options.name);
    if (entry === undefined) return undefined;
    const differs = (what: string): Error => new Error(`the metric "${options.name}" is already declared with another ${what}`);
    if ("observable" in entry) throw differs("source");
    const { state, durable } = entry;
    if (state.kind !== kind) throw differs(`kind: ${state.kind}`);
    if (state.labels.join() !== options.labels.join()) throw differs(`list of labels: ${state.labels.join(", ") || "none"}`);
    if (durable !== (options.durable ?? false)) throw differs("durability");
    if (buckets !== undefined && boundsOf.get(state)?.join() !== buckets.join()) throw differs("list of buckets");
    // What readers and limits see follows the latest configuration.
    state.help = options.help;
    state.parts.seriesMax = options.seriesMax ?? SERIES_MAX;
    return state;
  }

  const boundsOf = new WeakMap<FamilyState<Series>, readonly number[]>();

  function declare<S extends Series>(
    kind: Kind,
    options: FamilyOptions,
    create: (labels: readonly string[], startMs: number, changed?: Changed, row?: readonly [string, string]) => S,
  ): FamilyState<S> {
    const { name, durable = false } = options;
    const labels = [...options.labels];
    claim(kind, name);
    const parts: FamilyParts<S> = {
      name,
      labels,
      seriesMax: options.seriesMax ?? SERIES_MAX,
      create: (values) => (durable ? create(values, clock.now(), changed, [name, encodeLabels(labels, values)]) : create(values, clock.now())),
      overflowed: () => countOverflow(name),
      removed(series) {
        if (series.row !== undefined) deleted.push(...series.row);
      },
      dropped() {
        if (families.get(name) === entry) release(kind, name);
      },
    };
    const state = createFamily(kind, options.help, parts);
    const entry: Entry = { state: state as unknown as FamilyState<Series>, durable };
    families.set(name, entry);
    if (durable) adopt(state);
    return state;
  }

  /** Fills a durable family with what was stored under its name. */
  function adopt(state: FamilyState<Series>): void {
    const rows = waiting.get(state.name);
    if (rows === undefined) return;
    waiting.delete(state.name);
    for (const [key, value] of rows) {
      const labels = decodeLabels(state.labels, key);
      const known = state.members.size;
      const series = labels === undefined ? undefined : state.admit(labels);
      const fits = series !== undefined && decodeValue(series, value);
      if (fits && series.row?.[1] === key) continue;
      deleted.push(state.name, key);
      if (fits) series.mark();
      else if (labels !== undefined && state.members.size > known) state.remove(...labels);
    }
  }

  function readObservable({ kind, options, samples, startMs }: Observable): FamilyReading {
    let overflowed = false;
    const { name, help, labels } = options;
    const state = createFamily<CounterSeries>(kind, help, {
      name,
      labels,
      seriesMax: options.seriesMax ?? SERIES_MAX,
      create: (values) => new CounterSeries(values, startMs),
      overflowed: () => void (overflowed = true),
      removed() {},
      dropped() {},
    });
    // Two samples with the same labels add up, as they would in `__other__`: one line each is all a scrape can bear.
    for (const sample of samples()) state.series(...sample.labels).value += sample.value;
    if (overflowed) countOverflow(name);
    return { name, kind, help, labels, series: state.members };
  }

  const store: MetricStore = {
    counter(options) {
      checkDeclaration("counter", options);
      const known = again("counter", options) as FamilyState<CounterSeries> | undefined;
      return known ?? declare("counter", options, (...args) => new CounterSeries(...args));
    },
    gauge(options) {
      checkDeclaration("gauge", options);
      const known = again("gauge", options) as FamilyState<GaugeSeries> | undefined;
      return known ?? declare("gauge", options, (...args) => new GaugeSeries(...args));
    },
    histogram(options: HistogramOptions) {
      checkDeclaration("histogram", options);
      checkBuckets(options);
      const buckets = [...options.buckets];
      const known = again("histogram", options, buckets) as FamilyState<HistogramSeries> | undefined;
      if (known !== undefined) return known;
      const state = declare("histogram", options, (...args) => new HistogramSeries(buckets, ...args));
      boundsOf.set(state as unknown as FamilyState<Series>, buckets);
      return state;
    },
    observable(kind, options, samples) {
      checkDeclaration(kind, options);
      if (options.durable === true) throw new Error(`the metric "${options.name}" is computed and cannot be durable`);
      const { name } = options;
      const before = families.get(name);
      if (before === undefined) claim(kind, name);
      else if (!("observable" in before) || before.observable.kind !== kind) {
        throw new Error(`the metric "${name}" is already declared with another source`);
      }
      // The latest source stands, so that a reload can declare it before its predecessor is dropped.
      const startMs = before === undefined ? clock.now() : before.observable.startMs;
      const entry: Entry = { observable: { kind, options, samples, startMs } };
      families.set(name, entry);
      return {
        drop() {
          if (families.get(name) === entry) release(kind, name);
        },
      };
    },
    has: (name) => families.has(name),

    read(onError) {
      const readings: FamilyReading[] = [];
      // Observables first: what overflows in them is counted in this very reading.
      for (const entry of families.values()) {
        if ("state" in entry) continue;
        try {
          readings.push(readObservable(entry.observable));
        } catch (error) {
          onError?.(new Error(`the metric "${entry.observable.options.name}" cannot be computed`, { cause: error }));
        }
      }
      for (const entry of families.values()) {
        if ("observable" in entry) continue;
        const { name, kind, help, labels, members } = entry.state;
        if (members.size > 0) readings.push({ name, kind, help, labels, series: members });
      }
      return readings;
    },

    tables: [SERIES_TABLE],
    async restore(from) {
      await from.load(SERIES_TABLE, (cells) => {
        for (let i = 0; i + 2 < cells.length; i += 3) {
          const name = String(cells[i]);
          const rows = waiting.get(name) ?? new Map<string, string>();
          waiting.set(name, rows.set(String(cells[i + 1]), String(cells[i + 2])));
        }
      });
      for (const entry of families.values()) if ("state" in entry && entry.durable) adopt(entry.state);
    },
    drain(changes) {
      const puts: Cell[] = [];
      for (let series = changed.head; series !== undefined; ) {
        const { next } = series;
        if (!series.detached) puts.push(...series.row!, encodeValue(series));
        series.unlist();
        series = next;
      }
      changed.head = undefined;
      if (puts.length > 0 || deleted.length > 0) changes.push({ table: SERIES_TABLE, puts, deletes: deleted });
      deleted = [];
    },
  };

  const overflow = store.counter({
    name: OVERFLOW,
    help: "Times a metric had no room for another series and added up in __other__ instead.",
    labels: ["metric"],
    seriesMax: 10_000,
  });
  return store;
}
