import assert from "node:assert/strict";
import { test } from "node:test";
import { StreamedTooLarge, StreamedTransactions } from "../../receivers/cdc/postgres_streamed.ts";
import { pause } from "../support/waiting.ts";
import { checks, config, follow, Ledger, lines, servers, shop, streaming, until } from "./cdc_postgres_support.ts";

// The least that the server allows: transactions are streamed before they end.
const check = checks(servers({ settings: { logical_decoding_work_mem: "64kB" } }));

const MANY = "INSERT INTO orders SELECT i, 'new', i FROM generate_series";

check("a transaction that is streamed before it ends counts once it commits; what was rolled back of it never does", async (server) => {
  const database = await shop(server);
  const ledger = new Ledger();
  await using following = await follow(config(server, database), ledger);
  await streaming(following);
  const [kept, dropped] = [await server.client(database), await server.client(database)];
  await kept.query(`BEGIN; ${MANY}(1, 2000) i; SAVEPOINT a; ${MANY}(10001, 12000) i; SAVEPOINT b; ${MANY}(20001, 22000) i; RELEASE b; ROLLBACK TO a; ${MANY}(2001, 4000) i`);
  await dropped.query(`BEGIN; ${MANY}(30001, 33000) i; UPDATE orders SET status = 'x' WHERE id > 30000`);
  const streamed = async (): Promise<number> => Number((await server.sql<{ n: string }>("postgres", "SELECT stream_txns AS n FROM pg_stat_replication_slots WHERE slot_name = $1", [`slot_${database}`]))[0]?.n ?? 0);
  for (let turn = 0; turn < 100 && (await streamed()) < 2; turn++) await pause(20);
  assert.ok((await streamed()) >= 2, "the server has streamed both");
  assert.equal(ledger.committed.length, 0);
  await dropped.query("ROLLBACK");
  await server.sql(database, "INSERT INTO orders VALUES (0, 'between', 0)");
  await lines(ledger, 1, following);
  await kept.query("UPDATE orders SET status = 'last' WHERE id = 1; COMMIT");
  await lines(ledger, 4_002, following);
  assert.deepEqual(ledger.bodies.map(({ op, after }) => `${op}${after!["id"] as number}`), ["c0", ...Array.from({ length: 4_000 }, (_, i) => `c${i + 1}`), "u1"]);
  assert.deepEqual(ledger.bodies.slice(1).map(({ source }) => source["sequence"]), Array.from({ length: 4_001 }, (_, i) => i + 1));
});

check("a crash in the middle of a large transaction goes on where it was, and counts nothing twice", async (server) => {
  const database = await shop(server);
  const ledger = new Ledger();
  const wanted = config(server, database);
  {
    await using following = await follow(wanted, ledger);
    await streaming(following);
    await following.stop();
  }
  await server.sql(database, `BEGIN; ${MANY}(1, 30000) i; UPDATE orders SET id = id + 100000 WHERE id <= 5000; COMMIT`);
  await server.sql(database, "INSERT INTO orders VALUES (0, 'after', 0)");
  let lives = 0;
  for (; ledger.committed.length < 40_001; lives++) {
    assert.ok(lives < 50, "it gets on");
    const before = ledger.committed.length;
    // Each life commits some batches, and dies while others are under way.
    ledger.delay = () => pause(lives % 3);
    await using following = await follow(wanted, ledger);
    await until("some more", () => ledger.committed.length > before, () => following.recorded.reports);
    await pause(lives * 2);
    await following.crash();
  }
  assert.ok(lives > 3, `${lives} lives`);
  const expected = [
    ...Array.from({ length: 30_000 }, (_, i) => `c${i + 1}`),
    ...Array.from({ length: 5_000 }, (_, i) => [`d${i + 1}`, `c${i + 100_001}`]).flat(), "c0",
  ];
  assert.deepEqual(ledger.bodies.map(({ op, before, after }) => `${op}${(after ?? before)!["id"] as number}`), expected);
});

test("what transactions under way hold is bounded; what a savepoint did goes with it", () => {
  const streamed = new StreamedTransactions(100);
  streamed.add(1, 1, Buffer.alloc(30, 1));
  streamed.add(1, 2, Buffer.alloc(30, 2));
  streamed.add(1, 1, Buffer.alloc(30, 3));
  streamed.abort(1, 2);
  streamed.abort(7, 7);
  streamed.add(3, 3, Buffer.alloc(30, 4));
  assert.throws(() => streamed.add(3, 3, Buffer.alloc(30)), StreamedTooLarge);
  assert.deepEqual(streamed.take(1).map(([first]) => first), [1, 3]);
  assert.deepEqual(streamed.take(1), []);
  streamed.abort(3, 3);
  streamed.add(4, 4, Buffer.alloc(100));
});
