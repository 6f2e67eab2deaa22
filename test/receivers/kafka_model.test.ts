import assert from "node:assert/strict";
import { test } from "node:test";
import { kafka as receiver } from "../../receivers/kafka.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { NotAcceptedError } from "../../src/sdk/errors.ts";
import { wholeBody, type Batch, type Json } from "../../src/sdk/observation.ts";
import { receiverContext } from "../support/context.ts";
import { sharedKafka } from "../support/kafka.ts";
import { pause } from "../support/waiting.ts";
import { config } from "./kafka_support.ts";

const kafka = sharedKafka();

const PARTITIONS = 3;
const MESSAGES = 3_000;
const KILLS = 25;

interface Pending { readonly batch: Batch; readonly position: Json | undefined; readonly done: PromiseWithResolvers<void> }

/** What is durable: the position, and the effects that are in the same commit. */
interface Durable { position: Json | undefined; readonly effects: Map<string, number[]> }

/** One life of an agent: it commits now and then, always in order, and dies with what it did not commit. */
async function life(durable: Durable, wanted: ReturnType<typeof config>, random: () => number) {
  const pending: Pending[] = [];
  let dead = false;
  const { context, recorded } = receiverContext({
    id: "kafka/model", clock: realClock, metrics: createMetrics(realClock), ...(durable.position === undefined ? {} : { position: durable.position }),
    emit(batch, position) {
      if (dead) return Promise.reject(new NotAcceptedError("dead"));
      const done = Promise.withResolvers<void>();
      pending.push({ batch, position, done });
      return done.promise;
    },
  });
  const instance = receiver.create(wanted as never, context);
  await instance.start!();
  return {
    recorded,
    /** Commits the first few of what is pending, in one transaction. */
    commit(all = false): void {
      for (const { batch, position, done } of pending.splice(0, all ? pending.length : Math.ceil(random() * pending.length))) {
        for (const one of batch) {
          const partition = String(one.attributes["messaging.destination.partition.id"]);
          const seen = durable.effects.get(partition) ?? [];
          durable.effects.set(partition, seen);
          seen.push(wholeBody(one.body) as number);
        }
        if (position !== undefined) durable.position = JSON.parse(JSON.stringify(position)) as Json;
        done.resolve();
      }
    },
    async die(): Promise<void> {
      dead = true;
      for (const { done } of pending.splice(0)) done.reject(new NotAcceptedError("dead"));
      await instance.stop!();
    },
  };
}

test("killed at any moment: every message has its effect once, in the order of its partition", async (t) => {
  const cluster = await kafka(t);
  if (cluster === undefined) return;
  let seed = 42;
  const random = (): number => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
  await cluster.createTopic("model", { partitions: PARTITIONS });
  const durable: Durable = { position: undefined, effects: new Map() };
  let produced = 0;
  async function produce(): Promise<void> {
    const messages = [];
    for (const end = Math.min(MESSAGES, produced + 200); produced < end; produced++) messages.push({ value: String(produced), partition: Math.floor(random() * PARTITIONS) });
    if (messages.length > 0) await cluster!.produce("model", messages);
  }
  await produce();
  for (let kill = 0; kill < KILLS; kill++) {
    // Batches and answers of all sizes, so that deaths fall everywhere within them.
    const wanted = config(cluster, "model", {
      max_poll_records: 1 + Math.floor(random() * 60), fetch_max_wait: "20ms", max_partition_fetch_bytes: `${200 + Math.floor(random() * 5_000)}B`,
      group_id: "model-group",
    });
    const agent = await life(durable, wanted, random);
    const producing = produce();
    for (let turn = Math.floor(random() * 12); turn >= 0; turn--) {
      await pause(random() * 15);
      if (random() < 0.7) agent.commit();
    }
    await producing;
    await agent.die();
  }
  const effects = (): number => [...durable.effects.values()].reduce((sum, { length }) => sum + length, 0);
  const last = await life(durable, config(cluster, "model"), random);
  while (produced < MESSAGES) await produce();
  for (let turn = 0; effects() < MESSAGES && turn < 2_000; turn++) {
    await pause(5);
    last.commit(true);
  }
  await pause(50);
  last.commit(true);
  await last.die();
  const all = await cluster.read("model");
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const expected = all.filter((message) => message.partition === partition).map(({ value }) => Number(value));
    assert.deepEqual(durable.effects.get(String(partition)), expected, `partition ${partition}`);
  }
  assert.equal(effects(), MESSAGES);
});
