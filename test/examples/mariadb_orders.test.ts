import assert from "node:assert/strict";
import { test } from "node:test";
import { startMariadb } from "../support/mariadb.ts";
import { freePort, startExample } from "./support.ts";

test("mariadb_orders: what was pending before the start is stuck, then paid; an illegal move and a large order are told; what is rolled back is not", async (t) => {
  const server = await startMariadb(t);
  if (server === undefined) return;
  t.after(() => server[Symbol.asyncDispose]());
  const api = await freePort();
  await using example = await startExample("mariadb_orders", { api, env: { MYSQL_URL: server.url(""), DEMO_PAUSE_MS: "500" } });
  await example.printed(/FIRING +OrderStuckInPending order\/1: /);
  await example.printed(/RESOLVED +OrderStuckInPending order\/1: /);
  await example.printed(/FIRING +OrderIllegalMove order\/2: /);
  await example.printed(/FIRING +OrderTooLarge order\/4: Order 4 of mo is worth 15000 EUR/);
  const response = await fetch(`http://127.0.0.1:${api}/api/v1/resources`);
  const { items } = (await response.json()) as { items: readonly { id: string; state: string; attributes: object }[] };
  assert.deepEqual(items.map(({ id, state, attributes }) => [id, state, attributes]), [
    ["1", "paid", { total: 20, customer: "jo" }], ["2", "pending", { total: 35.5, customer: "al" }], ["4", "pending", { total: 15_000, customer: "mo" }],
  ]);
  assert.equal(await example.stop(), 0);
  assert.equal(example.out.match(/FIRING/g)?.length, 3, example.out);
});
