import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { sqlPoll } from "../../receivers/sql_poll.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { wholeBody, type Json, type Observation } from "../../src/sdk/observation.ts";
import { configured } from "../support/configured.ts";
import { receiverContext, type Parts, type Recorded } from "../support/context.ts";

export type Row = Readonly<Record<string, Json>>;

/** An sql_poll that runs, without jitter. `await using` ends it. */
export interface Polling extends AsyncDisposable {
  readonly recorded: Recorded;
  readonly metrics: ReturnType<typeof createMetrics>;
  /** Observations so far. */
  observed(): Observation[];
  /** Their bodies. */
  rows(): Row[];
  /** What a crash at this moment would leave. */
  position(): Json | undefined;
  status(): Record<string, Json>;
  stop(): Promise<void>;
}

/** Runs an sql_poll against a real database, every 20 ms unless `config` says otherwise. */
export async function polling(config: object, parts: Partial<Parts> = {}): Promise<Polling> {
  const metrics = createMetrics();
  const { context, recorded } = receiverContext({ clock: realClock, id: "sql_poll/test", metrics, ...parts });
  const receiver = sqlPoll.create(configured(sqlPoll.schema, { jitter: "0", interval: "20ms", ...config }), context);
  await receiver.start!();
  const observed = (): Observation[] => recorded.emitted.flatMap(({ batch }) => [...batch]);
  return {
    recorded, metrics, observed,
    rows: () => observed().map(({ body }) => wholeBody(body) as Row),
    position: () => recorded.emitted.findLast(({ position }) => position !== undefined)?.position ?? parts.position,
    status: () => recorded.describe!() as Record<string, Json>,
    stop: () => receiver.stop!(),
    [Symbol.asyncDispose]: () => receiver.stop!(),
  };
}

/** An SQLite file of the test's own. */
export interface SqliteFile extends AsyncDisposable {
  readonly database: DatabaseSync;
  readonly path: string;
  readonly url: string;
  readonly folder: string;
}

export async function sqliteFile(schema: string): Promise<SqliteFile> {
  const folder = await mkdtemp(join(tmpdir(), "sojourn-sql-"));
  const path = join(folder, "shop.db");
  const database = new DatabaseSync(path);
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; ${schema}`);
  return {
    database, path, folder, url: `sqlite:${path}`,
    async [Symbol.asyncDispose]() {
      database.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
