import { demoServer, runAgent, say, secondsAgo } from "../support/demo.ts";

const MINUTE = 60;
const SHIPPED_AT_POLL = 4;
const createdAt = secondsAgo(35 * MINUTE);
let polls = 0;

interface Told {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly endsAt: string;
}

await using demo = await demoServer(8090, (path, body) => {
  // Stands for Alertmanager where no real one is given.
  if (path === "/api/v2/alerts") {
    for (const { labels, annotations, endsAt } of JSON.parse(body) as Told[]) {
      const status = Date.parse(endsAt) > Date.now() ? "firing" : "resolved";
      say(`Alertmanager got: ${status} ${labels["alertname"]} ${labels["resource_id"]} (${labels["region"]}): ${annotations["summary"]}`);
    }
    return "";
  }
  if (path !== "/orders") return undefined;
  polls += 1;
  if (polls === SHIPPED_AT_POLL) say("ORD-1 is shipped at last");
  const status = polls < SHIPPED_AT_POLL ? "pending" : "shipped";
  const updated_at = secondsAgo(0);
  return {
    orders: [
      { id: "ORD-1", status, region: "eu", amount: 120, created_at: createdAt, updated_at },
      { id: "ORD-2", status: "pending", region: "us", amount: 80, created_at: createdAt, updated_at },
      { id: "ORD-3", status: "shipped", region: "eu", amount: 35, created_at: createdAt, updated_at },
    ],
  };
});
process.env["SHOP_URL"] = demo.url;
process.env["ALERTMANAGER_URL"] ||= demo.url;
say("ORD-1 and ORD-2 have been pending for 35 minutes");
await runAgent(import.meta.dirname);
