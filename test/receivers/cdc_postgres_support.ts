import { cdc } from "../../receivers/cdc.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import { realClock, type Clock } from "../../src/sdk/clock.ts";
import type { ConfigOf, Receiver } from "../../src/sdk/component.ts";
import { wholeBody, type Batch, type Json, type Observation } from "../../src/sdk/observation.ts";
import { receiverContext, type Recorded } from "../support/context.ts";
import type { Postgres } from "../support/postgres.ts";
import { pause } from "../support/waiting.ts";

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
  /** As a process that dies: nothing more is committed. What still runs of it is stopped. */
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
        if (!alive) return new Promise<void>(() => undefined);
        ledger.committed.push(...batch);
        ledger.batches++;
        if (position !== undefined) ledger.position = JSON.parse(JSON.stringify(position)) as Json;
        return undefined;
      });
      line = done;
      return done;
    },
  });
  const receiver = cdc.create(wanted as never, context);
  await receiver.start!();
  const following: Following = {
    recorded, metrics, receiver,
    async crash() {
      alive = false;
      // Its commits never come: what waits for them is left behind, as in a process that has died.
      await Promise.race([receiver.stop!(), pause(50)]);
    },
    stop: () => receiver.stop!(),
    [Symbol.asyncDispose]: async () => void (await Promise.race([receiver.stop!(), pause(5_000)])),
  };
  return following;
}

/** Real time; fails after 20 s and says what was there. */
export async function until(what: string, found: () => boolean, state: () => unknown = () => ""): Promise<void> {
  for (const end = performance.now() + 20_000; !found();) {
    if (performance.now() > end) throw new Error(`it did not come true: ${what} ${JSON.stringify(state())}`);
    await pause(5);
  }
}

/** A database with a table of orders, as most tests have it. */
export async function shop(server: Postgres, sql = ""): Promise<string> {
  const database = await server.createDatabase();
  await server.sql(database, `CREATE TABLE orders (id int PRIMARY KEY, status text, amount numeric); ${sql}`);
  return database;
}
