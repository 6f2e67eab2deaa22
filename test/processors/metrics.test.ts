import assert from "node:assert/strict";
import { test } from "node:test";
import { metrics } from "../../processors/metrics.ts";
import type { Processor } from "../../src/sdk/component.ts";
import { ConfigError } from "../../src/sdk/errors.ts";
import { withResource, type Json, type Observation } from "../../src/sdk/observation.ts";
import type { ResourceView } from "../../src/sdk/resource.ts";
import type { TableChange } from "../../src/sdk/store.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { createMetrics, type MetricStore } from "../../src/metrics/store.ts";
import { memoryStore } from "../../src/storage/memory_store.ts";
import { created, observed, through } from "../support/processor.ts";
import type { Recorded } from "../support/context.ts";

type Metric = Record<string, Json>;

const newStore = (): MetricStore => createMetrics(virtualClock());

async function started(list: readonly Metric[], store: MetricStore, more: Metric = {}, id = "metrics"): Promise<{ processor: Processor; recorded: Recorded }> {
  const made = created(metrics, { metrics: list, ...more }, { metrics: store, id });
  await made.processor.start?.();
  return made;
}

/** Series of one family as `a,b`: value, sum of a histogram. */
function values(store: MetricStore, name: string): Record<string, number> {
  const family = store.read().find((reading) => reading.name === name);
  const entries = [...(family?.series ?? [])].map((series) => {
    const { value, sum } = series as unknown as { value?: number; sum?: number };
    return [series.labels.join(), value ?? sum ?? Number.NaN] as const;
  });
  return Object.fromEntries(entries);
}

function send(processor: Processor, ...bodies: Json[]): number {
  return bodies.reduce((passed: number, body) => passed + through(processor, observed(body)).length, 0);
}

const COUNTER = { name: "order_processed_total", type: "counter" };

test("a counter counts what passes, by label, under exactly its name, and everything passes on as it came", async () => {
  const store = newStore();
  const { processor } = await started([{ name: "custom_resource_payment_failures_total", type: "counter", by: { reason: "body.reason" }, when: "body.status == 'failed'" }], store);
  const input = observed({ status: "failed", reason: "card_declined" });
  assert.equal(through(processor, input)[0], input);
  send(processor, { status: "failed", reason: "card_declined" }, { status: "failed", reason: "timeout" }, { status: "paid", reason: "x" });
  assert.deepEqual(values(store, "custom_resource_payment_failures_total"), { card_declined: 2, timeout: 1 });
});

test("a counter whose labels never change is there from the start, at zero; a gauge that is set is not", async () => {
  const store = newStore();
  await started([COUNTER, { ...COUNTER, name: "by_total", by: { region: "'eu'" } }, { name: "level", type: "gauge", value: "body.level" }], store);
  assert.deepEqual(values(store, "order_processed_total"), { "": 0 });
  assert.deepEqual(values(store, "by_total"), { eu: 0 });
  assert.deepEqual(values(store, "level"), {});
});

test("a gauge is set to a value, or moved by add", async () => {
  const store = newStore();
  const { processor } = await started([
    { name: "order_inventory_level", type: "gauge", value: "body.level", by: { sku: "body.sku" }, when: "has(body.level)" },
    { name: "custom_resource_orders_pending", type: "gauge", value: "size(body.orders.filter(o, o.status == 'pending'))", when: "has(body.orders)" },
    { name: "queue_length", type: "gauge", add: "body.event == 'in' ? 1 : -1", when: "has(body.event)" },
  ], store);
  send(processor, { level: 5, sku: "a" }, { level: 3, sku: "b" }, { level: 4.5, sku: "a" });
  send(processor, { orders: [{ status: "pending" }, { status: "paid" }, { status: "pending" }] });
  send(processor, { event: "in" }, { event: "in" }, { event: "out" });
  assert.deepEqual(values(store, "order_inventory_level"), { a: 4.5, b: 3 });
  assert.deepEqual(values(store, "custom_resource_orders_pending"), { "": 2 });
  assert.deepEqual(values(store, "queue_length"), { "": 1 });
});

function moved(body: Json, from: string, to: string, duration: number): Observation {
  const self = { type: "order", id: "o1", state: to, since: 0, first_seen: 0, last_seen: 0, incarnation: 1, attribute: () => undefined } satisfies ResourceView;
  return withResource(observed(body), self, { from, to, at: 0, duration });
}

test("a histogram observes durations in seconds, in its own buckets, by two labels", async () => {
  const store = newStore();
  const { processor } = await started([{
    name: "order_processing_duration_seconds", type: "histogram", value: "transition.duration", when: "has(transition.to)",
    by: { order_type: "body.type", status: "self.state" }, buckets: [1, 60],
  }], store);
  through(processor, moved({ type: "gift" }, "pending", "paid", 90_500));
  through(processor, moved({ type: "gift" }, "pending", "paid", 500));
  send(processor, { type: "gift" });
  assert.deepEqual(values(store, "order_processing_duration_seconds"), { "gift,paid": 91 });
});

test("labels are text of scalars; missing ones are empty and counted, long ones cut and counted", async () => {
  const store = newStore();
  const { processor, recorded } = await started([{ ...COUNTER, by: { a: "body.a", b: "body.b", c: "body.c" } }], store);
  send(processor, { a: 1.5, b: true, c: "x" }, { a: null, b: [1] }, { a: "é".repeat(300), b: "", c: "" });
  const cut = `${"é".repeat(255)}…`;
  assert.deepEqual(values(store, "order_processed_total"), { "1.5,true,x": 1, ",,": 1, [`${cut},,`]: 1 });
  assert.deepEqual(recorded.counted, ["label_missing", "label_missing", "label_missing", "label_cut"]);
  assert.deepEqual(recorded.failed, []);
});

test("labels that hostile input makes up end in __other__, so memory stays bounded", async () => {
  const store = newStore();
  const { processor } = await started([{ ...COUNTER, by: { id: "body.id" }, series_max: 3 }], store);
  for (let i = 0; i < 1_000; i++) send(processor, { id: `id-${i}` });
  assert.deepEqual(values(store, "order_processed_total"), { "id-0": 1, "id-1": 1, "id-2": 1, __other__: 997 });
});

test("a value that is no number is not recorded; it is a failure, makes no series, and the other metrics go on", async () => {
  const store = newStore();
  const { processor, recorded } = await started([
    { name: "cents_total", type: "counter", value: "body.cents", by: { a: "body.a" } }, { name: "seen_total", type: "counter" },
  ], store);
  assert.equal(send(processor, {}, { cents: "12" }, { cents: -1 }, { cents: null }, { cents: [1] }), 5);
  assert.deepEqual(values(store, "cents_total"), {});
  assert.deepEqual(values(store, "seen_total"), { "": 5 });
  assert.equal(recorded.failed.length, 5);
  assert.match(recorded.failed[1]!.reason, /^cents_total: the value is text; write double/);
  assert.match(recorded.failed[2]!.reason, /cannot go down/);
  const dropping = await started([{ name: "dropping_total", type: "counter", value: "1 / body.zero" }], store, { on_error: "drop" }, "metrics/b");
  assert.equal(send(dropping.processor, { zero: 0 }, {}), 0);
});

test("declarations that cannot be exposed, or make no sense, are errors of the configuration", () => {
  const refused = (metric: Metric, pointer: string, message: RegExp): void =>
    assert.throws(() => created(metrics, { metrics: [metric] }), (error) => error instanceof ConfigError && error.pointer === `/metrics/0${pointer}` && message.test(error.message));
  refused({ name: "orders", type: "counter" }, "/name", /ends in _total: orders_total/);
  refused({ name: "orders_total", type: "gauge", value: "1" }, "/name", /only a counter/);
  refused({ name: "sojourn_x_total", type: "counter" }, "/name", /agent's own/);
  refused({ name: "a b_total", type: "counter" }, "/name", /not legal/);
  refused({ name: "a__b_total", type: "counter" }, "/name", /no two _/);
  refused({ ...COUNTER, by: { le: "1" } }, "/by/le", /reserved/);
  refused({ ...COUNTER, by: { "a-b": "1" } }, "/by/a-b", /not legal/);
  refused({ ...COUNTER, buckets: [1] }, "/buckets", /for histograms/);
  refused({ ...COUNTER, add: "1" }, "/add", /for gauges/);
  refused({ ...COUNTER, value: "body." }, "/value", /./);
  refused({ ...COUNTER, when: "nobody" }, "/when", /nobody/);
  refused({ name: "g", type: "gauge" }, "", /value or add is missing/);
  refused({ name: "g", type: "gauge", value: "1", add: "1" }, "/add", /exclude each other/);
  refused({ name: "h", type: "histogram" }, "", /value is missing/);
  refused({ name: "h", type: "histogram", value: "1", buckets: [2, 1] }, "/buckets", /ascend/);
  assert.throws(() => created(metrics, { metrics: [COUNTER, { ...COUNTER, by: { a: "1" } }] }), /already there with another/);
});

test("two entries of the same shape feed one metric", async () => {
  const store = newStore();
  const { processor } = await started([{ ...COUNTER, when: "body.a == 1" }, { ...COUNTER, value: "10", when: "body.a == 2" }], store);
  send(processor, { a: 1 }, { a: 2 }, { a: 3 });
  assert.deepEqual(values(store, "order_processed_total"), { "": 11 });
});

test("create has no side effects; what is not started, or stopped, records nothing and passes on; stop is safe at any time", async () => {
  const store = newStore();
  const { processor } = created(metrics, { metrics: [COUNTER] }, { metrics: store });
  assert.equal(store.has("order_processed_total"), false);
  await processor.stop?.();
  assert.equal(send(processor, {}), 1);
  await processor.start?.();
  send(processor, {});
  await processor.stop?.();
  await processor.stop?.();
  assert.equal(send(processor, {}), 1);
  assert.deepEqual(values(store, "order_processed_total"), { "": 1 });
});

test("a reload keeps the series; a reload that changes the labels begins them anew, when the new one takes over", async () => {
  const store = newStore();
  const before = await started([COUNTER], store);
  send(before.processor, {}, {});
  const same = await started([COUNTER], store);
  await before.processor.stop?.();
  send(same.processor, {});
  assert.deepEqual(values(store, "order_processed_total"), { "": 3 });

  const changed = await started([{ ...COUNTER, by: { region: "body.region" } }], store);
  send(same.processor, {});
  assert.deepEqual(values(store, "order_processed_total"), { "": 4 }, "the old one goes on until the graphs are swapped");
  send(changed.processor, { region: "eu" });
  await same.processor.stop?.();
  send(changed.processor, { region: "eu" });
  assert.deepEqual(values(store, "order_processed_total"), { eu: 2 });
});

test("a reload that fails leaves the old metric as it was", async () => {
  const store = newStore();
  const before = await started([COUNTER], store);
  send(before.processor, {});
  const failing = await started([{ ...COUNTER, by: { region: "body.region" } }], store);
  await failing.processor.stop?.();
  send(before.processor, {});
  assert.deepEqual(values(store, "order_processed_total"), { "": 2 });
});

test("a taken-over name that cannot be declared is a failure of each observation, not a crash", async () => {
  const store = newStore();
  await started([{ name: "size", type: "gauge", value: "1" }], store);
  store.gauge({ name: "size_count", help: "h", labels: [] });
  const { processor, recorded } = await started([{ name: "size", type: "histogram", value: "1" }], store);
  assert.equal(send(processor, {}, {}), 2);
  assert.equal(recorded.failed.length, 2);
  assert.match(recorded.failed[0]!.reason, /size_count/);
});

test("a name that another component, or the agent, has in another shape fails the start and names both", async () => {
  const store = newStore();
  await started([COUNTER], store, {}, "metrics/a");
  await assert.rejects(started([{ ...COUNTER, by: { x: "1" } }], store, {}, "metrics/b"), /order_processed_total of metrics\/b is also one of metrics\/a/);
  store.gauge({ name: "custom_resources", help: "h", labels: ["type", "state"] });
  await assert.rejects(started([{ name: "custom_resources", type: "gauge", value: "1" }], store, {}, "metrics/c"), /custom_resources/);
});

test("counters, histograms and gauges survive a restart", async () => {
  const list = [
    { ...COUNTER, by: { a: "body.a" } }, { name: "queue_length", type: "gauge", add: "body.n" },
    { name: "level", type: "gauge", value: "body.n" }, { name: "size_bytes", type: "histogram", value: "body.n" },
    { name: "lost_total", type: "counter", durable: false },
  ];
  const disk = memoryStore();
  const store = newStore();
  const { processor } = await started(list, store);
  send(processor, { a: "x", n: 3 }, { a: "x", n: 4 });
  const changes: TableChange[] = [];
  store.drain(changes);
  await disk.open(store.tables);
  await disk.commit(changes);

  const again = newStore();
  await again.restore(disk);
  const next = await started(list, again);
  send(next.processor, { a: "x", n: 5 });
  assert.deepEqual(values(again, "order_processed_total"), { x: 3 });
  assert.deepEqual(values(again, "queue_length"), { "": 12 });
  assert.deepEqual(values(again, "level"), { "": 5 });
  assert.deepEqual(values(again, "size_bytes"), { "": 12 });
  assert.deepEqual(values(again, "lost_total"), { "": 1 });
});
