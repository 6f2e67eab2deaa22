import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { KafkaMessage } from "../../test/support/kafka_topics.ts";
import { pause, runAgentBeside, say } from "../support/demo.ts";
import { demoKafka } from "../support/kafka.ts";

const TOPIC = "dbserver1.mydb.orders";

interface Step {
  readonly says: string;
  readonly key: object;
  readonly value: { readonly source: object } | null;
}

/** As Debezium would write it now. */
function message({ key, value }: Step): KafkaMessage {
  const now = Date.now();
  return { key: JSON.stringify(key), value: value && JSON.stringify({ ...value, source: { ...value.source, ts_ms: now }, ts_ms: now }) };
}

const steps = JSON.parse(await readFile(join(import.meta.dirname, "messages.json"), "utf8")) as Step[];
await using kafka = await demoKafka();
if (!(await kafka.admin().listTopics()).includes(TOPIC)) await kafka.createTopic(TOPIC);

await runAgentBeside(import.meta.dirname, async (signal) => {
  for (const step of steps) {
    if (signal.aborted) return;
    await kafka.produce(TOPIC, [message(step)]);
    if (step.says !== "") say(step.says);
    await pause(1_000, signal);
  }
});
