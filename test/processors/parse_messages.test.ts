import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse } from "../../processors/parse.ts";
import { ConfigError } from "../../src/sdk/errors.ts";
import { wholeBody, type Attributes, type Json } from "../../src/sdk/observation.ts";
import { harness } from "../support/agent.ts";
import { created, observed, through } from "../support/processor.ts";

const CHANGE = '{"before":null,"after":{"id":9007199254740993,"status":"new","total":19.90},"source":{"connector":"postgresql","ts_ms":1763805600123,"snapshot":"false","db":"mydb","schema":"public","table":"orders","lsn":1},"op":"c","ts_ms":1763805600999}';

/** What `format` makes of a message: the observations, what was counted, what failed. */
function read(format: Json, body: Json, attributes: Attributes = {}) {
  const { processor, recorded } = created(parse, typeof format === "string" ? { format } : format);
  const passed = through(processor, observed(body, attributes));
  return { passed, bodies: passed.map((one) => wholeBody(one.body)), counted: recorded.counted, failed: recorded.failed.map(({ reason, onError }) => [reason, onError]) };
}

test("a message of Debezium becomes a change with the time of its commit, every digit, and where it comes from as attributes", () => {
  const { passed } = read("debezium", CHANGE, { "messaging.kafka.message.key": '{"id":9007199254740993}', "messaging.kafka.offset": 5 });
  assert.partialDeepStrictEqual(wholeBody(passed[0]!.body), { op: "c", before: null, after: { id: "9007199254740993", status: "new", total: 19.9 }, source: { system: "postgresql", table: "orders" } });
  assert.equal(passed[0]!.time, 1_763_805_600_123);
  assert.equal(passed[0]!.snapshot, false);
  assert.deepEqual(passed[0]!.attributes, {
    "messaging.kafka.message.key": '{"id":9007199254740993}', "messaging.kafka.offset": 5,
    "db.system.name": "postgresql", "db.namespace": "mydb|public", "db.collection.name": "orders",
  });
});

test("a message that a receiver has decoded is read the same; the change itself, too, so parse may stand twice", () => {
  const once = read("debezium", JSON.parse(CHANGE.replace("9007199254740993", "7")) as Json);
  assert.deepEqual((once.bodies[0] as { after: Json }).after, { id: 7, status: "new", total: 19.9 });
  const twice = read("debezium", once.bodies[0]!);
  assert.deepEqual(twice.bodies, once.bodies);
  assert.equal(twice.passed[0]!.time, once.passed[0]!.time);
});

test("a row of a snapshot is marked as one, so that track invents no transition of it", () => {
  assert.equal(read("debezium", CHANGE.replace('"op":"c"', '"op":"r"')).passed[0]!.snapshot, true);
  assert.equal(read("maxwell", { type: "bootstrap-insert", database: "shop", table: "orders", ts: 1_763_805_600, data: { id: 1 } }).passed[0]!.snapshot, true);
});

const AGENT = `
version: 1
receivers: { feed: {} }
processors:
  parse/debezium: { format: debezium }
  track/order:
    type: order
    id: "body.op == 'd' ? body.before.id : body.after.id"
    state: body.after.status
    attributes: { note: body.after.note }
    delete_when: body.op == "d"
    states: { new: { next: [paid] }, fraud_detected: { alert: true } }
exporters: { recorder: {} }
service: { pipelines: { orders: { receivers: [feed], processors: [parse/debezium, track/order], exporters: [recorder] } } }
`;

test("track makes resources of changes: a snapshot read again moves nothing, what was not sent keeps its value, deleted twice is deleted once", async () => {
  await using h = await harness(AGENT, undefined, [parse]);
  const source = (snapshot: string): Json => ({ connector: "postgresql", db: "mydb", table: "orders", snapshot, ts_ms: h.clock.now() });
  const send = (op: string, before: Json, after: Json, snapshot = "false"): Promise<void> => h.send("feed", { op, before, after, source: source(snapshot) });
  const moves = async (): Promise<string[]> => (await h.now.agent.services.resources.transitions("order", "1")).map(({ from, to }) => `${from}>${to}`);
  const order = () => h.now.agent.services.resources.get("order", "1");

  await send("r", null, { id: 1, status: "new", note: "long" }, "last");
  await send("r", null, { id: 1, status: "shipped", note: "long" }, "incremental");
  assert.deepEqual([await moves(), order()!.state, h.changes], [[], "shipped", []], "no move, so no illegal one");
  await send("u", null, { id: 1, status: "fraud_detected", note: "__debezium_unavailable_value" });
  assert.deepEqual([await moves(), order()!.attributes["note"]], [["shipped>fraud_detected"], "long"]);
  await send("d", { id: 1 }, null);
  await send("d", { id: 1 }, null);
  assert.equal(order(), undefined);
  assert.deepEqual(h.changes, ["FIRING OrderFraudDetected 1", "RESOLVED OrderFraudDetected 1 deleted"]);
});

test("what a format sends beside changes is dropped and counted by its name, and is no error", () => {
  assert.deepEqual(read("debezium", '{"ts_ms":1763805600123}'), { passed: [], bodies: [], counted: ["heartbeat"], failed: [] });
  assert.deepEqual(read("debezium", null, { "messaging.kafka.message.key": '{"id":1}' }).counted, ["tombstone"]);
  assert.deepEqual(read("maxwell", { type: "bootstrap-start", table: "orders" }).counted, ["start or end of a bootstrap"]);
  assert.deepEqual(read("maxwell", { type: "table-alter", sql: "…" }).counted, ["schema change"]);
  for (const action of ["B", "C"]) assert.deepEqual(read("wal2json", { action }).counted, ["transaction marker"]);
  assert.deepEqual(read("wal2json", { change: [] }).counted, ["transaction without changes"]);
  assert.deepEqual(read("cloudevents", []).counted, ["no CloudEvent in the list"]);
  for (const format of ["debezium", "maxwell", "wal2json", "cloudevents"]) {
    assert.deepEqual(read(format, null, { "messaging.kafka.message.tombstone": true }).counted, ["tombstone"]);
  }
});

test("flattened rows are read where it says so, and their tombstone deletes what its key names", () => {
  const flattened = { format: "debezium", flattened: true };
  assert.deepEqual((read(flattened, '{"id":1,"status":"new"}').bodies[0] as { after: Json }).after, { id: 1, status: "new" });
  assert.deepEqual(read(flattened, null, { "messaging.kafka.message.key": '{"schema":null,"payload":{"id":1}}' }).bodies, [{ op: "d", before: { id: 1 }, after: null, source: {} }]);
  assert.deepEqual(read(flattened, null, { "messaging.kafka.message.key": "1" }).failed, [["a tombstone without a key does not say what is deleted", "drop"]]);
  assert.deepEqual(read(flattened, null, { "messaging.kafka.message.key": "{" }).failed.length, 1);
});

test("what is no message of its format is refused by on_error, in words that repeat nothing of it", () => {
  for (const format of ["debezium", "maxwell", "wal2json", "cloudevents"]) {
    for (const body of ["hunter2", '{"password":"hunter2"}', { password: "hunter2" }, 5, true, "", "[".repeat(500)] as Json[]) {
      const { passed, failed } = read({ format, on_error: "dead_letter" }, body);
      assert.deepEqual(passed, []);
      assert.equal(failed[0]![1], "dead_letter");
      assert.doesNotMatch(String(failed[0]![0]), /hunter2/);
    }
    const kept = read({ format, on_error: "pass" }, "hunter2");
    assert.deepEqual(kept.bodies, ["hunter2"]);
  }
});

test("settings that mean nothing for a format are refused", () => {
  const refused = (config: Json, message: RegExp): void =>
    assert.throws(() => created(parse, config), (error) => error instanceof ConfigError && message.test(`${error.pointer} ${error.message}`));
  refused({ format: "json", flattened: true }, /^\/flattened is for debezium/);
  refused({ format: "wal2json", flattened: true }, /^\/flattened is for debezium/);
  refused({ format: "debezium", field: "body.log", merge: true }, /^\/merge is not for debezium/);
  refused({ format: "cloudevents", pattern: "x" }, /^\/pattern is for regex and grok, not for cloudevents/);
});

test("the message may be in a field, as text or decoded", () => {
  const config = { format: "debezium", field: "body.value" };
  assert.equal((read(config, { value: CHANGE }).bodies[0] as { op: Json }).op, "c");
  assert.equal((read(config, { value: JSON.parse(CHANGE) as Json }).bodies[0] as { op: Json }).op, "c");
  assert.equal(read(config, { other: 1 }).failed.length, 1);
});

test("Maxwell: an insert, an update whose old holds what changed, a deletion, a bootstrap", () => {
  const message = { database: "shop", table: "orders", ts: 1_763_805_600, xid: 23_396, commit: true, position: "master.000006:800911", gtid: null, server_id: 23_042 };
  const source = { ...message, system: "mysql" };
  assert.deepEqual(read("maxwell", { ...message, type: "insert", data: { id: 1, status: "new" } }).bodies, [{ op: "c", before: null, after: { id: 1, status: "new" }, source }]);
  const update = read("maxwell", { ...message, type: "update", data: { id: 1, status: "paid", note: null }, old: { status: "new", note: "x" } });
  assert.deepEqual(update.bodies, [{ op: "u", before: { id: 1, status: "new", note: "x" }, after: { id: 1, status: "paid", note: null }, source }]);
  assert.equal(update.passed[0]!.time, 1_763_805_600_000);
  assert.deepEqual(update.passed[0]!.attributes, { "db.system.name": "mysql", "db.namespace": "shop", "db.collection.name": "orders" });
  assert.deepEqual(read("maxwell", { ...message, type: "delete", data: { id: 1 } }).bodies, [{ op: "d", before: { id: 1 }, after: null, source }]);
  assert.deepEqual(read("maxwell", `{"type":"insert","database":"a","table":"b","ts":1,"data":{"n":123.4567890123456789}}`).bodies.map((b) => (b as { after: Json }).after), [{ n: "123.4567890123456789" }]);
});

test("Maxwell: an update of the key is a deletion and a creation, where the message says what the key is", () => {
  const message = { type: "update", database: "shop", table: "orders", ts: 1, data: { id: 2, status: "new" }, old: { id: 1 } };
  const rows = (body: Json): Json[] => read("maxwell", body).bodies.map((change) => [(change as { op: Json }).op, (change as { before: Json }).before, (change as { after: Json }).after]);
  assert.deepEqual(rows({ ...message, primary_key_columns: ["id"] }), [["d", { id: 1, status: "new" }, null], ["c", null, { id: 2, status: "new" }]]);
  assert.deepEqual(rows(message), [["u", { id: 1, status: "new" }, { id: 2, status: "new" }]]);
});

test("wal2json 2: each action, values by their types, the time of the transaction", () => {
  const about = { xid: 771, timestamp: "2025-11-22 10:00:00.123456+00", lsn: "0/1B2A3C8", schema: "public", table: "orders" };
  const columns = [
    { name: "id", type: "bigint", value: 1 }, { name: "status", type: "text", value: "new" }, { name: "at", type: "timestamp without time zone", value: "2025-11-22 10:00:00.5" },
    { name: "doc", type: "jsonb", value: '{"n": 12345678901234567890}' }, { name: "raw", type: "bytea", value: "ff00" }, { name: "n", type: "numeric(10,2)", value: "10.50" }, { name: "tags", type: "integer[]", value: "{1,2}" },
  ];
  const after = { id: 1, status: "new", at: "2025-11-22T10:00:00.5Z", doc: { n: "12345678901234567890" }, raw: "/wA=", n: 10.5, tags: "{1,2}" };
  const source = { ...about, system: "postgresql" };
  const insert = read("wal2json", { action: "I", ...about, columns });
  assert.deepEqual(insert.bodies, [{ op: "c", before: null, after, source }]);
  assert.equal(insert.passed[0]!.time, Date.UTC(2025, 10, 22, 10, 0, 0, 123));
  const identity = [{ name: "id", type: "bigint", value: 1 }];
  assert.deepEqual(read("wal2json", { action: "U", ...about, columns: columns.slice(0, 2), identity }).bodies, [{ op: "u", before: { id: 1 }, after: { id: 1, status: "new" }, source }]);
  assert.deepEqual(read("wal2json", { action: "D", ...about, identity }).bodies, [{ op: "d", before: { id: 1 }, after: null, source }]);
  assert.deepEqual(read("wal2json", { action: "T", ...about }).bodies, [{ op: "t", before: null, after: null, source }]);
  assert.deepEqual(read("wal2json", { action: "M", xid: null, transactional: false, prefix: "audit", content: "x" }).bodies, [
    { op: "m", before: null, after: null, message: { prefix: "audit", content: "x" }, source: { xid: null, transactional: false, system: "postgresql" } },
  ]);
  assert.equal(read("wal2json", { action: "D", ...about }).failed.length, 1, "without identity nobody knows which row");
});

test("wal2json: an update of the key is a deletion and a creation", () => {
  const columns = [{ name: "id", type: "bigint", value: 2 }, { name: "status", type: "text", value: "new" }];
  const old = [{ name: "id", type: "bigint", value: 1 }];
  const ops = (body: Json): Json[] => read("wal2json", body).bodies.map((change) => (change as { op: Json }).op);
  assert.deepEqual(ops({ action: "U", columns, identity: old }), ["d", "c"]);
  const full = [...old, { name: "status", type: "text", value: "old" }];
  assert.deepEqual(ops({ action: "U", columns, identity: full }), ["u"], "with a full identity nothing says what the key is");
  assert.deepEqual(ops({ action: "U", columns, identity: full, pk: [{ name: "id", type: "bigint" }] }), ["d", "c"]);
});

test("wal2json 1: every change of a transaction is an observation, in order", () => {
  const transaction = {
    xid: 771, nextlsn: "0/1B2A3C8", timestamp: "2025-11-22 10:00:00+00",
    change: [
      { kind: "insert", schema: "public", table: "orders", columnnames: ["id", "status"], columntypes: ["integer", "text"], columnvalues: [1, "new"] },
      { kind: "update", schema: "public", table: "orders", columnnames: ["id", "status"], columntypes: ["integer", "text"], columnvalues: [1, "paid"], oldkeys: { keynames: ["id"], keytypes: ["integer"], keyvalues: [1] } },
      { kind: "delete", schema: "public", table: "orders", oldkeys: { keynames: ["id"], keytypes: ["integer"], keyvalues: [1] } },
      { kind: "message", transactional: true, prefix: "audit", content: "x" },
    ],
  };
  const { bodies, passed } = read("wal2json", JSON.stringify(transaction));
  assert.deepEqual(bodies.map((body) => (body as { op: Json }).op), ["c", "u", "d", "m"]);
  assert.deepEqual(bodies[1], { op: "u", before: { id: 1 }, after: { id: 1, status: "paid" }, source: { xid: 771, nextlsn: "0/1B2A3C8", timestamp: "2025-11-22 10:00:00+00", schema: "public", table: "orders", system: "postgresql" } });
  assert.ok(passed.every(({ time }) => time === Date.UTC(2025, 10, 22, 10)));
  const broken = { ...transaction, change: [...transaction.change, { kind: "insert", columnnames: ["a", "b"], columnvalues: [1] }] };
  assert.deepEqual(read("wal2json", broken).passed, [], "all of a transaction or nothing");
});

test("messages that a real wal2json (2.5, on PostgreSQL 15) wrote are the changes that were made", () => {
  const types = '"columntypes":["bigint","text","numeric(20,6)","timestamp(6) without time zone","timestamp with time zone","jsonb","bytea","boolean"]';
  const values = '"new",12345678901234.123456,"2026-11-22 10:00:00.123456","2026-11-22 08:00:00.123456+00","{\\"a\\": 12345678901234567890}","ff00",true';
  const insert = `{"xid":726,"nextlsn":"0/1926220","timestamp":"2026-11-22 22:51:08.953606+00","change":[{"kind":"insert","schema":"public","table":"orders","columnnames":["id","status","total","at","tz","doc","raw","b"],${types},"columnvalues":[9007199254740993,${values}]}]}`;
  const row = { id: "9007199254740993", status: "new", total: "12345678901234.123456", at: "2026-11-22T10:00:00.123456Z", tz: "2026-11-22T08:00:00.123456Z", doc: { a: "12345678901234567890" }, raw: "/wA=", b: true };
  assert.deepEqual((read("wal2json", insert).bodies[0] as { after: Json }).after, row);
  // An unchanged TOAST column is missing; the full replica identity has it, and without `pk` nothing says what the key is.
  const full = '{"action":"U","schema":"public","table":"orders","columns":[{"name":"id","type":"bigint","value":3},{"name":"total","type":"numeric(20,6)","value":null}],"identity":[{"name":"id","type":"bigint","value":2},{"name":"total","type":"numeric(20,6)","value":null},{"name":"note","type":"text","value":"nnn"}]}';
  assert.deepEqual(read("wal2json", full).bodies, [{ op: "u", before: { id: 2, total: null, note: "nnn" }, after: { id: 3, total: null }, source: { schema: "public", table: "orders", system: "postgresql" } }]);
  assert.deepEqual(read("wal2json", '{"change":[{"kind":"message","transactional":true,"prefix":"audit","content":"hello \\"x\\""}]}').bodies.length, 1);
});

test("a CloudEvent becomes its data, one by one or in a batch, its attributes in headers or in the event", () => {
  const event = { specversion: "1.0", id: "1", source: "/shop", type: "order.paid", time: "2025-11-22T10:00:00Z", data: { id: "o1" } };
  const one = read("cloudevents", event, { "url.full": "x" });
  assert.deepEqual(one.bodies, [{ id: "o1" }]);
  assert.equal(one.passed[0]!.time, Date.UTC(2025, 10, 22, 10));
  assert.partialDeepStrictEqual(one.passed[0]!.attributes, { "url.full": "x", "cloudevents.event_type": "order.paid" });
  assert.deepEqual(read("cloudevents", JSON.stringify([event, { ...event, id: "2", data: { id: "o2" } }])).bodies, [{ id: "o1" }, { id: "o2" }]);
  assert.equal(read("cloudevents", [event, {}]).failed.length, 1);
  for (const prefix of ["http.request.header.ce-", "messaging.kafka.message.header.ce_"]) {
    const headers = Object.fromEntries(Object.entries({ specversion: "1.0", id: "1", source: "/shop", type: "order.paid" }).map(([name, value]) => [prefix + name, value]));
    assert.deepEqual(read("cloudevents", { id: "o1" }, headers).bodies, [{ id: "o1" }]);
  }
});

test("no JSON whatever makes a format throw, or reach a prototype", () => {
  const names = fc.constantFrom(
    "op", "before", "after", "source", "schema", "payload", "fields", "field", "name", "type", "parameters", "scale", "items", "values", "ts_ms", "snapshot", "__op", "__deleted", "connector", "data", "old", "change",
    "kind", "action", "columns", "identity", "pk", "columnnames", "columnvalues", "oldkeys", "keynames", "keyvalues", "specversion", "id", "time", "data_base64", "updateDescription", "updatedFields", "removedFields", "patch", "__proto__", "constructor", "toString", "valueOf", "$oid", "$date", "$numberLong",
  );
  const leaf = fc.constantFrom<Json>(
    null, true, 0, -1, 1e308, "", "c", "u", "d", "r", "I", "U", "1.0", "insert", "update", "struct", "array", "map", "mongodb", '{"$date":{"$numberLong":{"toString":1}}}', '{"$oid":5}', "A+g=", "__debezium_unavailable_value", "2025-11-22 10:00:00+00", "timestamp",
    "org.apache.kafka.connect.data.Decimal", "io.debezium.data.VariableScaleDecimal", "io.debezium.time.MicroTimestamp", "io.debezium.time.Date", "io.debezium.time.MicroTime", "io.debezium.data.Json",
  );
  const { json } = fc.letrec<{ json: Json }>((tie) => ({
    json: fc.oneof({ maxDepth: 5, depthSize: "medium" }, leaf, fc.array(tie("json"), { maxLength: 4 }), fc.array(fc.tuple(names, tie("json")), { maxLength: 6 }).map((entries) => Object.fromEntries(entries))),
  }));
  fc.assert(fc.property(json, json, fc.boolean(), (body, key, flattened) => {
    for (const format of ["debezium", "maxwell", "wal2json", "cloudevents"]) {
      const { passed, counted, failed } = read({ format, flattened: flattened && format === "debezium" }, body, { "messaging.kafka.message.key": JSON.stringify(key) });
      assert.equal(passed.length > 0, counted.length + failed.length === 0);
    }
  }), { numRuns: 1_500 });
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
});
