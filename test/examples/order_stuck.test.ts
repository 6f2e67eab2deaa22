import assert from "node:assert/strict";
import { test } from "node:test";
import { freePort, startExample } from "./support.ts";

interface Resource {
  readonly id: string;
  readonly last_seen: string;
}

test("order_stuck: the order that was pending before the agent came fires on its first poll, once; the shipped one never", async () => {
  const api = await freePort();
  // Many polls in little time: what fires once must not fire again with the next.
  const often = ["001", "002"].flatMap((id) => ["--set", `receivers.http_poll/ord_${id}.interval=50ms`]);
  await using example = await startExample("order_stuck", { api, args: often });

  await example.printed(/FIRING +OrderStuckInPending order\/ORD-001: .*35m/);
  const firedAt = Date.now();
  await example.until("both polled many times more", async () => {
    const { items } = (await (await fetch(`http://127.0.0.1:${api}/api/v1/resources?type=order`)).json()) as { readonly items: readonly Resource[] };
    const seen = items.filter(({ last_seen }) => Date.parse(last_seen) > firedAt + 500);
    return seen.length === 2 ? seen : undefined;
  });
  assert.equal(await example.stop(), 0);
  assert.equal(example.out.match(/FIRING|RESOLVED/g)?.length, 1, example.out);
  assert.doesNotMatch(example.out, /order\/ORD-002/, "the shipped order never fires");
});
