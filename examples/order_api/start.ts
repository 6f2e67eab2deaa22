import { demoServer, runAgent, say } from "../support/demo.ts";

const PAID_AT_POLL = 4;
let polls = 0;

await using shop = await demoServer(8090, (path) => {
  if (path !== "/orders") return undefined;
  polls += 1;
  if (polls === PAID_AT_POLL) say("ORD-002 is paid");
  const status = polls < PAID_AT_POLL ? "pending" : "paid";
  return { orders: [{ id: "ORD-001", status: "shipped", amount: 42 }, { id: "ORD-002", status, amount: 80 }] };
});
process.env["SHOP_URL"] = shop.url;
say("ORD-002 is pending; see curl -s http://127.0.0.1:9465/api/v1/resources/order/ORD-002/status");
await runAgent(import.meta.dirname);
