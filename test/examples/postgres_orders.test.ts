import assert from "node:assert/strict";
import { test } from "node:test";
import { startPostgres } from "../support/postgres.ts";
import { startExample } from "./support.ts";

test("postgres_orders: what was pending before the start is stuck, then paid; an illegal move and a large order are told; what is rolled back is not", async (t) => {
  await using postgres = await startPostgres(t, { own: true });
  if (postgres === undefined) return;
  await using example = await startExample("postgres_orders", { env: { PG_URL: postgres.url("postgres"), DEMO_PAUSE_MS: "500" } });
  await example.printed(/FIRING +OrderStuckInPending order\/1: /);
  await example.printed(/RESOLVED +OrderStuckInPending order\/1: /);
  await example.printed(/FIRING +OrderIllegalMove order\/2: /);
  await example.printed(/FIRING +OrderTooLarge order\/4: Order 4 of mo is worth 15000 EUR/);
  assert.equal(await example.stop(), 0);
  assert.equal(example.out.match(/FIRING|RESOLVED/g)?.length, 4, example.out);
  assert.deepEqual(await postgres.sql("postgres", "SELECT slot_name FROM pg_replication_slots"), [], "no slot is left behind");
});
