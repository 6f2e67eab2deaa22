import assert from "node:assert/strict";
import { test } from "node:test";
import { freePort, startExample } from "./support.ts";

test("order_logs: the failed order alerts with its reason, once; the paid one is silent", async () => {
  const api = await freePort();
  await using example = await startExample("order_logs", { api });

  await example.printed(/FIRING +OrderFailed order\/ORD-LOG-002: .*payment_gateway_timeout.*severity critical/);
  const states = await example.until("ORD-LOG-001 paid", async () => {
    const response = await fetch(`http://127.0.0.1:${api}/api/v1/resources`);
    const { items } = (await response.json()) as { items: readonly { id: string; state: string }[] };
    return items.some(({ state }) => state === "paid") ? items.map(({ id, state }) => [id, state]) : undefined;
  });
  assert.deepEqual(states, [["ORD-LOG-001", "paid"], ["ORD-LOG-002", "failed"]]);
  assert.equal(await example.stop(), 0);
  assert.equal(example.out.match(/FIRING|RESOLVED/g)?.length, 1, example.out);
  assert.doesNotMatch(example.out, /ORD-LOG-001/);
});
