import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { lsnOf } from "../receivers/cdc/postgres_position.ts";
import { cdc } from "../receivers/cdc.ts";
import { createMetrics } from "../src/metrics/store.ts";
import { realClock } from "../src/sdk/clock.ts";
import { receiverContext } from "../test/support/context.ts";
import { startPostgres } from "../test/support/postgres.ts";
import { pause } from "../test/support/waiting.ts";

/*
 * Rows a second of the cdc receiver from PostgreSQL, with an emit that does nothing, against `pg_recvlogical --plugin pgoutput
 * -f /dev/null` over the same WAL, in one run: node bench/cdc_postgres.ts [rows]
 */

const ROWS = Number(process.argv[2] ?? 400_000);
const ROWS_IN_TRANSACTION = 100;
const ROUNDS = 3;

const skip = (reason?: string): never => {
  throw new Error(reason);
};
await using server = (await startPostgres({ skip }, { version: 15, settings: { max_wal_size: "8GB", checkpoint_timeout: "1h" } }))!;
const database = await server.createDatabase("bench");
await server.sql(database, "CREATE TABLE orders (id int PRIMARY KEY, status text, amount numeric(10, 2), customer text, updated_at timestamptz); CREATE PUBLICATION bench FOR TABLE orders");
const names = Array.from({ length: ROUNDS }, (_, i) => [`theirs_${i}`, `ours_${i}`]).flat();
for (const name of names) await server.sql(database, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [name]);
await server.sql(database, `CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$ BEGIN
  FOR n IN 0..${ROWS / ROWS_IN_TRANSACTION - 1} LOOP
    INSERT INTO orders SELECT n * ${ROWS_IN_TRANSACTION} + i, 'pending', i + 0.5, 'customer ' || i, now() FROM generate_series(1, ${ROWS_IN_TRANSACTION}) i;
    COMMIT;
  END LOOP;
END $$`);
await server.sql(database, "CALL fill()");
const [end] = await server.sql<{ lsn: string }>(database, "SELECT pg_current_wal_flush_lsn()::text AS lsn");
await server.sql(database, "SELECT pg_logical_emit_message(false, 'bench', '')");

async function theirs(slot: string): Promise<number> {
  const begin = performance.now();
  await promisify(execFile)("/usr/lib/postgresql/15/bin/pg_recvlogical", [
    "-h", server.host, "-p", String(server.port), "-U", "postgres", "-d", database, "-S", slot, "--start", "--no-loop", `--endpos=${end!.lsn}`,
    "-o", "proto_version=1", "-o", "publication_names=bench", "-f", "/dev/null",
  ]);
  return (performance.now() - begin) / 1_000;
}

async function ours(slot: string): Promise<{ seconds: number; cpuSeconds: number }> {
  let rows = 0;
  let reached = 0n;
  const { context, recorded } = receiverContext({ id: "cdc/bench", clock: realClock, metrics: createMetrics(realClock) });
  const emit: typeof context.emit = async (batch, position) => {
    rows += batch.length;
    reached = lsnOf((position as { lsn: string }).lsn);
  };
  const config = { url: server.url(database), tables: ["orders"], snapshot: "never", on_position_lost: "fail", slot, publication: "bench", heartbeat_interval: "1m" };
  const cpu = process.cpuUsage();
  const begin = performance.now();
  const receiver = cdc.create(config as never, { ...context, emit });
  await receiver.start!();
  while (rows < ROWS && reached < lsnOf(end!.lsn)) {
    if (recorded.failing !== undefined) throw new Error(recorded.failing);
    await pause(2);
  }
  const seconds = (performance.now() - begin) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  await receiver.stop!();
  if (rows !== ROWS) throw new Error(`${rows} rows, not ${ROWS}`);
  return { seconds, cpuSeconds: (user + system) / 1e6 };
}

const perSecond = (seconds: number): number => Math.round(ROWS / seconds);
for (let round = 0; round < ROUNDS; round++) {
  const baseline = await theirs(`theirs_${round}`);
  const { seconds, cpuSeconds } = await ours(`ours_${round}`);
  console.log(`pg_recvlogical ${perSecond(baseline)} rows/s, cdc ${perSecond(seconds)} rows/s: ${(baseline / seconds).toFixed(2)} of it; ${perSecond(cpuSeconds)} rows per CPU second of ours`);
}
