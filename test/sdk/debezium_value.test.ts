import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { debeziumChange } from "../../src/sdk/debezium.ts";
import { decodeBySchema } from "../../src/sdk/debezium_value.ts";
import { exactJson } from "../../src/sdk/json_text.ts";
import type { Json } from "../../src/sdk/observation.ts";
import { NoChange, type RowChange } from "../../src/sdk/row_change.ts";

const as = (name: string, value: Json, more: { readonly [key: string]: Json } = {}): Json => decodeBySchema(value, { type: "int64", optional: true, name, version: 1, ...more });
const decimal = (unscaled: Json, scale: Json): Json => as("org.apache.kafka.connect.data.Decimal", unscaled, { type: "bytes", parameters: { scale, "connect.decimal.precision": "38" } });
/** As Java's `BigInteger.toByteArray` has it. */
function bytesOf(value: bigint): string {
  let length = 1;
  while (BigInt.asIntN(length * 8, value) !== value) length++;
  return Buffer.from(BigInt.asUintN(length * 8, value).toString(16).padStart(length * 2, "0"), "hex").toString("base64");
}

test("a decimal is exact: a number where a double says the same, else its digits", () => {
  assert.equal(decimal("B9A=", "2"), 20);
  assert.equal(decimal("CiY=", "2"), 25.98);
  assert.equal(decimal("/w==", "2"), -0.01);
  assert.equal(decimal("AA==", "6"), 0);
  assert.equal(decimal("AKtUqYzrGELA", "6"), "12345678901234.123456");
  assert.equal(decimal("BQ==", "-3"), 5_000);
  assert.equal(decimal("AA==", "-3"), 0);
  assert.equal(decimal("AQ==", "0"), 1);
  assert.equal(as("io.debezium.data.VariableScaleDecimal", { scale: 1, value: "Dw==" }, { type: "struct" }), 1.5);
  fc.assert(fc.property(fc.bigInt({ min: -(10n ** 60n), max: 10n ** 60n }), fc.integer({ min: 0, max: 40 }), (unscaled, scale) => {
    const said = decimal(bytesOf(unscaled), String(scale));
    const text = String(said as string | number);
    const [whole = "", fraction = ""] = text.split(".");
    assert.equal(BigInt(whole.replace("-", "") + fraction.padEnd(scale, "0")) * (text.startsWith("-") ? -1n : 1n), unscaled);
  }));
});

test("dates and times of each precision become RFC 3339 with every digit of their fraction", () => {
  assert.equal(as("io.debezium.time.Date", 20_779), "2026-11-22");
  assert.equal(as("org.apache.kafka.connect.data.Date", -1), "1969-12-31");
  assert.equal(as("io.debezium.time.Timestamp", 1_795_341_600_123), "2026-11-22T10:00:00.123Z");
  assert.equal(as("org.apache.kafka.connect.data.Timestamp", 1_795_341_600_000), "2026-11-22T10:00:00Z");
  assert.equal(as("io.debezium.time.MicroTimestamp", 1_795_341_600_123_456), "2026-11-22T10:00:00.123456Z");
  assert.equal(as("io.debezium.time.MicroTimestamp", -1), "1969-12-31T23:59:59.999999Z");
  assert.equal(as("io.debezium.time.NanoTimestamp", "1795341600123456789"), "2026-11-22T10:00:00.123456789Z");
  assert.equal(as("io.debezium.time.NanoTimestamp", "-1"), "1969-12-31T23:59:59.999999999Z");
  assert.equal(as("io.debezium.time.Time", 36_000_500), "10:00:00.5");
  assert.equal(as("org.apache.kafka.connect.data.Time", 0), "00:00:00");
  assert.equal(as("io.debezium.time.MicroTime", 36_000_000_001), "10:00:00.000001");
  assert.equal(as("io.debezium.time.MicroTime", 86_400_000_000), "24:00:00");
  assert.equal(as("io.debezium.time.MicroTime", -3_020_399_000_000), "-838:59:59", "MySQL's TIME");
  assert.equal(as("io.debezium.time.NanoTime", 36_000_000_000_001), "10:00:00.000000001");
  for (const [name, text] of [["ZonedTimestamp", "2026-11-22T08:00:00.123456Z"], ["ZonedTime", "10:00:00Z"], ["IsoDate", "2026-11-22Z"], ["Interval", "P1Y2M3DT4H"]]) {
    assert.equal(as(`io.debezium.time.${name}`, text!), text);
  }
  assert.equal(as("io.debezium.time.MicroTimestamp", "9223372036825200000"), "infinity");
  assert.equal(as("io.debezium.time.MicroTimestamp", -9_223_372_036_832_400_000), "-infinity");
  assert.equal(as("io.debezium.time.Year", 2026), 2026);
});

test("JSON columns are decoded, lists, maps and rows by the schemas of what is in them", () => {
  assert.deepEqual(as("io.debezium.data.Json", '{"a":12345678901234567890}'), { a: "12345678901234567890" });
  assert.equal(as("io.debezium.data.Json", "{"), "{");
  const deep = "[".repeat(5_000) + "]".repeat(5_000);
  assert.equal(as("io.debezium.data.Json", deep), deep);
  const date = { type: "int32", name: "io.debezium.time.Date" };
  assert.deepEqual(decodeBySchema([0, null, 1], { type: "array", items: date }), ["1970-01-01", null, "1970-01-02"]);
  assert.deepEqual(decodeBySchema({ x: 0, __proto__y: 1 }, { type: "map", values: date }), { x: "1970-01-01", __proto__y: "1970-01-02" });
  assert.deepEqual(decodeBySchema({ day: 0, other: 5 }, { type: "struct", fields: [{ ...date, field: "day" }] }), { day: "1970-01-01", other: 5 });
  assert.equal(decodeBySchema("1.10000000000000009", { type: "double" }), 1.1);
  assert.equal(decodeBySchema("NaN", { type: "double" }), "NaN");
});

test("what is not as its schema says stays as it came", () => {
  const hostile: Json[] = [null, true, 5.5, 1e300, -1e300, "", "x", "-".repeat(1_000), [], [1], {}, { toString: 1, valueOf: 1 }, { scale: {}, value: [] }, "=".repeat(9)];
  const names = [
    "org.apache.kafka.connect.data.Decimal", "io.debezium.data.VariableScaleDecimal", "io.debezium.time.Date", "io.debezium.time.Timestamp", "io.debezium.time.MicroTimestamp",
    "io.debezium.time.NanoTimestamp", "io.debezium.time.Time", "io.debezium.time.MicroTime", "io.debezium.time.NanoTime", "constructor", "__proto__",
  ];
  for (const name of names) for (const value of hostile) assert.deepEqual(as(name, value, { parameters: { scale: "2" } }), value, `${name} ${JSON.stringify(value)}`);
  for (const scale of [undefined, null, "x", "1e3", 2.5, "99999", {}, "-99999"] as Json[]) assert.equal(decimal("B9A=", scale), "B9A=");
  for (const schema of [null, 5, "x", [], { type: "struct", fields: "x" }, { type: "struct", fields: [null, { field: 5 }] }, { type: "array" }, { type: {} }] as Json[]) {
    assert.deepEqual(decodeBySchema({ a: 1 }, schema), { a: 1 });
    assert.deepEqual(decodeBySchema([1], schema), [1]);
  }
});

test("the largest decimal that PostgreSQL has costs no more than a moment, one beyond is left as it came", () => {
  const largest = Buffer.alloc(49_000, 0x7f).toString("base64");
  const start = performance.now();
  assert.equal((decimal(largest, "16383") as string).length > 100_000, true);
  assert.ok(performance.now() - start < 2_000);
  const beyond = Buffer.alloc(100_000, 0x7f).toString("base64");
  assert.equal(decimal(beyond, "0"), beyond);
});

interface Captured {
  readonly key: string;
  readonly headers: object;
  readonly value: string | null;
}
/** Of Debezium 3.1.3 on PostgreSQL 15; test/end_to_end/debezium.test.ts has it write such anew. */
const captured = JSON.parse(readFileSync(new URL("debezium_messages.json", import.meta.url), "utf8")) as Record<string, Captured>;

function read(name: string, flattened = false): RowChange | NoChange {
  const { key, value } = captured[name]!;
  return debeziumChange(value === null ? null : exactJson(value), { key: exactJson(key), flattened });
}

test("messages that a real Debezium wrote are the changes that were made", () => {
  const row = {
    id: "9007199254740993", status: "fraud_detected", total: "12345678901234.123456", anything: 1.5, at: "infinity", tz: "2026-11-22T08:00:00.123456Z",
    d: "2026-11-22", tm: "10:00:00.5", doc: { a: "12345678901234567890" }, u: "7f0cbd6e-3f5c-4d39-a4a8-bd0cdb6d5a0a", f: 0.1,
  };
  const update = read("update with TOAST, with schema") as RowChange;
  assert.deepEqual([update.op, update.before, update.after, update.time, update.snapshot], ["u", null, row, 1_795_387_304_226, false]);
  const bare = read("update with TOAST, bare") as RowChange;
  assert.deepEqual(Object.keys(bare.after!), Object.keys(row));
  assert.partialDeepStrictEqual(bare.after, { id: row.id, total: "AKtUqYzrGELA", d: 20_779 });
  const flat = read("flattened update", true) as RowChange;
  assert.deepEqual(flat.after, bare.after);
  assert.deepEqual([flat.op, flat.time], ["u", bare.time]);
  assert.partialDeepStrictEqual(read("snapshot row, bare"), { op: "r", before: null, after: { id: 1, status: "there before" }, snapshot: true });
  assert.partialDeepStrictEqual(read("key change: deletion, with schema"), { op: "d", before: { id: 1 }, after: null });
  assert.partialDeepStrictEqual(read("key change: creation, bare"), { op: "c", before: null, after: { id: 2 } });
  assert.partialDeepStrictEqual(read("logical message"), { op: "m", message: { prefix: "audit", content: "aGVsbG8=" } });
  for (const [name, reason] of [["key change: tombstone", "tombstone"], ["heartbeat", "heartbeat"], ["transaction end", "transaction marker"]]) {
    assert.deepEqual(read(name!), new NoChange(reason!, true));
  }
});
