import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pause, runAgentBeside, say, secondsAgo } from "../support/demo.ts";
import { demoKafka } from "../support/kafka.ts";

const TOPICS = ["order_events", "order_alerts"];
const lines = (await readFile(join(import.meta.dirname, "order_events.ndjson"), "utf8")).trimEnd().split("\n");

await using kafka = await demoKafka();
const present = await kafka.admin().listTopics();
for (const topic of TOPICS) if (!present.includes(topic)) await kafka.createTopic(topic, { partitions: 3 });
say(`writes the events of order_events.ndjson, as of now, to the topic order_events of ${kafka.bootstrap.join(",")}`);

await runAgentBeside(import.meta.dirname, async (signal) => {
  for (const line of lines) {
    const event = JSON.parse(line) as { readonly order_id: string; readonly event: string; readonly new_status: string };
    // The key keeps the events of an order in one partition, and so in order.
    await kafka.produce("order_events", [{ key: event.order_id, value: JSON.stringify({ ...event, timestamp: secondsAgo(0) }) }]);
    say(`${event.order_id} is ${event.new_status}`);
    await pause(700, signal);
    if (signal.aborted) return;
  }
});
