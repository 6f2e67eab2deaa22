import type { FamilyOptions, HistogramOptions } from "../sdk/metrics.ts";

export type Kind = "counter" | "gauge" | "histogram";

/** All labels of the series that takes what `series_max` leaves no room for. */
export const OTHER = "__other__";

const LEGAL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const NAME_LENGTH_MAX = 200;
const LABELS_MAX = 32;
const BUCKETS_MAX = 200;
const VALUE_LENGTH_MAX = 1_000;

// `le` belongs to histograms; the others are what OpenTelemetry's exporters and Prometheus put beside ours.
const RESERVED = new Set(["le", "quantile", "service_name", "target_info"]);

/**
 * Throws an `Error` that says what is wrong with a family's declaration, before it could break a scrape.
 *
 * Stricter than Prometheus on purpose: OpenTelemetry's serializer turns `:` into `_` and `__` into `_`, so names that
 * differ only there would meet in the exposition; one label that occurs twice makes Prometheus refuse the whole target.
 * https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels
 */
export function checkDeclaration(kind: Kind, options: FamilyOptions): void {
  const { name, labels, seriesMax } = options;
  checkName("metric name", name);
  if (name === "target_info") throw new Error(`the metric name "target_info" is reserved`);
  if (kind === "counter" && !name.endsWith("_total")) {
    throw new Error(`the metric name "${name}" must end in _total, because it is a counter's`);
  }
  if (labels.length > LABELS_MAX) throw new Error(`the metric "${name}" has ${labels.length} labels; at most ${LABELS_MAX} are allowed`);
  for (const label of labels) {
    checkName("label name", label);
    if (RESERVED.has(label) || label.startsWith("otel_scope_")) {
      throw new Error(`the label name "${label}" of the metric "${name}" is reserved`);
    }
  }
  if (new Set(labels).size !== labels.length) throw new Error(`the metric "${name}" names a label twice: ${labels.join(", ")}`);
  if (seriesMax !== undefined && !(Number.isSafeInteger(seriesMax) && seriesMax > 0)) {
    throw new Error(`the metric "${name}" must be allowed at least one series`);
  }
}

function checkName(what: string, name: string): void {
  const shown = name.slice(0, 80);
  if (name.length > NAME_LENGTH_MAX) throw new Error(`the ${what} "${shown}…" is longer than ${NAME_LENGTH_MAX} characters`);
  if (!LEGAL.test(name)) {
    throw new Error(`the ${what} "${shown}" is not legal; letters, digits and _ are allowed, and no digit first`);
  }
  if (name.includes("__") || name === "_") throw new Error(`the ${what} "${shown}" is reserved; no two _ may meet`);
}

/** Throws an `Error` unless the bounds are finite, ascending and few. */
export function checkBuckets({ name, buckets }: HistogramOptions): void {
  if (buckets.length > BUCKETS_MAX) throw new Error(`the histogram "${name}" has more than ${BUCKETS_MAX} buckets`);
  buckets.forEach((bound, i) => {
    if (!Number.isFinite(bound)) throw new Error(`the histogram "${name}" has a bucket that is no finite number`);
    if (i > 0 && bound <= buckets[i - 1]!) throw new Error(`the buckets of the histogram "${name}" must ascend`);
  });
}

/** The names under which a family appears in the exposition: no two families may share one. */
export function exposedNames(kind: Kind, name: string): readonly string[] {
  return kind === "histogram" ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
}

/**
 * A label value as it is kept and exposed: well-formed Unicode without NUL (which ends a scrape early), bounded.
 * Quotes, backslashes and newlines stay: the exposition escapes them.
 */
export function labelValue(value: string): string {
  const text = String(value);
  const short = text.length > VALUE_LENGTH_MAX ? `${text.slice(0, VALUE_LENGTH_MAX - 1)}…` : text;
  return short.toWellFormed().replaceAll("\0", "\uFFFD");
}
