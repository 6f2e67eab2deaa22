import { createHash } from "node:crypto";
import { hostname } from "node:os";
import { gtidSets, openBinlog } from "./mysql_binlog.ts";
import { clientOptions, connectClient, explained, PositionLostError, type Client } from "./mysql_client.ts";
import { follow } from "./mysql_follow.ts";
import { positionFrom, progressFrom, type MysqlPosition, type Place } from "./mysql_position.ts";
import { beginSnapshot, checkServer, endOfBinlog, noneIsPrepared, type Server } from "./mysql_server.ts";
import { readTable } from "./mysql_snapshot.ts";
import { cascades, describeTables, NoTableError, type Table } from "./mysql_tables.ts";
import type { CdcConfig } from "./schema.ts";
import { backoffMs } from "../../src/sdk/backoff.ts";
import type { Receiver, ReceiverContext } from "../../src/sdk/component.ts";
import type { Database } from "../../src/sdk/database.ts";
import { createDelivery } from "../../src/sdk/delivery.ts";
import { messageOf } from "../../src/sdk/errors.ts";
import type { Json } from "../../src/sdk/observation.ts";

const BACKOFF = { firstMs: 500, maxMs: 30_000 };
/** So many failures in a row, and what it feeds is stale. */
const FAILURES_MAX = 3;

/**
 * Watches tables of MySQL or MariaDB through the binlog, as a replica does. First the rows that are there (`r`), from a
 * snapshot that agrees with a place in the binlog; then every change after it. The position is a place between two
 * transactions, and in the store's commit together with what was read up to it.
 *
 * Tables that are new in the configuration, or were not read to the end before a restart, are read from a new snapshot; the
 * binlog is followed up to it first, so that a row that was deleted meanwhile does not stay, and no change is applied twice.
 */
export function createMysql(config: CdcConfig, database: Database, context: ReceiverContext): Receiver {
  const { clock } = context;
  const stopping = new AbortController();
  const { signal } = stopping;
  const serverId = config.server_id ?? derivedServerId(context.id, database);
  const delivery = createDelivery(context, signal);
  let position: { at: MysqlPosition } | undefined;
  let running: Promise<void> | undefined;
  let server: Server | undefined;
  let doing = "connecting";
  let lagSeconds: number | undefined;
  let error: string | undefined;
  let failures = 0;
  let reread = false;
  let warnings: readonly string[] = [];
  let aliveAt = clock.now();
  let lag: { set(value: number): void } | undefined;

  function seen(timestamp: number | undefined): void {
    lagSeconds = timestamp === undefined ? 0 : Math.max(0, (clock.now() - timestamp) / 1_000);
    lag?.set(lagSeconds);
  }

  function alive(): void {
    aliveAt = clock.now();
    if (failures === 0 && error === undefined) return;
    failures = 0;
    error = undefined;
    context.failing(undefined);
    context.healed();
  }

  async function session(): Promise<void> {
    const options = await clientOptions(database, config);
    const client = await connectClient(options, signal);
    try {
      server = await checkServer(client, serverId);
      const tables = await describeTables(client, config.tables, database.database, server.mariadb);
      await warn(client, server, tables);
      const end = await endOfBinlog(client, server);
      if (position === undefined && config.snapshot === "never" && !reread) {
        position = { at: { place: end, tables: tables.map(({ label }) => label), time: 0 } };
        delivery.send([], position.at as unknown as Json, 0);
      }
      await readWhatIsNew(client, server, tables, options);
      await stream({ client, server, tables, options, caughtUpAt: end });
    } finally {
      client.end();
    }
  }

  /** What is no reason to stop, but to know. Once for each start. */
  async function warn(client: Client, of: Server, tables: readonly Table[]): Promise<void> {
    const beneath = await cascades(client, tables);
    const said = [...of.warnings];
    if (beneath.length > 0) {
      said.push(`rows that a foreign key's cascade deletes or changes are not in the binlog, and stay known as they were: ${beneath.slice(0, 10).join(", ")}`);
    }
    for (const one of said) if (!warnings.includes(one)) context.log.warn({}, one);
    warnings = said;
  }

  interface Session {
    readonly client: Client;
    readonly server: Server;
    readonly tables: readonly Table[];
    readonly options: Awaited<ReturnType<typeof clientOptions>>;
    readonly until?: Place;
    readonly caughtUpAt?: Place;
  }

  async function readWhatIsNew(client: Client, of: Server, tables: readonly Table[], options: Session["options"]): Promise<void> {
    const known = new Set(tables.map(({ label }) => label));
    if (position !== undefined) {
      // Without snapshots a table is as good as read, unless it is read again because the position was lost.
      const read = config.snapshot === "never" && position.at.reading === undefined ? [...known] : position.at.tables.filter((label) => known.has(label));
      position.at = { ...position.at, tables: read };
    }
    const isRead = new Set(position?.at.tables);
    const unread = tables.filter(({ label }) => !isRead.has(label));
    if (unread.length === 0) return;
    const foreign = unread.find(({ transactional }) => !transactional);
    if (foreign !== undefined) {
      throw new Error(`${foreign.label} is a table of ${foreign.engine}, of which no snapshot agrees with the binlog: ALTER TABLE … ENGINE = InnoDB, or \`snapshot: never\``);
    }
    const snapshot = await connectClient(options, signal);
    try {
      const place = await beginSnapshot(snapshot, of);
      doing = "snapshot";
      if (position === undefined) await noneIsPrepared(snapshot, of);
      else await stream({ client, server: of, tables, options, until: place });
      signal.throwIfAborted();
      const time = Math.max(position?.at.time ?? 0, clock.now());
      const { tables: read = [], reading, prepared } = position?.at ?? {};
      position = { at: { place, tables: read, time, ...(reading === undefined ? {} : { reading }), ...(prepared === undefined ? {} : { prepared }) } };
      // The one that was begun goes on first: the position names one only.
      unread.sort((a, b) => Number(b.label === reading?.table) - Number(a.label === reading?.table));
      for (const [index, table] of unread.entries()) {
        const next = unread[index + 1]?.label;
        await readTable(table, { context, system: of.system, client: snapshot, delivery, signal, position, next });
        signal.throwIfAborted();
      }
    } finally {
      snapshot.end();
    }
  }

  async function stream({ client, server: of, tables, options, until, caughtUpAt }: Session): Promise<void> {
    const from = position!.at.place;
    if ("gtid" in from !== of.gtid) throw new PositionLostError("the server no longer has, or did not have, GTIDs");
    const progress = progressFrom(from, of.mariadb, await gtidSets());
    if (until !== undefined && progress.reached(until) && position!.at.transaction === undefined) return;
    const byDatabase: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
    for (const { database: name, name: table } of tables) (byDatabase[name] ??= []).push(table);
    let definitions = new Map(tables.map((table) => [table.label, table]));
    let caughtUp = caughtUpAt === undefined;
    const passed = (): void => {
      if (caughtUp || !progress.reached(caughtUpAt!)) return;
      caughtUp = true;
      context.caughtUp();
    };
    const binlog = await openBinlog({ connection: options, serverId, from, tables: byDatabase, clock });
    const onAbort = (): void => void binlog.stop();
    signal.addEventListener("abort", onAbort);
    try {
      if (until === undefined) doing = "streaming";
      passed();
      await follow({
        context, system: of.system, binlog, progress, delivery, signal, position: position!, until, alive, seen, passed,
        tables: new Set(definitions.keys()),
        definitionOf: (shape) => definitions.get(`${shape.database}.${shape.name}`),
        async redefine() {
          // A table that is gone, or not yet what it will be, is no reason to stop: the binlog names its columns itself.
          const now = await describeTables(client, config.tables, database.database, of.mariadb).catch((failed: unknown) => {
            if (failed instanceof NoTableError) return undefined;
            throw failed;
          });
          if (now !== undefined) definitions = new Map(now.map((table) => [table.label, table]));
        },
      });
    } finally {
      signal.removeEventListener("abort", onAbort);
      await binlog.stop();
    }
  }

  function lost(reason: PositionLostError): void {
    const what = `the changes since the last commit are no longer in the binlog (${messageOf(reason)})`;
    if (config.on_position_lost === "fail") {
      fails(new Error(`${what}; on_position_lost is \`fail\`: a person must look`), true);
    } else {
      error = what;
      context.report(new Error(`${what}: all rows are read again; those that were deleted meanwhile stay known`));
      position = undefined;
      reread = true;
    }
  }

  function fails(failed: Error, forGood = false): void {
    doing = "waiting";
    error = messageOf(failed);
    failures += 1;
    lagSeconds = Math.max(lagSeconds ?? 0, (clock.now() - aliveAt) / 1_000);
    lag?.set(lagSeconds);
    context.report(failed);
    if (forGood || failures >= FAILURES_MAX) context.failing(error);
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      try {
        await session();
      } catch (failed) {
        if (signal.aborted) return;
        const reason = explained(failed, database.user);
        if (reason instanceof PositionLostError) lost(reason);
        else fails(reason);
        // What was sent counts; where it was left off is where it goes on.
        await delivery.room();
        await clock.sleep(backoffMs(BACKOFF, Math.max(1, failures), clock), signal).catch(() => undefined);
      }
    }
  }

  return {
    async start() {
      const at = positionFrom(context.position);
      position = at === undefined ? undefined : { at };
      lag = context.metrics.gauge({
        name: "sojourn_cdc_lag_seconds", help: "How old the last change read from the database was; 0 when there is nothing newer.", labels: ["receiver"],
      }).series(context.id);
      context.status(() => ({
        server: server === undefined ? null : `${server.system} ${server.version}`, doing,
        ...(error === undefined ? {} : { error }),
        ...(warnings.length === 0 ? {} : { warnings }),
        ...(lagSeconds === undefined ? {} : { lag_seconds: lagSeconds }),
        ...(position === undefined ? {} : { position: position.at.place as unknown as Json, tables_read: position.at.tables.length }),
      }));
      running = run();
    },
    async stop() {
      stopping.abort(new Error("stopping"));
      await running;
      await delivery.settled();
    },
  };
}

/** Replicas must differ: two agents on one host differ in the receiver's id or the database, else `server_id` says it. */
function derivedServerId(receiver: string, { label }: Database): number {
  const hash = createHash("sha256").update(JSON.stringify([hostname(), receiver, label])).digest();
  // Small numbers are what people give their own servers.
  return 2 ** 31 + (hash.readUInt32BE(0) >>> 1);
}
