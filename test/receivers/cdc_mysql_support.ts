import type { TestContext } from "node:test";
import { createMysql } from "../../receivers/cdc/mysql_receiver.ts";
import type { CdcConfig } from "../../receivers/cdc/schema.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import { realClock, type Clock } from "../../src/sdk/clock.ts";
import { parseDatabaseUrl } from "../../src/sdk/database.ts";
import { wholeBody, type Batch, type Json, type Observation } from "../../src/sdk/observation.ts";
import { receiverContext, type Recorded } from "../support/context.ts";
import type { Mariadb } from "../support/mariadb.ts";
import { until } from "../support/prometheus.ts";

/** A change as it flows, without what differs from run to run. */
export interface Seen {
  readonly op: string;
  readonly table: string;
  readonly before: { readonly [column: string]: Json } | null;
  readonly after: { readonly [column: string]: Json } | null;
}

/** A receiver that runs against a server, with what it emitted. */
export interface Watching extends AsyncDisposable {
  readonly recorded: Recorded;
  readonly metrics: ReturnType<typeof createMetrics>;
  observations(): Observation[];
  changes(): Seen[];
  /** The changes as `u orders 7 paid`: op, table, id, status. */
  short(): string[];
  /** Waits until so many observations came. */
  count(n: number): Promise<void>;
  /** Waits until what it emitted says so. */
  until(what: string, holds: () => boolean): Promise<void>;
  /** The last position that was committed, as it would come out of the store. */
  position(): Json | undefined;
  status(): { readonly [key: string]: Json };
  stop(): Promise<void>;
}

export interface WatchParts {
  readonly config?: Partial<CdcConfig>;
  readonly position?: Json | undefined;
  readonly emit?: (batch: Batch, position: Json | undefined) => Promise<void>;
  readonly id?: string;
  readonly clock?: Clock;
}

export function cdcConfig(server: Mariadb, database: string, tables: readonly string[], more: Partial<CdcConfig> = {}): CdcConfig {
  return {
    url: server.url(database), tables: [...tables], snapshot: "initial", on_position_lost: "snapshot",
    slot: "sojourn", publication: "sojourn", heartbeat_interval: "1m", ...more,
  } as CdcConfig;
}

/** Starts a receiver on these tables. It is stopped when the test ends. */
export async function watch(
  t: TestContext, server: Mariadb, database: string, tables: readonly string[], { config = {}, position, emit, id = "cdc/shop", clock = realClock }: WatchParts = {},
): Promise<Watching> {
  const metrics = createMetrics(clock);
  const { context, recorded } = receiverContext({
    id, clock, metrics, ...(position === undefined ? {} : { position }), ...(emit === undefined ? {} : { emit }),
  });
  const wanted = cdcConfig(server, database, tables, config);
  const receiver = createMysql(wanted, parseDatabaseUrl(wanted.url, ["mysql"]), context);
  t.after(() => receiver.stop!());
  await receiver.start!();
  const observations = (): Observation[] => recorded.emitted.flatMap(({ batch }) => batch);
  const changes = (): Seen[] => observations().map(({ body }) => {
    const { op, before, after, source } = wholeBody(body) as unknown as Seen & { source: { table: string } };
    return { op, table: source.table, before, after };
  });
  const made: Watching = {
    recorded, metrics, observations, changes,
    short: () => changes().map(({ op, table, before, after }) => {
      const row = after ?? before;
      return [op, table, ...(row === null ? [] : [row.id, row.status].filter((part) => part !== undefined).map((part) => JSON.stringify(part).replaceAll("\"", "")))].join(" ");
    }),
    count: (n) => made.until(`${n} observations`, () => observations().length >= n),
    until: (what, holds) => until(what, async () => (holds() ? true : undefined), 20).then(
      () => undefined,
      (error: Error) => { throw new Error(`${error.message}; it has ${made.short().slice(-20).join(", ")}; reports: ${recorded.reports.join(" | ")}`); },
    ),
    position: () => {
      const last = recorded.emitted.findLast((one) => one.position !== undefined)?.position;
      return last === undefined ? undefined : (JSON.parse(JSON.stringify(last)) as Json);
    },
    status: () => recorded.describe!() as { readonly [key: string]: Json },
    stop: () => receiver.stop!(),
    [Symbol.asyncDispose]: () => receiver.stop!(),
  };
  return made;
}
