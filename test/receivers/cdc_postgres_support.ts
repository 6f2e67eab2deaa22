import { cdc } from "../../receivers/cdc.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import { realClock, type Clock } from "../../src/sdk/clock.ts";
import type { ConfigOf, Receiver } from "../../src/sdk/component.ts";
import { NotAcceptedError } from "../../src/sdk/errors.ts";
import { wholeBody, type Batch, type Json, type Observation } from "../../src/sdk/observation.ts";
import { receiverContext, type Recorded } from "../support/context.ts";
import { after, test, type TestContext } from "node:test";
import { POSTGRES_VERSIONS, startPostgres, type Postgres, type PostgresOptions, type PostgresVersion } from "../support/postgres.ts";
import { pause } from "../support/waiting.ts";

/** The servers of a test file: each is started once, with the first test that needs it. */
export function servers(options: PostgresOptions = {}): (t: TestContext, version?: PostgresVersion) => Promise<Postgres | undefined> {
  const started = new Map<PostgresVersion, Promise<Postgres | undefined>>();
  after(async () => {
    for (const server of started.values()) await (await server.catch(() => undefined))?.[Symbol.asyncDispose]();
  });
  return async (t, version = 15) => {
    let server = started.get(version);
    if (server === undefined) started.set(version, (server = startPostgres({ skip: () => undefined }, { ...options, version })));
    // Whoever comes first and whoever comes later are skipped alike.
    return (await server) ?? startPostgres(t, { ...options, version });
  };
}

/** A test for the oldest and the newest server that there is. */
export function checks(on: ReturnType<typeof servers>): (name: string, run: (server: Postgres, version: PostgresVersion) => Promise<void>) => void {
  return (name, run) => {
    for (const version of POSTGRES_VERSIONS) {
      test(`PostgreSQL ${version}: ${name}`, async (t) => {
        const server = await on(t, version);
        if (server !== undefined) await run(server, version);
      });
    }
  };
}

export type CdcConfig = ConfigOf<typeof cdc.schema>;

/** `body` of an observation of this receiver. */
export interface Body {
  readonly op: string;
  readonly before: { readonly [column: string]: Json } | null;
  readonly after: { readonly [column: string]: Json } | null;
  readonly source: { readonly [key: string]: Json };
}

/** What survives a crash: what was committed, and the position with it. */
export class Ledger {
  readonly committed: Observation[] = [];
  position: Json | undefined;
  batches = 0;
  /** Commits wait for it, one after the other. */
  delay: () => Promise<void> = async () => undefined;

  get bodies(): Body[] {
    return this.committed.map(({ body }) => wholeBody(body) as unknown as Body);
  }

  /** Of every change: op, and what the row is now, or was. */
  get lines(): string[] {
    return this.bodies.map(({ op, before, after }) => `${op} ${JSON.stringify(after ?? before)}`);
  }
}

export interface Following extends AsyncDisposable {
  readonly recorded: Recorded;
  readonly metrics: ReturnType<typeof createMetrics>;
  readonly receiver: Receiver;
  /** As a process that dies: what was not committed by now never is. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

export function config(server: Postgres, database: string, parts: Partial<CdcConfig> = {}): CdcConfig {
  return {
    url: server.url(database), tables: ["orders"], snapshot: "initial", on_position_lost: "snapshot", slot: slotOf(database), publication: "sojourn",
    max_slot_lag: "1GiB", heartbeat_interval: "200ms", ...parts,
  };
}

/** Slots belong to the whole server. */
export const slotOf = (database: string): string => `slot_${database}`;

/** Runs a receiver whose commits go to the ledger. */
export async function follow(wanted: CdcConfig, ledger: Ledger, clock: Clock = realClock): Promise<Following> {
  const metrics = createMetrics(clock);
  let alive = true;
  let line: Promise<void> = Promise.resolve();
  const { context, recorded } = receiverContext({
    id: "cdc/test", clock, metrics, ...(ledger.position === undefined ? {} : { position: ledger.position }),
    emit(batch: Batch, position: Json | undefined) {
      const done = line.then(() => ledger.delay()).then(() => {
        if (!alive) throw new NotAcceptedError("the process has died");
        ledger.committed.push(...batch);
        ledger.batches++;
        if (position !== undefined) ledger.position = JSON.parse(JSON.stringify(position)) as Json;
        return undefined;
      });
      line = done.catch(() => undefined);
      return done;
    },
  });
  const receiver = cdc.create(wanted as never, context);
  await receiver.start!();
  const following: Following = {
    recorded, metrics, receiver,
    async crash() {
      alive = false;
      await receiver.stop!();
    },
    stop: () => receiver.stop!(),
    async [Symbol.asyncDispose]() {
      await Promise.race([receiver.stop!(), pause(5_000)]);
    },
  };
  return following;
}

/** Real time; fails after 20 s and says what was there. */
export async function until(what: string, found: () => boolean, state: () => unknown = () => ""): Promise<void> {
  for (const end = performance.now() + 20_000; !found();) {
    if (performance.now() > end) throw new Error(`it did not come true: ${what} ${JSON.stringify(state(), (key, value: unknown) => (key === "emitted" ? undefined : value))}`);
    await pause(5);
  }
}

const ORDERS = "CREATE TABLE orders (id int PRIMARY KEY, status text, amount numeric)";

/** A database with a table of orders, and what else is to be there. */
export async function shop(server: Postgres, sql = "", orders = ORDERS): Promise<string> {
  const database = await server.createDatabase();
  await server.sql(database, `${orders}; ${sql}`);
  return database;
}

/** What was committed, once there are so many changes. */
export async function lines(ledger: Ledger, count: number, { recorded }: Following): Promise<readonly string[]> {
  await until(`${count} changes`, () => ledger.committed.length >= count, () => [ledger.lines, recorded.reports]);
  // One too many would come soon after.
  await pause(20);
  return ledger.lines;
}

/** As `config.heartbeat_interval` is short, a quiet receiver's position moves on: everything before it has been taken. */
export async function streaming({ recorded }: Following): Promise<void> {
  await until("caught up", () => recorded.caughtUp, () => recorded.reports);
}
