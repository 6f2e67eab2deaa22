import { demoServer, runAgent, say, secondsAgo } from "../support/demo.ts";

const MINUTE = 60;
const createdAt = secondsAgo(35 * MINUTE);

await using shop = await demoServer(8090, (path) => {
  switch (path) {
    case "/orders/ORD-001":
      return { id: "ORD-001", status: "pending", created_at: createdAt, updated_at: secondsAgo(0) };
    case "/orders/ORD-002":
      return { id: "ORD-002", status: "shipped", created_at: createdAt, updated_at: secondsAgo(0) };
    default:
      return undefined;
  }
});
process.env["SHOP_URL"] = shop.url;
say("ORD-001 has been pending for 35 minutes, ORD-002 is shipped");
await runAgent(import.meta.dirname);
