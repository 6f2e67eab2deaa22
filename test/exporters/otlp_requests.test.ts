import assert from "node:assert/strict";
import { test } from "node:test";
import { requestsOf } from "../../exporters/otlp/requests.ts";
import { createProducer } from "../../src/metrics/producer.ts";
import { createMetrics } from "../../src/metrics/store.ts";

test("requests are bounded: many points become several, each point in one of them", async () => {
  const metrics = createMetrics();
  for (const [name, n] of [["a_total", 7], ["b_total", 1], ["c_total", 12]] as const) {
    const family = metrics.counter({ name, help: "", labels: ["i"] });
    for (let i = 0; i < n; i++) family.series(`${i}`).add(1);
  }
  const { resourceMetrics } = await createProducer(metrics, { version: "1" }).collect();
  const requests = [...requestsOf(resourceMetrics, 5)].map(({ scopeMetrics: [one] }) => one!.metrics);
  assert.deepEqual(requests.map((list) => list.map(({ dataPoints }) => dataPoints.length)), [[5], [2, 1, 2], [5], [5]]);
  const seen = requests.flat().flatMap(({ descriptor, dataPoints }) => dataPoints.map(({ attributes }) => `${descriptor.name} ${String(attributes["i"])}`));
  assert.equal(new Set(seen).size, 20);
});
