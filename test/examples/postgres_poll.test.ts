import assert from "node:assert/strict";
import { test } from "node:test";
import { startPostgres } from "../support/postgres.ts";
import { startExample } from "./support.ts";

test("postgres_poll: what changes in the table is told once: stuck and paid, moved where it must not, too large", async (t) => {
  await using postgres = await startPostgres(t, { own: true });
  if (postgres === undefined) return;
  await using example = await startExample("postgres_poll", {
    env: { PG_URL: postgres.url("postgres"), DEMO_PAUSE_MS: "1000" }, args: ["--set", "monitors.order.from.sql_poll.interval=100ms"],
  });
  await example.printed(/FIRING +OrderStuckInPending order\/1: .*40m/);
  await example.printed(/RESOLVED OrderStuckInPending order\/1: .*state paid/);
  await example.printed(/FIRING +OrderIllegalMove order\/2: order 2 moved from paid to pending/);
  await example.printed(/FIRING +OrderTooLarge order\/3/);
  assert.equal(await example.stop(), 0);
  assert.equal(example.out.match(/FIRING|RESOLVED/g)?.length, 4, example.out);
});
