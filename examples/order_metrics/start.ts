import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { deliver, demoServer, runAgentBeside, say } from "../support/demo.ts";

const json = async (file: string): Promise<unknown> => JSON.parse(await readFile(join(import.meta.dirname, file), "utf8"));
const stand = await json("stand.json");
const events = (await json("events.json")) as { seconds_ago: number; id: string; status: string }[];
const webhook = `http://${process.env["WEBHOOK_LISTEN"] ?? "127.0.0.1:8081"}/webhooks/orders`;

await using shop = await demoServer(8090, (path) => (path === "/stand" ? stand : undefined));
process.env["SHOP_URL"] = shop.url;
const startedMs = Date.now();
await runAgentBeside(import.meta.dirname, async (signal) => {
  for (const { seconds_ago, ...event } of events) {
    await deliver(webhook, { ...event, time: new Date(startedMs - seconds_ago * 1_000).toISOString() }, signal);
    if (!signal.aborted) say(`${event.id} is ${event.status}`);
  }
  say("see curl -s http://127.0.0.1:9464/metrics");
});
