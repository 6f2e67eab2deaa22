import assert from "node:assert/strict";
import { test } from "node:test";
import { sharedKafka } from "../support/kafka.ts";
import { until } from "../support/waiting.ts";
import { config, consuming } from "./kafka_support.ts";

const kafka = sharedKafka();

test("topics that a pattern finds while running begin at their beginning", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("shop.orders");
  await cluster.produce("shop.orders", [{ value: "1" }]);
  await using running = await consuming(config(cluster, "/^shop\\./", { initial_offset: "latest" }));
  await until("it has caught up", () => running.recorded.caughtUp);
  await cluster.createTopic("shop.payments");
  await cluster.createTopic("other");
  await cluster.produce("shop.payments", [{ value: "2" }]);
  await cluster.produce("other", [{ value: "3" }]);
  await running.count(1);
  await cluster.produce("shop.orders", [{ value: "4" }]);
  await running.count(2);
  assert.deepEqual(running.bodies(), [2, 4]);
});

test("a topic that appears while the agent is down is read from its beginning", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  const wanted = config(cluster, ["late", "/^later/"], { initial_offset: "latest" });
  const first = await consuming(wanted);
  await until("it has looked", () => first.recorded.emitted.length > 0);
  assert.deepEqual(first.recorded.reports, ["topic late does not exist"]);
  await first.stop();
  await cluster.createTopic("late");
  await cluster.createTopic("later");
  await cluster.produce("late", [{ value: "1" }]);
  await cluster.produce("later", [{ value: "2" }]);
  await using second = await consuming(wanted, first.position());
  await second.count(2);
  assert.deepEqual(second.bodies().map(Number).toSorted((a, b) => a - b), [1, 2]);
});

test("partitions that are added are read from their beginning", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("grows");
  await cluster.produce("grows", [{ value: "0" }]);
  await using running = await consuming(config(cluster, "grows", { initial_offset: "latest" }));
  await until("it has caught up", () => running.recorded.caughtUp);
  await cluster.addPartitions("grows", 3);
  await cluster.produce("grows", [{ value: "1", partition: 1 }, { value: "2", partition: 2 }]);
  await running.count(2);
  assert.deepEqual(running.bodies().map(Number).toSorted((a, b) => a - b), [1, 2]);
});

test("a topic that is deleted and created anew is read from its beginning, running or not", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("reborn");
  await cluster.produce("reborn", [{ value: "1" }, { value: "2" }, { value: "3" }]);
  const running = await consuming(config(cluster, "reborn"));
  await running.count(3);
  await cluster.deleteTopic("reborn");
  await until("it is missed", () => running.recorded.reports.includes("topic reborn does not exist"));
  await cluster.createTopic("reborn");
  await cluster.produce("reborn", [{ value: "4" }]);
  await running.count(4);
  assert.ok(running.recorded.reports.some((report) => report.includes("created anew")));
  await running.stop();
  await cluster.deleteTopic("reborn");
  await cluster.createTopic("reborn");
  await cluster.produce("reborn", [{ value: "5" }, { value: "6" }]);
  await using again = await consuming(config(cluster, "reborn"), running.position());
  await again.count(2);
  assert.deepEqual([...running.bodies(), ...again.bodies()], [1, 2, 3, 4, 5, 6]);
});

for (const [policy, next] of [["earliest", 7], ["latest", 10]] as const) {
  test(`offsets that expired while the agent was down: on at the ${policy}, and what was missed is counted`, async (t) => {
    const cluster = await kafka(t);
    if (cluster === undefined) return;
    const topic = `expires-${policy}`;
    await cluster.createTopic(topic);
    await cluster.produce(topic, [{ value: "0" }, { value: "1" }]);
    const first = await consuming(config(cluster, topic));
    await first.count(2);
    await first.stop();
    await cluster.produce(topic, Array.from({ length: 8 }, (_, n) => ({ value: String(n + 2) })));
    await cluster.deleteRecords(topic, 0, 7);
    await using second = await consuming(config(cluster, topic, { on_offset_expired: policy }), first.position());
    await until("it is counted", () => second.recorded.refused.length > 0);
    assert.deepEqual(second.recorded.refused, [{ count: next - 2, reason: "expired" }]);
    await cluster.produce(topic, [{ value: "10" }]);
    await second.count(11 - next);
    assert.deepEqual(second.bodies(), Array.from({ length: 11 - next }, (_, n) => n + next));
    await until("it has caught up", () => second.recorded.caughtUp);
  });
}

test("with fail an expired offset stops that partition, and the receiver is failing", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("fails", { partitions: 2 });
  await cluster.produce("fails", [{ value: "1", partition: 0 }, { value: "2", partition: 1 }]);
  const first = await consuming(config(cluster, "fails"));
  await first.count(2);
  await first.stop();
  await cluster.produce("fails", [{ value: "3", partition: 0 }, { value: "4", partition: 0 }, { value: "5", partition: 1 }]);
  await cluster.deleteRecords("fails", 0, 2);
  await using second = await consuming(config(cluster, "fails", { on_offset_expired: "fail" }), first.position());
  await second.count(1);
  assert.deepEqual(second.bodies(), [5]);
  await until("it is failing", () => second.recorded.failing !== undefined);
  assert.match(second.recorded.failing!, /fails, partition 0: offset 1 is gone, the first is 2/);
  assert.deepEqual((second.position() as { fails: { next: object } }).fails.next, { 0: 1, 1: 2 });
});
