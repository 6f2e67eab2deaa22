import assert from "node:assert/strict";
import test from "node:test";
import type { Json } from "../../src/sdk/observation.ts";
import { sharedMariadb } from "../support/mariadb.ts";
import { pause } from "../support/waiting.ts";
import { watch } from "./cdc_mysql_support.ts";

const mariadb = sharedMariadb();
const table = (name: string): string => `CREATE TABLE ${name} (id INT PRIMARY KEY, status VARCHAR(20))`;

/** What a resource's state would be after these changes, and how many moves there were. */
function outcome(changes: readonly string[]): Map<string, string> {
  const states = new Map<string, string>();
  for (const line of changes) {
    const [op, name, id, status] = line.split(" ");
    if (op === "d") states.delete(`${name} ${id}`);
    else states.set(`${name} ${id}`, status!);
  }
  return states;
}

test("the snapshot agrees with the binlog while others write: no row is missing, none comes twice as a change", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  const db = await server.createDatabase();
  const shop = await server.connect(db);
  await shop.query(table("orders"));
  await shop.query("INSERT INTO orders SELECT seq, 's0' FROM seq_1_to_5000");
  let writing = true;
  const moves = new Map<string, number>();
  const writers = [0, 1, 2].map(async (n) => {
    const own = await server.connect(db);
    for (let i = 1; writing; i++) {
      const id = n * 1000 + (i % 500) + 1;
      await own.query("BEGIN");
      await own.query("UPDATE orders SET status = CONCAT('s', SUBSTR(status, 2) + 1) WHERE id = ?", [id]);
      if (i % 3 === 0) await own.query("ROLLBACK");
      else await own.query("COMMIT");
      if (i % 3 !== 0) moves.set(String(id), (moves.get(String(id)) ?? 0) + 1);
    }
    await own.end();
  });
  await pause(50);
  await using watching = await watch(t, server, db, ["orders"]);
  await watching.count(5100);
  writing = false;
  await Promise.all(writers);
  await shop.query("INSERT INTO orders VALUES (9999, 'end')");
  await watching.until("the last", () => watching.short().at(-1) === "c orders 9999 end");

  // Each row counts its own moves: every change must go on from where the one before it, or the snapshot, left it.
  const at = new Map<Json, string>();
  for (const { op, before, after } of watching.changes()) {
    if (op === "u") assert.equal(before!.status, at.get(before!.id!), `order ${before!.id as number}`);
    at.set(after!.id!, after!.status as string);
  }
  const rows = await server.query<{ id: number; status: string }>(`SELECT id, status FROM ${db}.orders`);
  assert.deepEqual(new Map(rows.map(({ id, status }) => [id, status])), new Map([...at.entries()].sort(([a], [b]) => Number(a) - Number(b))));
  await shop.end();
});

test("a snapshot that is broken off goes on behind the last committed row, after what was changed meanwhile", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  const db = await server.createDatabase();
  const shop = await server.connect(db);
  for (const name of ["orders", "items"]) await shop.query(table(name));
  await shop.query("CREATE TABLE notes (status VARCHAR(20))");
  await shop.query("INSERT INTO orders SELECT seq, 'new' FROM seq_1_to_3500");
  await shop.query("INSERT INTO items SELECT seq, 'new' FROM seq_1_to_1500");
  await shop.query("INSERT INTO notes SELECT 'n' FROM seq_1_to_1200");
  const tables = ["orders", "items", "notes"];
  await using whole = await watch(t, server, db, tables);
  await whole.until("it streams", () => whole.status().doing === "streaming");
  await whole.stop();
  assert.equal(whole.short().length, 6200);

  // Deleted, changed and new rows on both sides of where it was broken off.
  await shop.query("DELETE FROM orders WHERE id IN (10, 3400)");
  await shop.query("UPDATE orders SET status = 'paid' WHERE id IN (11, 3401)");
  await shop.query("UPDATE items SET id = id + 10000 WHERE id IN (5, 1400)");
  await shop.query("INSERT INTO orders VALUES (-1, 'new'), (9000, 'new')");
  let committed = 0;
  for (const { batch, position } of whole.recorded.emitted) {
    committed += batch.length;
    const first = whole.short().slice(0, committed);
    await using rest = await watch(t, server, db, tables, { position: JSON.parse(JSON.stringify(position)) as Json });
    await rest.until("it is caught up", () => rest.recorded.caughtUp);
    const all = [...first, ...rest.short()];
    const states = outcome(all.filter((line) => !line.includes("notes")));
    const rows: { k: string; status: string }[] = [];
    for (const name of ["orders", "items"]) rows.push(...await server.query<{ k: string; status: string }>(`SELECT CONCAT('${name} ', id) AS k, status FROM ${db}.${name}`));
    assert.deepEqual(Object.fromEntries(states), Object.fromEntries(rows.map(({ k, status }) => [k, status])));
    // The moves themselves come once each, wherever it was broken off.
    assert.equal(all.filter((line) => line === "u orders 11 paid").length, 1);
    assert.equal(all.filter((line) => line === "u orders 3401 paid").length, 1);
    assert.equal(rest.short().filter((line) => line.startsWith("r orders")).length <= 3500 - Math.min(3500, committed) + 1, true);
  }
  await shop.end();
});

test("a table that is new in the configuration is read, and the others go on where they were", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  const db = await server.createDatabase();
  const shop = await server.connect(db);
  for (const name of ["orders", "items"]) await shop.query(table(name));
  await shop.query("INSERT INTO orders VALUES (1, 'new')");
  await shop.query("INSERT INTO items VALUES (7, 'new')");
  const first = await watch(t, server, db, ["orders"]);
  await first.until("it streams", () => first.status().doing === "streaming");
  await first.stop();
  await shop.query("UPDATE orders SET status = 'paid'");
  await using second = await watch(t, server, db, ["orders", `${db}.items`], { position: first.position() });
  await second.until("it is caught up", () => second.recorded.caughtUp);
  await shop.query("UPDATE items SET status = 'sold'");
  await second.count(3);
  assert.deepEqual(second.short(), ["u orders 1 paid", "r items 7 new", "u items 7 sold"]);
  await shop.end();
});

test("`snapshot: never` takes only changes, from the moment of the first start on", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  const db = await server.createDatabase();
  const shop = await server.connect(db);
  await shop.query(table("orders"));
  await shop.query("INSERT INTO orders VALUES (1, 'new')");
  const first = await watch(t, server, db, ["orders"], { config: { snapshot: "never" } });
  await first.until("it is caught up", () => first.recorded.caughtUp && first.position() !== undefined);
  await first.stop();
  await shop.query("UPDATE orders SET status = 'paid'");
  await using second = await watch(t, server, db, ["orders"], { config: { snapshot: "never" }, position: first.position() });
  await second.count(1);
  assert.deepEqual([...first.short(), ...second.short()], ["u orders 1 paid"]);
  await shop.end();
});

test("keys of every kind are gone on behind: text, several columns, bytes, enums", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  const db = await server.createDatabase();
  const shop = await server.connect(db);
  await shop.query("CREATE TABLE texts (id VARCHAR(40) PRIMARY KEY)");
  await shop.query("INSERT INTO texts SELECT CONCAT(seq % 7, 'ä''\\\\\"', seq) FROM seq_1_to_2500");
  await shop.query("CREATE TABLE several (id DECIMAL(30,10), kind ENUM('z','a'), at DATETIME(6), PRIMARY KEY (kind, id, at))");
  await shop.query("INSERT INTO several SELECT 90071992547409930.5 + seq, IF(seq % 2, 'a', 'z'), '2026-01-01' + INTERVAL seq MICROSECOND FROM seq_1_to_2500");
  await shop.query("CREATE TABLE bytes (id BINARY(16) PRIMARY KEY)");
  await shop.query("INSERT INTO bytes SELECT UNHEX(MD5(seq)) FROM seq_1_to_2500");
  await shop.query("CREATE TABLE uuids (id UUID PRIMARY KEY)");
  await shop.query("INSERT INTO uuids SELECT UUID() FROM seq_1_to_2500");
  await shop.end();
  for (const name of ["texts", "several", "bytes", "uuids"]) {
    await using whole = await watch(t, server, db, [name]);
    await whole.count(2500);
    await whole.stop();
    const all = whole.changes().map(({ after }) => JSON.stringify(after));
    assert.equal(new Set(all).size, 2500);
    const { position } = whole.recorded.emitted[0]!;
    await using rest = await watch(t, server, db, [name], { position: JSON.parse(JSON.stringify(position)) as Json });
    await rest.until("it is caught up", () => rest.recorded.caughtUp);
    assert.deepEqual(rest.changes().map(({ after }) => JSON.stringify(after)), all.slice(1000), name);
  }
});

test("a table of which no snapshot agrees with the binlog is refused, with what to do", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  const db = await server.createDatabase();
  await server.query(`CREATE TABLE ${db}.visits (id INT PRIMARY KEY) ENGINE = MyISAM`);
  await using watching = await watch(t, server, db, ["visits"]);
  await watching.until("it says so", () => watching.recorded.reports.length > 0);
  assert.match(watching.recorded.reports[0]!, /visits is a table of MyISAM.*ENGINE = InnoDB, or `snapshot: never`/);
});
