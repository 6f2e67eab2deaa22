import assert from "node:assert/strict";
import { test } from "node:test";
import { debeziumChange, type DebeziumOptions } from "../../src/sdk/debezium.ts";
import { exactJson } from "../../src/sdk/json_text.ts";
import type { Json } from "../../src/sdk/observation.ts";
import { NoChange, type RowChange } from "../../src/sdk/row_change.ts";

const SOURCE = {
  version: "3.1.3.Final", connector: "postgresql", name: "dbserver1", ts_ms: 1_763_805_600_123, snapshot: "false", db: "mydb",
  sequence: "[\"34837776\",\"34837832\"]", ts_us: 1_763_805_600_123_456, ts_ns: "1763805600123456000", schema: "public", table: "orders", txId: 771, lsn: 34_837_832, xmin: null,
};

function changed(value: Json, options?: DebeziumOptions): RowChange {
  const change = debeziumChange(value, options);
  assert.ok(!(change instanceof NoChange), (change as NoChange).reason);
  return change;
}

function none(value: Json, options?: DebeziumOptions): string {
  const change = debeziumChange(value, options);
  assert.ok(change instanceof NoChange, JSON.stringify(change));
  return `${change.expected ? "" : "unexpected: "}${change.reason}`;
}

test("each operation becomes a change with its row, its source under our names beside Debezium's, and the time of its commit", () => {
  const before = { id: 1, status: "new" };
  const after = { id: 1, status: "paid" };
  const source = { ...SOURCE, system: "postgresql", database: "mydb", table: "orders" };
  const time = 1_763_805_600_123;
  const envelope = { transaction: null, source: SOURCE, ts_ms: 1_763_805_601_000 };
  assert.deepEqual(changed({ ...envelope, op: "c", before: null, after }), { op: "c", before: null, after, source, time, snapshot: false });
  assert.deepEqual(changed({ ...envelope, op: "u", before, after }), { op: "u", before, after, source, time, snapshot: false });
  assert.deepEqual(changed({ ...envelope, op: "d", before, after: null }), { op: "d", before, after: null, source, time, snapshot: false });
  assert.deepEqual(changed({ ...envelope, op: "r", before: null, after }), { op: "r", before: null, after, source, time, snapshot: true });
  assert.deepEqual(changed({ ...envelope, op: "t", before: null, after: null }), { op: "t", before: null, after: null, source, time, snapshot: false });
  const message = { prefix: "audit", content: "eyJhIjoxfQ==" };
  assert.deepEqual(changed({ ...envelope, op: "m", message }), { op: "m", before: null, after: null, message, source, time, snapshot: false });
  assert.deepEqual(changed({ schema: null, payload: { ...envelope, op: "c", before: null, after } }).after, after, "schemas.enable without a schema");
});

test("the time is that of the source in milli-, micro- or nanoseconds, else that of the message; one that is not known is none", () => {
  const time = (source: Json, rest: object = {}): number | undefined => changed({ op: "c", before: null, after: { id: 1 }, source, ...rest }).time;
  assert.equal(time({ ts_us: 1_763_805_600_123_456 }), 1_763_805_600_123);
  assert.equal(time({ ts_ns: "1763805600123456789" }), 1_763_805_600_123);
  assert.equal(time({ ts_ms: 0 }, { ts_ms: 1_763_805_601_000 }), 1_763_805_601_000, "MySQL's snapshots say 0");
  for (const wrong of [null, "x", {}, [], -5, 1e300, "9".repeat(40)]) assert.equal(time({ ts_ms: wrong } as Json), undefined);
  assert.equal(time(null), undefined);
});

test("a row belongs to a snapshot when its op or its source says so, as a boolean or as text", () => {
  const row = (op: string, snapshot: Json): boolean => changed({ op, before: null, after: { id: 1 }, source: { ...SOURCE, snapshot } }).snapshot;
  for (const said of [true, "true", "first", "first_in_data_collection", "last_in_data_collection", "last", "incremental"]) {
    assert.equal(row("r", said), true);
    assert.equal(row("c", said), true);
  }
  for (const said of [false, "false", null, ""]) assert.equal(row("c", said), false);
  assert.equal(row("r", "false"), true);
});

test("a deletion whose row was not sent is about the row that its key names", () => {
  const deletion = { op: "d", before: null, after: null, source: SOURCE };
  assert.deepEqual(changed(deletion, { key: { id: 7 } }).before, { id: 7 });
  const schema = { type: "struct", fields: [{ type: "bytes", name: "org.apache.kafka.connect.data.Decimal", parameters: { scale: "0" }, field: "id" }], name: "dbserver1.public.orders.Key" };
  assert.deepEqual(changed(deletion, { key: { schema, payload: { id: "A+g=" } } }).before, { id: 1_000 });
  assert.match(none(deletion), /^unexpected: a change without a row/);
  assert.match(none({ op: "u", before: null, after: null, source: SOURCE }), /^unexpected: a change without a row/);
});

test("a new key is a deletion, its tombstone and a creation: what says nothing is named", () => {
  const key = { id: 1 };
  assert.equal(changed({ op: "d", before: { id: 1 }, after: null, source: SOURCE }, { key }).op, "d");
  assert.equal(none(null, { key }), "tombstone");
  assert.equal(none({ schema: null, payload: null }, { key }), "tombstone");
  assert.equal(changed({ op: "c", before: null, after: { id: 2 }, source: SOURCE }, { key: { id: 2 } }).op, "c");
});

test("heartbeats, transaction markers and changes of a schema are no changes of rows", () => {
  assert.equal(none({ ts_ms: 1_763_805_600_123 }, { key: { serverName: "dbserver1" } }), "heartbeat");
  assert.equal(none({ ts_ms: 1_763_805_600_123, ts_us: 1_763_805_600_123_456, ts_ns: "1763805600123456000" }), "heartbeat");
  assert.equal(none({ schema: { type: "struct", fields: [], name: "io.debezium.connector.common.Heartbeat" }, payload: { ts_ms: 1 } }), "heartbeat");
  assert.equal(none({ status: "BEGIN", id: "571:53195829", event_count: null, data_collections: null, ts_ms: 1 }), "transaction marker");
  assert.equal(none({ status: "END", id: "571:53195832", event_count: 2, data_collections: [{ data_collection: "s1.a", event_count: 2 }], ts_ms: 1 }), "transaction marker");
  assert.equal(none({ source: SOURCE, ts_ms: 1, databaseName: "mydb", schemaName: null, ddl: "ALTER TABLE orders ADD x int", tableChanges: [] }), "schema change");
});

test("a flattened row is one where the stream says that it is flattened; a tombstone is then a deletion, by its key", () => {
  const row = { id: 1, status: "paid" };
  assert.deepEqual(changed(row, { flattened: true }), { op: "u", before: null, after: row, source: {}, snapshot: false, time: undefined });
  const metadata = { __op: "c", __table: "orders", __db: "mydb", __lsn: 42, __source_ts_ms: 1_763_805_600_123, __source_connector: "postgresql", __deleted: "false" };
  const source = { table: "orders", db: "mydb", lsn: 42, ts_ms: 1_763_805_600_123, connector: "postgresql", system: "postgresql", database: "mydb" };
  assert.deepEqual(changed({ ...row, ...metadata }), { op: "c", before: null, after: row, source, snapshot: false, time: 1_763_805_600_123 });
  assert.deepEqual(changed({ ...row, ...metadata, __op: "d", __deleted: "true" }), { op: "d", before: row, after: null, source, snapshot: false, time: 1_763_805_600_123 });
  assert.deepEqual(changed({ id: 1, status: null, __deleted: "true" }).op, "d");
  assert.equal(changed({ ...row, __op: "r", __deleted: "false" }).snapshot, true);
  assert.deepEqual(changed(null, { key: { id: 1 }, flattened: true }), { op: "d", before: { id: 1 }, after: null, source: {}, snapshot: false, time: undefined });
  assert.match(none(null, { flattened: true }), /^unexpected: a tombstone without a key/);
  assert.match(none(null, { flattened: true, key: "1" }), /^unexpected: a tombstone without a key/);
  // Else its deletions, which are only tombstones, would be lost without a word.
  assert.match(none({ ...row, __op: "c", __table: "orders" }), /^unexpected: a flattened row without __deleted: flattened: true/);
  assert.match(none(row), /^unexpected: no message of Debezium/);
  const named = { id: 1, schema: null, payload: { a: 1 }, data: {}, specversion: "x" };
  assert.deepEqual(changed(named, { flattened: true }).after, named, "nor are other names kept for Debezium");
  assert.equal(changed({ op: "x", source: "shop", id: 1 }, { flattened: true }).after!["op"], "x", "a column may be called op");
});

test("an unchanged column that is stored apart is left out, in whatever form its placeholder comes", () => {
  const text = "__debezium_unavailable_value";
  const bytes = Buffer.from(text);
  const after = {
    id: 1, text, bytea: bytes.toString("base64"), texts: [text], byteas: [bytes.toString("base64")], uuids: ["7f0cbd6e-3f5c-3d39-a4a8-bd0cdb6d5a0a"],
    ints: [...bytes], numerics: [...bytes].map((byte) => Buffer.from([byte]).toString("base64")),
    variable: [...bytes].map((byte) => ({ scale: 0, value: Buffer.from([byte]).toString("base64") })),
    hstore: { [text]: text }, hstore_json: JSON.stringify({ [text]: text }),
    geometry: { wkb: Buffer.from("0101000020E6100000000000FC83D797C1000000FC83D797C1", "hex").toString("base64"), srid: 4326 },
  };
  const kept = { note: `about ${text}`, list: [text, text], empty: [], json: "{}", nothing: null, numbers: [95, 95] };
  const change = changed({ op: "u", before: null, after: { ...after, ...kept }, source: SOURCE });
  assert.deepEqual(Object.keys(change.after!), ["id", "uuids", ...Object.keys(kept)], "that uuid is another");
});

test("documents of MongoDB are decoded, with plain values for the types that JSON does not have", () => {
  const source = { connector: "mongodb", name: "fulfillment", ts_ms: 1_763_805_600_123, snapshot: "false", db: "inventory", collection: "customers" };
  const after = '{"_id": {"$oid": "596e275826f08b2730779e1f"},"n": {"$numberLong": "9007199254740993"},"price": {"$numberDecimal": "10.50"},"at": {"$date": 1763805600123},"since": {"$date": {"$numberLong": "0"}},"a": [{"b": {"$numberInt": "5"}}],"$ref": 1,"id": 12345678901234567890}';
  const document = { _id: "596e275826f08b2730779e1f", n: "9007199254740993", price: 10.5, at: "2025-11-22T10:00:00.123Z", since: "1970-01-01T00:00:00Z", a: [{ b: 5 }], $ref: 1, id: "12345678901234567890" };
  const created = changed({ op: "c", before: null, after, updateDescription: null, source, ts_ms: 1 });
  assert.deepEqual(created.after, document);
  assert.deepEqual([created.source["system"], created.source["database"], created.source["table"]], ["mongodb", "inventory", "customers"]);
  const key = { id: '{"$oid": "596e275826f08b2730779e1f"}' };
  const _id = "596e275826f08b2730779e1f";
  assert.deepEqual(changed({ op: "d", before: null, after: null, source }, { key }).before, { _id });
  assert.deepEqual(changed({ op: "d", before: null, after: null, source }, { key: { id: "1004" } }).before, { _id: 1004 });
  const updateDescription = { removedFields: ["phone"], updatedFields: '{"first_name": "Anne", "address.city": "Bonn"}', truncatedArrays: null };
  const update = { _id, first_name: "Anne", "address.city": "Bonn", phone: null };
  assert.deepEqual(changed({ op: "u", before: null, after: null, updateDescription, source }, { key }).after, update);
  const patch = '{"$v": 1,"$set": {"first_name": "Anne","address.city": "Bonn"},"$unset": {"phone": true}}';
  assert.deepEqual(changed({ op: "u", patch, filter: '{"_id": {"$oid": "596e275826f08b2730779e1f"}}', source }).after, update, "the oplog, before Debezium 2");
  const whole = changed({ op: "u", before: '{"_id": 1, "s": "a"}', after: '{"_id": 1, "s": "b"}', updateDescription, source });
  assert.deepEqual([whole.before, whole.after], [{ _id: 1, s: "a" }, { _id: 1, s: "b" }], "with pre-images");
  assert.match(none({ op: "c", before: null, after: "{", source }), /^unexpected: a change without a row/);
});

test("a change in a CloudEvent, as Debezium's converter writes it, is the same change", () => {
  const event = {
    id: "name:dbserver1;lsn:29274832;txId:565", source: "/debezium/postgresql/dbserver1", specversion: "1.0", type: "io.debezium.connector.postgresql.DataChangeEvent",
    time: "2020-01-13T13:55:39.738Z", datacontenttype: "application/json", iodebeziumop: "c", iodebeziumversion: "3.1.3.Final", iodebeziumconnector: "postgresql",
    iodebeziumname: "dbserver1", iodebeziumtsms: "1578923739738", iodebeziumsnapshot: "false", iodebeziumdb: "mydb", iodebeziumschema: "s1", iodebeziumtable: "a", iodebeziumlsn: "29274832",
  };
  const bare = changed({ ...event, data: { before: null, after: { pk: 1, a: 7 } } });
  assert.deepEqual(bare, changed({ ...event, data: { schema: { type: "struct", fields: [] }, payload: { before: null, after: { pk: 1, a: 7 } } } }));
  assert.deepEqual({ op: bare.op, after: bare.after, time: bare.time, snapshot: bare.snapshot }, { op: "c", after: { pk: 1, a: 7 }, time: 1_578_923_739_738, snapshot: false });
  assert.partialDeepStrictEqual(bare.source, { system: "postgresql", database: "mydb", schema: "s1", table: "a", ts_ms: "1578923739738" });
});

test("digits that a double does not hold stay, with a schema or without", () => {
  const change = changed(exactJson('{"op":"c","before":null,"after":{"id":9007199254740993,"total":12345678901234.123456789,"n":5},"source":{"ts_ns":1763805600123456789,"lsn":9223372036854775807}}'));
  assert.deepEqual(change.after, { id: "9007199254740993", total: "12345678901234.123456789", n: 5 });
  assert.equal(change.source["lsn"], "9223372036854775807");
  assert.equal(change.time, 1_763_805_600_123);
});
