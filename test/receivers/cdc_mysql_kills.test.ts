import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { Connection } from "mysql2/promise";
import { wholeBody, type Json } from "../../src/sdk/observation.ts";
import { startMariadb, type Mariadb } from "../support/mariadb.ts";
import { pause } from "../support/waiting.ts";
import { watch, type Seen } from "./cdc_mysql_support.ts";

const KILLS = 40;
const ROWS = 2_500;

/** Repeatable chance. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** What an agent's store would hold: changes in order, of which those up to the last commit survive. */
interface Store {
  readonly log: Seen[];
  committed: number;
  position: Json | undefined;
}

/**
 * Orders carry how often they moved (`n`). So whoever follows the changes can tell a lost one and a repeated one: each must go
 * on from where the one before it left the order, and a row of a snapshot must be what is known already.
 */
function follow(log: readonly Seen[]): Map<Json, Json> {
  const known = new Map<Json, Json>();
  for (const [index, { op, before, after }] of log.entries()) {
    const where = `change ${index}: ${JSON.stringify({ op, before, after })}`;
    if (op === "t") known.clear();
    if (before !== null && known.has(before.id!)) assert.equal(known.get(before.id!), before.n, `goes on from where it was: ${where}`);
    if (op === "u") assert.equal(after!.n, (before!.n as number) + 1, where);
    if (op === "c") assert.ok(!known.has(after!.id!), `comes once: ${where}`);
    if (op === "r" && known.has(after!.id!)) assert.equal(known.get(after!.id!), after!.n, `a row is as the changes left it: ${where}`);
    if (op === "d") known.delete(before!.id!);
    else if (op !== "t") known.set(after!.id!, after!.n!);
  }
  return known;
}

/** Moves orders in transactions of all kinds, and takes what happens to the server as it comes. */
async function write(server: Mariadb, db: string, random: () => number, base: number, ended: () => boolean): Promise<void> {
  let next = base;
  let connection: Connection | undefined;
  const id = (): number => Math.floor(random() * ROWS) + 1;
  while (!ended()) {
    try {
      if (connection === undefined) {
        connection = await server.connect(db);
        connection.on("error", () => undefined);
      }
      const run = (sql: string): Promise<unknown> => connection!.query(sql);
      await run("BEGIN");
      if (random() < 0.2) await run(`CREATE TEMPORARY TABLE t${next++} (n INT)`);
      for (let i = random() * 8; i > 0; i--) {
        const kind = random();
        if (kind < 0.5) await run(`UPDATE orders SET n = n + 1 WHERE id = ${id()}`);
        else if (kind < 0.65) await run(`INSERT INTO orders VALUES (${next++}, 0)`);
        else if (kind < 0.75) await run(`DELETE FROM orders WHERE id = ${id()} OR id = ${next - 1}`);
        else if (kind < 0.85) await run(`UPDATE orders SET id = ${next++} WHERE id = ${id()}`);
        else if (kind < 0.9) await run(`UPDATE orders SET n = n + 1 WHERE id BETWEEN ${id()} AND ${id()}`);
        else {
          await run("SAVEPOINT a");
          await run(`UPDATE orders SET n = n + 1 WHERE id < ${id() / 10}`);
          await run("ROLLBACK TO a");
        }
      }
      await run(random() < 0.3 ? "ROLLBACK" : "COMMIT");
      await pause(random() * 5);
    } catch {
      // A deadlock, or the server is gone: whatever became of it, the table is the truth.
      connection?.destroy();
      connection = undefined;
      await pause(20);
    }
  }
  connection?.destroy();
}

/** One life of the agent. What it had not committed when it dies never was. */
async function live(t: TestContext, server: Mariadb, db: string, store: Store, random: () => number, until: () => Promise<unknown>): Promise<void> {
  let alive = true;
  let commits = Promise.resolve();
  const watching = await watch(t, server, db, ["orders"], {
    position: store.position,
    emit(batch, position) {
      if (!alive) return Promise.reject(new Error("dead"));
      for (const { body } of batch) store.log.push(wholeBody(body) as unknown as Seen);
      const { length } = store.log;
      commits = commits.then(() => pause(random() * 15)).then(() => {
        if (!alive) throw new Error("dead");
        store.committed = length;
        if (position !== undefined) store.position = JSON.parse(JSON.stringify(position)) as Json;
      });
      return commits;
    },
  });
  await until();
  alive = false;
  store.log.length = store.committed;
  await watching.stop();
}

test("killed at random, on a server that is killed too, it knows every row as the table has it, and every move once", async (t) => {
  const server = await startMariadb(t);
  if (server === undefined) return;
  t.after(() => server[Symbol.asyncDispose]());
  const seed = Number(process.env.SEED ?? 7);
  const random = seeded(seed);
  const db = await server.createDatabase();
  await server.query(`CREATE TABLE ${db}.orders (id INT PRIMARY KEY, n INT NOT NULL)`);
  await server.query(`USE ${db}`);
  await server.query(`INSERT INTO orders SELECT seq, 0 FROM seq_1_to_${ROWS}`);
  let ended = false;
  const writers = [0, 1, 2].map((n) => write(server, db, seeded(seed + 1 + n), 1_000_000 * (n + 1), () => ended));
  const store: Store = { log: [], committed: 0, position: undefined };
  for (let kill = 0; kill < KILLS; kill++) {
    await live(t, server, db, store, random, async () => {
      await pause(random() * 200);
      const trouble = random();
      if (trouble < 0.2) {
        const dumps = await server.query<{ id: string }>("SELECT ID AS id FROM information_schema.PROCESSLIST WHERE COMMAND = 'Binlog Dump'");
        for (const { id } of dumps) await server.query(`KILL ${id}`).catch(() => undefined);
        await pause(random() * 300);
      } else if (trouble < 0.27 && server.ours) {
        await server.kill();
        await server.restart();
      }
    });
  }
  ended = true;
  await Promise.all(writers);
  const rows = await server.query<{ id: number; n: number }>(`SELECT id, n FROM ${db}.orders ORDER BY id`);
  const truth = new Map<Json, Json>(rows.map(({ id, n }) => [id, n]));
  await live(t, server, db, store, random, async () => {
    for (let turn = 0; turn < 300; turn++) {
      await pause(50);
      if (store.committed !== store.log.length) continue;
      const known = follow(store.log);
      if (known.size === truth.size && [...truth].every(([id, n]) => known.get(id) === n)) break;
    }
  });
  const known = follow(store.log);
  assert.deepEqual([...known].sort(([a], [b]) => Number(a) - Number(b)), [...truth]);
  assert.ok(store.log.filter(({ op }) => op === "u").length > 500, "there was something to follow");
});
