import assert from "node:assert/strict";
import { after, before, test, type TestContext } from "node:test";
import { parse } from "../../processors/parse.ts";
import { wholeBody, type Json, type Observation } from "../../src/sdk/observation.ts";
import { startDebezium, type Debezium } from "../support/debezium.ts";
import { startKafka, type Kafka } from "../support/kafka.ts";
import type { StoredMessage } from "../support/kafka_topics.ts";
import { startPostgres, type Postgres } from "../support/postgres.ts";
import { created, observed, through } from "../support/processor.ts";
import { pause } from "../support/waiting.ts";
import { config, consuming } from "../receivers/kafka_support.ts";

/* What a real connector of Debezium writes into a real Kafka, of a real PostgreSQL: with schemas, without, flattened. */

const COLUMNS = `id bigint PRIMARY KEY, status text, total numeric(20,6), anything numeric, at timestamp(6), zoned timestamptz, day date,
  clock time(6), doc jsonb, raw bytea, tags text[], counts int[], code uuid, ratio float8, note text`;
const BIG = "9007199254740993";
const ROW = {
  id: BIG, status: "new", total: "12345678901234.123456", anything: 1.5, at: "2026-11-22T10:00:00.123456Z", zoned: "2026-11-22T08:00:00.123456Z",
  day: "2026-11-22", clock: "10:00:00.5", doc: { a: "12345678901234567890" }, code: "7f0cbd6e-3f5c-4d39-a4a8-bd0cdb6d5a0a", ratio: 0.1,
};
const BARE = { "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false", "key.converter": "org.apache.kafka.connect.json.JsonConverter", "key.converter.schemas.enable": "false" };
const CONNECTORS = {
  schemas: {},
  bare: { ...BARE, "heartbeat.interval.ms": "200", "provide.transaction.metadata": "true", "skipped.operations": "none" },
  events: { "value.converter": "io.debezium.converters.CloudEventsConverter", "value.converter.serializer.type": "json", "value.converter.data.serializer.type": "json" },
  flat: {
    ...BARE, "transforms": "unwrap", "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
    "transforms.unwrap.delete.tombstone.handling.mode": "tombstone", "transforms.unwrap.add.fields": "op,table,source.ts_ms",
  },
};

interface Parts {
  readonly postgres: Postgres;
  readonly kafka: Kafka;
  readonly debezium: Debezium;
}
const running = new AsyncDisposableStack();
let parts: Parts | undefined;
let skipped: string | undefined;

before(async () => {
  const asking = { skip: (reason?: string) => void (skipped = reason ?? "it cannot be had") } as TestContext;
  const postgres = running.use(await startPostgres(asking, { own: true }));
  const kafka = running.use(await startKafka(asking, { own: true }));
  if (postgres === undefined || kafka === undefined) return;
  const database = await postgres.createDatabase("shop");
  // EXTERNAL: stored apart, and not compressed first, so that some thousand characters are enough.
  const apart = ["raw", "tags", "counts", "note"].map((column) => `ALTER TABLE orders ALTER ${column} SET STORAGE EXTERNAL;`).join("");
  await postgres.sql(database, `CREATE TABLE orders (${COLUMNS}); ${apart} INSERT INTO orders (id, status) VALUES (1, 'there before')`);
  const debezium = running.use(await startDebezium(asking, kafka.bootstrap, postgres, database, CONNECTORS));
  if (debezium === undefined) return;
  parts = { postgres, kafka, debezium };
  // What follows is only a change for a connector whose snapshot is done.
  await Promise.all(Object.keys(CONNECTORS).map((name) => messages(`${name}.public.orders`, 1)));
  const sql = (text: string): Promise<unknown> => postgres.sql(database, text);
  await sql(`INSERT INTO orders VALUES (${BIG}, 'new', 12345678901234.123456, 1.50, '2026-11-22 10:00:00.123456', '2026-11-22 10:00:00.123456+02', '2026-11-22', '10:00:00.5',
    '{"a": 12345678901234567890}', repeat('x', 3000)::bytea, array_fill(repeat('t', 100), ARRAY[30]), array_fill(7, ARRAY[1000]), '${ROW.code}', 0.1, repeat('n', 3000))`);
  await sql(`UPDATE orders SET status = 'fraud_detected', at = 'infinity' WHERE id = ${BIG}`);
  await sql("UPDATE orders SET id = 2 WHERE id = 1");
  await sql("DELETE FROM orders WHERE id = 2");
  await sql("SELECT pg_logical_emit_message(true, 'audit', 'hello')");
  await sql("TRUNCATE orders");
  await sql("INSERT INTO orders (id, status) VALUES (3, 'last')");
});

after(() => running.disposeAsync());

/** The messages of a topic, once there are so many. */
async function messages(topic: string, count: number): Promise<StoredMessage[]> {
  for (const end = performance.now() + 40_000; ; await pause(100)) {
    const found = await parts!.kafka.read(topic).catch(() => []);
    if (found.length >= count) return found;
    const log = parts!.debezium.log();
    assert.ok(performance.now() < end, `${topic} has ${found.length} of ${count} messages: ${log}`);
  }
}

/** What `parse` makes of the messages of a topic. */
async function changes(topic: string, count: number, config: Json = { format: "debezium" }) {
  const { processor, recorded } = created(parse, config);
  const read = (await messages(topic, count)).flatMap(({ key, value }): Observation[] => through(processor, observed(value, key === null ? {} : { "messaging.kafka.message.key": key })));
  const bodies = read.map((one) => wholeBody(one.body) as { op: string; before: Json; after: Json; source: { [name: string]: Json } });
  return { read, bodies, rows: bodies.map(({ op, before: was, after: is }) => [op, was, is] as const), counted: recorded.counted, failed: recorded.failed.map(({ reason }) => reason) };
}

function real(name: string, body: () => Promise<void>): void {
  test(name, async (t) => {
    if (parts === undefined) return t.skip(skipped);
    await body();
  });
}

real("with schemas every value is exact, and in the form that the direct receiver gives it", async () => {
  const { rows, bodies, read, counted, failed } = await changes("schemas.public.orders", 9);
  assert.deepEqual(failed, []);
  assert.deepEqual(rows.map(([op]) => op), ["r", "c", "u", "d", "c", "d", "c"]);
  assert.deepEqual(counted, ["tombstone", "tombstone"]);
  assert.deepEqual(read.map(({ snapshot }) => snapshot), [true, false, false, false, false, false, false]);
  assert.partialDeepStrictEqual(rows[0]![2], { id: 1, status: "there before", total: null });
  assert.partialDeepStrictEqual(rows[1], ["c", null, { ...ROW, note: "n".repeat(3_000), raw: Buffer.from("x".repeat(3_000)).toString("base64") }]);
  assert.partialDeepStrictEqual(bodies[1]!.source, { system: "postgresql", database: "shop", schema: "public", table: "orders", snapshot: "false" });
  assert.deepEqual(read[1]!.attributes["db.namespace"], "shop|public");
  // Within the minute: it is the time of the commit.
  for (const { time } of read) assert.ok(Math.abs(Date.now() - time) < 120_000);
});

real("columns that were not sent because they are stored apart are left out of an update, and nothing else is", async () => {
  for (const topic of ["schemas.public.orders", "bare.public.orders"]) {
    const { rows } = await changes(topic, 9);
    const columns = Object.keys(rows[2]![2] as object);
    assert.deepEqual(columns, ["id", "status", "total", "anything", "at", "zoned", "day", "clock", "doc", "code", "ratio"], topic);
  }
  const { rows } = await changes("schemas.public.orders", 9);
  assert.deepEqual(rows[2]![2], { ...ROW, status: "fraud_detected", at: "infinity" });
});

real("a new key is a deletion and a creation, a deletion names its row", async () => {
  const { rows } = await changes("bare.public.orders", 9);
  assert.partialDeepStrictEqual(rows[3], ["d", { id: 1 }, null]);
  assert.partialDeepStrictEqual(rows[4], ["c", null, { id: 2, status: "there before" }]);
  assert.partialDeepStrictEqual(rows[5], ["d", { id: 2 }, null]);
});

real("without schemas digits are kept, and what only the schema explains stays as it came", async () => {
  const { rows, failed, counted } = await changes("bare.public.orders", 10);
  assert.deepEqual(failed, []);
  assert.deepEqual(rows.map(([op]) => op), ["r", "c", "u", "d", "c", "d", "t", "c"]);
  assert.deepEqual(counted, ["tombstone", "tombstone"]);
  assert.partialDeepStrictEqual(rows[1], ["c", null, { id: BIG, status: "new", at: 1_795_341_600_123_456, zoned: ROW.zoned, day: 20_779, ratio: 0.1, anything: { scale: 1, value: "Dw==" } }]);
});

real("heartbeats and transaction markers are none, and a message in the log is one of its own", async () => {
  assert.deepEqual(new Set((await changes("__debezium-heartbeat.bare", 2)).counted), new Set(["heartbeat"]));
  const markers = await changes("bare.transaction", 2);
  assert.deepEqual([markers.bodies, new Set(markers.counted), markers.failed], [[], new Set(["transaction marker"]), []]);
  const { bodies } = await changes("bare.message", 1);
  assert.partialDeepStrictEqual(bodies, [{ op: "m", before: null, after: null, message: { prefix: "audit", content: "aGVsbG8=" } }]);
});

real("flattened rows are read where it is said, tombstones delete; unsaid they are refused, so that no deletion is lost", async () => {
  const { rows, bodies, failed, read } = await changes("flat.public.orders", 7, { format: "debezium", flattened: true });
  assert.deepEqual(failed, []);
  assert.deepEqual(rows.map(([op]) => op), ["r", "c", "u", "d", "c", "d", "c"]);
  assert.deepEqual(rows[3], ["d", { id: 1 }, null]);
  assert.deepEqual(rows[5], ["d", { id: 2 }, null]);
  assert.partialDeepStrictEqual(bodies[2], { op: "u", after: { id: BIG, status: "fraud_detected" }, source: { table: "orders" } });
  assert.equal((bodies[2]!.after as { note?: Json }).note, undefined);
  assert.equal(read[0]!.snapshot, true);
  const unsaid = await changes("flat.public.orders", 7);
  assert.deepEqual(unsaid.bodies, []);
  assert.match(unsaid.failed[0]!, /flattened: true/);
});

real("in CloudEvents the changes are the same, values by their schemas, too; and each is an event with its data", async () => {
  const events = await changes("events.public.orders", 9);
  const plain = await changes("schemas.public.orders", 9);
  assert.deepEqual(events.failed, []);
  assert.deepEqual(events.rows, plain.rows);
  assert.deepEqual(events.counted, plain.counted);
  assert.deepEqual(events.read.map(({ snapshot }) => snapshot), plain.read.map(({ snapshot }) => snapshot));
  assert.partialDeepStrictEqual(events.bodies[1]!.source, { system: "postgresql", database: "shop", schema: "public", table: "orders" });
  const { read } = await changes("events.public.orders", 9, { format: "cloudevents" });
  assert.partialDeepStrictEqual(read[1]!.attributes, { "cloudevents.event_source": "/debezium/postgresql/events", "cloudevents.iodebeziumop": "c" });
});

real("the receiver kafka gives the same by itself, with encoding: debezium", async () => {
  for (const [topic, written, flattened] of [["schemas.public.orders", 9, false], ["bare.public.orders", 10, false], ["flat.public.orders", 7, true]] as const) {
    const { read, bodies, failed } = await changes(topic, written, { format: "debezium", flattened });
    assert.deepEqual(failed, []);
    await using running = await consuming(config(parts!.kafka, topic, { encoding: "debezium", flattened }));
    await running.count(bodies.length);
    assert.deepEqual(running.bodies(), bodies, topic);
    assert.deepEqual(running.observations().map(({ snapshot }) => snapshot), read.map(({ snapshot }) => snapshot));
    if (!flattened) assert.deepEqual(running.observations().map(({ time }) => time), read.map(({ time }) => time));
    assert.deepEqual(running.recorded.reports, []);
  }
});
