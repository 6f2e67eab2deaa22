import assert from "node:assert/strict";
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test, type TestContext } from "node:test";
import { selfSigned } from "../support/http_server.ts";
import { serverUser } from "../support/postgres_binaries.ts";
import { startPostgres, type Postgres } from "../support/postgres.ts";
import { pause, until } from "../support/waiting.ts";
import { polling } from "./sql_poll_support.ts";

let shared: Promise<Postgres | undefined> | undefined;
after(async () => (await shared)?.[Symbol.asyncDispose]());

/** The server of this file with a database of the test's own, and `run` for SQL in it. Undefined: the test was skipped. */
async function postgres(t: TestContext, schema: string) {
  const server = await (shared ??= startPostgres(t, { own: true }));
  if (server === undefined) {
    t.skip("PostgreSQL is not installed");
    return undefined;
  }
  const name = await server.createDatabase();
  const run = (text: string): Promise<Record<string, unknown>[]> => server.sql(name, text);
  await run(schema);
  return { server, name, run, url: server.url(name) };
}

const EVENTS = "CREATE TABLE events (id bigserial PRIMARY KEY, what text, updated_at timestamptz(6) NOT NULL DEFAULT clock_timestamp())";

test("a column is what it is by replication: no digit and no microsecond is lost", async (t) => {
  const on = await postgres(t, `CREATE TABLE things ("Id" bigint, price numeric, at timestamptz, local timestamp, day date, ok boolean, doc jsonb, raw bytea, ratio float8, tags text[], none text);
    INSERT INTO things VALUES (9007199254740993, 10.50, '2026-11-22 12:00:00.123456+02', '2026-11-22 10:00:00.000001', '2026-11-22', true, '{"a": [1, 12345678901234567890]}', '\\x00ff', 'NaN', '{a,NULL,"b c"}', NULL);
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone TO ''Asia/Tokyo''', current_database()); END $$`);
  if (on === undefined) return;
  await using it = await polling({ url: on.url, query: "SELECT * FROM things" });
  await until("polled", () => it.rows().length > 0);
  assert.deepEqual(it.rows()[0], {
    Id: "9007199254740993", price: 10.5, at: "2026-11-22T10:00:00.123456Z", local: "2026-11-22T10:00:00.000001Z", day: "2026-11-22", ok: true,
    doc: { a: [1, "12345678901234567890"] }, raw: "AP8=", ratio: "NaN", tags: ["a", null, "b c"], none: null,
  });
  assert.deepEqual(it.observed()[0]?.attributes, { "db.system.name": "postgresql", "db.namespace": on.name });
});

test("an earlier id that commits later is found, and none comes twice, also by an agent that was restarted in between", async (t) => {
  const on = await postgres(t, EVENTS);
  if (on === undefined) return;
  const [early, late] = [await on.server.client(on.name), await on.server.client(on.name)];
  const config = { url: on.url, query: "SELECT id, what FROM events", tracking_column: "id" };
  await on.run("INSERT INTO events (what) VALUES ('first')");
  await late.query("BEGIN; INSERT INTO events (what) VALUES ('late')");
  await early.query("INSERT INTO events (what) VALUES ('early')");
  const one = await polling(config);
  await until("two rows", () => one.rows().length === 2);
  await pause(60);
  await one.stop();
  await late.query("COMMIT");
  await using two = await polling(config, { position: one.position()! });
  await until("the late row", () => two.rows().length === 1);
  await on.run("INSERT INTO events (what) VALUES ('last')");
  await until("the last row", () => two.rows().length === 2);
  await pause(100);
  assert.deepEqual([one.rows(), two.rows()], [[{ id: 1, what: "first" }, { id: 3, what: "early" }], [{ id: 2, what: "late" }, { id: 4, what: "last" }]]);
  assert.deepEqual([...one.recorded.reports, ...two.recorded.reports], []);
});

test("by the time of the last change, to the microsecond: a changed row comes again, rows of one time come once", async (t) => {
  const on = await postgres(t, EVENTS);
  if (on === undefined) return;
  await on.run("INSERT INTO events (what, updated_at) VALUES ('a', '2026-11-22 10:00:00.000001Z'), ('b', '2026-11-22 10:00:00.000001Z'), ('infinite', 'infinity')");
  await using it = await polling({ url: on.url, query: "SELECT id, what, updated_at FROM events;", tracking_column: "updated_at" });
  await until("three rows", () => it.rows().length === 3);
  await on.run("INSERT INTO events (what, updated_at) VALUES ('tie', '2026-11-22 10:00:00.000001Z'), ('next', '2026-11-22 10:00:00.000002Z')");
  await until("two more", () => it.rows().length === 5);
  await on.run("UPDATE events SET what = 'A', updated_at = '2026-11-22 10:00:00.000003Z' WHERE what = 'a'");
  await until("changed", () => it.rows().length === 6);
  await pause(60);
  assert.deepEqual(it.rows().map(({ what }) => what), ["a", "b", "infinite", "tie", "next", "A"]);
  assert.equal(it.rows()[5]?.["updated_at"], "2026-11-22T10:00:00.000003Z");
});

test("whatever writes is refused, and nothing was written", async (t) => {
  const on = await postgres(t, `${EVENTS}; CREATE FUNCTION sneaky() RETURNS int LANGUAGE sql AS 'INSERT INTO events (what) VALUES (''x'') RETURNING 1'; CREATE SEQUENCE s`);
  if (on === undefined) return;
  for (const [query, said] of [
    ["SELECT sneaky()", /cannot execute INSERT in a read-only transaction/],
    ["SELECT nextval('s')", /cannot execute nextval\(\) in a read-only transaction/],
    ["WITH w AS (INSERT INTO events (what) VALUES ('x') RETURNING 1) SELECT * FROM w", /DECLARE CURSOR must not contain data-modifying statements|read-only/],
    ["DELETE FROM events RETURNING id", /syntax error at or near "DELETE"/],
    ["SELECT 1; COMMIT; INSERT INTO events (what) VALUES ('x')", /cannot insert multiple commands/],
  ] as const) {
    await using it = await polling({ url: on.url, query });
    await until(query, () => it.recorded.reports.length > 0);
    assert.match(it.recorded.reports[0]!, said);
  }
  assert.deepEqual(await on.run("SELECT count(*)::int AS n FROM events"), [{ n: 0 }]);
});

test("a query takes parameters, and what is wrong with one is said as the server says it, without the password", async (t) => {
  const on = await postgres(t, `${EVENTS}; INSERT INTO events (what) VALUES ('a'), ('b'), (NULL)`);
  if (on === undefined) return;
  await using it = await polling({ url: on.url, query: "SELECT what FROM events WHERE what = $1 AND id < $2 AND $3::bool", params: ["b", 10, true], tracking_column: "what" });
  await until("polled", () => it.rows().length > 0);
  assert.deepEqual(it.rows(), [{ what: "b" }]);
  const url = on.url.replace("postgres@", "postgres:s3cretpw@");
  for (const [config, said] of [
    [{ query: "SELECT * FROM orderz" }, /^postgres:\/\/127\.0\.0\.1:\d+\/\w+: relation "orderz" does not exist$/],
    [{ query: "SELECT wat FROM events" }, /column "wat" does not exist; Perhaps you meant/],
    [{ query: "SELECT id FROM events", tracking_column: "idd" }, /column sojourn_rows.idd does not exist; Perhaps you meant/],
    [{ query: "SELECT id, what AS id FROM events" }, /two columns are named id: name one of them with AS/],
    [{ query: "SELECT what FROM events WHERE id = $1", params: ["x"] }, /invalid input syntax for type bigint: "x"/],
    [{ query: "SELECT what FROM events WHERE id = $1" }, /parameter/],
    [{ query: "SELECT 1/(id - 2) AS x FROM events" }, /division by zero/],
    [{ url: url.replace(/\/\w+$/, "/nowhere"), query: "SELECT 1" }, /database "nowhere" does not exist/],
    [{ url: url.replace("postgres:", "postgres:").replace("//postgres:", "//nobody:"), query: "SELECT 1" }, /password authentication failed for user "nobody"/],
    [{ tls: {}, query: "SELECT 1" }, /does not support SSL/],
  ] as const) {
    await using wrong = await polling({ url, ...config });
    await until(JSON.stringify(config), () => wrong.recorded.reports.length > 0);
    assert.match(wrong.recorded.reports[0]!, said);
    assert.doesNotMatch(JSON.stringify([wrong.recorded, wrong.status()]), /s3cretpw/);
  }
});

test("a slow query is given up, on the server too; three in a row make the receiver failing; the next answer heals it", async (t) => {
  const on = await postgres(t, "CREATE TABLE slow (seconds float8); INSERT INTO slow VALUES (30)");
  if (on === undefined) return;
  await using it = await polling({ url: on.url, timeout: "150ms", query: "SELECT seconds, pg_sleep(seconds) FROM slow" });
  await until("failing", () => it.recorded.failing !== undefined);
  assert.match(it.recorded.failing!, /canceling statement due to statement timeout/);
  assert.equal(it.recorded.reports.length, 1);
  assert.equal(it.recorded.caughtUp, false);
  await on.run("UPDATE slow SET seconds = 0");
  await until("healed", () => it.recorded.healed === 1 && it.recorded.caughtUp);
  assert.equal(it.recorded.failing, undefined);
  assert.deepEqual(await on.run("SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid() AND now() - query_start > '1s'"), [{ n: 0 }]);
});

test("stopping does not wait for a query", async (t) => {
  const on = await postgres(t, "SELECT 1");
  if (on === undefined) return;
  const it = await polling({ url: on.url, query: "SELECT pg_sleep(20)" });
  await pause(100);
  const begin = performance.now();
  await it.stop();
  assert.ok(performance.now() - begin < 2_000);
});

test("a rotated password is read for the next connection", async (t) => {
  const on = await postgres(t, "SELECT 1");
  if (on === undefined) return;
  const folder = await mkdtemp(join(tmpdir(), "sojourn-sql-"));
  try {
    const file = join(folder, "password");
    const user = `rotated_${on.name}`;
    await writeFile(file, "old\n");
    await on.run(`CREATE USER ${user} PASSWORD 'old'`);
    await using it = await polling({ url: on.server.url(on.name, user, ""), password_file: file, query: "SELECT 1 AS one" });
    await until("polled", () => it.rows().length > 0);
    await on.run(`ALTER USER ${user} PASSWORD 'new-s3cret'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${user}'`);
    await until("refused", () => it.recorded.reports.some((said) => said.includes("password authentication failed")));
    await writeFile(file, "new-s3cret");
    const before = it.rows().length;
    await until("let in again", () => it.rows().length > before);
    assert.doesNotMatch(JSON.stringify(it.recorded.reports), /new-s3cret/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a server that restarts, and one that is away for a while, cost no row and none comes twice", async (t) => {
  const on = await postgres(t, `${EVENTS}; INSERT INTO events (what) VALUES ('a')`);
  if (on === undefined) return;
  await using it = await polling({ url: on.url, query: "SELECT id, what FROM events", tracking_column: "id" });
  await until("polled", () => it.rows().length === 1);
  await on.server.kill();
  await until("failing", () => it.recorded.failing !== undefined);
  assert.match(it.recorded.failing!, /ECONNREFUSED|terminat|Connection/);
  await on.server.restart();
  await on.run("INSERT INTO events (what) VALUES ('b')");
  await until("again", () => it.rows().length === 2 && it.recorded.failing === undefined);
  assert.deepEqual(it.rows().map(({ what }) => what), ["a", "b"]);
});

test("a long result comes page by page, and more than rows_max is no result", async (t) => {
  const on = await postgres(t, "CREATE TABLE big AS SELECT i AS id, repeat('x', 1000) AS pad FROM generate_series(1, 12000) i");
  if (on === undefined) return;
  await using it = await polling({ url: on.url, interval: "1h", query: "SELECT * FROM big" });
  await until("caught up", () => it.recorded.caughtUp);
  assert.equal(it.rows().length, 12_000);
  assert.ok(it.recorded.emitted.every(({ batch }) => batch.length <= 2_000));
  await using over = await polling({ url: on.url, interval: "1h", query: "SELECT * FROM big", rows_max: 11_999 });
  await until("refused", () => over.recorded.reports.length > 0);
  assert.match(over.recorded.reports[0]!, /more than 11999 rows: raise rows_max/);
  assert.equal(over.recorded.caughtUp, false);
  await using parts = await polling({ url: on.url, interval: "1h", query: "SELECT * FROM big", rows_max: 1_000, tracking_column: "id" });
  await until("all of it, in parts", () => parts.recorded.caughtUp);
  assert.deepEqual(parts.rows().map(({ id }) => id), Array.from({ length: 12_000 }, (_, i) => i + 1));
});

test("a value too large for memory is refused, and the connection after it works", async (t) => {
  const on = await postgres(t, "CREATE TABLE huge AS SELECT repeat('x', 70000000) AS text");
  if (on === undefined) return;
  await using it = await polling({ url: on.url, query: "SELECT * FROM huge" });
  await until("refused", () => it.recorded.reports.length > 0);
  assert.match(it.recorded.reports[0]!, /the next rows take more than 67108864 bytes/);
  await on.run("UPDATE huge SET text = 'short'");
  await until("read", () => it.rows().length > 0);
});

test("TLS: trusted by ca_file, refused without, taken unseen only where that is asked for", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sojourn-sql-"));
  try {
    const own = selfSigned();
    const { cert, key } = own;
    own.remove();
    const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
    const user = await serverUser();
    if (user !== undefined) await chown(folder, user.uid, user.gid);
    for (const [file, text] of [[files.cert, cert], [files.key, key]] as const) {
      await writeFile(file, text, { mode: 0o600 });
      if (user !== undefined) await chown(file, user.uid, user.gid);
    }
    await using server = await startPostgres(t, { settings: { ssl: "on", ssl_cert_file: files.cert, ssl_key_file: files.key } });
    if (server === undefined) return;
    const config = { url: server.url("postgres").replace("127.0.0.1", "localhost"), query: "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()" };
    await using trusted = await polling({ ...config, tls: { ca_file: files.cert } });
    await until("polled", () => trusted.rows().length > 0);
    assert.deepEqual(trusted.rows()[0], { ssl: true });
    await using unknown = await polling({ ...config, tls: {} });
    await until("refused", () => unknown.recorded.reports.length > 0);
    assert.match(unknown.recorded.reports[0]!, /self.signed|unable to verify/);
    await using careless = await polling({ ...config, tls: { insecure_skip_verify: true } });
    await until("polled", () => careless.rows().length > 0);
  } finally {
    await rm(folder, { recursive: true });
  }
});
