import { demoServer, runAgent } from "../support/demo.ts";

const PAID_AT_POLL = 4;
let polls = 0;

await using shop = await demoServer(8090, (path) => {
  if (path !== "/orders") return undefined;
  polls += 1;
  const status = polls < PAID_AT_POLL ? "pending" : "paid";
  return { orders: [{ id: "ORD-001", status: "shipped", amount: 42 }, { id: "ORD-002", status, amount: 80 }] };
});
process.env["SHOP_URL"] = shop.url;
await runAgent(import.meta.dirname);
