import assert from "node:assert/strict";
import { test } from "node:test";
import * as client from "@platformatic/kafka";
import fc from "fast-check";
import { RecordCursor, type BrokenBatch } from "../../receivers/kafka/records.ts";
import { parseFetchAnswer } from "../../receivers/kafka/fetch_protocol.ts";
import { createCodec } from "../../receivers/kafka/codec.ts";
import { sharedKafka } from "../support/kafka.ts";
import { config, consuming } from "./kafka_support.ts";

const kafka = sharedKafka();
const codec = createCodec(client);

interface Read { readonly offset: number; readonly time: number; readonly key: string | null; readonly value: string | null; readonly headers: Record<string, string | null> }

function read(bytes: Buffer, from = 0, checked = true): { records: Read[]; broken: BrokenBatch[]; next: number } {
  const broken: BrokenBatch[] = [];
  const cursor = new RecordCursor(bytes, 0, bytes.length, from, [], checked ? codec : { ...codec, crc32c: () => bytes.readUInt32BE(17) }, (batch) => broken.push(batch));
  const records: Read[] = [];
  while (cursor.next()) {
    const text = (start: number, end: number): string | null => (start < 0 ? null : cursor.bytes.toString("utf8", start, end));
    const headers: Record<string, string | null> = {};
    cursor.headers((nameStart, nameEnd, start, end) => void (headers[text(nameStart, nameEnd)!] = text(start, end)));
    records.push({ offset: cursor.offset, time: cursor.time, key: text(cursor.keyStart, cursor.keyEnd), value: text(cursor.valueStart, cursor.valueEnd), headers });
  }
  return { records, broken, next: cursor.nextOffset };
}

/** A batch as the client library writes it. */
function batch(values: readonly (string | null)[], firstOffset: number, compression?: string): Buffer {
  const messages = values.map((value, n) => ({
    topic: "t", key: Buffer.from(`k${n}`), ...(value === null ? {} : { value: Buffer.from(value) }), timestamp: BigInt(1_000 + n),
    headers: new Map([[Buffer.from("h"), Buffer.from(`v${n}`)]]),
  }));
  const bytes = Buffer.from(client.createRecordsBatch(messages as never, { compression } as never).buffer);
  bytes.writeBigInt64BE(BigInt(firstOffset));
  return bytes;
}

test("records are read where they lie, whatever their batch is compressed by", () => {
  for (const compression of [undefined, "gzip", "snappy", "lz4", "zstd"]) {
    const { records, broken, next } = read(Buffer.concat([batch(["a", null, ""], 5, compression), batch(["x".repeat(300)], 20, compression)]));
    assert.deepEqual(broken, [], compression);
    assert.deepEqual(records, [
      { offset: 5, time: 1_000, key: "k0", value: "a", headers: { h: "v0" } },
      { offset: 6, time: 1_001, key: "k1", value: null, headers: { h: "v1" } },
      { offset: 7, time: 1_002, key: "k2", value: "", headers: { h: "v2" } },
      { offset: 20, time: 1_000, key: "k0", value: "x".repeat(300), headers: { h: "v0" } },
    ], compression);
    assert.equal(next, 21);
  }
});

test("records before the one that was asked for are passed over, and a batch that is cut off is not begun", () => {
  const whole = Buffer.concat([batch(["a", "b"], 0), batch(["c", "d"], 2), batch(["e"], 4)]);
  const { records, next } = read(whole.subarray(0, whole.length - 1), 1);
  assert.deepEqual(records.map(({ value }) => value), ["b", "c", "d"]);
  assert.equal(next, 4);
});

test("a batch that nobody can read is passed over whole, and told", () => {
  const bad = batch(["c", "d"], 2, "gzip");
  bad.fill(0xff, 70);
  bad.writeUInt32BE(client.crc32c(bad.subarray(21)), 17);
  const old = batch(["f"], 5);
  old[16] = 1;
  const { records, broken, next } = read(Buffer.concat([batch(["a", "b"], 0), bad, batch(["e"], 4), old]));
  assert.deepEqual(records.map(({ value }) => value), ["a", "b", "e"]);
  assert.deepEqual(broken.map(({ firstOffset, lastOffset, records: count }) => [firstOffset, lastOffset, count]), [[2, 3, 2], [5, 5, 1]]);
  assert.equal(next, 6);
});

test("whatever the bytes are, reading ends, stays within them and never goes back", () => {
  const good = Buffer.concat([batch(["a", "b", "c"], 0), batch(["d", "e"], 3, "gzip"), batch(["f"], 5)]);
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 8 }), fc.nat(good.length), (changes, length) => {
    const bytes = Buffer.from(good);
    for (const [at, byte] of changes) bytes[at] = byte;
    const { records, next } = read(bytes.subarray(0, length), 0, length % 2 === 0);
    assert.ok(next >= 0);
    assert.ok(records.length < 100_000);
  }), { numRuns: 500 });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(11, 12, 17), (bytes, version) => {
    try {
      parseFetchAnswer(Buffer.from(bytes), version);
    } catch (error) {
      assert.ok(error instanceof RangeError, String(error));
    }
  }), { numRuns: 500 });
});

test("messages of a transaction come when it is committed, in order; those of one that was aborted never", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("tx");
  const common = { clientId: "tx", bootstrapBrokers: [...cluster.bootstrap], serializers: client.stringSerializers };
  const send = (producer: client.Producer<string, string, string, string>, value: string) => producer.send({ messages: [{ topic: "tx", value }] });
  const one = new client.Producer<string, string, string, string>({ ...common, idempotent: true, transactionalId: "one" });
  const plain = new client.Producer<string, string, string, string>({ ...common });
  for (const [values, committed] of [[["1", "2"], true], [["3"], false], [["4"], true], [["5", "6"], false]] as const) {
    const transaction = await one.beginTransaction();
    for (const value of values) await transaction.send({ messages: [{ topic: "tx", value }] });
    await (committed ? transaction.commit() : transaction.abort());
  }
  await send(plain, "7");
  await using running = await consuming(config(cluster, "tx"));
  await running.count(4);
  const open = await one.beginTransaction();
  await open.send({ messages: [{ topic: "tx", value: "8" }] });
  await send(plain, "9");
  await using dirty = await consuming(config(cluster, "tx", { isolation_level: "read_uncommitted" }));
  await dirty.count(9);
  assert.deepEqual(running.bodies(), [1, 2, 4, 7]);
  await open.commit();
  await running.count(6);
  assert.deepEqual(running.bodies(), [1, 2, 4, 7, 8, 9]);
  assert.deepEqual(dirty.bodies(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  // The marker of the last transaction lies behind its messages: nothing is left to read.
  await using again = await consuming(config(cluster, "tx"), running.position());
  await cluster.produce("tx", [{ value: "10" }]);
  await again.count(1);
  assert.deepEqual(again.bodies(), [10]);
  await Promise.all([one.close(), plain.close()]);
});

for (const compression of ["gzip", "snappy", "lz4", "zstd"] as const) {
  test(`a real broker's batches with ${compression}`, async (t) => {
    const cluster = await kafka(t);
    if (cluster === undefined) return;
    const topic = `packed-${compression}`;
    await cluster.createTopic(topic, { settings: { "compression.type": compression } });
    await cluster.produce(topic, Array.from({ length: 500 }, (_, n) => ({ value: JSON.stringify({ n, text: "same".repeat(20) }) })));
    await using running = await consuming(config(cluster, topic));
    await running.count(500);
    assert.deepEqual(running.bodies().map((body) => (body as { n: number }).n), Array.from({ length: 500 }, (_, n) => n));
  });
}
