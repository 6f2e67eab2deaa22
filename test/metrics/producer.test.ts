import assert from "node:assert/strict";
import { test } from "node:test";
import { AggregationTemporality, DataPointType, MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import { createProducer } from "../../src/metrics/producer.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";

class Reader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}
}

test("an OpenTelemetry reader takes the store as one of its producers", async () => {
  const clock = virtualClock(1_700_000_000_123);
  const metrics = createMetrics(clock);
  metrics.counter({ name: "orders_total", help: "Two\nlines\0.", labels: ["state"] }).series("paid").add(2);
  clock.jump(1_000);
  const wait = metrics.histogram({ name: "wait_seconds", help: "", labels: [], buckets: [1, 5] }).series();
  wait.observe(3);
  clock.jump(1_000);
  const reader = new Reader({ metricProducers: [createProducer(metrics, { version: "1.2.3", clock })] });
  const provider = new MeterProvider({ readers: [reader] });
  const { resourceMetrics, errors } = await reader.collect();
  await provider.shutdown();
  assert.deepEqual(errors, []);
  assert.deepEqual(resourceMetrics.scopeMetrics, [{
    scope: { name: "sojourn", version: "1.2.3" },
    metrics: [
      {
        descriptor: { name: "orders_total", description: "Two lines .", unit: "", valueType: 1 },
        aggregationTemporality: AggregationTemporality.CUMULATIVE, dataPointType: DataPointType.SUM, isMonotonic: true,
        dataPoints: [{ startTime: [1_700_000_000, 123_000_000], endTime: [1_700_000_002, 123_000_000], attributes: { state: "paid" }, value: 2 }],
      },
      {
        descriptor: { name: "wait_seconds", description: "", unit: "", valueType: 1 },
        aggregationTemporality: AggregationTemporality.CUMULATIVE, dataPointType: DataPointType.HISTOGRAM,
        dataPoints: [{
          startTime: [1_700_000_001, 123_000_000], endTime: [1_700_000_002, 123_000_000], attributes: {},
          value: { buckets: { boundaries: [1, 5], counts: [0, 1, 0] }, sum: 3, count: 1 },
        }],
      },
    ],
  }]);
});

test("what was collected stays as it was while counting goes on", async () => {
  const metrics = createMetrics();
  const wait = metrics.histogram({ name: "wait_seconds", help: "", labels: [], buckets: [1] }).series();
  wait.observe(0);
  const { resourceMetrics } = await createProducer(metrics, { version: "1" }).collect();
  wait.observe(0);
  assert.deepEqual(resourceMetrics.scopeMetrics[0]?.metrics[0]?.dataPoints[0]?.value, { buckets: { boundaries: [1], counts: [1, 0] }, sum: 0, count: 1 });
});

test("the resource names the agent and its external labels, and no label can take its name", async () => {
  const externalLabels = { cluster: "eu-1", "service.name": "other" };
  const { resourceMetrics } = await createProducer(createMetrics(), { version: "1.2.3", externalLabels: () => externalLabels }).collect();
  assert.deepEqual(resourceMetrics.resource.attributes, { cluster: "eu-1", "service.name": "sojourn", "service.version": "1.2.3" });
});
