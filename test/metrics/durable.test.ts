import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Cell, Persistent, Store, TableChange } from "../../src/sdk/store.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { createMetrics, type MetricStore } from "../../src/metrics/store.ts";
import { sqliteStore } from "../../src/storage/sqlite_store.ts";
import type { HistogramSeries } from "../../src/metrics/series.ts";
import { durableOrders, seen } from "./store_support.ts";

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
