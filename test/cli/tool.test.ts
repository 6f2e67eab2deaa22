import assert from "node:assert/strict";
import { after, test } from "node:test";
import { startPostgres, type Postgres } from "../support/postgres.ts";
import { folderWith, said } from "./spawn.ts";

let server: Postgres | undefined;
after(() => server?.[Symbol.asyncDispose]());

test("cdc drop-slot shows what a slot holds back, and drops it unless somebody reads it; no password is said", async (t) => {
  server = await startPostgres(t);
  if (server === undefined) return;
  const database = await server.createDatabase();
  const slot = `drop_${database}`;
  const url = server.url(database, "postgres", "planted-secret");
  await using folder = await folderWith({ "agent.yaml": `monitors:
  order:
    from: { cdc: { url: "${url}", tables: [orders], slot: ${slot}, max_slot_lag: 1GiB } }
    id: body.after.id
    notify: { console: {} }
` });
  const file = `${folder.path}/agent.yaml`;
  const tool = (...args: string[]) => said(["cdc", ...args, "--config", file]);
  assert.match((await tool("drop-slot", "cdc/order")).out, /^there is no slot drop_/);
  await server.sql(database, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [slot]);
  const look = await tool("drop-slot", "cdc/order", "--dry-run");
  assert.match(look.out, /^the slot drop_\S+ on postgres:\S+ holds back [\d.]+ (?:Ki)?B of WAL, read by nobody\n$/);
  const slots = () => server!.sql("postgres", "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1", [slot]);
  assert.equal((await slots()).length, 1, "only looked at");
  const dropped = await tool("drop-slot", "cdc/order");
  assert.equal(dropped.code, 0);
  assert.match(dropped.out, /^dropped the slot .* next start follows on_position_lost \(snapshot\)\n$/);
  assert.equal((await slots()).length, 0);
  for (const wrong of [tool("drop-slots", "cdc/order"), tool("drop-slot")]) assert.equal((await wrong).code, 2);
  const unknown = await tool("drop-slot", "cdc/orders");
  assert.deepEqual([unknown.code, unknown.err], [1, "sojourn: no receiver cdc/orders is configured; there is cdc/order\n"]);
  await server.sql("postgres", "SELECT 1");
  assert.doesNotMatch(JSON.stringify([look, dropped, unknown]), /planted-secret/);
});
