import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import avro from "avsc";
import protobuf from "protobufjs";
import { sharedKafka } from "../support/kafka.ts";
import { until } from "../support/waiting.ts";
import { config, consuming } from "./kafka_support.ts";

const kafka = sharedKafka();

interface Registry extends AsyncDisposable {
  readonly url: string;
  readonly asked: string[];
  readonly answers: Map<string, object>;
  down: boolean;
}

/** Answers as Confluent's registry does: https://docs.confluent.io/platform/current/schema-registry/develop/api.html */
async function registry(): Promise<Registry> {
  const server = createServer((request, response) => {
    made.asked.push(`${request.headers.authorization ?? ""} ${request.url!}`.trim());
    const answer = made.answers.get(request.url!);
    response.statusCode = made.down ? 503 : answer === undefined ? 404 : 200;
    response.setHeader("content-type", "application/vnd.schemaregistry.v1+json");
    response.end(JSON.stringify(answer ?? { error_code: 40403, message: "Schema not found" }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const made: Registry = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: [], answers: new Map(), down: false,
    [Symbol.asyncDispose]: () => new Promise((resolve) => { server.close(() => resolve()); server.closeAllConnections(); }),
  };
  return made;
}

function framed(id: number, ...parts: Uint8Array[]): Buffer {
  const head = Buffer.alloc(5);
  head.writeInt32BE(id, 1);
  return Buffer.concat([head, ...parts]);
}

test("Debezium's changes: rows with their time and source; tombstones and heartbeats pass by, what is none is refused", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("dbz");
  const source = { connector: "postgresql", db: "shop", schema: "public", table: "orders", ts_ms: 1_700_000_000_000 };
  const change = (op: string, before: object | null, after: object | null) => JSON.stringify({ schema: null, payload: { op, before, after, source } });
  await cluster.produce("dbz", [
    { key: '{"id":1}', value: '{"op":"r","before":null,"after":{"id":9007199254740993},"source":{"table":"orders"}}' },
    { key: '{"id":1}', value: change("c", null, { id: 1 }) },
    { key: '{"id":1}', value: change("d", null, null) },
    { key: '{"id":1}', value: null },
    { value: '{"ts_ms":1}' },
    { value: '{"hello":1}' },
  ]);
  await using running = await consuming(config(cluster, "dbz", { encoding: "debezium" }));
  await running.count(3);
  await until("the last is refused", () => running.recorded.refused.length > 0);
  const [first, second, third] = running.observations();
  assert.equal(first!.snapshot, true);
  assert.deepEqual((running.bodies()[0] as { after: object }).after, { id: "9007199254740993" });
  assert.equal(second!.time, 1_700_000_000_000);
  assert.equal(second!.attributes["db.collection.name"], "orders");
  assert.equal(second!.attributes["messaging.kafka.offset"], 1);
  assert.deepEqual((third!.body as unknown as { before: object }).before, { id: 1 });
  assert.deepEqual(running.recorded.refused, [{ count: 1, reason: "undecodable" }]);
  assert.equal(running.recorded.deadLetters.length, 1);
});

test("with flattened a tombstone deletes the row that its key names", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("flat");
  await cluster.produce("flat", [{ key: '{"id":7}', value: '{"id":7,"status":"new"}' }, { key: '{"id":7}', value: null }]);
  await using running = await consuming(config(cluster, "flat", { encoding: "debezium", flattened: true }));
  await running.count(2);
  assert.deepEqual(running.bodies().map((body) => (body as { op: string; before: object | null }).op), ["u", "d"]);
  assert.deepEqual((running.bodies()[1] as { before: object }).before, { id: 7 });
});

test("CloudEvents, structured and binary", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("events");
  const event = { specversion: "1.0", id: "e1", source: "/shop", type: "order.created", time: "2023-11-14T22:13:20Z", data: { id: "o1" } };
  await cluster.produce("events", [
    { value: JSON.stringify(event), headers: { "content-type": "application/cloudevents+json" } },
    { value: '{"id":"o2"}', headers: { ce_specversion: "1.0", ce_id: "e2", ce_source: "/shop", ce_type: "order.paid" } },
    { key: "x", value: null },
    { value: "{}" },
  ]);
  await using running = await consuming(config(cluster, "events", { encoding: "cloudevents" }));
  await running.count(2);
  await until("the last is refused", () => running.recorded.refused.length > 0);
  assert.deepEqual(running.bodies(), [{ id: "o1" }, { id: "o2" }]);
  const [first, second] = running.observations();
  assert.equal(first!.time, 1_700_000_000_000);
  assert.deepEqual([first, second].map((one) => one!.attributes["cloudevents.event_type"]), ["order.created", "order.paid"]);
  assert.equal(running.recorded.deadLetters.length, 1);
});

test("Avro of a registry: references, unions, longs and decimals without a digit lost, a key, an unknown schema; each asked for once", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await using schemas = await registry();
  const money = { type: "record", name: "shop.Money", fields: [{ name: "amount", type: { type: "bytes", logicalType: "decimal", precision: 20, scale: 2 } }] };
  const order = { type: "record", name: "Order", fields: [
    { name: "id", type: "long" }, { name: "note", type: ["null", "string"] }, { name: "total", type: "shop.Money" }, { name: "raw", type: "bytes" },
  ] };
  schemas.answers.set("/schemas/ids/1", { schema: JSON.stringify(order), references: [{ name: "shop.Money", subject: "money", version: 3 }] });
  schemas.answers.set("/subjects/money/versions/3", { schema: JSON.stringify(money) });
  schemas.answers.set("/schemas/ids/2", { schema: '"string"' });
  schemas.answers.set("/schemas/ids/3", { schema: "message Order {}", schemaType: "PROTOBUF" });
  const plainMoney = { ...money, fields: [{ name: "amount", type: "bytes" }] };
  const big = avro.types.LongType.__with({
    fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(), toBuffer: (n: bigint) => { const b = Buffer.alloc(8); b.writeBigInt64LE(n); return b; },
    fromJSON: BigInt, toJSON: Number, isValid: (n: unknown) => typeof n === "bigint", compare: () => 0,
  } as never);
  const writer = avro.Type.forSchema({ ...order, fields: order.fields.map((field) => (field.name === "total" ? { name: "total", type: plainMoney } : field)) } as never,
    { registry: { long: big } } as never);
  const value = (id: bigint, cents: number) => {
    const amount = Buffer.alloc(8);
    amount.writeBigInt64BE(BigInt(cents));
    return framed(1, writer.toBuffer({ id, note: "hi", total: { amount }, raw: Buffer.from([1, 2]) }));
  };
  await cluster.createTopic("avro");
  await cluster.produce("avro", [
    { key: framed(2, avro.Type.forSchema("string").toBuffer("o1")), value: value(5n, 1_050) },
    { key: "plain", value: value(9_007_199_254_740_993n, -5) },
    { value: framed(9, Buffer.from([0])) }, { value: framed(3, Buffer.from([0])) }, { value: "{}" }, { value: framed(1, Buffer.from([1])) },
  ]);
  await using running = await consuming(config(cluster, "avro", { encoding: "avro", schema_registry: { url: schemas.url, auth: { basic: { username: "u", password: "p" } } } }));
  await running.count(2);
  await until("the rest is refused", () => running.recorded.refused.length === 4);
  assert.deepEqual(running.bodies(), [
    { id: 5, note: "hi", total: { amount: 10.5 }, raw: "AQI=" }, { id: "9007199254740993", note: "hi", total: { amount: -0.05 }, raw: "AQI=" },
  ]);
  assert.deepEqual(running.observations().map(({ attributes }) => attributes["messaging.kafka.message.key"]), ["o1", "plain"]);
  assert.deepEqual(running.recorded.deadLetters.map(({ reason }) => reason), [
    "schema 9 is not in the registry", "schema 3 is PROTOBUF, not AVRO", "not in the schema registry's wire format: a zero byte and a schema's id",
    "not what its Avro schema says",
  ]);
  assert.deepEqual(schemas.asked.filter((path) => path.includes("/ids/1")), [`Basic ${Buffer.from("u:p").toString("base64")} /schemas/ids/1`]);
});

test("Protobuf of a registry: imports, nested messages by number, 64-bit numbers", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await using schemas = await registry();
  const order = `syntax = "proto3"; package shop; import "money.proto"; import "google/protobuf/timestamp.proto";
    message Other { string x = 1; }
    message Order { int64 id = 1; Status status = 2; Money total = 3; google.protobuf.Timestamp at = 4; bytes raw = 5; enum Status { NEW = 0; PAID = 1; } message Line { string sku = 1; } }`;
  const money = 'syntax = "proto3"; package shop; message Money { sint32 cents = 1; }';
  schemas.answers.set("/schemas/ids/1", { schema: order, schemaType: "PROTOBUF", references: [{ name: "money.proto", subject: "money", version: 1 }] });
  schemas.answers.set("/subjects/money/versions/1", { schema: money, schemaType: "PROTOBUF" });
  const root = new protobuf.Root();
  protobuf.parse(order, root, { keepCase: true });
  protobuf.parse(money, root, { keepCase: true });
  root.addJSON(protobuf.common.get("google/protobuf/timestamp.proto")!.nested!);
  const encode = (type: string, value: object) => root.lookupType(type).encode(root.lookupType(type).fromObject(value)).finish();
  await cluster.createTopic("protobuf");
  await cluster.produce("protobuf", [
    { value: framed(1, Buffer.from([2, 2]), encode("shop.Order", { id: "9007199254740993", status: 1, total: { cents: -3 }, at: { seconds: 1_700_000_000 }, raw: Buffer.from("a") })) },
    { value: framed(1, Buffer.from([0]), encode("shop.Other", { x: "y" })) },
    { value: framed(1, Buffer.from([4, 2, 0]), encode("shop.Order.Line", { sku: "s" })) },
    { value: framed(1, Buffer.from([2, 40]), Buffer.from("nothing")) },
  ]);
  await using running = await consuming(config(cluster, "protobuf", { encoding: "protobuf", schema_registry: { url: schemas.url } }));
  await running.count(3);
  assert.deepEqual(running.bodies(), [
    { id: "9007199254740993", status: "PAID", total: { cents: -3 }, at: { seconds: 1_700_000_000, nanos: 0 }, raw: "YQ==" }, { x: "y" }, { sku: "s" },
  ]);
  assert.deepEqual(running.recorded.refused, [{ count: 1, reason: "undecodable" }]);
});

test("while the registry is away reading waits; nothing is refused for that, and it is a failure of the source", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await using schemas = await registry();
  schemas.answers.set("/schemas/ids/1", { schema: "{}", schemaType: "JSON" });
  schemas.down = true;
  await cluster.createTopic("waits");
  await cluster.produce("waits", [{ value: framed(1, Buffer.from("1")) }, { value: framed(1, Buffer.from("2")) }]);
  await using running = await consuming(config(cluster, "waits", { schema_registry: { url: schemas.url }, failing_after: "100ms" }));
  await until("it is failing", () => running.recorded.failing !== undefined);
  assert.match(running.recorded.reports.join(), /the schema registry cannot be asked: the schema registry answers 503/);
  assert.deepEqual([running.bodies(), running.recorded.caughtUp], [[], false]);
  schemas.down = false;
  await running.count(2);
  assert.deepEqual([running.bodies(), running.recorded.refused], [[1, 2], []]);
  await until("it works again", () => running.recorded.failing === undefined && running.recorded.caughtUp);
});
