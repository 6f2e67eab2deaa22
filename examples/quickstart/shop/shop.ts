/**
 * A small shop to watch. It knows nothing of Sojourn: it has a REST API, sends webhooks and writes a log, as shops do.
 *
 * Environment: SHOP_PORT (default: any free one), SHOP_LOG (a file), SHOP_WEBHOOK_URL, SHOP_WEBHOOK_SECRET (whsec_…).
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createOrders } from "./orders.ts";
import { createLog } from "./rotating_log.ts";
import { createWebhooks } from "./webhooks.ts";

const TICK_MS = 100;
const ROTATE_EVERY_MS = 10_000;

function variable(name: string): string {
  const value = process.env[name];
  if (value !== undefined && value !== "") return value;
  process.stderr.write(`the variable ${name} is not set; see the head of shop.ts\n`);
  return process.exit(2);
}

const remark = (text: string): void => void process.stdout.write(`${text}\n`);
const log = createLog(variable("SHOP_LOG"));
const webhooks = createWebhooks({ url: variable("SHOP_WEBHOOK_URL"), secret: variable("SHOP_WEBHOOK_SECRET"), remark });
const orders = createOrders({
  remark,
  changed(order) {
    log.write(order.status === "failed" ? "error" : "info", `order ${order.status}`, order);
    webhooks.send(order);
  },
});

const server = createServer((request, response) => {
  const [path = ""] = (request.url ?? "").split("?");
  const answer = (status: number, body: unknown): void => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    log.write("debug", "request", { method: request.method, path, http_status: status });
  };
  if (request.method !== "GET") return answer(405, { error: "only GET" });
  if (path === "/api/v1/orders") return answer(200, { orders: orders.list() });
  const order = orders.find(path.replace("/api/v1/orders/", ""));
  return order === undefined ? answer(404, { error: "not found" }) : answer(200, order);
});

server.listen(Number(process.env["SHOP_PORT"] ?? 0), "127.0.0.1", () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  remark(`open at ${url}/api/v1/orders`);
  process.send?.({ url });
  setInterval(() => orders.tick(Date.now()), TICK_MS);
  setInterval(() => log.rotate(), ROTATE_EVERY_MS);
});

// A demo has nothing to lose.
process.once("SIGTERM", () => process.exit(0));
