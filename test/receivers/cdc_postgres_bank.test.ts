import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client } from "pg";
import type { Postgres } from "../support/postgres.ts";
import { pause } from "../support/waiting.ts";
import { config, follow, Ledger, servers, shop, slotOf, streaming, until } from "./cdc_postgres_support.ts";

const on = servers({ own: true, settings: { logical_decoding_work_mem: "64kB" } });

const ROWS = 4_000;
const LIVES = 12;
/** Who changed what, as the server itself saw it: what was rolled back is not in it. */
const AUDIT = `
  CREATE TABLE audit (seq bigserial PRIMARY KEY, id int, state text);
  CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND NEW.id <> OLD.id) THEN INSERT INTO audit (id, state) VALUES (OLD.id, 'gone'); END IF;
    IF TG_OP <> 'DELETE' THEN INSERT INTO audit (id, state) VALUES (NEW.id, NEW.status); END IF;
    RETURN NULL;
  END $$;
  CREATE TRIGGER audited AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION audited();
  INSERT INTO orders SELECT i, 'new', i FROM generate_series(1, ${ROWS}) i`;

/** Changes random orders in transactions, some of which are rolled back, until told to stop; goes on after the server's restart. */
async function writer(server: Postgres, database: string, number: number, signal: AbortSignal): Promise<void> {
  const pick = (n: number): number => Math.floor(Math.random() * n);
  const one = async (client: Client, step: number): Promise<void> => {
    const id = pick(ROWS) + 1;
    const kind = pick(20);
    if (kind === 0) await client.query("DELETE FROM orders WHERE id = $1", [id]);
    else if (kind === 1) await client.query("INSERT INTO orders VALUES ($1, $2, 0) ON CONFLICT (id) DO NOTHING", [id, `back${number}.${step}`]);
    else if (kind === 2) await client.query("UPDATE orders SET id = $2, status = $3 WHERE id = $1 AND NOT EXISTS (SELECT FROM orders WHERE id = $2)", [id, pick(ROWS) + 1, `moved${number}.${step}`]);
    else if (kind === 3) await client.query("UPDATE orders SET status = $1 || id WHERE id % 40 = $2", [`many${number}.${step}.`, id % 40]);
    else await client.query("UPDATE orders SET status = $2 WHERE id = $1", [id, `s${number}.${step}`]);
  };
  for (let step = 0; !signal.aborted;) {
    let client: Client | undefined;
    try {
      client = await server.client(database);
      for (; !signal.aborted; step++) {
        await client.query("BEGIN");
        try {
          for (let n = pick(8); n >= 0; n--) await one(client, step);
          await client.query("SAVEPOINT a");
          await one(client, step);
          if (pick(3) === 0) await client.query("ROLLBACK TO a");
          await client.query(pick(5) === 0 ? "ROLLBACK" : "COMMIT");
        } catch (error) {
          // A deadlock, or a key that somebody else took meanwhile.
          if (!/deadlock|duplicate key/.test(String(error))) throw error;
          await client.query("ROLLBACK");
        }
        await pause(2);
      }
    } catch {
      await pause(50);
    } finally {
      await client?.end().catch(() => undefined);
    }
  }
}

/** States of each row as they were told; the same state read again by a snapshot tells nothing new. */
function told(ledger: Ledger): Map<number, string[]> {
  const states = new Map<number, string[]>();
  for (const { op, before, after } of ledger.bodies) {
    const id = (after ?? before)!["id"] as number;
    const state = after === null ? "gone" : (after["status"] as string);
    let list = states.get(id);
    if (list === undefined) states.set(id, (list = []));
    if (op === "r" && list.at(-1) === state) continue;
    list.push(state);
  }
  return states;
}

test("through kills, a restart of the server and cut connections every change of every row is told once, in order", async (t) => {
  const server = await on(t, 15);
  if (server === undefined) return;
  const database = await shop(server, AUDIT);
  const ledger = new Ledger();
  const wanted = config(server, database);
  const stop = new AbortController();
  const writers = Promise.all([1, 2, 3].map((number) => writer(server, database, number, stop.signal)));
  ledger.delay = () => pause(Math.random() * 15);
  let lives = 0;
  let broken = false;
  for (; lives < LIVES; lives++) {
    await using following = await follow(wanted, ledger);
    // The first ones die within the snapshot.
    await pause(lives < 3 ? 60 : 100 + Math.random() * 500);
    if (lives % 4 === 3) {
      await server.sql("postgres", "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1", [slotOf(database)]).catch(() => undefined);
      await pause(300);
    }
    if (lives === LIVES / 2) {
      broken = true;
      await server.restart();
      const { length } = ledger.committed;
      await until("it comes back", () => ledger.committed.length > length, () => following.recorded);
    }
    await following.crash();
  }
  stop.abort();
  await writers;
  assert.ok(broken);
  ledger.delay = async () => undefined;
  await using following = await follow(wanted, ledger);
  await streaming(following);
  await following.stop();

  const table = await server.sql<{ id: number; status: string }>(database, "SELECT id, status FROM orders");
  const audit = new Map<number, string[]>();
  for (const { id, state } of await server.sql<{ id: number; state: string }>(database, "SELECT id, state FROM audit ORDER BY seq")) audit.set(id, [...(audit.get(id) ?? []), state]);
  const states = told(ledger);
  const now = [...states].filter(([, list]) => list.at(-1) !== "gone").map(([id, list]) => [id, list.at(-1)!] as const);
  assert.deepEqual(new Map(now.sort(([a], [b]) => a - b)), new Map(table.map(({ id, status }) => [id, status] as const).sort(([a], [b]) => a - b)), "states are the table's");
  let moves = 0;
  for (const [id, list] of states) {
    const all = audit.get(id)!;
    // From where it was first told of, nothing is missing and nothing is there twice.
    assert.deepEqual(list, all.slice(all.length - list.length), `order ${id} was ${all.join(" ")}`);
    moves += list.length;
  }
  assert.ok(moves > 2 * ROWS, `${moves} moves`);
});
