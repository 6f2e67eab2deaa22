import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { selfSigned } from "../support/http_server.ts";
import { sharedMariadb, startMariadb } from "../support/mariadb.ts";
import { pause, until } from "../support/waiting.ts";
import { polling } from "./sql_poll_support.ts";

const shared = sharedMariadb();

/** The server of this file with a database of the test's own, and `run` for SQL in it. Undefined: the test was skipped. */
async function mariadb(t: TestContext, ...schema: string[]) {
  const server = await shared(t);
  if (server === undefined) return undefined;
  const name = await server.createDatabase();
  const run = async (...statements: string[]): Promise<void> => {
    const connection = await server.connect(name);
    for (const statement of statements) await connection.query(statement);
    await connection.end();
  };
  await run(...schema);
  return { server, name, run, url: server.url(name) };
}

const EVENTS = "CREATE TABLE events (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, what VARCHAR(100), updated_at DATETIME(6))";

test("a column keeps its digits, its microseconds and its bytes", async (t) => {
  const on = await mariadb(t, `CREATE TABLE things (id BIGINT UNSIGNED, price DECIMAL(20,4), ts TIMESTAMP(6) NULL, local DATETIME(6), day DATE, clock TIME, year YEAR,
    flag TINYINT(1), bits BIT(12), ratio DOUBLE, small FLOAT, doc JSON, raw VARBINARY(8), word VARCHAR(20), none TEXT)`,
  `INSERT INTO things VALUES (18446744073709551615, 10.5000, '2026-11-22 10:00:00.123456', '2026-11-22 10:00:00.000001', '2026-11-22', '11:00:00', 2026,
    1, b'101', 0.1, 0.1, '{"a": 12345678901234567890}', x'00ff', 'ä\\0€', NULL)`);
  if (on === undefined) return;
  await using it = await polling({ url: on.url, query: "SELECT * FROM things" });
  await until("polled", () => it.rows().length > 0);
  assert.deepEqual(it.rows()[0], {
    id: "18446744073709551615", price: 10.5, ts: "2026-11-22T10:00:00.123456Z", local: "2026-11-22T10:00:00.000001Z", day: "2026-11-22", clock: "11:00:00", year: 2026,
    flag: 1, bits: 5, ratio: 0.1, small: 0.1, doc: { a: "12345678901234567890" }, raw: "AP8=", word: "ä\0€", none: null,
  });
  assert.deepEqual(it.observed()[0]?.attributes, { "db.system.name": "mariadb", "db.namespace": on.name });
});

test("an earlier id that commits later is found, and none comes twice, also by an agent that was restarted in between", async (t) => {
  const on = await mariadb(t, EVENTS, "ALTER TABLE events AUTO_INCREMENT = 9007199254740993");
  if (on === undefined) return;
  const late = await on.server.connect(on.name);
  const config = { url: on.url, query: "SELECT id, what FROM events", tracking_column: "id" };
  await on.run("INSERT INTO events (what) VALUES ('first')");
  await late.query("BEGIN");
  await late.query("INSERT INTO events (what) VALUES ('late')");
  await on.run("INSERT INTO events (what) VALUES ('early')");
  const one = await polling(config);
  await until("two rows", () => one.rows().length === 2);
  await pause(60);
  await one.stop();
  await late.query("COMMIT");
  await late.end();
  await using two = await polling(config, { position: one.position()! });
  await until("the late row", () => two.rows().length === 1);
  await on.run("INSERT INTO events (what) VALUES ('last')");
  await until("the last row", () => two.rows().length === 2);
  await pause(100);
  assert.deepEqual([...one.rows(), ...two.rows()].map(({ what }) => what), ["first", "early", "late", "last"]);
  assert.equal(two.rows()[1]?.["id"], "9007199254740996");
  assert.deepEqual([...one.recorded.reports, ...two.recorded.reports], []);
});

test("by the time of the last change, to the microsecond, and by text that is hostile to quoting", async (t) => {
  const on = await mariadb(t, EVENTS,
    "INSERT INTO events (what, updated_at) VALUES ('a', '2026-11-22 10:00:00.000001'), ('b\\\\'' OR 1=1 -- ', '2026-11-22 10:00:00.000001'), ('c', NULL)");
  if (on === undefined) return;
  await using it = await polling({ url: on.url, query: "SELECT what, updated_at FROM events;", tracking_column: "updated_at" });
  await using text = await polling({ url: on.url, query: "SELECT what FROM events", tracking_column: "what" });
  await until("read", () => it.rows().length === 2 && text.rows().length === 3);
  await on.run("INSERT INTO events (what, updated_at) VALUES ('tie', '2026-11-22 10:00:00.000001'), ('next', '2026-11-22 10:00:00.000002')");
  await until("two more", () => it.rows().length === 4 && text.rows().length === 5);
  await on.run("UPDATE events SET what = 'A', updated_at = '2026-11-22 10:00:00.000003' WHERE what = 'a'");
  await until("changed", () => it.rows().length === 5);
  await pause(60);
  assert.deepEqual(it.rows().map(({ what }) => what), ["a", "b\\' OR 1=1 -- ", "tie", "next", "A"]);
  assert.deepEqual([...it.recorded.reports, ...text.recorded.reports], []);
});

test("whatever writes is refused, and nothing was written", async (t) => {
  const on = await mariadb(t, EVENTS, "CREATE FUNCTION sneaky() RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO events (what) VALUES ('x'); RETURN 1; END");
  if (on === undefined) return;
  for (const [query, said] of [
    ["SELECT sneaky()", /READ ONLY transaction/],
    ["DELETE FROM events", /READ ONLY transaction/],
    ["INSERT INTO events (what) VALUES ('x') RETURNING id", /READ ONLY transaction/],
    ["DROP TABLE events", /READ ONLY transaction/],
    ["SET @a = 1", /gives no rows: sql_poll takes one SELECT/],
    ["COMMIT", /gives no rows: sql_poll takes one SELECT/],
    ["SELECT 1; DELETE FROM events", /error in your SQL syntax/],
    ["LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE events", /./],
  ] as const) {
    await using it = await polling({ url: on.url, query });
    await until(query, () => it.recorded.reports.length > 0);
    assert.match(it.recorded.reports[0]!, said, query);
  }
  assert.deepEqual(await on.server.query(`SELECT COUNT(*) AS n FROM \`${on.name}\`.events`), [{ n: 0 }]);
});

test("a query takes parameters, and what is wrong with one is said as the server says it, without the password", async (t) => {
  const on = await mariadb(t, EVENTS, "INSERT INTO events (what) VALUES ('a?'), ('b')");
  if (on === undefined) return;
  await using it = await polling({ url: on.url, query: "SELECT what FROM events WHERE what <> 'a?' AND id < ? AND what = ? AND ?", params: [10, "b", true], tracking_column: "what" });
  await until("polled twice", () => it.rows().length > 0);
  await pause(50);
  assert.deepEqual([it.rows(), it.recorded.reports], [[{ what: "b" }], []]);
  const wrongUrl = on.server.url(on.name, on.server.user, "wr0ng-s3cret");
  for (const [config, said] of [
    [{ query: "SELECT * FROM orderz" }, /^mysql:\/\/127\.0\.0\.1:\d+\/\w+: Table '\w+\.orderz' doesn't exist$/],
    [{ query: "SELECT id FROM events", tracking_column: "idd" }, /Unknown column 'sojourn_rows.idd'/],
    [{ query: "SELECT id, what AS id FROM events" }, /two columns are named id: name one of them with AS/],
    [{ query: "SELECT id FROM events WHERE id = ?" }, /Incorrect arguments|parameter|bind/i],
    [{ url: wrongUrl, query: "SELECT 1" }, /Access denied for user/],
    [{ tls: {}, query: "SELECT 1" }, /SSL|secure/],
  ] as const) {
    await using wrong = await polling({ url: on.url, ...config });
    await until(JSON.stringify(config), () => wrong.recorded.reports.length > 0);
    assert.match(wrong.recorded.reports[0]!, said);
    const all = JSON.stringify([wrong.recorded, wrong.status()]);
    assert.ok(!all.includes("wr0ng-s3cret") && !all.includes(on.server.password));
  }
});

test("a slow query is given up, on the server too, and the next answer heals it", async (t) => {
  const on = await mariadb(t, "CREATE TABLE slow (seconds DOUBLE)", "INSERT INTO slow VALUES (30)");
  if (on === undefined) return;
  await using it = await polling({ url: on.url, timeout: "150ms", query: "SELECT seconds, SLEEP(seconds) FROM slow" });
  await until("failing", () => it.recorded.failing !== undefined);
  assert.match(it.recorded.failing!, /max_statement_time exceeded/);
  await on.run("UPDATE slow SET seconds = 0");
  await until("healed", () => it.recorded.healed === 1 && it.recorded.caughtUp);
});

test("a rotated password is read for the next connection", async (t) => {
  const on = await mariadb(t);
  if (on === undefined) return;
  const folder = await mkdtemp(join(tmpdir(), "sojourn-sql-"));
  try {
    const file = join(folder, "password");
    await writeFile(file, "old\n");
    await on.run("CREATE USER rotated IDENTIFIED BY 'old'", `GRANT SELECT ON \`${on.name}\`.* TO rotated`);
    await using it = await polling({ url: on.server.url(on.name, "rotated", ""), password_file: file, query: "SELECT 1 AS one" });
    await until("polled", () => it.rows().length > 0);
    await on.run("ALTER USER rotated IDENTIFIED BY 'new'", "KILL USER rotated");
    await until("refused", () => it.recorded.reports.some((said) => said.includes("Access denied")));
    await writeFile(file, "new");
    const before = it.rows().length;
    await until("let in again", () => it.rows().length > before);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a long result comes page by page; enough is enough in the midst of one, and stopping too", async (t) => {
  const on = await mariadb(t, "CREATE TABLE big AS SELECT seq AS id, REPEAT('x', 1000) AS pad FROM seq_1_to_12000");
  if (on === undefined) return;
  await using it = await polling({ url: on.url, interval: "1h", query: "SELECT * FROM big" });
  await until("caught up", () => it.recorded.caughtUp);
  assert.equal(it.rows().length, 12_000);
  await using over = await polling({ url: on.url, query: "SELECT * FROM big", rows_max: 3_000 });
  await until("refused again and again", () => over.recorded.failing !== undefined);
  assert.match(over.recorded.failing!, /more than 3000 rows/);
  await using parts = await polling({ url: on.url, interval: "1h", query: "SELECT * FROM big", rows_max: 1_000, tracking_column: "id" });
  await until("all of it, in parts", () => parts.recorded.caughtUp);
  assert.deepEqual(parts.rows().map(({ id }) => id), Array.from({ length: 12_000 }, (_, i) => i + 1));
  const slow = await polling({ url: on.url, query: "SELECT SLEEP(20)" });
  await pause(100);
  const begin = performance.now();
  await slow.stop();
  assert.ok(performance.now() - begin < 2_000);
});

test("a server that is away for a while costs no row, and none comes twice", async (t) => {
  const on = await mariadb(t, EVENTS, "INSERT INTO events (what) VALUES ('a')");
  if (on === undefined || !on.server.ours) return;
  await using it = await polling({ url: on.url, query: "SELECT what, id FROM events", tracking_column: "id" });
  await until("polled", () => it.rows().length === 1);
  await on.server.kill();
  await until("failing", () => it.recorded.failing !== undefined);
  await on.server.restart();
  await on.run("INSERT INTO events (what) VALUES ('b')");
  await until("again", () => it.rows().length === 2 && it.recorded.failing === undefined);
  assert.deepEqual(it.rows().map(({ what }) => what), ["a", "b"]);
});

test("TLS: trusted by ca_file and the name in the certificate, refused otherwise", async (t) => {
  const own = selfSigned("db.example");
  try {
    const [cert, key] = [join(own.directory, "cert.pem"), join(own.directory, "key.pem")];
    await using server = await startMariadb(t, { settings: { "ssl-cert": cert, "ssl-key": key } });
    if (server?.ours !== true) return;
    const config = { url: server.url(await server.createDatabase()), query: "SHOW STATUS LIKE 'Ssl_version'" };
    await using trusted = await polling({ ...config, tls: { ca_file: cert, server_name: "db.example" } });
    await until("polled", () => trusted.rows().length > 0);
    assert.match(String(trusted.rows()[0]!["Value"] as string), /^TLSv1/);
    for (const tls of [{}, { ca_file: cert, server_name: "other.example" }]) {
      await using refused = await polling({ ...config, tls });
      await until("refused", () => refused.recorded.reports.length > 0);
      assert.match(refused.recorded.reports[0]!, /self.signed|altnames|unable to verify/);
    }
    await using careless = await polling({ ...config, tls: { insecure_skip_verify: true } });
    await until("polled", () => careless.rows().length > 0);
  } finally {
    own.remove();
  }
});
