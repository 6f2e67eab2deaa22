import assert from "node:assert/strict";
import { test } from "node:test";
import { startExample } from "./support.ts";

test("sqlite_poll: two orders are stuck at the first poll; one is over when it is paid, the other when its row is deleted", async () => {
  await using example = await startExample("sqlite_poll", { env: { DEMO_PAUSE_MS: "1000" }, args: ["--set", "monitors.order.from.sql_poll.interval=100ms"] });
  await example.printed(/FIRING +OrderStuckInPending order\/1: .*40m/);
  await example.printed(/FIRING +OrderStuckInPending order\/2: .*45m/);
  await example.printed(/order 1 is paid\n[^]*RESOLVED OrderStuckInPending order\/1: .*state paid/);
  await example.printed(/order 2 is deleted\n[^]*RESOLVED OrderStuckInPending order\/2: .*deleted after/);
  assert.equal(await example.stop(), 0);
  assert.equal(example.out.match(/FIRING|RESOLVED/g)?.length, 4, example.out);
});
