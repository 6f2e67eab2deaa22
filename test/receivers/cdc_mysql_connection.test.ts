import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { sharedMariadb, type Mariadb } from "../support/mariadb.ts";
import { program } from "../support/prometheus.ts";
import { pause } from "../support/waiting.ts";
import { watch, type Watching } from "./cdc_mysql_support.ts";

const mariadb = sharedMariadb();

/** A server that may be killed and set up at will. */
async function ours(t: TestContext): Promise<Mariadb | undefined> {
  const server = await mariadb(t);
  if (server?.ours !== false) return server;
  t.skip("the server of MYSQL_URL is not ours to stop");
  return undefined;
}

async function withOrders(server: Mariadb): Promise<string> {
  const db = await server.createDatabase();
  await server.query(`CREATE TABLE ${db}.orders (id INT PRIMARY KEY, status VARCHAR(100))`);
  return db;
}

const streams = (watching: Watching): Promise<void> => watching.until("it streams", () => watching.recorded.caughtUp && watching.status().doing === "streaming");

test("a server that is not set up for it says what to set, and is watched as soon as it is", async (t) => {
  const server = await ours(t);
  if (server === undefined) return;
  const db = await withOrders(server);
  await server.query("SET GLOBAL binlog_format = MIXED, GLOBAL binlog_row_image = MINIMAL");
  await using watching = await watch(t, server, db, ["orders"]);
  await watching.until("it says so", () => watching.recorded.reports.length > 0);
  assert.match(watching.recorded.reports[0]!, /binlog_format is MIXED: SET GLOBAL binlog_format = 'ROW'.*binlog_row_image is MINIMAL: SET GLOBAL binlog_row_image = 'FULL'/);
  await watching.until("it is failing", () => watching.recorded.failing !== undefined);
  assert.match(watching.status().error as string, /binlog_format is MIXED/);
  await server.query("SET GLOBAL binlog_format = ROW, GLOBAL binlog_row_image = FULL");
  await streams(watching);
  await watching.until("it is not failing", () => watching.recorded.failing === undefined);
  assert.equal(watching.recorded.healed, 1);

  await watching.stop();
  await server.restart({ "log-bin": null });
  await using without = await watch(t, server, db, ["orders"]);
  await without.until("it says so", () => without.recorded.reports.length > 0);
  assert.match(without.recorded.reports[0]!, /it writes no binlog: set log_bin and server_id/);
  await without.stop();
  await server.restart({});
  await using same = await watch(t, server, db, ["orders"], { config: { server_id: 1 } });
  await same.until("it says so", () => same.recorded.reports.length > 0);
  assert.match(same.recorded.reports[0]!, /its server_id is ours \(1\): give this receiver another `server_id`/);
});

test("REPLICATION SLAVE and SELECT are all the privileges it takes; what is missing is named, and no password", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  const db = await withOrders(server);
  const user = `w${db}`;
  const folder = await mkdtemp(join(tmpdir(), "cdc-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "password"), "right-pa55\n");
  await server.query(`CREATE USER '${user}'@'%' IDENTIFIED BY 'right-pa55'`);
  const said: string[] = [];
  const problem = async (config: { url: string; password_file?: string; tables?: string[] }): Promise<string> => {
    await using watching = await watch(t, server, db, ["orders"], { config });
    await watching.until("it says so", () => watching.recorded.reports.length > 0);
    said.push(...watching.recorded.reports, JSON.stringify(watching.status()));
    return watching.recorded.reports[0]!;
  };
  const url = server.url(db, user, "wrong-pa55");
  const password_file = join(folder, "password");
  assert.match(await problem({ url }), /Access denied.*look at the user and the password/);
  assert.match(await problem({ url, password_file: join(folder, "none") }), /the secret's file cannot be read/);
  assert.match(await problem({ url, password_file }), /Access denied.*grant what it takes: GRANT SELECT/);
  await server.query(`GRANT SELECT ON ${db}.* TO '${user}'@'%'`);
  assert.match(await problem({ url, password_file }), /Access denied.*grant what it takes: GRANT REPLICATION SLAVE/);
  assert.match(await problem({ url, password_file, tables: ["orders", "nothing"] }), /the table \S+\.nothing is not there, or must not be read: GRANT SELECT/);
  await server.query(`GRANT REPLICATION SLAVE ON *.* TO '${user}'@'%'`);
  await using watching = await watch(t, server, db, ["orders"], { config: { url, password_file } });
  await streams(watching);
  await server.query(`INSERT INTO ${db}.orders VALUES (1, 'new')`);
  await watching.count(1);
  assert.doesNotMatch(said.join("\n"), /pa55/);
});

test("after a cut connection, a killed server and an orderly restart it goes on without loss or repetition", async (t) => {
  const server = await ours(t);
  if (server === undefined) return;
  const db = await withOrders(server);
  await using watching = await watch(t, server, db, ["orders"]);
  await streams(watching);
  const wanted: string[] = [];
  const write = async (id: number): Promise<void> => {
    await server.query(`INSERT INTO ${db}.orders VALUES (${id}, 'new')`);
    wanted.push(`c orders ${id} new`);
    await watching.until(`order ${id}`, () => watching.short().length === wanted.length);
  };
  await write(1);
  for (const { id } of await server.query<{ id: string }>("SELECT ID AS id FROM information_schema.PROCESSLIST WHERE COMMAND = 'Binlog Dump'")) await server.query(`KILL ${id}`);
  await write(2);
  await server.kill();
  await server.restart();
  await write(3);
  await server.restart();
  await write(4);
  await server.query("FLUSH BINARY LOGS");
  await write(5);
  assert.deepEqual(watching.short(), wanted);
  assert.equal(watching.recorded.failing, undefined);
  assert.ok(watching.recorded.healed >= 1);
});

test("while commits wait, memory is bounded, and the connection is kept until they go on", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  const db = await withOrders(server);
  await server.query(`ALTER TABLE ${db}.orders MODIFY status VARCHAR(2000)`);
  // Else the server waits a minute for who does not read, and hangs up.
  await server.query("SET GLOBAL net_write_timeout = 1");
  t.after(() => server.query("SET GLOBAL net_write_timeout = 60"));
  let release: (() => void) | undefined;
  const gate = new Promise<void>((resolve) => void (release = resolve));
  t.after(() => release!());
  const watching = await watch(t, server, db, ["orders"], { emit: (batch) => (batch.length === 0 ? Promise.resolve() : gate) });
  await streams(watching);
  const rows = 30_000;
  const shop = await server.connect(db);
  for (let at = 0; at < rows; at += 2_000) await shop.query(`INSERT INTO orders SELECT ${at} + seq, REPEAT('x', 1500) FROM seq_1_to_2000`);
  await shop.end();
  let before = -1;
  await watching.until("it takes no more", () => {
    const now = watching.observations().length;
    const still = now === before;
    before = now;
    return still && now > 0;
  });
  await pause(3_000);
  const held = watching.observations().length;
  assert.ok(held < rows - 5_000, `${held} of ${rows} rows were taken without a commit`);
  const [dump] = await server.query<{ n: bigint }>("SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE COMMAND = 'Binlog Dump'");
  assert.equal(Number(dump!.n), 1);
  release!();
  await watching.count(rows);
  assert.equal(new Set(watching.short()).size, rows);
  assert.deepEqual(watching.recorded.reports, []);
});

test("a position that was purged is read anew, or fails, as `on_position_lost` says", async (t) => {
  const server = await ours(t);
  if (server === undefined) return;
  const db = await withOrders(server);
  await server.query(`INSERT INTO ${db}.orders VALUES (1, 'new'), (2, 'new')`);
  const first = await watch(t, server, db, ["orders"]);
  await streams(first);
  const position = first.position();
  await first.stop();
  await server.query(`UPDATE ${db}.orders SET status = 'paid' WHERE id = 1`);
  await server.query(`DELETE FROM ${db}.orders WHERE id = 2`);
  // A file is purged only when nobody needs it for recovery any more, which the server notes a little later.
  await server.restart();
  await server.purgeBinlogs();
  const fails = await watch(t, server, db, ["orders"], { position, config: { on_position_lost: "fail" } });
  await fails.until("it is failing", () => fails.recorded.failing !== undefined);
  assert.match(fails.recorded.failing!, /no longer in the binlog .*on_position_lost is `fail`: a person must look/);
  assert.deepEqual(fails.short(), []);
  await fails.stop();
  await using again = await watch(t, server, db, ["orders"], { position });
  await streams(again);
  await server.query(`INSERT INTO ${db}.orders VALUES (3, 'new')`);
  await again.count(2);
  assert.deepEqual(again.short(), ["r orders 1 paid", "c orders 3 new"]);
  assert.match(again.recorded.reports[0]!, /no longer in the binlog .*all rows are read again; those that were deleted meanwhile stay known/);
});

test("a position that this server never had is lost too", async (t) => {
  const server = await ours(t);
  if (server === undefined) return;
  const db = await withOrders(server);
  const position = { place: { gtid: "0-1-999999999" }, tables: [`${db}.orders`], time: 0 };
  await using watching = await watch(t, server, db, ["orders"], { position });
  await watching.until("it says so", () => watching.recorded.reports.length > 0);
  assert.match(watching.recorded.reports[0]!, /no longer in the binlog/);
  await streams(watching);
});

test("a second replica with the same server_id is named", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  const db = await withOrders(server);
  await using one = await watch(t, server, db, ["orders"], { config: { server_id: 4_242 } });
  await streams(one);
  await using two = await watch(t, server, db, ["orders"], { config: { server_id: 4_242 } });
  await one.until("it says so", () => one.recorded.reports.length + two.recorded.reports.length > 0);
  assert.match([...one.recorded.reports, ...two.recorded.reports][0]!, /another replica has our server_id: set `server_id`/);
});

test("a replica whose binlog lacks what it replicates is warned of", async (t) => {
  const server = await ours(t);
  if (server === undefined) return;
  const db = await withOrders(server);
  await server.query("SET GLOBAL gtid_slave_pos = '9-9-9'");
  await using watching = await watch(t, server, db, ["orders"]);
  await streams(watching);
  await server.query("SET GLOBAL gtid_slave_pos = ''");
  assert.match(JSON.stringify(watching.status().warnings), /it is a replica, and log_slave_updates is OFF/);
});

test("the lag is a gauge and in the status", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  const db = await withOrders(server);
  await using watching = await watch(t, server, db, ["orders"]);
  await streams(watching);
  await server.query(`INSERT INTO ${db}.orders VALUES (1, 'new')`);
  await watching.count(1);
  await watching.until("the lag is known", () => typeof watching.status().lag_seconds === "number");
  const { server: name, position } = watching.status();
  assert.match(name as string, /^mariadb 10\./);
  assert.match((position as { gtid: string }).gtid, /^0-1-\d+$/);
  assert.ok(watching.metrics.gauge({ name: "sojourn_cdc_lag_seconds", help: "", labels: ["receiver"] }).series("cdc/shop").value < 10);
});

test("TLS: the server's certificate is verified, its name too", async (t) => {
  const openssl = program(t, "openssl", "openssl");
  const server = await ours(t);
  if (openssl === undefined || server === undefined) return;
  const folder = await mkdtemp(join(tmpdir(), "cdc-tls-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = (name: string): string => join(folder, name);
  const run = (...args: string[]): void => void execFileSync(openssl, args, { stdio: "ignore" });
  run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority", "-keyout", file("ca.key"), "-out", file("ca.pem"));
  run("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=db.example", "-keyout", file("server.key"), "-out", file("server.csr"));
  await writeFile(file("ext"), "subjectAltName=DNS:db.example\n");
  run("x509", "-req", "-in", file("server.csr"), "-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", file("ext"), "-out", file("server.pem"));
  await server.restart({ "ssl-ca": file("ca.pem"), "ssl-cert": file("server.pem"), "ssl-key": file("server.key") });
  const db = await withOrders(server);
  await server.query(`CREATE USER IF NOT EXISTS 'tls'@'%' IDENTIFIED BY 'x' REQUIRE SSL`);
  await server.query("GRANT ALL ON *.* TO 'tls'@'%'");
  const url = server.url(db, "tls", "x");
  const problem = async (tls: object): Promise<string> => {
    await using watching = await watch(t, server, db, ["orders"], { config: { url, tls } as never });
    await watching.until("it says so", () => watching.recorded.reports.length > 0);
    return watching.recorded.reports[0]!;
  };
  assert.match(await problem({ server_name: "db.example" }), /self-signed certificate/);
  assert.match(await problem({ ca_file: file("ca.pem"), server_name: "other.example" }), /does not match|altnames/);
  assert.match(await problem({ ca_file: file("ca.pem") }), /does not match|altnames/);
  assert.match(await problem({ ca_file: file("none.pem") }), /tls.ca_file cannot be read/);
  await using watching = await watch(t, server, db, ["orders"], { config: { url, tls: { ca_file: file("ca.pem"), server_name: "db.example" } } as never });
  await streams(watching);
  await server.query(`INSERT INTO ${db}.orders VALUES (1, 'new')`);
  await watching.count(1);
  await watching.stop();
  await server.restart({});
});
