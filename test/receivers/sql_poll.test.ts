import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../support/waiting.ts";
import { polling, sqliteFile } from "./sql_poll_support.ts";

const ORDERS = "CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT, amount REAL, updated_at TEXT)";

test("the whole result comes at each poll, a row is an observation", async () => {
  await using file = await sqliteFile(`${ORDERS}; INSERT INTO orders VALUES (1, 'pending', 12.5, '2026-11-22 10:00:00.123456'), (2, 'paid', NULL, NULL)`);
  await using it = await polling({ url: file.url, query: "SELECT * FROM orders ORDER BY id;" });
  await until("polled twice", () => it.rows().length >= 4);
  assert.deepEqual(it.rows().slice(0, 2), [
    { id: 1, status: "pending", amount: 12.5, updated_at: "2026-11-22T10:00:00.123456Z" },
    { id: 2, status: "paid", amount: null, updated_at: null },
  ]);
  const [first] = it.observed();
  assert.deepEqual(first?.attributes, { "db.system.name": "sqlite", "db.namespace": file.path });
  assert.equal(first?.source, "sql_poll/test");
  await until("caught up", () => it.recorded.caughtUp);
  assert.deepEqual(it.recorded.reports, []);
});
