import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Cell, Persistent, Store, TableChange } from "../../src/sdk/store.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { createMetrics, type MetricStore } from "../../src/metrics/store.ts";
import { sqliteStore } from "../../src/storage/sqlite_store.ts";
import { CounterSeries, GaugeSeries, HistogramSeries } from "../../src/metrics/series.ts";

/** What a reader sees: `name{label=value,…}` to value; a histogram as `count/sum`. */
function seen(metrics: MetricStore): Record<string, number | string> {
  const all: Record<string, number | string> = {};
  for (const { name, labels, series } of metrics.read()) {
    for (const one of series) {
      const key = labels.length === 0 ? name : `${name}{${labels.map((label, i) => `${label}=${one.labels[i]}`).join()}}`;
      assert.ok(!(key in all), `${key} is exposed once`);
      if (one instanceof HistogramSeries) all[key] = `${one.count}/${one.sum}`;
      else if (one instanceof CounterSeries || one instanceof GaugeSeries) all[key] = one.value;
    }
  }
  return all;
}

/** A store that keeps rows by key, and applies deletes before puts. */
function rowsStore(): { store: Store; rows: Map<string, readonly Cell[]>; readonly save: (from: Persistent) => TableChange[] } {
  const rows = new Map<string, readonly Cell[]>();
  const store: Store = {
    open: async () => {},
    load: async (_, onRows) => rows.forEach((row) => onRows(row)),
    read: async () => [],
    commit: async () => {},
    close: async () => {},
  };
  const save = (from: Persistent): TableChange[] => {
    const changes: TableChange[] = [];
    from.drain(changes);
    for (const { puts, deletes } of changes) {
      for (let i = 0; i < deletes.length; i += 2) rows.delete(`${deletes[i]}|${deletes[i + 1]}`);
      for (let i = 0; i < puts.length; i += 3) rows.set(`${puts[i]}|${puts[i + 1]}`, puts.slice(i, i + 3));
    }
    return changes;
  };
  return { store, rows, save };
}

const orders = { name: "orders_total", help: "Orders.", labels: ["type", "state"] };
const durableOrders = { ...orders, durable: true };

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

test("durable series survive a restart with their counts and their start, whether declared before or after", async () => {
  const { store, save } = rowsStore();
  const clock = virtualClock();
  const declareAll = (metrics: MetricStore) => ({
    counter: metrics.counter(durableOrders),
    gauge: metrics.gauge({ name: "level", help: "", labels: ["g"], durable: true }),
    histogram: metrics.histogram({ name: "took_seconds", help: "", labels: ["h"], durable: true, buckets: [1, 5] }),
    volatile: metrics.counter({ name: "volatile_total", help: "", labels: [] }),
  });
  const before = createMetrics(clock);
  const first = declareAll(before);
  first.counter.series("order", "paid").add(3);
  first.gauge.series("x").set(Infinity);
  for (const value of [0.5, 3, 100]) first.histogram.series('quote " and \\ \n').observe(value);
  first.volatile.series().add(9);
  save(before);
  const startMs = clock.now();
  clock.jump(60_000);

  for (const declaredFirst of [true, false]) {
    const after = createMetrics(clock);
    if (declaredFirst) declareAll(after);
    await after.restore(store);
    const second = declareAll(after);
    assert.deepEqual(seen(after), {
      "orders_total{type=order,state=paid}": 3,
      "level{g=x}": Infinity,
      'took_seconds{h=quote " and \\ \n}': "3/103.5",
    });
    assert.equal([...after.read()[0]!.series][0]!.startMs, startMs);
    assert.deepEqual((second.histogram.series('quote " and \\ \n') as HistogramSeries).counts, [1, 1, 1]);
    const nothing: TableChange[] = [];
    after.drain(nothing);
    assert.deepEqual(nothing, [], "restoring changes nothing");
  }
});

test("durable series come back from the database itself, hostile labels included", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "sojourn-metrics-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const labels = ['quo"te', "\\ \n\t\x01", "nul\0", "\uD800", "漢🛒", "", "__proto__"];
  for (const run of [1, 2, 3]) {
    const store = sqliteStore({ directory });
    t.after(() => store.close());
    const metrics = createMetrics();
    await store.open(metrics.tables);
    await metrics.restore(store);
    const family = metrics.counter(durableOrders);
    for (const label of labels) {
      family.series(label, "x").add(1);
      assert.equal(family.series(label, "x").value, run, JSON.stringify(label));
    }
    const changes: TableChange[] = [];
    metrics.drain(changes);
    await store.commit(changes);
    await store.close();
  }
});

test("only what changed since the last drain is written, once however often it changed", () => {
  const { save } = rowsStore();
  const metrics = createMetrics();
  const family = metrics.counter(durableOrders);
  const [a, b] = [family.series("a", ""), family.series("b", "")];
  a.add(1);
  b.add(1);
  a.add(1);
  assert.equal(save(metrics)[0]?.puts.length, 2 * 3);
  assert.deepEqual(save(metrics), []);
  b.add(1);
  assert.deepEqual(save(metrics)[0]?.puts.slice(0, 2), ["orders_total", '{"state":"","type":"b"}']);
});

test("a removed durable series is deleted; made again, it starts at nought", async () => {
  const { store, rows, save } = rowsStore();
  const metrics = createMetrics();
  const family = metrics.counter(durableOrders);
  const kept = family.series("a", "b");
  kept.add(5);
  save(metrics);
  kept.add(1);
  family.remove("a", "b");
  kept.add(1);
  save(metrics);
  assert.equal(rows.size, 0);
  family.series("a", "b").add(1);
  family.remove("a", "b");
  family.series("a", "b").add(2);
  save(metrics);
  const after = createMetrics();
  await after.restore(store);
  after.counter(durableOrders);
  assert.deepEqual(seen(after), { "orders_total{type=a,state=b}": 2 });
  after.counter(durableOrders).drop();
  save(after);
  assert.equal(rows.size, 0);
});

test("a stored series waits, unexposed and untouched, until its family is declared", async () => {
  const { store, rows, save } = rowsStore();
  const before = createMetrics();
  before.counter(durableOrders).series("a", "b").add(5);
  save(before);
  const after = createMetrics();
  await after.restore(store);
  assert.deepEqual(seen(after), {});
  assert.deepEqual(save(after), []);
  assert.equal(rows.size, 1);
});

test("stored series come back when the labels are declared in another order", async () => {
  const { store, save } = rowsStore();
  const before = createMetrics();
  before.counter(durableOrders).series("a", "b").add(5);
  save(before);
  const after = createMetrics();
  await after.restore(store);
  after.counter({ ...durableOrders, labels: ["state", "type"] });
  assert.deepEqual(seen(after), { "orders_total{state=b,type=a}": 5 });
  assert.deepEqual(save(after), []);
});

test("stored series that fit no longer are deleted and count nothing", async () => {
  const { store, rows, save } = rowsStore();
  const put = (name: string, labels: string, value: string) => rows.set(`${name}|${labels}`, [name, labels, value]);
  put("orders_total", '{"other":"x"}', '{"value":1,"start_ms":1}');
  put("orders_total", "not json", '{"value":1,"start_ms":1}');
  put("orders_total", '{"state":"b","type":1}', '{"value":1,"start_ms":1}');
  put("orders_total", '{"state":"b","type":"neg"}', '{"value":-1,"start_ms":1}');
  put("orders_total", '{"state":"b","type":"damaged"}', "[]");
  put("took_seconds", "{}", '{"buckets":[1,5],"counts":[1,1,1],"sum":9,"start_ms":1}');
  const metrics = createMetrics();
  await metrics.restore(store);
  metrics.counter(durableOrders);
  metrics.histogram({ name: "took_seconds", help: "", labels: [], durable: true, buckets: [1, 6] });
  assert.deepEqual(seen(metrics), {});
  save(metrics);
  assert.equal(rows.size, 0);
});
