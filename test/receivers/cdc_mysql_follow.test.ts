import assert from "node:assert/strict";
import test from "node:test";
import { gtidSets, type BinlogEvent, type RowsEvent } from "../../receivers/cdc/mysql_binlog.ts";
import { follow } from "../../receivers/cdc/mysql_follow.ts";
import { positionFrom, progressFrom, type MysqlPosition, type Place } from "../../receivers/cdc/mysql_position.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import { createDelivery } from "../../src/sdk/delivery.ts";
import { wholeBody, type Json } from "../../src/sdk/observation.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { receiverContext } from "../support/context.ts";

/*
 * There is no MySQL among the servers of these tests. Its binlog differs from MariaDB's in how transactions begin and how places are
 * named; that much is played here.
 */

const UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const shape = { database: "shop", name: "orders", columns: [{ name: "id", type: 3 }], key: ["id"] };
const row = (id: number): RowsEvent => ({ kind: "rows", op: "c", shape, rows: [{ id }], sent: Uint8Array.of(1), sentAfter: undefined, bytes: 20, timestamp: 5_000 });
const query = (text: string, end = 0): BinlogEvent => ({ kind: "query", query: text, schema: "shop", timestamp: 5_000, end });

/** Follows these events from a place; what was emitted, and the last position. */
async function followed(place: Place, events: readonly BinlogEvent[]): Promise<{ bodies: Json[]; position: MysqlPosition; reports: string[] }> {
  const clock = virtualClock();
  const { context, recorded } = receiverContext({ clock, metrics: createMetrics(clock) });
  const stop = new AbortController();
  const position: { at: MysqlPosition } = { at: { place, tables: ["shop.orders"], time: 0 } };
  let given = false;
  const run = follow({
    context, system: "mysql", position, signal: stop.signal, delivery: createDelivery(context, stop.signal),
    progress: progressFrom(place, false, await gtidSets()), tables: new Set(["shop.orders"]), definitionOf: () => undefined,
    binlog: {
      async read() {
        if (given) throw new Error("the end");
        given = true;
        return events;
      },
      stop: async () => undefined,
    },
    redefine: async () => undefined, alive: () => undefined, seen: () => undefined, passed: () => undefined,
  });
  await assert.rejects(run, /the end/);
  return { bodies: recorded.emitted.flatMap(({ batch }) => batch.map(({ body }) => wholeBody(body))), position: position.at, reports: recorded.reports };
}

const ids = (bodies: readonly Json[]): Json[] => bodies.map((body) => (body as { after: { id: Json } | null }).after?.id ?? "t");

test("MySQL with GTIDs: BEGIN makes a transaction, a statement without it stands alone; the place is a set", async () => {
  const gtid = (n: number): BinlogEvent => ({ kind: "begin", gtid: `${UUID}:${n}`, standalone: true, timestamp: 5_000 });
  const { bodies, position } = await followed({ gtid: `${UUID}:1-10` }, [
    gtid(11), query("BEGIN"), row(1), row(2), { kind: "commit", end: 300 },
    gtid(12), query("CREATE TABLE x (id INT)"),
    gtid(13), query("TRUNCATE TABLE orders"),
    gtid(14), query("BEGIN"), row(3), query("ROLLBACK"),
    gtid(15), query("BEGIN"), row(4), query("COMMIT"),
    gtid(16), query("BEGIN"), row(5),
  ]);
  assert.deepEqual(ids(bodies), [1, 2, "t", 4]);
  assert.deepEqual(position, { place: { gtid: `${UUID}:1-15` }, tables: ["shop.orders"], time: 5_000 });
  assert.deepEqual((bodies[0] as { source: Json }).source, { system: "mysql", database: "shop", table: "orders", gtid: `${UUID}:11`, ts_ms: 5_000 });
});

test("MySQL without GTIDs: the place is file and offset behind the last whole transaction", async () => {
  const begin: BinlogEvent = { kind: "begin", gtid: undefined, standalone: true, timestamp: 5_000 };
  const { bodies, position } = await followed({ file: "binlog.000001", offset: 4 }, [
    { kind: "file", name: "binlog.000001", offset: 4 },
    begin, query("BEGIN", 200), row(1), { kind: "commit", end: 300 }, begin, query("ALTER TABLE orders ADD x INT", 400),
    { kind: "file", name: "binlog.000002", offset: 4 }, begin, query("BEGIN", 100), row(2), { kind: "commit", end: 150 }, begin, query("BEGIN", 250), row(3),
  ]);
  assert.deepEqual(ids(bodies), [1, 2]);
  assert.deepEqual(position.place, { file: "binlog.000002", offset: 150 });
});

test("a place is reached when all of it was passed: by file, by set, by domain", async () => {
  const sets = await gtidSets();
  const file = progressFrom({ file: "b.000009", offset: 100 }, false, sets);
  assert.deepEqual([{ file: "b.000009", offset: 100 }, { file: "b.000008", offset: 900 }, { file: "b.000009", offset: 101 }, { file: "b.000010", offset: 4 }].map(file.reached), [true, true, false, false]);
  const set = progressFrom({ gtid: `${UUID}:1-10` }, false, sets);
  assert.deepEqual([{ gtid: `${UUID}:1-10` }, { gtid: `${UUID}:1-11` }].map(set.reached), [true, false]);
  set.passed(`${UUID}:11`, "", 0);
  assert.equal(set.reached({ gtid: `${UUID}:1-11` }), true);
  const domains = progressFrom({ gtid: "0-1-10,7-2-18446744073709551614" }, true, sets);
  assert.deepEqual(["0-1-10", "0-1-11", "0-1-10,7-2-18446744073709551615", "3-1-1", ""].map((gtid) => domains.reached({ gtid })), [true, false, false, false, true]);
  domains.passed("3-1-1", "", 0);
  domains.passed("0-2-11", "", 0);
  assert.deepEqual(domains.place(), { gtid: "0-2-11,3-1-1,7-2-18446744073709551614" });
});

test("a position of something else is refused with a clear word", () => {
  for (const other of [{ lsn: "0/1" }, "x", 7, { place: { gtid: 1 }, tables: [], time: 0 }, { place: null, tables: [], time: 0 }] as Json[]) {
    assert.throws(() => positionFrom(other), /not one of MySQL or MariaDB/);
  }
  assert.equal(positionFrom(undefined), undefined);
});
