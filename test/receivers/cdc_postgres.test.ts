import assert from "node:assert/strict";
import { checks, config, follow, Ledger, lines, servers, shop, streaming } from "./cdc_postgres_support.ts";

const check = checks(servers());

check("rows that are there come first as r, then every change as it is committed; a rollback leaves no trace", async (server) => {
  const database = await shop(server, "INSERT INTO orders VALUES (1, 'pending', 10.50), (2, 'paid', 3)");
  const ledger = new Ledger();
  await using following = await follow(config(server, database), ledger);
  await lines(ledger, 2, following);
  await server.sql(database, "UPDATE orders SET status = 'paid' WHERE id = 1");
  await server.sql(database, "BEGIN; INSERT INTO orders VALUES (9, 'x', 1); ROLLBACK");
  await server.sql(database, "BEGIN; INSERT INTO orders VALUES (3, 'new', NULL); SAVEPOINT a; INSERT INTO orders VALUES (8, 'x', 1); ROLLBACK TO a; DELETE FROM orders WHERE id = 2; COMMIT");
  assert.deepEqual(await lines(ledger, 5, following), [
    'r {"id":1,"status":"pending","amount":10.5}', 'r {"id":2,"status":"paid","amount":3}',
    'u {"id":1,"status":"paid","amount":10.5}', 'c {"id":3,"status":"new","amount":null}', 'd {"id":2}',
  ]);
  const [row, , update, create, gone] = ledger.committed;
  assert.equal(row!.snapshot, true);
  assert.equal(update!.snapshot, false);
  assert.ok(Math.abs(update!.time - Date.now()) < 60_000, "the commit's time");
  assert.deepEqual(create!.attributes, { "db.system.name": "postgresql", "db.namespace": `${database}|public`, "db.collection.name": "orders" });
  const { source } = ledger.bodies[3]!;
  assert.deepEqual({ ...source, lsn: typeof source["lsn"], txid: typeof source["txid"] }, {
    system: "postgresql", database, schema: "public", table: "orders", lsn: "string", txid: "number", sequence: 1,
  });
  assert.equal(ledger.bodies[4]!.source["lsn"], source["lsn"]);
  assert.equal(gone!.time, create!.time);
  await streaming(following);
  await following.stop();
  assert.deepEqual(following.recorded.reports, []);
});

check("an unchanged TOAST value is missing from after, and is the old row's where that is sent whole", async (server) => {
  const long = "SELECT string_agg(md5(i::text), '') FROM generate_series(1, 500) i";
  const tables = "CREATE TABLE brief (id int PRIMARY KEY, n int, note text); CREATE TABLE whole (id int PRIMARY KEY, n int, note text); ALTER TABLE whole REPLICA IDENTITY FULL";
  const database = await shop(server, `INSERT INTO brief VALUES (1, 1, (${long})); INSERT INTO whole VALUES (1, 1, (${long}))`, tables);
  const ledger = new Ledger();
  await using following = await follow(config(server, database, { tables: ["brief", "whole"] }), ledger);
  await lines(ledger, 2, following);
  await server.sql(database, "UPDATE brief SET n = 2; UPDATE whole SET n = 2; UPDATE whole SET id = 7");
  await lines(ledger, 6, following);
  const [, , brief, whole, d, c] = ledger.bodies;
  assert.deepEqual([brief!.before, brief!.after], [null, { id: 1, n: 2 }]);
  assert.equal((whole!.after!["note"] as string).length, 16_000);
  assert.deepEqual(whole!.before, { ...whole!.after, n: 1 });
  assert.deepEqual([d!.op, d!.before!["id"], c!.op, c!.after!["id"], (c!.after!["note"] as string).length], ["d", 1, "c", 7, 16_000]);
});

check("a changed key is a row that goes and one that comes; with the whole row as identity, only the primary key's change is", async (server) => {
  const database = await shop(server, "INSERT INTO orders VALUES (1, 'a', 1); CREATE TABLE whole (id int PRIMARY KEY, n int); ALTER TABLE whole REPLICA IDENTITY FULL; INSERT INTO whole VALUES (1, 1)");
  const ledger = new Ledger();
  await using following = await follow(config(server, database, { tables: ["orders", "whole"] }), ledger);
  await lines(ledger, 2, following);
  await server.sql(database, "UPDATE orders SET id = 2; UPDATE whole SET n = 5; UPDATE whole SET id = 3; DELETE FROM whole");
  assert.deepEqual((await lines(ledger, 8, following)).slice(2), [
    'd {"id":1}', 'c {"id":2,"status":"a","amount":1}',
    'u {"id":1,"n":5}', 'd {"id":1,"n":5}', 'c {"id":3,"n":5}', 'd {"id":3,"n":5}',
  ]);
  assert.deepEqual(ledger.bodies[4]!.before, { id: 1, n: 1 });
});

check("truncate is one change of each table that is watched", async (server) => {
  const database = await shop(server, "CREATE TABLE items (id int PRIMARY KEY, order_id int REFERENCES orders); CREATE TABLE other (id int PRIMARY KEY)");
  const ledger = new Ledger();
  await using following = await follow(config(server, database, { tables: ["orders", "items"] }), ledger);
  await streaming(following);
  await server.sql(database, "INSERT INTO orders VALUES (1, 'a', 1); TRUNCATE orders CASCADE; TRUNCATE other; INSERT INTO orders VALUES (2, 'b', 1)");
  await lines(ledger, 4, following);
  assert.deepEqual(ledger.bodies.map(({ op, before, after, source }) => [op, source["table"], before === null, after?.["id"]]), [
    ["c", "orders", true, 1], ["t", "orders", true, undefined], ["t", "items", true, undefined], ["c", "orders", true, 2],
  ]);
});

check("columns that come, go and are renamed are followed in mid-stream, within a transaction too", async (server) => {
  const database = await shop(server);
  const ledger = new Ledger();
  await using following = await follow(config(server, database), ledger);
  await streaming(following);
  await server.sql(database, "INSERT INTO orders VALUES (1, 'a', 1)");
  await server.sql(database, "ALTER TABLE orders ADD COLUMN region text DEFAULT 'eu'");
  await server.sql(database, "UPDATE orders SET status = 'b'");
  await server.sql(database, "BEGIN; UPDATE orders SET status = 'c'; ALTER TABLE orders RENAME COLUMN status TO state; UPDATE orders SET state = 'd'; ALTER TABLE orders DROP COLUMN amount; UPDATE orders SET state = 'e'; COMMIT");
  assert.deepEqual(await lines(ledger, 5, following), [
    'c {"id":1,"status":"a","amount":1}', 'u {"id":1,"status":"b","amount":1,"region":"eu"}', 'u {"id":1,"status":"c","amount":1,"region":"eu"}',
    'u {"id":1,"state":"d","amount":1,"region":"eu"}', 'u {"id":1,"state":"e","region":"eu"}',
  ]);
});

check("names may need quotes, and tables stand in other schemas", async (server) => {
  const database = await shop(server, "", 'CREATE SCHEMA "My Shop"; CREATE TABLE "My Shop"."Order.s" ("Id" int PRIMARY KEY, "__proto__" text, "a""b" int); CREATE TABLE plain (id int PRIMARY KEY)');
  const ledger = new Ledger();
  await server.sql(database, `INSERT INTO "My Shop"."Order.s" VALUES (1, 'x', 2)`);
  await using following = await follow(config(server, database, { tables: ['My Shop."Order.s"', "plain"], publication: 'Pub "x"' }), ledger);
  await lines(ledger, 1, following);
  await server.sql(database, `INSERT INTO "My Shop"."Order.s" VALUES (2, 'y', 3); INSERT INTO plain VALUES (7)`);
  assert.deepEqual(await lines(ledger, 3, following), ['r {"Id":1,"__proto__":"x","a\\"b":2}', 'c {"Id":2,"__proto__":"y","a\\"b":3}', 'c {"id":7}']);
  assert.equal(Object.getPrototypeOf(ledger.bodies[1]!.after), Object.prototype);
  assert.equal(ledger.bodies[1]!.source["schema"], "My Shop");
});

check("a table with partitions is one table, whichever partition a row is in or moves to", async (server) => {
  const database = await shop(server, "CREATE TABLE orders_a PARTITION OF orders FOR VALUES FROM (0) TO (10); CREATE TABLE orders_b PARTITION OF orders FOR VALUES FROM (10) TO (20); INSERT INTO orders VALUES (1, 'a'), (11, 'b')",
    "CREATE TABLE orders (id int PRIMARY KEY, status text) PARTITION BY RANGE (id)");
  const ledger = new Ledger();
  await using following = await follow(config(server, database), ledger);
  await lines(ledger, 2, following);
  await server.sql(database, "CREATE TABLE orders_c PARTITION OF orders FOR VALUES FROM (20) TO (30); INSERT INTO orders VALUES (21, 'c'); UPDATE orders SET status = 'd' WHERE id = 11; UPDATE orders SET id = 2 WHERE id = 21");
  assert.deepEqual((await lines(ledger, 6, following)).slice(2), ['c {"id":21,"status":"c"}', 'u {"id":11,"status":"d"}', 'd {"id":21}', 'c {"id":2,"status":"c"}']);
  assert.deepEqual(new Set(ledger.bodies.map(({ source }) => source["table"])), new Set(["orders"]));
});

check("generated columns are the same in snapshot and stream: there from 18 on", async (server, version) => {
  const database = await shop(server, "INSERT INTO orders (id, n) VALUES (1, 2)", "CREATE TABLE orders (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED)");
  const ledger = new Ledger();
  await using following = await follow(config(server, database), ledger);
  await lines(ledger, 1, following);
  await server.sql(database, "INSERT INTO orders (id, n) VALUES (2, 3)");
  const twice = (n: number): string => (version >= 18 ? `,"twice":${n}` : "");
  assert.deepEqual(await lines(ledger, 2, following), [`r {"id":1,"n":2${twice(4)}}`, `c {"id":2,"n":3${twice(6)}}`]);
});

check("row_filters hold in snapshot and stream: a row that leaves them goes, one that enters them comes", async (server) => {
  const database = await shop(server, "ALTER TABLE orders REPLICA IDENTITY FULL; INSERT INTO orders VALUES (1, 'eu', 1), (2, 'us', 1)");
  const ledger = new Ledger();
  await using following = await follow(config(server, database, { row_filters: { orders: "status = 'eu'" } }), ledger);
  await lines(ledger, 1, following);
  await server.sql(database, "INSERT INTO orders VALUES (3, 'us', 1), (4, 'eu', 1); UPDATE orders SET status = 'eu' WHERE id = 2; UPDATE orders SET status = 'us' WHERE id = 1");
  assert.deepEqual(await lines(ledger, 4, following), [
    'r {"id":1,"status":"eu","amount":1}', 'c {"id":4,"status":"eu","amount":1}', 'c {"id":2,"status":"eu","amount":1}', 'd {"id":1,"status":"eu","amount":1}',
  ]);
});
