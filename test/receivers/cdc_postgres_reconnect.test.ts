import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { selfSigned } from "../support/http_server.ts";
import { pause } from "../support/waiting.ts";
import { config, follow, Ledger, lines, servers, shop, slotOf, streaming, until } from "./cdc_postgres_support.ts";

const tls = selfSigned();
tls.remove();
const on = servers({ own: true, files: { "server.crt": tls.cert.toString(), "server.key": tls.key.toString() }, settings: { ssl: "on", logical_decoding_work_mem: "64kB" } });

test("a crash in the middle of the snapshot: what was read is followed from there, what was not is read then, and nothing moves twice", async (t) => {
  const server = await on(t);
  if (server === undefined) return;
  const database = await shop(server, "INSERT INTO orders SELECT i, 'new', i FROM generate_series(1, 9000) i; CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)");
  const ledger = new Ledger();
  const wanted = config(server, database, { tables: ["items", "orders"] });
  {
    // Two commits, then none any more.
    let commits = 0;
    let release = (): void => undefined;
    const stalled = new Promise<void>((resolve) => (release = resolve));
    ledger.delay = () => (++commits <= 2 ? Promise.resolve() : stalled);
    await using following = await follow(wanted, ledger);
    await until("two batches", () => ledger.batches === 2, () => following.recorded.reports);
    const crashed = following.crash();
    release();
    await crashed;
  }
  const read = ledger.bodies.length;
  assert.ok(read > 1 && read < 9_001, `${read} rows`);
  assert.deepEqual((ledger.position as { tables: string[] }).tables, ["public.items"]);
  const known = (ledger.bodies[read - 1]!.after as { id: number }).id;
  await server.sql(database, `UPDATE orders SET status = 'paid' WHERE id = 1; UPDATE orders SET status = 'sent' WHERE id = 1; DELETE FROM orders WHERE id = ${known}; UPDATE orders SET status = 'paid' WHERE id = 9000`);
  ledger.delay = async () => undefined;
  await using following = await follow(wanted, ledger);
  await streaming(following);
  await server.sql(database, "UPDATE orders SET status = 'last' WHERE id = 9000");
  await until("the last", () => ledger.bodies.at(-1)!.op === "u", () => ledger.lines.slice(-3));
  const after = ledger.bodies.slice(read);
  assert.deepEqual(after.slice(0, 4).map(({ op, before, after: row }) => `${op} ${((row ?? before) as { id: number }).id} ${((row ?? {}) as { status?: string }).status}`), [
    "u 1 paid", "u 1 sent", `d ${known} undefined`, "u 9000 paid",
  ]);
  const again = after.slice(4, -1);
  assert.ok(again.every(({ op, source }) => op === "r" && source["table"] === "orders"), "a table that was read is not read again");
  assert.equal(again.length, 8_999);
  assert.equal((again.find(({ after: row }) => row!["id"] === 1)!.after as { status: string }).status, "sent");
});

test("a second agent on the slot waits and says so, and takes over when the first is gone", async (t) => {
  const server = await on(t);
  if (server === undefined) return;
  const database = await shop(server);
  const ledger = new Ledger();
  const wanted = config(server, database);
  await using first = await follow(wanted, ledger);
  await streaming(first);
  const second = new Ledger();
  second.position = ledger.position;
  await using waiting = await follow(wanted, second);
  await until("it waits", () => /another agent reads the slot/.test(waiting.recorded.failing ?? ""), () => waiting.recorded);
  assert.equal(waiting.recorded.caughtUp, false);
  await server.sql(database, "INSERT INTO orders VALUES (1, 'new', 1)");
  await lines(ledger, 1, first);
  assert.equal(second.committed.length, 0);
  // As a standby with the first one's state: a copy of its volume.
  second.position = ledger.position;
  await first.stop();
  await until("it takes over", () => waiting.recorded.failing === undefined, () => waiting.recorded);
  await server.sql(database, "INSERT INTO orders VALUES (2, 'new', 1)");
  await until("and follows", () => second.lines.some((line) => line.startsWith('c {"id":2')), () => [second.lines, waiting.recorded.reports]);
});

test("a connection that is cut within a transaction, and a server that is away, lose and repeat nothing; who is away fails", async (t) => {
  const server = await on(t);
  if (server === undefined) return;
  const database = await shop(server);
  const ledger = new Ledger();
  await using following = await follow(config(server, database), ledger);
  await streaming(following);
  ledger.delay = () => pause(20);
  await server.sql(database, "INSERT INTO orders SELECT i, 'new', i FROM generate_series(1, 40000) i");
  await until("in its middle", () => ledger.committed.length > 0);
  await server.sql("postgres", "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1", [slotOf(database)]);
  await until("all of it", () => ledger.committed.length >= 40_000, () => [ledger.committed.length, following.recorded.reports]);
  assert.equal(following.recorded.failing, undefined);
  await server.kill();
  await until("it fails", () => following.recorded.failing !== undefined, () => following.recorded);
  await server.restart();
  await until("it is back", () => following.recorded.failing === undefined, () => following.recorded);
  await server.sql(database, "INSERT INTO orders VALUES (0, 'last', 0)");
  await until("the last", () => ledger.committed.length > 40_000);
  await pause(50);
  assert.deepEqual(ledger.bodies.map(({ after }) => after!["id"]), [...Array.from({ length: 40_000 }, (_, i) => i + 1), 0]);
});

test("the password's file is read for every connection, TLS is verified, and no password is said", async (t) => {
  const server = await on(t);
  if (server === undefined) return;
  const folder = await mkdtemp(join(tmpdir(), "cdc-"));
  try {
    const database = await shop(server, "CREATE ROLE careful LOGIN REPLICATION PASSWORD 'first-secret'; GRANT SELECT ON orders TO careful; CREATE PUBLICATION sojourn FOR TABLE orders");
    const file = join(folder, "password");
    const ca = join(folder, "ca.pem");
    await writeFile(file, "wrong-secret\n");
    await writeFile(ca, tls.cert);
    const url = server.url(database, "careful").replace("careful:@", "careful@");
    const ledger = new Ledger();
    {
      await using untrusting = await follow({ ...config(server, database), url, password_file: file, tls: { insecure_skip_verify: false } }, ledger);
      await until("an unknown authority", () => /self-signed|unable to verify/i.test(untrusting.recorded.reports.join()), () => untrusting.recorded);
    }
    await using following = await follow({ ...config(server, database), url, password_file: file, tls: { ca_file: ca, insecure_skip_verify: false } }, ledger);
    await until("refused", () => /password authentication failed/.test(following.recorded.failing ?? ""), () => following.recorded);
    await writeFile(file, "first-secret\n");
    await streaming(following);
    assert.equal(following.recorded.failing, undefined);
    const [row] = await server.sql<{ n: number }>("postgres", "SELECT count(*)::int AS n FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE s.ssl AND a.usename = 'careful'");
    assert.equal(row!.n, 2);
    await server.sql("postgres", "ALTER ROLE careful PASSWORD 'second-secret'");
    await writeFile(file, "second-secret\n");
    await server.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'careful'");
    await server.sql(database, "INSERT INTO orders VALUES (1, 'new', 1)");
    await lines(ledger, 1, following);
    assert.doesNotMatch(JSON.stringify([following.recorded.reports, following.recorded.describe?.()]), /secret/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a transaction that does not fit into memory before it ends is left to the server, and told of once it commits", async (t) => {
  const server = await on(t);
  if (server === undefined) return;
  const database = await shop(server);
  const ledger = new Ledger();
  await using following = await follow(config(server, database), ledger);
  await streaming(following);
  const client = await server.client(database);
  await client.query("BEGIN; INSERT INTO orders SELECT i, repeat('x', 16000), i FROM generate_series(1, 9000) i");
  await until("it is too large", () => /hold more than/.test(following.recorded.reports.join()), () => following.recorded.reports);
  assert.equal(ledger.committed.length, 0);
  await client.query("COMMIT");
  await until("all of it", () => ledger.committed.length >= 9_000, () => [ledger.committed.length, following.recorded.reports]);
  await pause(20);
  assert.deepEqual(ledger.bodies.map(({ after }) => after!["id"]), Array.from({ length: 9_000 }, (_, i) => i + 1));
});
