import assert from "node:assert/strict";
import { test } from "node:test";
import { sharedKafka } from "../support/kafka.ts";
import { pause, until } from "../support/waiting.ts";
import { config, consuming } from "./kafka_support.ts";

const kafka = sharedKafka();

test("messages become observations with what Kafka knows of them", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("basic");
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  await cluster.produce("basic", [
    { key: "o1", value: '{"id":"o1","status":"new"}', timestamp: 1_700_000_000_000, headers: { traceparent, tenant: "a", other: "b" } },
    { value: '{"id":"o2"}' },
    { key: "o1", value: null },
  ]);
  await using running = await consuming(config(cluster, "basic", { include_headers: ["tenant"] }));
  await running.count(3);
  assert.deepEqual(running.bodies(), [{ id: "o1", status: "new" }, { id: "o2" }, null]);
  const [first, second, third] = running.observations();
  assert.deepEqual(first!.attributes, {
    "messaging.destination.name": "basic", "messaging.destination.partition.id": "0", "messaging.kafka.offset": 0,
    "messaging.kafka.message.key": "o1", "messaging.kafka.message.header.tenant": "a",
  });
  assert.equal(first!.time, 1_700_000_000_000);
  assert.equal(first!.traceparent, traceparent);
  assert.equal(first!.source, "kafka/test");
  assert.equal(Object.hasOwn(second!.attributes, "messaging.kafka.message.key"), false);
  assert.equal(third!.attributes["messaging.kafka.message.tombstone"], true);
  await until("it has caught up", () => running.recorded.caughtUp);
  assert.deepEqual(running.recorded.reports, []);
});

test("a receiver goes on where the store says, not where the group is", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("resume", { partitions: 2 });
  await cluster.produce("resume", Array.from({ length: 20 }, (_, n) => ({ value: String(n), partition: n % 2 })));
  const first = await consuming(config(cluster, "resume"));
  await first.count(20);
  await first.stop();
  const position = first.position();
  await cluster.produce("resume", [{ value: "100", partition: 0 }, { value: "101", partition: 1 }]);
  await using second = await consuming(config(cluster, "resume"), position);
  await second.count(2);
  assert.deepEqual(second.bodies().map(Number).toSorted((a, b) => a - b), [100, 101]);
});

test("what cannot be decoded is refused, counted and kept, and holds up nothing", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("poison");
  await cluster.produce("poison", [
    { value: "1" }, { key: "k", value: "{broken" }, { value: "" }, { value: Buffer.from([0xff, 0xfe]) }, { value: "[".repeat(1_000) },
    { value: `"${"x".repeat(3_000)}"` }, { value: "2" },
  ]);
  const wanted = config(cluster, "poison", { max_message_size: "2kB" });
  await using running = await consuming(wanted);
  await running.count(2);
  assert.deepEqual(running.bodies(), [1, 2]);
  assert.deepEqual(running.recorded.refused.map(({ reason }) => reason), ["undecodable", "undecodable", "undecodable", "undecodable", "too_large"]);
  const letters = running.recorded.deadLetters.map(({ observation, reason }) => [observation.body as unknown as string, reason]);
  assert.deepEqual(letters.slice(0, 3), [["{broken", "not JSON"], ["", "empty text is not JSON"], ["//4=", "not UTF-8"]]);
  assert.deepEqual(running.recorded.deadLetters[0]!.observation.attributes["messaging.kafka.message.key"], "k");
  await using passing = await consuming({ ...wanted, on_error: "pass" });
  await passing.count(6);
  assert.deepEqual(passing.bodies().slice(0, 4), [1, "{broken", "", "//4="]);
  assert.equal(passing.recorded.deadLetters.length, 0);
  await using dropping = await consuming({ ...wanted, on_error: "drop" });
  await dropping.count(2);
  assert.equal(dropping.recorded.deadLetters.length, 0);
});

test("text is text and raw is base64", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("plain");
  await cluster.produce("plain", [{ value: "ä" }]);
  await using text = await consuming(config(cluster, "plain", { encoding: "text" }));
  await using raw = await consuming(config(cluster, "plain", { encoding: "raw" }));
  await Promise.all([text.count(1), raw.count(1)]);
  assert.deepEqual([text.bodies(), raw.bodies()], [["ä"], ["w6Q="]]);
});

test("a topic that was never read begins where initial_offset says, and stays there though nothing came before a crash", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("initial");
  await cluster.produce("initial", [{ value: "1", timestamp: 1_000_000 }, { value: "2", timestamp: 2_000_000 }, { value: "3", timestamp: 3_000_000 }]);
  await using timed = await consuming(config(cluster, "initial", { initial_offset: "1970-01-01T00:25:00Z" }));
  await timed.count(2);
  assert.deepEqual(timed.bodies(), [2, 3]);
  const latest = await consuming(config(cluster, "initial", { initial_offset: "latest" }));
  await until("it has caught up", () => latest.recorded.caughtUp);
  await latest.stop();
  const position = latest.position();
  await cluster.produce("initial", [{ value: "4" }]);
  await using again = await consuming(config(cluster, "initial", { initial_offset: "latest" }), position);
  await again.count(1);
  assert.deepEqual(again.bodies(), [4]);
});

test("two agents with disjoint partitions read everything once", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("shared", { partitions: 3 });
  await cluster.produce("shared", Array.from({ length: 30 }, (_, n) => ({ value: String(n), partition: n % 3 })));
  await using one = await consuming(config(cluster, "shared", { partitions: [0, 2] }));
  await using other = await consuming(config(cluster, "shared", { partitions: [1] }));
  await Promise.all([one.count(20), other.count(10)]);
  assert.deepEqual(other.bodies(), [1, 4, 7, 10, 13, 16, 19, 22, 25, 28]);
  assert.deepEqual(one.bodies().map(Number).filter((n) => n % 3 === 2), [2, 5, 8, 11, 14, 17, 20, 23, 26, 29]);
});

test("offsets are told to the group only after the commit, and once more when stopping", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("told");
  await cluster.produce("told", [{ value: "1" }, { value: "2" }]);
  let commit = (): void => {};
  const committed = new Promise<void>((resolve) => void (commit = resolve));
  const running = await consuming(config(cluster, "told", { group_id: "watchers" }), undefined, { emit: () => committed });
  const groupOffset = async (): Promise<bigint | undefined> => {
    const [group] = await cluster.admin().listConsumerGroupOffsets({ groups: ["watchers"] });
    return group?.topics.find(({ name }) => name === "told")?.partitions[0]?.committedOffset;
  };
  try {
    await running.count(2);
    await pause(700);
    assert.equal(await groupOffset(), undefined);
  } finally {
    commit();
  }
  await running.stop();
  assert.equal(await groupOffset(), 2n);
});

test("without room fetching pauses, and memory is bounded", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("pressure");
  const value = JSON.stringify("x".repeat(1_000));
  for (let n = 0; n < 4; n++) await cluster.produce("pressure", Array.from({ length: 500 }, () => ({ value })));
  let commit = (): void => {};
  const committed = new Promise<void>((resolve) => void (commit = resolve));
  await using running = await consuming(config(cluster, "pressure", { max_poll_records: 10 }), undefined, { emit: () => committed });
  try {
    await running.count(100);
    await pause(200);
    assert.ok(running.recorded.emitted.length <= 17, `${running.recorded.emitted.length} batches are pending`);
    assert.equal(running.recorded.failing, undefined);
  } finally {
    commit();
  }
  await running.count(2_000);
  assert.ok(running.recorded.emitted.every(({ batch }) => batch.length <= 10));
});

test("a batch that was not accepted is sent again before what comes after it", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("refused");
  await cluster.produce("refused", Array.from({ length: 50 }, (_, n) => ({ value: String(n) })));
  const taken: number[] = [];
  let open = false;
  await using running = await consuming(config(cluster, "refused", { max_poll_records: 10 }), undefined, {
    async emit(batch) {
      if (!open && batch.length > 0) throw new Error("not now");
      taken.push(...batch.map(({ body }) => Number(body)));
    },
  });
  await until("it was refused", () => running.recorded.reports.length > 0);
  open = true;
  await until("all are taken", () => taken.length === 50);
  assert.deepEqual(taken, taken.toSorted((a, b) => a - b));
  assert.equal(running.recorded.reports[0], "not now");
});

test("lag is a metric for each partition, and in the status", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("lagging");
  await cluster.produce("lagging", Array.from({ length: 40 }, (_, n) => ({ value: String(n) })));
  let commit = (): void => {};
  const committed = new Promise<void>((resolve) => void (commit = resolve));
  const running = await consuming(config(cluster, "lagging", { max_poll_records: 2 }), undefined, { emit: () => committed });
  const lag = () => running.metrics.gauge({ name: "sojourn_kafka_lag", help: "", labels: ["receiver", "topic", "partition"] })
    .series("kafka/test", "lagging", "0").value;
  try {
    await until("it waits", () => lag() > 0 && lag() < 40);
    const described = running.recorded.describe!() as { lag: number; partitions: { end_offset: number }[] };
    assert.equal(described.lag, lag());
    assert.equal(described.partitions[0]!.end_offset, 40);
  } finally {
    commit();
  }
  await until("the lag is gone", () => lag() === 0);
  await running.stop();
});
