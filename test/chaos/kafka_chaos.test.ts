import assert from "node:assert/strict";
import { test } from "node:test";
import { kafkaInstallation } from "../support/kafka_install.ts";
import { chaos } from "./chaos.ts";
import { kafkaSource } from "./kafka_source.ts";

test("Kafka: the agent is killed, the broker hangs and is killed: states are those of the topic, each move is counted once", { timeout: 110_000 }, async (t) => {
  if ((await kafkaInstallation(t)) === undefined) return;
  const result = await chaos(5, 83, [kafkaSource]);
  assert.equal(result.troubles, 2);
  assert.ok(result.moves > 200, `too little happened to prove anything: ${JSON.stringify(result)}`);
});
