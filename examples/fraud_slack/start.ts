import { demoServer, runAgent, say } from "../support/demo.ts";

const FRAUD_FOUND_AT_POLL = 3;
let polls = 0;

await using demo = await demoServer(8090, (path, body) => {
  // Stands for Slack where no real one is given.
  if (path === "/slack") {
    say(`Slack got: ${(JSON.parse(body) as { text: string }).text}`);
    return "ok";
  }
  if (path !== "/orders") return undefined;
  polls += 1;
  if (polls === FRAUD_FOUND_AT_POLL) say("ORD-13 turns fraudulent");
  const status = polls < FRAUD_FOUND_AT_POLL ? "paid" : "fraudulent";
  return {
    orders: [
      { id: "ORD-12", status: "paid", amount: 35, customer: "alice" },
      { id: "ORD-13", status, amount: 4999, customer: "mallory" },
    ],
  };
});
process.env["SHOP_URL"] = demo.url;
process.env["SLACK_WEBHOOK_URL"] ??= `${demo.url}/slack`;
await runAgent(import.meta.dirname);
