import { setImmediate as nextTurn } from "node:timers/promises";
import type { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import type { Histogram, MetricData, MetricProducer } from "@opentelemetry/sdk-metrics";

/** How many lines are written before others get their turn: some 5 ms. */
const LINES_PER_TURN = 1_000;

// DataPointType.HISTOGRAM; importing the enum would load the SDK.
const HISTOGRAM = 0;

/** One moment of all metrics, as Prometheus reads it. */
export interface Exposition {
  readonly text: string;
  /** What could not be computed; the text has the rest. */
  readonly errors: readonly unknown[];
}

/**
 * Collects, then writes the text format a slice at a time: all at once, 100,000 series hold up the agent for most of
 * a second. The values are of one moment nevertheless, since collecting copies them.
 */
export async function expose(producer: MetricProducer, serializer: PrometheusSerializer): Promise<Exposition> {
  const { resourceMetrics, errors } = await producer.collect();
  const parts: string[] = [];
  for (const { scope, metrics } of resourceMetrics.scopeMetrics) {
    for (const metric of metrics) {
      const slices = slicesOf(metric);
      for (let i = 0; i < slices.length; i++) {
        const scopeMetrics = [{ scope, metrics: [slices[i]!] }];
        const text = serializer.serialize({ ...resourceMetrics, scopeMetrics });
        parts.push(i === 0 ? text : withoutHeader(text));
        if (slices.length > 1) await nextTurn();
      }
    }
    await nextTurn();
  }
  return { text: parts.join(""), errors };
}

function slicesOf(metric: MetricData): MetricData[] {
  const points: readonly unknown[] = metric.dataPoints;
  const size = Math.max(1, Math.floor(LINES_PER_TURN / linesPerPoint(metric)));
  const slices: MetricData[] = [];
  for (let from = 0; from < points.length; from += size) {
    slices.push({ ...metric, dataPoints: points.slice(from, from + size) } as MetricData);
  }
  return slices;
}

function linesPerPoint({ dataPointType, dataPoints: [first] }: MetricData): number {
  return dataPointType === HISTOGRAM ? ((first?.value as Histogram | undefined)?.buckets.counts.length ?? 0) + 2 : 1;
}

/** HELP and TYPE may stand only once: they are the first two lines, and help never holds a line break. */
function withoutHeader(text: string): string {
  return text.slice(text.indexOf("\n", text.indexOf("\n") + 1) + 1);
}
