import assert from "node:assert/strict";
import test from "node:test";
import { sharedMariadb } from "../support/mariadb.ts";
import { watch } from "./cdc_mysql_support.ts";

const mariadb = sharedMariadb();
const ORDERS = "CREATE TABLE orders (id INT PRIMARY KEY, status VARCHAR(20), amount DECIMAL(10,2))";

test("the rows that are there come first as r, then every change with before and after", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  const db = await server.createDatabase();
  const shop = await server.connect(db);
  await shop.query(ORDERS);
  await shop.query("INSERT INTO orders VALUES (1, 'pending', 10.50), (2, 'paid', 20)");
  await using watching = await watch(t, server, db, ["orders"]);
  await watching.count(2);
  await shop.query("INSERT INTO orders VALUES (3, 'pending', 5)");
  await shop.query("UPDATE orders SET status = 'paid' WHERE id = 1");
  await shop.query("DELETE FROM orders WHERE id = 2");
  await shop.end();
  await watching.count(5);
  assert.deepEqual(watching.changes(), [
    { op: "r", table: "orders", before: null, after: { id: 1, status: "pending", amount: 10.5 } },
    { op: "r", table: "orders", before: null, after: { id: 2, status: "paid", amount: 20 } },
    { op: "c", table: "orders", before: null, after: { id: 3, status: "pending", amount: 5 } },
    { op: "u", table: "orders", before: { id: 1, status: "pending", amount: 10.5 }, after: { id: 1, status: "paid", amount: 10.5 } },
    { op: "d", table: "orders", before: { id: 2, status: "paid", amount: 20 }, after: null },
  ]);
  assert.deepEqual(watching.observations().map(({ snapshot }) => snapshot), [true, true, false, false, false]);
  assert.deepEqual(watching.observations()[4]!.attributes, { "db.system.name": "mariadb", "db.namespace": db, "db.collection.name": "orders" });
  assert.equal(watching.recorded.caughtUp, true);
  assert.deepEqual(watching.recorded.reports, []);
});
