import type { HrTime } from "@opentelemetry/api";
import type { CollectionResult, DataPoint, Histogram, MetricData, MetricProducer } from "@opentelemetry/sdk-metrics";
import { realClock, type Clock } from "../sdk/clock.ts";
import { CounterSeries, GaugeSeries, HistogramSeries, type Series } from "./series.ts";
import type { FamilyReading, MetricStore } from "./store.ts";

// The values of OpenTelemetry's enums: naming them here keeps its SDK unloaded until an exporter asks.
const HISTOGRAM = 0;
const GAUGE = 2;
const SUM = 3;
const CUMULATIVE = 1;
const DOUBLE = 1;

/** What the reader of the metrics is told about who produced them. */
export interface ProducerOptions {
  readonly version: string;
  /** `service.external_labels`: resource attributes, under their own names. */
  readonly externalLabels?: () => Readonly<Record<string, string>>;
  readonly clock?: Clock;
}

/**
 * The metric store as an OpenTelemetry `MetricProducer`: one scope, cumulative sums that keep the start of their series,
 * nothing of series that are gone. The result is a copy of one moment; readers may keep it.
 * Observables that threw are in `errors`; the others are there nevertheless.
 * https://opentelemetry.io/docs/specs/otel/metrics/sdk/#metricproducer
 */
export function createProducer(store: MetricStore, options: ProducerOptions): MetricProducer {
  const { version, clock = realClock } = options;

  return {
    async collect(): Promise<CollectionResult> {
      const { resourceFromAttributes } = await import("@opentelemetry/resources");
      const attributes = { ...options.externalLabels?.(), "service.name": "sojourn", "service.version": version };
      const errors: unknown[] = [];
      const endTime = hrTime(clock.now());
      const metrics = store.read((error) => errors.push(error)).map((family) => metricData(family, endTime));
      return {
        resourceMetrics: {
          resource: resourceFromAttributes(attributes),
          scopeMetrics: [{ scope: { name: "sojourn", version }, metrics }],
        },
        errors,
      };
    },
  };
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
}

function metricData({ name, help, kind, labels, series }: FamilyReading, endTime: HrTime): MetricData {
  // No unit: the name has it already, and some readers would append it again.
  const descriptor = { name, description: oneLine(help), unit: "", valueType: DOUBLE };
  const common = { descriptor, aggregationTemporality: CUMULATIVE } as const;
  // Times are shared between the points of a family where they agree, as nearly all do.
  let startMs = NaN;
  let startTime: HrTime = [0, 0];
  function point<T>(one: Series, value: T): DataPoint<T> {
    if (one.startMs !== startMs) startTime = hrTime((startMs = one.startMs));
    one.attributes ??= Object.fromEntries(labels.map((label, i) => [label, one.labels[i]!]));
    return { startTime, endTime, attributes: one.attributes, value };
  }

  if (kind === "histogram") {
    const dataPoints: DataPoint<Histogram>[] = [];
    for (const one of series) if (one instanceof HistogramSeries) dataPoints.push(point(one, histogram(one)));
    return { ...common, dataPointType: HISTOGRAM, dataPoints };
  }
  const dataPoints: DataPoint<number>[] = [];
  for (const one of series) {
    if (one instanceof CounterSeries || one instanceof GaugeSeries) dataPoints.push(point(one, one.value));
  }
  return kind === "counter"
    ? { ...common, dataPointType: SUM, isMonotonic: true, dataPoints }
    : { ...common, dataPointType: GAUGE, dataPoints };
}

function histogram({ bounds, counts, sum, count }: HistogramSeries): Histogram {
  return { buckets: { boundaries: [...bounds], counts: [...counts] }, sum, count };
}

/** Help without what would end its line, or the scrape. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.toWellFormed().replace(/[\u0000-\u001F\u007F\u2028\u2029]+/g, " ").slice(0, 1_000);
}
