import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { deliver, pause, runAgentBeside, say, secondsAgo } from "../support/demo.ts";

const url = `http://${process.env["WEBHOOK_LISTEN"] ?? "127.0.0.1:8081"}/webhooks/updates`;
const events = JSON.parse(await readFile(join(import.meta.dirname, "events.json"), "utf8")) as { event_type: string }[];

await runAgentBeside(import.meta.dirname, async (signal) => {
  for (const event of events) {
    await deliver(url, { ...event, timestamp: secondsAgo(0) }, signal);
    if (signal.aborted) return;
    say(`sent ${event.event_type}`);
    await pause(500, signal);
  }
});
