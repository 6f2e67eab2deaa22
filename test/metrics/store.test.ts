import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics } from "../../src/metrics/store.ts";
import type { HistogramSeries } from "../../src/metrics/series.ts";
import { durableOrders, orders, seen } from "./store_support.ts";

test("a series adds up whatever is counted under its labels", () => {
  const metrics = createMetrics();
  const family = metrics.counter(orders);
  family.series("order", "paid").add(2);
  family.series("order", "paid").add(0.5);
  family.series("order", "failed").add(1);
  assert.deepEqual(seen(metrics), { "orders_total{type=order,state=paid}": 2.5, "orders_total{type=order,state=failed}": 1 });
});

test("a counter never falls and never turns into no number", () => {
  const series = createMetrics().counter(orders).series("a", "b");
  for (const n of [-1, NaN, Infinity, -Infinity, 3]) series.add(n);
  assert.equal(series.value, 3);
});

test("a histogram counts a value in the first bucket that holds it, its bound included", () => {
  const metrics = createMetrics();
  const series = metrics.histogram({ name: "h", help: "", labels: [], buckets: [1, 5] }).series() as HistogramSeries;
  for (const value of [0.5, 1, 1.01, 5, 6, NaN, Infinity]) series.observe(value);
  assert.deepEqual(series.counts, [2, 2, 1]);
  assert.equal(series.count, 5);
  assert.equal(series.sum, 13.51);
});

test("families with any number of labels find their series again, and refuse a wrong number of values", () => {
  const metrics = createMetrics();
  for (let n = 0; n <= 5; n++) {
    const labels = Array.from({ length: n }, (_, i) => `l${i}`);
    const values = labels.map((label) => `${label}-value`);
    const family = metrics.counter({ name: `n${n}_total`, help: "", labels });
    assert.equal(family.series(...values), family.series(...values));
    assert.throws(() => family.series(...values, "one too many"), RangeError);
    if (n > 0) assert.throws(() => family.series(...values.slice(1)), RangeError);
  }
});

test("declaring a family again gives the same one, declaring it otherwise is an error", () => {
  const metrics = createMetrics();
  const family = metrics.counter(orders);
  assert.equal(metrics.counter({ ...orders, help: "Changed." }), family);
  assert.throws(() => metrics.gauge(orders), /already declared with another kind: counter/);
  assert.throws(() => metrics.counter({ ...orders, labels: ["state", "type"] }), /another list of labels: type, state/);
  assert.throws(() => metrics.counter(durableOrders), /another durability/);
  const latency = { name: "latency_seconds", help: "", labels: [], buckets: [1, 2] };
  assert.equal(metrics.histogram(latency), metrics.histogram(latency));
  assert.throws(() => metrics.histogram({ ...latency, buckets: [1, 3] }), /another list of buckets/);
  family.series("a", "b").add(1);
  assert.equal(metrics.read().find(({ name }) => name === "orders_total")?.help, "Changed.");
});

test("no declaration can break a scrape", () => {
  const metrics = createMetrics();
  const counter = (name: string, labels: string[] = []) => () => metrics.counter({ name, help: "", labels });
  for (const name of ["", "9_total", "a b_total", "a:b_total", "a__b_total", "__a_total", "ä_total", "a\n_total", `${"a".repeat(300)}_total`]) {
    assert.throws(counter(name), /metric name/, JSON.stringify(name));
  }
  assert.throws(counter("orders"), /must end in _total/);
  for (const label of ["", "1abc", "a.b", "a-b", "le", "quantile", "service_name", "otel_scope_name", "otel_scope_version", "__name__", "a__b", "_", "a\0"]) {
    assert.throws(counter("x_total", [label]), /label name/, JSON.stringify(label));
  }
  assert.throws(counter("x_total", ["a", "a"]), /names a label twice/);
  assert.throws(counter("x_total", Array.from({ length: 33 }, (_, i) => `l${i}`)), /at most 32/);
  assert.throws(() => metrics.gauge({ name: "target_info", help: "", labels: [] }), /reserved/);
  for (const buckets of [[2, 1], [1, 1], [NaN], [1, Infinity], Array.from({ length: 201 }, (_, i) => i)]) {
    assert.throws(() => metrics.histogram({ name: "h", help: "", labels: [], buckets }), /bucket/);
  }
  assert.ok(!metrics.has("x_total"));
});

test("no two families meet in the exposition", () => {
  const metrics = createMetrics();
  metrics.histogram({ name: "wait_seconds", help: "", labels: [], buckets: [1] });
  assert.throws(() => metrics.gauge({ name: "wait_seconds_count", help: "", labels: [] }), /taken: "wait_seconds" exposes/);
  metrics.gauge({ name: "size_sum", help: "", labels: [] });
  assert.throws(() => metrics.histogram({ name: "size", help: "", labels: [], buckets: [1] }), /taken: "size_sum"/);
  assert.ok(!metrics.has("size"), "a refused family leaves no claim behind");
  metrics.gauge({ name: "size_count", help: "", labels: [] });
});

test("label values are kept as they are, except what no exposition can carry", () => {
  const metrics = createMetrics();
  const family = metrics.counter({ name: "v_total", help: "", labels: ["v"] });
  family.series("a\0b").add(1);
  family.series("a\uFFFDb").add(1);
  family.series("\uD800").add(1);
  family.series("x".repeat(5_000)).add(1);
  family.series('"\\\n{}').add(1);
  family.series("__proto__").add(1);
  const values = Object.keys(seen(metrics)).map((key) => key.slice("v_total{v=".length, -1));
  assert.deepEqual(values, ["a\uFFFDb", "\uFFFD", `${"x".repeat(999)}…`, '"\\\n{}', "__proto__"]);
  assert.equal(seen(metrics)["v_total{v=a\uFFFDb}"], 2);
});

test("beyond series_max everything adds up in __other__, and is counted", () => {
  const metrics = createMetrics();
  const family = metrics.counter({ ...orders, seriesMax: 2 });
  for (const state of ["a", "b", "c", "d", "a"]) family.series("order", state).add(1);
  assert.deepEqual(seen(metrics), {
    "sojourn_metric_series_overflow_total{metric=orders_total}": 2,
    "orders_total{type=order,state=a}": 2,
    "orders_total{type=order,state=b}": 1,
    "orders_total{type=__other__,state=__other__}": 2,
  });
  family.remove("order", "a");
  family.series("order", "c").add(1);
  assert.equal(seen(metrics)["orders_total{type=order,state=c}"], 1, "what was removed makes room");
});

test("series that come and go leave nothing behind", () => {
  const metrics = createMetrics();
  const family = metrics.gauge({ name: "g", help: "", labels: ["a", "b"], seriesMax: 1 });
  for (let i = 0; i < 1_000; i++) {
    family.series(`a${i}`, `b${i}`).set(i);
    family.remove(`a${i}`, `b${i}`);
  }
  assert.deepEqual(seen(metrics), {});
  family.remove("never", "there");
});

test("a dropped family vanishes, and its name is free for another kind", () => {
  const metrics = createMetrics();
  const family = metrics.counter(orders);
  const kept = family.series("a", "b");
  family.drop();
  kept.add(1);
  family.drop();
  assert.ok(!metrics.has("orders_total"));
  metrics.gauge(orders).series("c", "d").set(7);
  family.drop();
  assert.deepEqual(seen(metrics), { "orders_total{type=c,state=d}": 7 });
});

test("an observable is computed at each read, its series bounded and distinct", () => {
  const metrics = createMetrics();
  let depth = 1;
  const depths = metrics.observable("gauge", { name: "depth", help: "", labels: ["q"], seriesMax: 2 }, () => [
    { labels: ["a"], value: depth },
    { labels: ["a"], value: 10 },
    { labels: ["b"], value: 1 },
    { labels: ["c"], value: 5 },
    { labels: ["d"], value: 6 },
  ]);
  depth = 2;
  assert.deepEqual(seen(metrics), {
    "depth{q=a}": 12,
    "depth{q=b}": 1,
    "depth{q=__other__}": 11,
    "sojourn_metric_series_overflow_total{metric=depth}": 1,
  });
  depths.drop();
  assert.ok(!metrics.has("depth"));
});

test("an observable that throws takes no other family down, and says which it was", () => {
  const metrics = createMetrics();
  metrics.counter(orders).series("a", "b").add(1);
  metrics.observable("gauge", { name: "broken", help: "", labels: [] }, () => {
    throw new Error("no");
  });
  metrics.observable("gauge", { name: "miscounted", help: "", labels: ["a"] }, () => [{ labels: [], value: 1 }]);
  const errors: string[] = [];
  const names = metrics.read((error) => errors.push((error as Error).message)).map(({ name }) => name);
  assert.deepEqual(names, ["orders_total"]);
  assert.deepEqual(errors, [`the metric "broken" cannot be computed`, `the metric "miscounted" cannot be computed`]);
});

test("declaring an observable again replaces its source; the old one's drop then changes nothing", () => {
  const metrics = createMetrics();
  const options = { name: "g", help: "", labels: [] };
  const old = metrics.observable("gauge", options, () => [{ labels: [], value: 1 }]);
  metrics.observable("gauge", options, () => [{ labels: [], value: 2 }]);
  old.drop();
  assert.deepEqual(seen(metrics), { g: 2 });
  assert.throws(() => metrics.gauge(options), /another source/);
});
