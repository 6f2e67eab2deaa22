import assert from "node:assert/strict";
import { test } from "node:test";
import { startPostgres, type Postgres } from "../support/postgres.ts";
import { pause } from "../support/waiting.ts";
import { config, follow, Ledger, lines, servers, shop, slotOf, streaming, until, type CdcConfig } from "./cdc_postgres_support.ts";

const on = servers({ settings: { max_slot_wal_keep_size: "32MB", wal_keep_size: "0", min_wal_size: "32MB", max_wal_size: "32MB", checkpoint_timeout: "30s" } });

/** What the receiver says it fails for. */
async function failing(wanted: CdcConfig, says: RegExp): Promise<string> {
  await using following = await follow(wanted, new Ledger());
  await until(`failing: ${says.source}`, () => says.test(following.recorded.failing ?? ""), () => following.recorded);
  return following.recorded.failing!;
}

async function slots(server: Postgres, database: string): Promise<number> {
  return (await server.sql("postgres", "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1", [slotOf(database)])).length;
}

test("what is missing on the server is said with the words that mend it", async (t) => {
  const server = await on(t);
  if (server === undefined) return;
  const database = await shop(server, "CREATE TABLE bare (id int); CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY HASH (id); CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0)");
  const { max_slot_lag: _, ...unbounded } = config(server, database);
  await failing(unbounded as CdcConfig, /there is no replication slot slot_\w+, and creating one needs `max_slot_lag`/);
  assert.equal(await slots(server, database), 0);
  await failing(config(server, database, { tables: ["Orders", "nix.orders"] }), /there is no table public\.Orders, nix\.orders/);
  await failing(config(server, database, { tables: ["bare"], publication: "p1" }), /"public"\."bare" has no primary key: .* REPLICA IDENTITY FULL/);
  await failing(config(server, database, { publication: "p2", row_filters: { orders: "amount > 1" } }), /row_filters of orders reads amount, .* REPLICA IDENTITY FULL/);
  assert.deepEqual(await server.sql(database, "SELECT pubname FROM pg_publication WHERE pubname LIKE 'p_'"), [], "a publication that would break UPDATEs is not left behind");
  await server.sql(database, "CREATE PUBLICATION mine FOR TABLE bare; CREATE PUBLICATION leaves FOR TABLE parts");
  await failing(config(server, database, { publication: "mine" }), /the publication mine lacks public\.orders: ALTER PUBLICATION "mine" ADD TABLE "public"\."orders"/);
  await failing(config(server, database, { publication: "leaves", tables: ["parts"] }), /ALTER PUBLICATION "leaves" SET \(publish_via_partition_root = true\)/);
  await server.sql(database, "CREATE ROLE reader LOGIN PASSWORD 'p'; GRANT USAGE ON SCHEMA public TO reader");
  await failing({ ...config(server, database, { publication: "p3" }), url: server.url(database, "reader", "p") }, /the role may not create the publication\. Let the tables' owner run: CREATE PUBLICATION "p3" FOR TABLE "public"\."orders"/);
  await failing({ ...config(server, database), url: server.url(database, "reader", "p") }, /the role may not replicate: ALTER ROLE "reader" REPLICATION/);
  await server.sql(database, `SELECT pg_create_logical_replication_slot('${slotOf(database)}', 'test_decoding')`);
  await failing(config(server, database), /the slot slot_\w+ is not for pgoutput in this database/);
});

test("a server that does not log what replication needs is told how to, with the restart that it takes", async (t) => {
  await using server = await startPostgres(t, { settings: { wal_level: "replica" } });
  if (server === undefined) return;
  const database = await shop(server);
  await failing(config(server, database), /wal_level is replica: set wal_level = logical .* and restart it/);
});

test("a table that is renamed is not silently forgotten", async (t) => {
  const server = await on(t);
  if (server === undefined) return;
  const database = await shop(server);
  const ledger = new Ledger();
  await using following = await follow(config(server, database), ledger);
  await server.sql(database, "INSERT INTO orders VALUES (1, 'new', 1)");
  await lines(ledger, 1, following);
  await server.sql(database, "ALTER TABLE orders RENAME TO purchases; INSERT INTO purchases VALUES (2, 'new', 1)");
  await until("it says so", () => /public\.orders is public\.purchases now/.test(following.recorded.reports.join()), () => following.recorded.reports);
});

test("a role with REPLICATION and SELECT is enough where a publication is there", async (t) => {
  const server = await on(t);
  if (server === undefined) return;
  const database = await shop(server, "INSERT INTO orders VALUES (1, 'new', 1); CREATE PUBLICATION sojourn FOR TABLE orders; CREATE ROLE watcher LOGIN REPLICATION PASSWORD 'w'; GRANT SELECT ON orders TO watcher");
  const ledger = new Ledger();
  await using following = await follow({ ...config(server, database), url: server.url(database, "watcher", "w") }, ledger);
  await lines(ledger, 1, following);
  await server.sql(database, "DELETE FROM orders");
  await lines(ledger, 2, following);
  await following.stop();
  assert.deepEqual(following.recorded.reports, []);
});

test("a slot that holds back more than max_slot_lag is dropped: the primary's disk comes first; then all rows are read again", async (t) => {
  const server = await on(t);
  if (server === undefined) return;
  const database = await shop(server);
  const ledger = new Ledger();
  await using following = await follow(config(server, database, { max_slot_lag: "2MB" }), ledger);
  await streaming(following);
  const gauge = (): number => following.metrics.gauge({ name: "sojourn_cdc_slot_lag_bytes", help: "", labels: ["receiver"] }).series("cdc/test").value;
  await until("lag is a metric", () => gauge() > 0);
  let release = (): void => undefined;
  const stalled = new Promise<void>((resolve) => (release = resolve));
  ledger.delay = () => stalled;
  await server.sql(database, "INSERT INTO orders SELECT i, 'new', i FROM generate_series(1, 20000) i");
  await until("it warns, then gives up", () => /given up/.test(following.recorded.failing ?? ""), () => [following.recorded, gauge()]);
  assert.match(following.recorded.reports.join("\n"), /holds back .* of the 1\.9 MiB that max_slot_lag allows/);
  for (let turn = 0; turn < 100 && (await slots(server, database)) > 0; turn++) await pause(20);
  assert.equal(await slots(server, database), 0, "nothing is held back on the primary");
  ledger.delay = async () => undefined;
  release();
  await until("read again", () => ledger.bodies.filter(({ op }) => op === "r").length === 20_000, () => [following.recorded, ledger.committed.length]);
  await until("no longer failing", () => following.recorded.failing === undefined);
  await server.sql(database, "UPDATE orders SET status = 'paid' WHERE id = 1");
  await until("and goes on", () => ledger.bodies.at(-1)!.op === "u", () => following.recorded);
});

test("a slot that the server invalidated is made anew and all rows are read, or a person is asked", async (t) => {
  const server = await on(t);
  if (server === undefined) return;
  const database = await shop(server, "INSERT INTO orders VALUES (1, 'new', 1)");
  const ledger = new Ledger();
  const wanted = config(server, database);
  {
    await using following = await follow(wanted, ledger);
    await streaming(following);
    await following.stop();
  }
  const status = async (): Promise<string> => (await server.sql<{ wal_status: string }>("postgres", "SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1", [slotOf(database)]))[0]!.wal_status;
  for (let turn = 0; (await status()) !== "lost"; turn++) {
    assert.ok(turn < 30, await status());
    await server.sql(database, "CREATE TABLE IF NOT EXISTS filler (t text); INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 20000)");
    await server.sql(database, "SELECT pg_switch_wal()");
    await server.sql(database, "CHECKPOINT");
  }
  await server.sql(database, "UPDATE orders SET status = 'paid'");
  {
    await using asks = await follow({ ...wanted, on_position_lost: "fail" }, ledger);
    await until("it says so", () => /invalidated by the server.*on_position_lost: snapshot/.test(asks.recorded.failing ?? ""), () => asks.recorded);
    await asks.stop();
  }
  await using following = await follow(wanted, ledger);
  assert.deepEqual(await lines(ledger, 2, following), ['r {"id":1,"status":"new","amount":1}', 'r {"id":1,"status":"paid","amount":1}']);
});
