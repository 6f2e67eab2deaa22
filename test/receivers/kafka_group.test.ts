import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "../../src/sdk/observation.ts";
import { sharedKafka, type Kafka } from "../support/kafka.ts";
import { pause, until } from "../support/waiting.ts";
import { config, consuming, type Config, type Consuming } from "./kafka_support.ts";

const kafka = sharedKafka();

const PARTITIONS = 4;

function member(cluster: Kafka, topic: string, parts: Partial<Config> = {}, position?: Json): Promise<Consuming> {
  return consuming(config(cluster, topic, { partitions: "group", group_id: `${topic}-group`, session_timeout: "1500ms", ...parts }), position);
}

/** Partitions that a member reads now. */
function reads(running: Consuming): number[] {
  return (running.recorded.describe!() as { partitions: { partition: number }[] }).partitions.map(({ partition }) => partition).toSorted((a, b) => a - b);
}

async function produce(cluster: Kafka, topic: string, from: number, count: number): Promise<void> {
  await cluster.produce(topic, Array.from({ length: count }, (_, n) => ({ value: String(from + n), partition: (from + n) % PARTITIONS })));
}

const shared = (...members: readonly Consuming[]): boolean => {
  const all = members.map(reads);
  return all.every((one) => one.length > 0) && all.flat().toSorted((a, b) => a - b).join() === "0,1,2,3";
};

test("members share the partitions: one joins, one leaves, and everything is read once where nobody dies", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("team", { partitions: PARTITIONS });
  await produce(cluster, "team", 0, 40);
  await using one = await member(cluster, "team");
  await one.count(40);
  const other = await member(cluster, "team");
  await until("both read", () => shared(one, other));
  await produce(cluster, "team", 40, 40);
  await until("all was read", () => one.bodies().length + other.bodies().length >= 80);
  assert.ok(other.bodies().length > 0);
  await other.stop();
  await until("one reads all again", () => reads(one).length === PARTITIONS);
  await produce(cluster, "team", 80, 20);
  await until("all was read", () => one.bodies().length + other.bodies().length >= 100);
  assert.deepEqual([...one.bodies(), ...other.bodies()].map(Number).toSorted((a, b) => a - b), Array.from({ length: 100 }, (_, n) => n));
  assert.deepEqual([one.recorded.reports, other.recorded.reports], [[], []]);
});

test("a member that dies is missed after its session, and the others take over where the group was", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("crash", { partitions: PARTITIONS });
  await using one = await member(cluster, "crash");
  // A member of another client that joins, and then says nothing any more.
  const dead = new (await import("@platformatic/kafka")).Consumer({
    clientId: "dead", groupId: "crash-group", bootstrapBrokers: [...cluster.bootstrap], sessionTimeout: 1_500, rebalanceTimeout: 60_000, heartbeatInterval: 200,
  });
  dead.topics.track("crash");
  await until("one reads all", () => reads(one).length === PARTITIONS);
  await dead.joinGroup({});
  await until("they share", () => reads(one).length === PARTITIONS / 2);
  await dead.connections.close();
  await produce(cluster, "crash", 0, 40);
  await one.count(40);
  assert.deepEqual(one.bodies().map(Number).toSorted((a, b) => a - b), Array.from({ length: 40 }, (_, n) => n));
  await dead.close(true).catch(() => undefined);
});

test("a static member that is back in time has its partitions again, and the others never moved", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("static", { partitions: PARTITIONS });
  const wanted = { session_timeout: "6s" };
  await using one = await member(cluster, "static", { ...wanted, group_instance_id: "one" });
  const other = await member(cluster, "static", { ...wanted, group_instance_id: "two" });
  await until("both read", () => shared(one, other));
  const before = reads(one);
  const others = reads(other);
  await produce(cluster, "static", 0, 40);
  await until("all was read", () => one.bodies().length + other.bodies().length === 40);
  await other.stop();
  await produce(cluster, "static", 40, 40);
  await using again = await member(cluster, "static", { ...wanted, group_instance_id: "two" }, other.position());
  await until("all was read", () => one.bodies().length + other.bodies().length + again.bodies().length === 80);
  assert.deepEqual([reads(one), reads(again)], [before, others]);
  assert.deepEqual([...one.bodies(), ...other.bodies(), ...again.bodies()].map(Number).toSorted((a, b) => a - b), Array.from({ length: 80 }, (_, n) => n));
});

test("partitions that are added are shared as well, from their beginning", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("wider", { partitions: 1 });
  await using one = await member(cluster, "wider", { initial_offset: "latest" });
  await until("it reads", () => reads(one).length === 1 && one.recorded.caughtUp);
  await cluster.addPartitions("wider", 3);
  await cluster.produce("wider", [{ value: "1", partition: 1 }, { value: "2", partition: 2 }]);
  await one.count(2);
  assert.deepEqual(one.bodies().map(Number).toSorted((a, b) => a - b), [1, 2]);
});

test("the heartbeat goes on while fetching is paused", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await cluster.createTopic("paused", { partitions: PARTITIONS });
  await produce(cluster, "paused", 0, 400);
  let commit = (): void => {};
  const committed = new Promise<void>((resolve) => void (commit = resolve));
  await using running = await consuming(
    config(cluster, "paused", { partitions: "group", group_id: "paused-group", session_timeout: "1s", max_poll_records: 10 }), undefined, { emit: () => committed },
  );
  try {
    await running.count(100);
    await pause(2_500);
    assert.equal(reads(running).length, PARTITIONS);
  } finally {
    commit();
  }
  await running.count(400);
  assert.equal(running.bodies().length, 400);
  assert.deepEqual(running.recorded.reports, []);
});
