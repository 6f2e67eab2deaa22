import assert from "node:assert/strict";
import { test } from "node:test";
import { CATALOGUE } from "../../src/metrics/catalogue.ts";
import { program, promtoolCheck } from "../support/prometheus.ts";
import { freePort, startExample } from "./support.ts";

const catalogue = new Set(Object.values(CATALOGUE).map(({ name }) => name as string));
const isAgents = (name: string): boolean => catalogue.has(name) || name.startsWith("sojourn_") || name === "target_info";

/** The exposition: the types of the example's own metrics by name, and values by series (labels sorted, `otel_` ones left out). */
function read(text: string) {
  const types = [...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)].map(([, name, type]) => [name!, type!] as const).filter(([name]) => !isAgents(name));
  const series = new Map<string, number>();
  for (const [, name, labels, value] of text.matchAll(/^([a-z_]+)(?:\{(.*)\})? (\S+)$/gm)) {
    const kept = (labels ?? "").split(",").filter((label) => label !== "" && !label.startsWith("otel_"));
    series.set(`${name}{${kept.toSorted().join(",")}}`, Number(value));
  }
  return { types, series };
}

test("order_metrics: exactly the metrics it names, with the values that the demo's events make", async (t) => {
  const [hook, page] = [await freePort(), await freePort()];
  await using example = await startExample("order_metrics", {
    args: ["--set", `exporters.prometheus.listen=127.0.0.1:${page}`], env: { WEBHOOK_LISTEN: `127.0.0.1:${hook}` },
  });
  await example.printed(/^demo: ORD-3 is payment_failed$/m);
  const text = await example.until("the shop was polled", async () => {
    const found = await (await fetch(`http://127.0.0.1:${page}/metrics`)).text();
    return /^order_inventory_level/m.test(found) ? found : undefined;
  });

  const { types, series } = read(text);
  assert.deepEqual(Object.fromEntries(types), {
    order_processing_duration_seconds: "histogram",
    custom_resource_orders_pending: "gauge",
    order_inventory_level: "gauge",
    order_processed_total: "counter",
    custom_resource_payment_failures_total: "counter",
  });
  const expected = {
    "custom_resource_orders_pending{}": 2,
    "order_inventory_level{}": 118,
    "order_processed_total{}": 2,
    'custom_resource_payment_failures_total{reason="card_declined"}': 1,
    // ORD-1 45 s, ORD-2 3 s, ORD-3 60 s until its payment failed.
    'order_processing_duration_seconds_sum{order_type="standard",status="completed"}': 45,
    'order_processing_duration_seconds_count{order_type="standard",status="completed"}': 1,
    'order_processing_duration_seconds_bucket{le="15",order_type="standard",status="completed"}': 0,
    'order_processing_duration_seconds_bucket{le="60",order_type="standard",status="completed"}': 1,
    'order_processing_duration_seconds_sum{order_type="express",status="completed"}': 3,
    'order_processing_duration_seconds_sum{order_type="standard",status="payment_failed"}': 60,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(series.get(name), value, `${name}\n${text}`);
  const ours = [...series.keys()].filter((name) => /^(?:order_|custom_resource_payment_failures)/.test(name) && !name.includes("_bucket"));
  assert.equal(ours.length, 1 + 1 + 1 + 3 * 2, ours.join("\n"));

  assert.equal(await example.stop(), 0);
  const promtool = program(t, "promtool");
  if (promtool !== undefined) assert.equal(promtoolCheck(promtool, text), "");
});
