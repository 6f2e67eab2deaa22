import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as realSleep } from "node:timers/promises";
import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { CATALOGUE, declare, type CatalogueEntry } from "../../src/metrics/catalogue.ts";
import { observeProcess } from "../../src/metrics/process.ts";
import { createProducer } from "../../src/metrics/producer.ts";
import { createMetrics, type MetricStore } from "../../src/metrics/store.ts";
import { program, promtoolCheck } from "../support/prometheus.ts";

async function page(metrics: MetricStore): Promise<string> {
  const { resourceMetrics } = await createProducer(metrics, { version: "1.0.0" }).collect();
  return new PrometheusSerializer(undefined, false, undefined, true, true).serialize(resourceMetrics);
}

/** Each metric of the catalogue with one series. */
function fill(metrics: MetricStore): void {
  const own = declare(metrics) as unknown as Record<string, never>;
  for (const [key, entry] of Object.entries<CatalogueEntry>(CATALOGUE)) {
    const labels = entry.labels.map((label) => `a ${label}`);
    const declared = own[key] as unknown;
    if (typeof declared === "function") (declared as (samples: () => unknown) => void)(() => [{ labels, value: 1 }]);
    else {
      const series = (declared as { series(...values: string[]): { add?(n: number): void; set?(n: number): void; observe?(n: number): void } }).series(...labels);
      series.add?.(1);
      series.set?.(1);
      series.observe?.(1);
    }
  }
}

test("every metric of the catalogue is exposed under its name, kind and labels", async () => {
  const metrics = createMetrics();
  fill(metrics);
  const text = await page(metrics);
  for (const { name, kind, help, labels } of Object.values<CatalogueEntry>(CATALOGUE)) {
    assert.ok(text.includes(`# HELP ${name} ${help}\n# TYPE ${name} ${kind.replace("observable_", "")}\n`), name);
    const sample = kind === "histogram" ? `${name}_count` : name;
    const shown = labels.length === 0 ? sample : `${sample}{${labels.map((label) => `${label}="a ${label}"`).join()}}`;
    assert.ok(text.includes(`\n${shown} 1\n`), shown);
  }
});

test("promtool has no remark on the names, kinds and help of the catalogue", async (t) => {
  const promtool = program(t, "promtool");
  if (promtool === undefined) return;
  const metrics = createMetrics();
  fill(metrics);
  assert.equal(promtoolCheck(promtool, await page(metrics)), "");
});

test("declaring the catalogue again, as after a reload, gives the same families", () => {
  const metrics = createMetrics();
  assert.equal(declare(metrics).receiverAccepted, declare(metrics).receiverAccepted);
});

test("what is counted exactly once in the store is durable; what describes this run is not", () => {
  const durable = Object.values<CatalogueEntry>(CATALOGUE).filter((entry) => entry.durable === true).map(({ name }) => name);
  assert.deepEqual(durable, ["custom_resource_transitions_total", "custom_resource_time_in_state_seconds"]);
});

test("the process shows its CPU, memory, start and lag, and stopping takes them away", async () => {
  const metrics = createMetrics();
  const observed = observeProcess(declare(metrics));
  const value = (text: string, name: string): number => Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]);
  await realSleep(50);
  const blockedUntil = performance.now() + 100;
  while (performance.now() < blockedUntil);
  await realSleep(50);
  const text = await page(metrics);
  assert.ok(value(text, "process_cpu_seconds_total") > 0);
  assert.ok(value(text, "process_resident_memory_bytes") > 1e7);
  assert.ok(Math.abs(value(text, "process_start_time_seconds") - performance.timeOrigin / 1_000) < 1);
  assert.ok(value(text, "nodejs_eventloop_lag_max_seconds") > 0.05, text);
  observed.stop();
  assert.doesNotMatch(await page(metrics), /process_|nodejs_/);
});
