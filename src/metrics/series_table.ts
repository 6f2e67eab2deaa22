import type { Table } from "../sdk/store.ts";
import { CounterSeries, GaugeSeries, HistogramSeries, type Series } from "./series.ts";

/** Durable series. `labels` and `value` are JSON objects, so that the database reads well without us. */
export const SERIES_TABLE: Table = {
  name: "series",
  columns: [["name", "text"], ["labels", "json"], ["value", "json"]],
  keyColumns: 2,
};

/** The key of a series: labels sorted by name, so that declaring them in another order finds it again. */
export function encodeLabels(names: readonly string[], values: readonly string[]): string {
  const pairs = names.map((name, i) => [name, values[i]!] as const);
  pairs.sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(Object.fromEntries(pairs));
}

/** The values in the order of `names`; undefined when the stored labels are others. */
export function decodeLabels(names: readonly string[], text: string): readonly string[] | undefined {
  const stored = parseObject(text);
  if (stored === undefined || Object.keys(stored).length !== names.length) return undefined;
  const values = names.map((name) => (Object.hasOwn(stored, name) ? stored[name] : undefined));
  return values.every((value) => typeof value === "string") ? values : undefined;
}

/** What a series holds, as the store keeps it. */
export function encodeValue(series: Series): string {
  if (series instanceof HistogramSeries) {
    const { bounds, counts, sum, startMs } = series;
    return JSON.stringify({ buckets: bounds, counts, sum, start_ms: startMs });
  }
  const { value } = series as CounterSeries | GaugeSeries;
  // JSON has no NaN and no infinity.
  return JSON.stringify({ value: Number.isFinite(value) ? value : String(value), start_ms: series.startMs });
}

/**
 * Adds what was stored to a series: counts add up, a gauge keeps what it was set to meanwhile.
 * False when it does not fit: another kind, other buckets, or damaged.
 */
export function decodeValue(series: Series, text: string): boolean {
  const stored = parseObject(text);
  if (stored === undefined) return false;
  const { value, buckets, counts, sum, start_ms: startMs } = stored;
  if (typeof startMs !== "number") return false;
  if (series instanceof HistogramSeries) {
    if (!isNumbers(buckets) || !isNumbers(counts) || typeof sum !== "number") return false;
    const fits = buckets.length === series.bounds.length && buckets.every((bound, i) => bound === series.bounds[i]);
    if (!fits || counts.length !== series.counts.length) return false;
    counts.forEach((count, i) => (series.counts[i]! += count));
    series.sum += sum;
  } else if (series instanceof CounterSeries) {
    if (typeof value !== "number" || value < 0) return false;
    series.value += value;
  } else if (series instanceof GaugeSeries) {
    if (typeof value !== "number" && typeof value !== "string") return false;
    if (series.value === 0) series.value = Number(value);
  }
  series.startMs = Math.min(series.startMs, startMs);
  return true;
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === "number");
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
