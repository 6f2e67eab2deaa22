import assert from "node:assert/strict";
import { test } from "node:test";
import { sharedKafka } from "../support/kafka.ts";
import { until } from "../support/waiting.ts";
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
