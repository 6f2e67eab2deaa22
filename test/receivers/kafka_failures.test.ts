import assert from "node:assert/strict";
import { test } from "node:test";
import { Producer, stringSerializers } from "@platformatic/kafka";
import { sharedKafka, type Kafka } from "../support/kafka.ts";
import { pause, until } from "../support/waiting.ts";
import { config, consuming } from "./kafka_support.ts";

const kafka = sharedKafka({ brokers: 3, own: true });

const numbers = (from: number, to: number): { value: string }[] => Array.from({ length: to - from }, (_, n) => ({ value: String(from + n) }));

async function topic(cluster: Kafka, name: string): Promise<void> {
  await cluster.createTopic(name, { partitions: 1, replication: 3, settings: { "min.insync.replicas": "1" } });
}

test("the leader dies: another is asked, nothing is lost, nothing comes twice, order is kept", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await topic(cluster, "leader");
  await cluster.produce("leader", numbers(0, 100));
  await using running = await consuming(config(cluster, "leader"));
  await running.count(100);
  const leader = cluster.broker(await cluster.leaderOf("leader", 0));
  await leader.kill();
  await cluster.produce("leader", numbers(100, 200));
  await running.count(200);
  await leader.start();
  await cluster.produce("leader", numbers(200, 300));
  await running.count(300);
  assert.deepEqual(running.bodies(), numbers(0, 300).map(({ value }) => Number(value)));
  assert.equal(running.recorded.failing, undefined);
});

test("a broker that hangs is given up after the request's time, and its partitions are read from another", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await topic(cluster, "hangs");
  await cluster.produce("hangs", numbers(0, 10));
  await using running = await consuming(config(cluster, "hangs", { request_timeout: "1s" }));
  await running.count(10);
  const leader = cluster.broker(await cluster.leaderOf("hangs", 0));
  // One that does not ask the broker that hangs.
  const producer = new Producer({
    clientId: "other", bootstrapBrokers: [1, 2, 3].map((id) => cluster.broker(id)).filter((broker) => broker !== leader).map(({ address }) => address),
    requestTimeout: 1_000, retries: 30, retryDelay: 200, serializers: stringSerializers,
  });
  leader.freeze();
  try {
    // Its partitions have another leader when its session is over.
    await pause(3_000);
    await producer.send({ messages: numbers(10, 20).map(({ value }) => ({ topic: "hangs", value })) });
    await running.count(20);
  } finally {
    leader.thaw();
    await producer.close();
  }
  assert.deepEqual(running.bodies(), numbers(0, 20).map(({ value }) => Number(value)));
});

test("without any broker the receiver is failing; when they are back it is so only until the news is there", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await topic(cluster, "outage");
  await cluster.produce("outage", numbers(0, 10));
  let emittedWhenBack = -1;
  await using running = await consuming(config(cluster, "outage", { failing_after: "300ms" }));
  await running.count(10);
  const brokers = [1, 2, 3].map((id) => cluster.broker(id));
  await Promise.all(brokers.map((broker) => broker.kill()));
  await until("it is failing", () => running.recorded.failing !== undefined);
  assert.match(running.recorded.failing!, /127\.0\.0\.1/);
  const watch = setInterval(() => {
    if (running.recorded.failing === undefined && emittedWhenBack < 0) emittedWhenBack = running.observations().length;
  }, 1);
  await Promise.all(brokers.map((broker) => broker.start()));
  await cluster.produce("outage", numbers(10, 20));
  await running.count(20);
  await until("it works again", () => emittedWhenBack >= 0);
  clearInterval(watch);
  assert.deepEqual(running.bodies(), numbers(0, 20).map(({ value }) => Number(value)));
  assert.ok(running.recorded.healed > 0);
});

test("an agent that starts without any broker begins when one comes, and stops at once when told to", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  await topic(cluster, "early");
  await cluster.produce("early", numbers(0, 3));
  const brokers = [1, 2, 3].map((id) => cluster.broker(id));
  await Promise.all(brokers.map((broker) => broker.kill()));
  const running = await consuming(config(cluster, "early"));
  const other = await consuming(config(cluster, "early", { group_id: "nobody" }));
  await pause(300);
  assert.equal(running.recorded.caughtUp, false);
  const before = performance.now();
  await other.stop();
  assert.ok(performance.now() - before < 1_000);
  await Promise.all(brokers.map((broker) => broker.start()));
  await running.count(3);
  await until("it has caught up", () => running.recorded.caughtUp);
  await running.stop();
});
