import assert from "node:assert/strict";
import { test } from "node:test";
import { freePort, startExample } from "./support.ts";

test("webhook_updates: a failed order is critical, a user is a user, another type is untracked; 405 and 400 where due", async () => {
  const [api, hook, page] = [await freePort(), await freePort(), await freePort()];
  const url = `http://127.0.0.1:${hook}/webhooks/updates`;
  await using example = await startExample("webhook_updates", {
    api, args: ["--set", `exporters.prometheus.listen=127.0.0.1:${page}`], env: { WEBHOOK_LISTEN: `127.0.0.1:${hook}` },
  });
  await example.printed(/FIRING +OrderFailed order\/ORD-7: Order ORD-7 failed: card expired .*severity critical/);

  const { items } = (await (await fetch(`http://127.0.0.1:${api}/api/v1/resources`)).json()) as { items: readonly object[] };
  assert.equal(items.length, 2);
  assert.partialDeepStrictEqual(items, [
    { type: "order", id: "ORD-7", state: "failed" },
    { type: "user", id: "USR-1", state: null, attributes: { plan: "pro" } },
  ]);

  // Of the four demo events only the invoice is of a type that nobody takes.
  const metrics = await (await fetch(`http://127.0.0.1:${page}/metrics`)).text();
  assert.match(metrics, /^sojourn_processor_counted_observations_total\{[^}]*processor="track\/user",reason="untracked"[^}]*\} 1$/m);

  const got = await fetch(url);
  assert.equal(got.status, 405);
  assert.equal(got.headers.get("allow"), "POST");
  const headers = { "content-type": "application/json" };
  const bad = await fetch(url, { method: "POST", headers, body: '{"resource_id": "ORD-7",' });
  assert.equal(bad.status, 400);
  const elsewhere = await fetch(`${url}/orders`, { method: "POST", headers, body: "{}" });
  assert.equal(elsewhere.status, 404);
  await Promise.all([got, bad, elsewhere].map((response) => response.text()));

  assert.equal(await example.stop(), 0);
  assert.equal(example.out.match(/FIRING|RESOLVED/g)?.length, 1, example.out);
});
