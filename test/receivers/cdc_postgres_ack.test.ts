import assert from "node:assert/strict";
import { test } from "node:test";
import { lsnOf } from "../../receivers/cdc/postgres_position.ts";
import type { Postgres } from "../support/postgres.ts";
import { pause } from "../support/waiting.ts";
import { config, follow, Ledger, lines, servers, shop, slotOf, streaming, until } from "./cdc_postgres_support.ts";

// It gives up who has not been heard of for two seconds.
const on = servers({ settings: { wal_sender_timeout: "2s" } });

async function confirmed(server: Postgres, database: string): Promise<bigint> {
  const [row] = await server.sql<{ lsn: string }>("postgres", "SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1", [slotOf(database)]);
  return lsnOf(row!.lsn);
}

async function current(server: Postgres): Promise<bigint> {
  const [row] = await server.sql<{ lsn: string }>("postgres", "SELECT pg_current_wal_flush_lsn()::text AS lsn");
  return lsnOf(row!.lsn);
}

async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; !(await holds()); turn++) {
    assert.ok(turn < 200, what);
    await pause(50);
  }
}

test("nothing is acknowledged before its commit; keepalives are, though nothing is committed for longer than the server waits", async (t) => {
  const server = await on(t);
  if (server === undefined) return;
  const database = await shop(server);
  const ledger = new Ledger();
  await using following = await follow(config(server, database), ledger);
  await streaming(following);
  let release = (): void => undefined;
  const stalled = new Promise<void>((resolve) => (release = resolve));
  ledger.delay = () => stalled;
  const before = await current(server);
  // Far more than may wait for a commit at once: the socket itself is held back.
  await server.sql(database, "INSERT INTO orders SELECT i, repeat('x', 1000), i FROM generate_series(1, 60000) i");
  const [backend] = await server.sql<{ pid: number }>("postgres", "SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1", [slotOf(database)]);
  await pause(4_500);
  assert.equal(ledger.committed.length, 0);
  assert.ok((await confirmed(server, database)) <= before, "nothing of it is acknowledged");
  const [later] = await server.sql<{ pid: number }>("postgres", "SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1", [slotOf(database)]);
  assert.equal(later!.pid, backend!.pid, "it is the same connection");
  assert.deepEqual(following.recorded.reports, []);
  release();
  await until("all of it", () => ledger.committed.length === 60_000);
  await eventually("acknowledged at last", async () => (await confirmed(server, database)) > before);
  assert.deepEqual(following.recorded.reports, []);
});

test("the slot of a quiet database moves on, by what others write and by its own heartbeat, never past what waits for its commit", async (t) => {
  const server = await on(t);
  if (server === undefined) return;
  const database = await shop(server);
  const other = await shop(server);
  const ledger = new Ledger();
  await using following = await follow(config(server, database), ledger);
  await streaming(following);
  await server.sql(other, "INSERT INTO orders SELECT i FROM generate_series(1, 5000) i");
  const written = await current(server);
  await eventually("it follows what others write", async () => (await confirmed(server, database)) >= written);
  const quiet = await current(server);
  await eventually("its heartbeat is written", async () => (await current(server)) > quiet);
  await eventually("and acknowledged", async () => (await confirmed(server, database)) > quiet);
  const position = lsnOf((ledger.position as { lsn: string }).lsn);
  assert.ok(position >= (await confirmed(server, database)) || position > quiet, "what is acknowledged is in the store");

  let release = (): void => undefined;
  const stalled = new Promise<void>((resolve) => (release = resolve));
  ledger.delay = () => stalled;
  const before = await current(server);
  await server.sql(database, "INSERT INTO orders VALUES (1, 'new', 1)");
  await server.sql(other, "INSERT INTO orders SELECT i FROM generate_series(5001, 9000) i");
  await pause(700);
  assert.ok((await confirmed(server, database)) <= before + 4_096n, "what waits for its commit is not passed over");
  release();
  await lines(ledger, 1, following);
});

test("a commit that was not acknowledged is not taken again: the store's position wins over the slot's", async (t) => {
  const server = await on(t);
  if (server === undefined) return;
  const database = await shop(server);
  const ledger = new Ledger();
  const wanted = config(server, database);
  {
    await using following = await follow(wanted, ledger);
    await streaming(following);
    await following.stop();
  }
  const slotAt = await confirmed(server, database);
  const copy = `${slotOf(database)}_copy`;
  await server.sql(database, `SELECT pg_copy_logical_replication_slot('${slotOf(database)}', '${copy}')`);
  await server.sql(database, "INSERT INTO orders VALUES (1, 'new', 1); UPDATE orders SET status = 'paid'");
  {
    await using following = await follow(wanted, ledger);
    await lines(ledger, 2, following);
    await following.stop();
  }
  // The copy is where the slot was, as after a crash of the server.
  assert.ok((await confirmed(server, database)) > slotAt);
  await server.sql(database, "INSERT INTO orders VALUES (2, 'new', 1)");
  await using following = await follow({ ...wanted, slot: copy }, ledger);
  assert.deepEqual(await lines(ledger, 3, following), ['c {"id":1,"status":"new","amount":1}', 'u {"id":1,"status":"paid","amount":1}', 'c {"id":2,"status":"new","amount":1}']);
  assert.deepEqual(following.recorded.reports, []);
});

test("a slot that somebody else has read further is a position that is lost: all rows are read again, or a person is asked", async (t) => {
  const server = await on(t);
  if (server === undefined) return;
  const database = await shop(server, "INSERT INTO orders VALUES (1, 'new', 1)");
  const ledger = new Ledger();
  const wanted = config(server, database);
  {
    await using following = await follow(wanted, ledger);
    await lines(ledger, 1, following);
    await streaming(following);
    await following.stop();
  }
  await server.sql(database, "UPDATE orders SET status = 'paid'");
  await server.sql(database, "SELECT pg_replication_slot_advance($1, pg_current_wal_flush_lsn())", [slotOf(database)]);
  {
    await using asks = await follow({ ...wanted, on_position_lost: "fail" }, ledger);
    await until("it says so", () => /has read the slot .* changes since .* are lost/.test(asks.recorded.failing ?? ""), () => asks.recorded);
    assert.equal(ledger.committed.length, 1);
    await asks.stop();
  }
  await using following = await follow(wanted, ledger);
  assert.deepEqual(await lines(ledger, 2, following), ['r {"id":1,"status":"new","amount":1}', 'r {"id":1,"status":"paid","amount":1}']);
  assert.match(following.recorded.reports.join(), /are lost; all rows are read again/);
  assert.equal(following.recorded.failing, undefined);
  await server.sql(database, "UPDATE orders SET status = 'sent'");
  await lines(ledger, 3, following);
});

test("a position of another cluster acknowledges nothing here", async (t) => {
  const server = await on(t);
  if (server === undefined) return;
  const database = await shop(server, "INSERT INTO orders VALUES (1, 'new', 1)");
  const ledger = new Ledger();
  ledger.position = { system: "1", slot: slotOf(database), lsn: "FF/0", tables: ["public.orders"] };
  await using following = await follow(config(server, database), ledger);
  assert.deepEqual(await lines(ledger, 1, following), ['r {"id":1,"status":"new","amount":1}']);
  assert.ok((await confirmed(server, database)) < lsnOf("FF/0"));
  assert.match(following.recorded.reports.join(), /gone|another cluster/);
});
