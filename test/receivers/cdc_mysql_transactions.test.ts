import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { Connection } from "mysql2/promise";
import { BATCH_OBSERVATIONS_MAX, type Json } from "../../src/sdk/observation.ts";
import { sharedMariadb, type Mariadb } from "../support/mariadb.ts";
import { watch, type Watching } from "./cdc_mysql_support.ts";

const mariadb = sharedMariadb();
const ORDERS = "CREATE TABLE orders (id INT PRIMARY KEY, status VARCHAR(20))";

interface Scene {
  readonly server: Mariadb;
  readonly db: string;
  readonly shop: Connection;
  readonly watching: Watching;
  /** Runs the statements one after the other. */
  run(...statements: readonly string[]): Promise<void>;
  /** Waits for all that was written so far; gives it short. */
  short(): Promise<string[]>;
}

/** An empty table of orders that is watched. */
async function scene(t: TestContext, tables: readonly string[] = ["orders"], create: readonly string[] = [ORDERS]): Promise<Scene | undefined> {
  const server = await mariadb(t);
  if (server === undefined) return undefined;
  const db = await server.createDatabase();
  const shop = await server.connect(db);
  t.after(() => shop.end());
  for (const sql of [...create, "CREATE TABLE last (id INT PRIMARY KEY)"]) await shop.query(sql);
  const watching = await watch(t, server, db, [...tables, "last"]);
  await watching.until("it streams", () => watching.status().doing === "streaming");
  let marks = 0;
  return {
    server, db, shop, watching,
    async run(...statements) {
      for (const sql of statements) await shop.query(sql);
    },
    async short() {
      const mark = `c last ${++marks}`;
      const other = await server.connect(db);
      await other.query(`INSERT INTO last VALUES (${marks})`);
      await other.end();
      await watching.until(mark, () => watching.short().includes(mark));
      return watching.short().filter((line) => !line.includes(" last "));
    },
  };
}

test("what is rolled back leaves no trace, not even where the binlog has it", async (t) => {
  const s = await scene(t, ["orders"], [ORDERS, "CREATE TABLE visits (n INT) ENGINE = Aria"]);
  if (s === undefined) return;
  await s.run("BEGIN", "INSERT INTO orders VALUES (1, 'never')", "ROLLBACK");
  await s.run("BEGIN", "INSERT INTO orders VALUES (2, 'yes')", "SAVEPOINT a", "INSERT INTO orders VALUES (3, 'never')", "ROLLBACK TO a", "INSERT INTO orders VALUES (4, 'yes')", "COMMIT");
  // A temporary table makes the server write savepoints and rollbacks instead of leaving the rows out.
  await s.run("BEGIN", "CREATE TEMPORARY TABLE t1 (n INT)", "INSERT INTO orders VALUES (5, 'yes')", "SAVEPOINT `a b`", "INSERT INTO orders VALUES (6, 'never')",
    "SAVEPOINT c", "INSERT INTO orders VALUES (7, 'never')", "ROLLBACK TO `a b`", "INSERT INTO orders VALUES (8, 'yes')", "COMMIT");
  await s.run("BEGIN", "CREATE TEMPORARY TABLE t2 (n INT)", "INSERT INTO orders VALUES (9, 'never')", "INSERT INTO visits VALUES (1)", "ROLLBACK");
  assert.deepEqual(await s.short(), ["c orders 2 yes", "c orders 4 yes", "c orders 5 yes", "c orders 8 yes"]);
  assert.deepEqual(s.watching.recorded.reports, []);
});

test("a changed primary key is a deletion and a creation; an unchanged one an update", async (t) => {
  const s = await scene(t);
  if (s === undefined) return;
  await s.run("INSERT INTO orders VALUES (1, 'new'), (2, 'new')", "UPDATE orders SET id = 11, status = 'moved' WHERE id = 1", "UPDATE orders SET id = 2, status = 'paid' WHERE id = 2",
    "REPLACE INTO orders VALUES (2, 'replaced')", "INSERT INTO orders VALUES (2, 'x') ON DUPLICATE KEY UPDATE status = 'upserted'");
  assert.deepEqual(await s.short(), [
    "c orders 1 new", "c orders 2 new", "d orders 1 new", "c orders 11 moved", "u orders 2 paid", "u orders 2 replaced", "u orders 2 upserted",
  ]);
});

test("columns keep their names when the table changes in mid-stream", async (t) => {
  const s = await scene(t);
  if (s === undefined) return;
  await s.run("INSERT INTO orders VALUES (1, 'new')", "DELETE FROM orders", "ALTER TABLE orders ADD COLUMN amount INT FIRST", "INSERT INTO orders VALUES (5, 2, 'new')",
    "ALTER TABLE orders RENAME COLUMN amount TO price", "UPDATE orders SET price = 6 WHERE id = 2", "ALTER TABLE orders DROP COLUMN status, ADD COLUMN note JSON",
    "UPDATE orders SET note = '{\"a\":1}' WHERE id = 2", "ALTER TABLE orders DROP PRIMARY KEY, ADD PRIMARY KEY (price)", "UPDATE orders SET id = 3 WHERE id = 2");
  await s.short();
  assert.deepEqual(s.watching.changes().filter(({ table }) => table === "orders").map(({ op, before, after }) => ({ op, before, after })), [
    { op: "c", before: null, after: { id: 1, status: "new" } },
    { op: "d", before: { id: 1, status: "new" }, after: null },
    { op: "c", before: null, after: { amount: 5, id: 2, status: "new" } },
    { op: "u", before: { price: 5, id: 2, status: "new" }, after: { price: 6, id: 2, status: "new" } },
    { op: "u", before: { price: 6, id: 2, note: null }, after: { price: 6, id: 2, note: { a: 1 } } },
    { op: "u", before: { price: 6, id: 2, note: { a: 1 } }, after: { price: 6, id: 3, note: { a: 1 } } },
  ]);
});

test("TRUNCATE is op t of that table, however it is written", async (t) => {
  const s = await scene(t, ["orders", "odd`name"], [ORDERS, "CREATE TABLE `odd``name` (id INT PRIMARY KEY)", "CREATE TABLE other (id INT)"]);
  if (s === undefined) return;
  await s.run("TRUNCATE orders", "truncate table `orders`", `/* c */ TRUNCATE TABLE ${s.db}.orders`, `-- x\nTRUNCATE\n\`${s.db}\` . \`orders\``, "TRUNCATE`orders`",
    "TRUNCATE other", "TRUNCATE `odd``name`", "/*!50000 TRUNCATE */ TABLE orders");
  await s.run("USE mysql", `TRUNCATE ${s.db}.orders`, `USE ${s.db}`);
  assert.deepEqual(await s.short(), [...Array<string>(5).fill("t orders"), "t odd`name", "t orders", "t orders"]);
});

test("a column that a session does not write to the binlog is missing, not NULL; rows that a statement changed unseen are said", async (t) => {
  const s = await scene(t);
  if (s === undefined) return;
  await s.run("INSERT INTO orders VALUES (1, 'new')", "SET SESSION binlog_row_image = MINIMAL", "UPDATE orders SET status = NULL", "SET SESSION binlog_row_image = FULL");
  await s.run("SET SESSION binlog_format = STATEMENT", "INSERT INTO orders VALUES (2, 'unseen')", "SET SESSION binlog_format = ROW");
  assert.equal((await s.short()).length, 2);
  assert.deepEqual(s.watching.changes()[1], { op: "u", table: "orders", before: { id: 1 }, after: { status: null } });
  assert.deepEqual(s.watching.recorded.refused, [{ count: 1, reason: "statement_format" }]);
  assert.match(s.watching.recorded.reports[0]!, /a statement changed rows without saying which, probably of \S+\.orders: .*binlog_format ROW/);
});

test("a prepared transaction (XA) counts when it is committed, not before, and not at all when it is rolled back; a restart between changes nothing", async (t) => {
  const s = await scene(t);
  if (s === undefined) return;
  const other = await s.server.connect(s.db);
  const prepare = async (name: string, sql: string): Promise<void> => {
    for (const each of [`XA START '${name}'`, sql, `XA END '${name}'`, `XA PREPARE '${name}'`]) await other.query(each);
  };
  await prepare("a", "INSERT INTO orders VALUES (1, 'never')");
  await s.run("INSERT INTO orders VALUES (2, 'yes')");
  await other.query("XA ROLLBACK 'a'");
  await prepare("b','c", "INSERT INTO orders VALUES (3, 'yes'), (4, 'yes')");
  await s.run("INSERT INTO orders VALUES (5, 'yes')");
  assert.deepEqual(await s.short(), ["c orders 2 yes", "c orders 5 yes"]);
  await s.watching.stop();
  await using again = await watch(t, s.server, s.db, ["orders", "last"], { position: s.watching.position() });
  await again.until("it is caught up", () => again.recorded.caughtUp);
  assert.deepEqual(again.short(), []);
  await other.query("XA COMMIT 'b','c'");
  for (const sql of ["XA START 'd'", "INSERT INTO orders VALUES (6, 'yes')", "XA END 'd'", "XA COMMIT 'd' ONE PHASE"]) await other.query(sql);
  await other.end();
  await again.count(3);
  assert.deepEqual(again.short(), ["c orders 3 yes", "c orders 4 yes", "c orders 6 yes"]);
});

test("a snapshot waits for a transaction that is prepared: it would miss its rows", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  const db = await server.createDatabase();
  const other = await server.connect(db);
  for (const sql of [ORDERS, "XA START 'x'", "INSERT INTO orders VALUES (1, 'yes')", "XA END 'x'", "XA PREPARE 'x'"]) await other.query(sql);
  await using watching = await watch(t, server, db, ["orders"]);
  await watching.until("it says so", () => watching.recorded.reports.length > 0);
  assert.match(watching.recorded.reports[0]!, /1 transactions are prepared .*the snapshot waits for them/);
  await other.query("XA COMMIT 'x'");
  await other.end();
  await watching.count(1);
  assert.deepEqual(watching.short(), ["r orders 1 yes"]);
});

test("a binlog that is compressed says the same", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  await server.query("SET GLOBAL log_bin_compress = ON, GLOBAL log_bin_compress_min_len = 10");
  t.after(() => server.query("SET GLOBAL log_bin_compress = OFF"));
  const s = await scene(t);
  const long = "a".repeat(20);
  await s!.run(`INSERT INTO orders SELECT seq, '${long}' FROM seq_1_to_500`, "UPDATE orders SET status = 'b' WHERE id = 500", "DELETE FROM orders WHERE id < 500", "TRUNCATE /* a long comment to be compressed */ TABLE orders");
  const lines = await s!.short();
  assert.deepEqual([lines.length, lines[0], ...lines.slice(500, 502), lines.at(-1)], [1001, `c orders 1 ${long}`, "u orders 500 b", `d orders 1 ${long}`, "t orders"]);
});

test("what a foreign key's cascade does is not in the binlog: that is said", async (t) => {
  const s = await scene(t, ["orders", "items"], [ORDERS, "CREATE TABLE items (id INT PRIMARY KEY, order_id INT, CONSTRAINT of_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE)"]);
  if (s === undefined) return;
  await s.run("INSERT INTO orders VALUES (1, 'new')", "INSERT INTO items VALUES (7, 1)", "DELETE FROM orders");
  assert.deepEqual(await s.short(), ["c orders 1 new", "c items 7", "d orders 1 new"]);
  assert.deepEqual(s.watching.status().warnings, [
    `rows that a foreign key's cascade deletes or changes are not in the binlog, and stay known as they were: ${s.db}.items (of_order, to orders)`,
  ]);
});

test("from whichever position it is restarted, no change is lost and none comes twice", async (t) => {
  const s = await scene(t, ["orders", "items"], [ORDERS, "CREATE TABLE items (id INT PRIMARY KEY, status VARCHAR(20))"]);
  if (s === undefined) return;
  const start = s.watching.position()!;
  await s.run("INSERT INTO orders VALUES (1, 'new')", "CREATE TABLE noise (id INT)", "INSERT INTO noise VALUES (1)");
  // More than a batch, and more than what is held of one transaction, in two tables.
  await s.run("BEGIN", "INSERT INTO orders SELECT 1000 + seq, 'many' FROM seq_1_to_7000", "INSERT INTO items SELECT seq, 'many' FROM seq_1_to_6000",
    "UPDATE orders SET status = 'more' WHERE id > 7500", "COMMIT");
  await s.run("TRUNCATE items", "UPDATE orders SET status = 'end' WHERE id = 1", "DELETE FROM orders WHERE id = 1001");
  await s.short();
  await s.watching.stop();

  const { emitted } = s.watching.recorded;
  const positions: { after: number; position: Json }[] = [{ after: 0, position: start }];
  let after = 0;
  for (const { batch, position } of emitted) {
    assert.ok(batch.length <= BATCH_OBSERVATIONS_MAX);
    after += batch.length;
    if (position !== undefined) positions.push({ after, position });
  }
  const all = s.watching.short();
  assert.equal(all.length, 1 + 7000 + 6000 + 500 + 1 + 1 + 1 + 1 + 1 - 1);
  assert.ok(positions.filter(({ position }) => "transaction" in (position as object)).length >= 2, "the large transaction was split");
  for (const { after: from, position } of positions.slice(1)) {
    if (from === all.length) continue;
    await using again = await watch(t, s.server, s.db, ["orders", "items", "last"], { position });
    // From within the snapshot the rest of it is read after what happened since: no change again.
    const changes = (): string[] => again.short().filter((line) => !line.startsWith("r "));
    await again.until("all is there", () => changes().length >= all.length - from && again.recorded.caughtUp);
    assert.deepEqual(changes(), all.slice(from));
  }
});
