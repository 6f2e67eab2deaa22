import type { MetricData, ResourceMetrics } from "@opentelemetry/sdk-metrics";

/** Points in one request: well below the 4 to 20 MiB that receivers take, and some 50 ms to encode. */
const POINTS_MAX = 5_000;

/** Cuts what was collected into requests of a bounded size; none when there is nothing to send. */
export function* requestsOf(all: ResourceMetrics, pointsMax = POINTS_MAX): Generator<ResourceMetrics> {
  for (const { scope, metrics } of all.scopeMetrics) {
    let batch: MetricData[] = [];
    let room = pointsMax;
    for (const metric of metrics) {
      const points: readonly unknown[] = metric.dataPoints;
      for (let from = 0; from < points.length; ) {
        const dataPoints = points.slice(from, from + room);
        batch.push({ ...metric, dataPoints } as MetricData);
        from += dataPoints.length;
        room -= dataPoints.length;
        if (room > 0) continue;
        yield { ...all, scopeMetrics: [{ scope, metrics: batch }] };
        batch = [];
        room = pointsMax;
      }
    }
    if (batch.length > 0) yield { ...all, scopeMetrics: [{ scope, metrics: batch }] };
  }
}

/** Without values that are no finite number: JSON cannot carry them, and one null makes receivers refuse the request. */
export function finiteOnly(all: ResourceMetrics): ResourceMetrics {
  const isFinite = ({ value }: { readonly value: unknown }): boolean => typeof value !== "number" || Number.isFinite(value);
  const kept = (metric: MetricData): MetricData => {
    const points: readonly { readonly value: unknown }[] = metric.dataPoints;
    return points.every(isFinite) ? metric : ({ ...metric, dataPoints: points.filter(isFinite) } as MetricData);
  };
  return { ...all, scopeMetrics: all.scopeMetrics.map(({ scope, metrics }) => ({ scope, metrics: metrics.map(kept) })) };
}
