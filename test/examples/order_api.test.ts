import assert from "node:assert/strict";
import { test } from "node:test";
import { freePort, startExample } from "./support.ts";

interface Resource {
  readonly id: string;
  readonly state: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

interface Single extends Resource {
  readonly transitions: readonly { readonly from: string; readonly to: string; readonly duration_seconds: number }[];
}

test("order_api: the API lists the orders, tells the status of one as it is paid, and knows no third", async () => {
  const port = await freePort();
  const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}/api/v1/resources${path}`);
  await using example = await startExample("order_api", { api: port, args: ["--set", "monitors.order.from.http_poll.interval=200ms"] });

  const paid = await example.until("ORD-002 paid", async () => {
    const response = await get("/order/ORD-002/status").catch(() => undefined);
    if (response?.status !== 200) return undefined;
    const status = (await response.json()) as { readonly state: string };
    return status.state === "paid" ? status : undefined;
  });
  assert.partialDeepStrictEqual(paid, { type: "order", id: "ORD-002", state: "paid", stale: false, alerts: [] });

  const list = (await (await get("?type=order")).json()) as { readonly items: readonly Resource[]; readonly next: string | null };
  assert.deepEqual(
    list.items.map(({ id, state, attributes }) => [id, state, attributes]),
    [["ORD-001", "shipped", { amount: 42 }], ["ORD-002", "paid", { amount: 80 }]],
  );
  assert.equal(list.next, null);
  const pending = (await (await get("?type=order&state=pending")).json()) as { readonly items: readonly Resource[] };
  assert.deepEqual(pending.items, []);

  const { transitions } = (await (await get("/order/ORD-002")).json()) as Single;
  assert.deepEqual(transitions.map(({ from, to }) => [from, to]), [["pending", "paid"]]);
  assert.ok(transitions[0]!.duration_seconds > 0.1, JSON.stringify(transitions));

  for (const path of ["/order/ORD-404", "/order/ORD-404/status", "/invoice/ORD-002"]) {
    const missing = await get(path);
    assert.equal(missing.status, 404, path);
    assert.match(missing.headers.get("content-type") ?? "", /^application\/problem\+json/);
    await missing.body?.cancel();
  }
  assert.equal(await example.stop(), 0);
});
