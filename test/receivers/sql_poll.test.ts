import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { rename, rm, writeFile } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { sqlPoll } from "../../receivers/sql_poll.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import { realClock } from "../../src/sdk/clock.ts";
import type { ConfigError } from "../../src/sdk/errors.ts";
import { configured } from "../support/configured.ts";
import { receiverContext } from "../support/context.ts";
import { pause, until } from "../support/waiting.ts";
import { polling, sqliteFile } from "./sql_poll_support.ts";

const ORDERS = "CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT, amount REAL, updated_at TEXT)";

test("the whole result comes at each poll, a row is an observation", async () => {
  await using file = await sqliteFile(`${ORDERS}; INSERT INTO orders VALUES (1, 'pending', 12.5, '2026-11-22 10:00:00.123456'), (2, 'paid', NULL, NULL)`);
  await using it = await polling({ url: file.url, query: "SELECT * FROM orders WHERE id < ? OR status = ? ORDER BY id; -- both\n", params: [2, "paid"] });
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
  assert.equal(it.status()["up"], true);
  assert.equal(it.status()["rows"], 2);
});

test("by tracking_column only what is new or changed comes, once, also after a restart", async () => {
  await using file = await sqliteFile(`${ORDERS}; INSERT INTO orders VALUES (9007199254740993, 'a', NULL, NULL), (9007199254740994, 'b', NULL, NULL)`);
  const config = { url: file.url, query: "SELECT id, status FROM orders;", tracking_column: "id" };
  const one = await polling(config);
  await until("two", () => one.rows().length === 2);
  file.database.exec("INSERT INTO orders VALUES (9007199254740995, 'c', NULL, NULL)");
  await until("three", () => one.rows().length === 3);
  await one.stop();
  file.database.exec("INSERT INTO orders VALUES (9007199254740996, 'd', NULL, NULL), (9007199254740992, 'late', NULL, NULL)");
  await using two = await polling(config, { position: structuredClone(one.position()!) });
  await until("two more", () => two.rows().length === 2);
  await pause(60);
  assert.deepEqual([...one.rows(), ...two.rows()].map(({ status }) => status), ["a", "b", "c", "late", "d"]);
  assert.equal(two.rows()[1]?.["id"], "9007199254740996");
});

test("with missing: delete a row that has gone is told once, with its key; also one that went while nobody looked", async () => {
  await using file = await sqliteFile(`${ORDERS}; INSERT INTO orders (id, status) VALUES (1, 'a'), (2, 'b'), (3, 'c')`);
  const config = { url: file.url, query: "SELECT id, status FROM orders", missing: "delete", key: ["id"] };
  const gone = (it: Awaited<ReturnType<typeof polling>>): unknown[] =>
    it.observed().filter(({ attributes }) => attributes["sql_poll.missing"] === true).map(({ body }) => body);
  const one = await polling(config);
  await until("polled", () => one.rows().length >= 3);
  assert.equal(one.observed()[0]?.attributes["sql_poll.missing"], false);
  file.database.exec("DELETE FROM orders WHERE id = 2");
  await until("told", () => gone(one).length > 0);
  await pause(60);
  assert.deepEqual(gone(one), [{ id: 2 }]);
  await one.stop();
  file.database.exec("DELETE FROM orders WHERE id = 3; INSERT INTO orders (id, status) VALUES (2, 'again')");
  await using two = await polling(config, { position: structuredClone(one.position()!) });
  await until("told after the restart", () => gone(two).length > 0);
  file.database.exec("DELETE FROM orders");
  await until("all", () => gone(two).length === 3);
  assert.deepEqual(gone(two), [{ id: 3 }, { id: 1 }, { id: 2 }]);
});

test("nothing is missing from a result that failed, was too long, or was not there", async () => {
  await using file = await sqliteFile(`${ORDERS}; INSERT INTO orders (id, status) VALUES (1, 'a'), (2, 'b'), (3, 'c')`);
  const config = { url: file.url, query: "SELECT id, status, CASE status WHEN 'bad' THEN json('{') END AS doc FROM orders", missing: "delete", key: ["id"], rows_max: 3 };
  await using it = await polling(config);
  const missing = (): number => it.observed().filter(({ attributes }) => attributes["sql_poll.missing"] === true).length;
  await until("polled", () => it.recorded.caughtUp);
  file.database.exec("DELETE FROM orders WHERE id = 3; UPDATE orders SET status = 'bad' WHERE id = 2");
  await until("a broken row", () => it.recorded.reports.length === 1);
  assert.match(it.recorded.reports[0]!, /malformed JSON/);
  file.database.exec("INSERT INTO orders (id, status) VALUES (4, 'd'), (5, 'e'); UPDATE orders SET status = 'b' WHERE id = 2");
  await until("too many", () => it.recorded.reports.length === 2);
  assert.match(it.recorded.reports[1]!, /more than 3 rows/);
  await rename(file.path, `${file.path}.away`);
  await until("no file", () => it.recorded.reports.length === 3);
  assert.match(it.recorded.reports[2]!, /unable to open database file: is it there/);
  assert.equal(missing(), 0);
  await rename(`${file.path}.away`, file.path);
  file.database.exec("DELETE FROM orders WHERE id = 5");
  await until("complete again", () => missing() === 1);
  // 4 came with a result that was too long, and is there; 5 as well, and is not: it must not stay for ever.
  file.database.exec("DELETE FROM orders WHERE id = 4");
  await until("the other", () => missing() === 2);
});

test("a query that never ends stalls nothing, is given up, and is over when the receiver stops", async () => {
  await using file = await sqliteFile("CREATE TABLE n (i)");
  const forever = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS c FROM n";
  await using it = await polling({ url: file.url, query: forever, timeout: "20ms" });
  const begin = performance.now();
  let lateMs = 0;
  while (it.recorded.failing === undefined && performance.now() - begin < 20_000) {
    const turn = performance.now();
    await pause(10);
    lateMs = Math.max(lateMs, performance.now() - turn);
  }
  assert.match(it.recorded.failing!, /no answer within 0.02s/);
  assert.ok(lateMs < 500, `the loop stood still for ${lateMs} ms`);
  const other = await polling({ url: file.url, query: forever });
  await pause(150);
  const stopping = performance.now();
  await other.stop();
  assert.ok(performance.now() - stopping < 2_000);
});

test("an agent that is killed leaves no query behind", async () => {
  await using file = await sqliteFile("CREATE TABLE n (i)");
  const query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS c FROM n";
  const agent = spawn(process.execPath, ["--input-type=module", "-e", `
    const { polling } = await import(${JSON.stringify(new URL("sql_poll_support.ts", import.meta.url).href)});
    await polling({ url: ${JSON.stringify(file.url)}, query: ${JSON.stringify(query)} });
    setInterval(() => undefined, 1000);
  `], { stdio: "ignore" });
  const running = (): boolean => execFileSync("ps", ["-A", "-o", "args"], { encoding: "utf8" }).split("\n").some((line) => line.includes("sqlite_child") && line.includes(file.path));
  try {
    for (let i = 0; i < 100 && !running(); i++) await pause(100);
    // Into the query.
    await pause(300);
    assert.ok(running(), "it runs");
  } finally {
    agent.kill("SIGKILL");
  }
  for (let i = 0; i < 100 && running(); i++) await pause(100);
  assert.ok(!running(), "it is gone");
});

test("whatever writes is refused", async () => {
  await using file = await sqliteFile(ORDERS);
  for (const [query, said] of [
    ["DELETE FROM orders RETURNING id", /readonly database/],
    ["INSERT INTO orders (id) VALUES (1)", /readonly database|gives no rows/],
    [`VACUUM INTO '${file.folder}/copy.db'`, /gives no rows: sql_poll takes one SELECT/],
    [`ATTACH '${file.folder}/new.db' AS n`, /gives no rows|unable to open/],
    ["SELECT 1; DELETE FROM orders", /is more than one statement/],
    ["SELECT load_extension('x')", /not authorized/],
    ["-- nothing", /contains no statements/],
  ] as const) {
    await using it = await polling({ url: file.url, query });
    await until(query, () => it.recorded.reports.length > 0);
    assert.match(it.recorded.reports[0]!, said, query);
  }
});

test("hostile values take nothing down: NUL, bytes, broken text, infinity, deep JSON, much text, much more text", async () => {
  await using file = await sqliteFile("CREATE TABLE v (id INTEGER PRIMARY KEY, value)");
  file.database.prepare("INSERT INTO v VALUES (1, ?), (2, ?), (3, CAST(x'ff41' AS TEXT)), (4, 9e999), (5, ?), (6, ?)")
    .run("a\0b", new Uint8Array([0, 255]), "[".repeat(100_000), "x".repeat(3_000_000));
  await using it = await polling({ url: file.url, interval: "1h", query: "SELECT * FROM v" });
  await until("polled", () => it.recorded.caughtUp);
  const values = it.rows().map(({ value }) => value);
  assert.deepEqual(values.slice(0, 4), ["a\0b", "AP8=", "\ufffdA", "Infinity"]);
  assert.deepEqual(values.slice(4).map((value) => (value as string).length), [100_000, 3_000_000]);
  for (const [query, said] of [
    ["SELECT printf('%.*c', 70000000, 'x') AS text", /a row takes more than 67108864 bytes/],
    ["SELECT zeroblob(900000000) AS bytes", /too big|memory|bytes/],
    ["SELECT 1 AS __proto__", /a column is named __proto__/],
    ["SELECT 1 AS a, 2 AS a", /two columns are named a/],
    ["SELECT id FROM v WHERE id = ?", /./],
  ] as const) {
    await using wrong = await polling({ url: file.url, query, params: query.includes("?") ? [1, 2] : [] });
    await until(query, () => wrong.recorded.reports.length > 0);
    assert.match(wrong.recorded.reports[0]!, said, query);
  }
});

test("a file that is replaced is read anew, and one that is no database is an error", async () => {
  await using file = await sqliteFile(`${ORDERS}; INSERT INTO orders (id) VALUES (1); PRAGMA journal_mode = DELETE`);
  await using it = await polling({ url: file.url, query: "SELECT id FROM orders", missing: "delete", key: ["id"] });
  await until("polled", () => it.rows().length > 0);
  const other = new DatabaseSync(`${file.path}.new`);
  other.exec(`${ORDERS}; INSERT INTO orders (id) VALUES (7)`);
  other.close();
  await rename(`${file.path}.new`, file.path);
  await until("read anew", () => it.rows().some(({ id }) => id === 7));
  await writeFile(file.path, "no database at all, but long enough to look like one".repeat(100));
  await until("reported", () => it.recorded.reports.length > 0);
  assert.match(it.recorded.reports[0]!, /file is not a database/);
  await rm(file.path);
});

test("what is wrong with a configuration is said where it is", () => {
  const { context } = receiverContext({ clock: realClock, metrics: createMetrics() });
  const query = "SELECT 1 AS id";
  for (const [config, pointer, said] of [
    [{ url: "oracle://x", query }, "/url", /does not begin with one of postgres:, postgresql:, mysql:, mariadb:, sqlite:/],
    [{ url: "sqlite:x", query: " ; " }, "/query", /is empty/],
    [{ url: "sqlite:x", query, missing: "delete" }, "/key", /needed for missing: delete/],
    [{ url: "sqlite:x", query, key: ["id"] }, "/key", /only for missing: delete/],
    [{ url: "sqlite:x", query, missing: "delete", key: ["id"], tracking_column: "id" }, "/missing", /give one of them/],
    [{ url: "sqlite:x", query, tracking_start: "1" }, "/tracking_start", /needs tracking_column/],
    [{ url: "sqlite:x", query, password_file: "/x" }, "/password_file", /has no password/],
    [{ url: "sqlite:x", query, interval: "1ms" }, "/interval", /below/],
    [{ url: "sqlite:x", query, interval: "10s", expect_every: "10s" }, "/expect_every", /not longer than the interval/],
  ] as const) {
    assert.throws(() => sqlPoll.create(configured(sqlPoll.schema, config), context), (error: ConfigError) => error.pointer === pointer && said.test(error.message), pointer);
  }
});

test("a key that is no column, and a tracking column that is none, are named", async () => {
  await using file = await sqliteFile(ORDERS);
  for (const [config, said] of [
    [{ missing: "delete", key: ["nr"] }, /no column nr, which is in key; it has id, status/],
    [{ tracking_column: "nr" }, /no such column: sojourn_rows.nr/],
  ] as const) {
    await using it = await polling({ url: file.url, query: "SELECT id, status FROM orders", ...config });
    await until(String(said), () => it.recorded.reports.length > 0);
    assert.match(it.recorded.reports[0]!, said);
  }
});
