import { backoffMs } from "../../src/sdk/backoff.ts";
import type { Receiver, ReceiverContext } from "../../src/sdk/component.ts";
import type { Database } from "../../src/sdk/database.ts";
import { createDelivery, type Delivery } from "../../src/sdk/delivery.ts";
import { durationMs } from "../../src/sdk/duration.ts";
import { ConfigError, messageOf } from "../../src/sdk/errors.ts";
import { sizeBytes } from "../../src/sdk/size.ts";
import { connect, type Address, type Connected } from "./postgres_connection.ts";
import { lsnText, positionOf, type PostgresPosition } from "./postgres_position.ts";
import { aborted, isInUse, runSession } from "./postgres_session.ts";
import { connectionProblem, ensurePublication, inspect, SetupError, tableName, type TableName } from "./postgres_setup.ts";
import { createSlot, dropSlot, readSlot } from "./postgres_slot.ts";
import { StreamedTooLarge } from "./postgres_streamed.ts";
import { SlotOverBudget, watchSlot } from "./postgres_watch.ts";
import type { CdcConfig } from "./schema.ts";

const RETRY = { firstMs: 200, maxMs: 10_000 };
/** A connection that was cut is no news; one that cannot be had again is. */
const FAILURES_BEFORE_FAILING = 3;

/** Changes that the server no longer has; `on_position_lost` says to wait for a person. */
class PositionLost extends SetupError {
  override name = "PositionLost";
}

/** Watches tables of PostgreSQL through logical replication. */
export function createPostgres(config: CdcConfig, database: Database, context: ReceiverContext): Receiver {
  const at: Address = { config, database, receiver: context.id, clock: context.clock };
  const tables = config.tables.map((text, i) => named(text, `/tables/${i}`));
  const filters = new Map(Object.entries(config.row_filters ?? {}).map(([text, filter]) => [filtered(text), filter]));
  const budgetBytes = config.max_slot_lag === undefined ? undefined : sizeBytes(config.max_slot_lag);
  if (budgetBytes === 0) throw new ConfigError("/max_slot_lag", "must be above 0B");
  const heartbeatMs = Math.max(1, durationMs(config.heartbeat_interval));
  const abort = new AbortController();
  const { signal } = abort;
  let running: Promise<void> | undefined;
  let phase = "connecting";
  let lagBytes: number | undefined;
  let acknowledged = 0n;
  let accepted: PostgresPosition | undefined;
  let streaming = true;
  let failures = 0;
  /** Why nothing can be read, and what is about to go wrong: either is for a person. */
  let broken: string | undefined;
  let warning: string | undefined;

  function filtered(text: string): string {
    const { text: name } = named(text, "/row_filters");
    if (!tables.some((table) => table.text === name)) throw new ConfigError("/row_filters", `${text} is not among the tables`);
    return name;
  }

  async function life(): Promise<void> {
    const delivery = createDelivery(context, signal, (position) => {
      accepted = positionOf(position);
      if (accepted !== undefined) acknowledged = accepted.lsn;
      working();
    });
    const gauge = context.metrics.gauge({ name: "sojourn_cdc_slot_lag_bytes", help: "WAL that the primary keeps because of a receiver's replication slot.", labels: ["receiver"] });
    accepted = positionOf(context.position);
    if (context.position !== undefined && accepted === undefined) {
      context.report(new Error("the position in the store is not one of PostgreSQL's; it is read anew"));
    }
    while (!signal.aborted) {
      try {
        await attempt();
      } catch (error) {
        if (signal.aborted) break;
        await failed(error);
      }
      // Nothing that is under way may be read again.
      await delivery.settled();
      acknowledged = 0n;
      await context.clock.sleep(backoffMs(RETRY, Math.max(1, failures), context.clock), signal).catch(() => undefined);
    }
    await delivery.settled();
    gauge.remove(context.id);

    async function attempt(): Promise<void> {
      await using open = new AsyncDisposableStack();
      // What the server takes its time for ends with its connection.
      const prepared = prepare(open, (bytes) => gauge.series(context.id).set(bytes), delivery);
      prepared.catch(() => undefined);
      const run = await Promise.race([prepared, aborted(signal)]);
      await run?.();
    }
  }

  async function prepare(open: AsyncDisposableStack, setLag: (bytes: number) => void, delivery: Delivery) {
    phase = "connecting";
    const admin = await opened(open, false);
    const server = await inspect(admin);
    await ensurePublication(admin, server, { publication: config.publication, tables, filters });
    const replication = await opened(open, true);
    const [cluster] = await replication.rows<{ systemid: string }>("IDENTIFY_SYSTEM");
    await ensureSlot(admin, replication);
    const watch = watchSlot({
      admin, context, slot: config.slot, budgetBytes, heartbeatMs,
      onLag(bytes) {
        lagBytes = bytes;
        setLag(bytes);
      },
      onWarning(text) {
        warning = text;
        sayFailing();
      },
      acknowledged: () => acknowledged,
    });
    open.defer(watch.stop);
    return () => runSession({
      at, context, admin, replication, server, tables, streaming, heartbeatMs, delivery, signal,
      slot: config.slot, publication: config.publication, interrupted: watch.ended,
      acknowledged: () => acknowledged,
      begin: () => begin(admin, cluster!.systemid),
      working,
      phase(next, table) {
        phase = table === undefined ? next : `${next} of ${table}`;
      },
    });
  }

  async function opened(stack: AsyncDisposableStack, replicates: boolean): Promise<Connected> {
    const connection = await connect(at, replicates).catch((error: unknown) => {
      throw replicates ? connectionProblem(error, database.user) : error;
    });
    stack.defer(() => connection.close());
    return connection;
  }

  async function ensureSlot(admin: Connected, replication: Connected): Promise<void> {
    const slot = await readSlot(admin, config.slot);
    if (slot?.lost === true) {
      if (accepted !== undefined) mayReadAnew(`the slot ${config.slot} was invalidated by the server: it held back more than max_slot_wal_keep_size`);
      await dropSlot(admin, config.slot);
    } else if (slot !== undefined) {
      return;
    } else if (accepted !== undefined) {
      mayReadAnew(`the slot ${config.slot} is gone`);
    }
    phase = "creating the slot";
    await createSlot(replication, config.slot, budgetBytes);
  }

  /** Throws where a person is to decide; else says what is lost. */
  function mayReadAnew(what: string): void {
    const since = accepted === undefined ? "" : ` since ${lsnText(accepted.lsn)}`;
    if (config.on_position_lost === "fail") {
      throw new PositionLost(`${what}: changes${since} are lost. With on_position_lost: snapshot all rows are read again`);
    }
    context.report(new Error(`${what}: changes${since} are lost${config.snapshot === "never" ? "" : "; all rows are read again"}, and rows that were deleted meanwhile are not known to be`));
  }

  async function begin(admin: Connected, system: string): Promise<PostgresPosition> {
    const slot = await readSlot(admin, config.slot);
    if (slot === undefined) throw new Error(`the slot ${config.slot} is gone`);
    const [server] = await admin.rows<{ beyond: string }>(
      "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END < $1::pg_lsn)::text AS beyond", [lsnText(accepted?.lsn ?? 0n)]);
    const fresh = { system, slot: config.slot, transaction: undefined };
    const all = tables.map(({ text }) => text);
    let position: PostgresPosition | undefined = accepted;
    if (position !== undefined) {
      const lost = position.system !== system ? "the database is another cluster than before"
        : server!.beyond === "true" ? "the database was set back to an earlier time"
        : slot.confirmed > position.lsn ? `somebody else has read the slot ${config.slot} up to ${lsnText(slot.confirmed)}`
        : undefined;
      if (lost !== undefined) {
        mayReadAnew(lost);
        position = undefined;
      }
    }
    if (position !== undefined) {
      acknowledged = position.lsn;
      const known = position.tables.filter((table) => all.includes(table));
      return { ...position, ...fresh, transaction: position.transaction, tables: config.snapshot === "never" ? all : known };
    }
    // Whatever the slot still has of the time before the snapshot is in the snapshot.
    return config.snapshot === "never" ? { ...fresh, lsn: slot.confirmed, tables: all } : { ...fresh, lsn: 0n, tables: [] };
  }

  /** It gets on. That it could connect is not enough: what it cannot read is still there. */
  function working(): void {
    if (failures === 0 && broken === undefined) return;
    failures = 0;
    broken = undefined;
    context.healed();
    sayFailing();
  }

  function sayFailing(): void {
    const reason = broken ?? warning;
    context.failing(reason === undefined ? undefined : `${database.label}: ${reason}`);
  }

  async function failed(problem: unknown): Promise<void> {
    failures++;
    if (problem instanceof StreamedTooLarge) streaming = false;
    const error = isInUse(problem) ? new Error(`another agent reads the slot ${config.slot}: waiting for it to end`, { cause: problem }) : problem;
    context.report(error);
    phase = "waiting";
    warning = undefined;
    if (error instanceof SlotOverBudget) broken = `${error.message}; it is given up`;
    else if (error instanceof SetupError || failures >= FAILURES_BEFORE_FAILING) broken = messageOf(error);
    sayFailing();
    if (error instanceof SlotOverBudget) await giveUp();
  }

  /** The primary's disk comes first: whatever the policy is about what was not read, the slot is dropped now. */
  async function giveUp(): Promise<void> {
    try {
      await using open = new AsyncDisposableStack();
      await dropSlot(await opened(open, false), config.slot);
    } catch (problem) {
      // It is seen again, and tried again, with the next connection.
      context.report(problem);
    }
  }

  return {
    async start() {
      context.status(() => ({
        database: database.label, slot: config.slot, phase,
        position: accepted === undefined ? null : lsnText(accepted.lsn),
        slot_lag_bytes: lagBytes ?? null,
      }));
      running = life();
      running.catch((error: unknown) => context.crashed(error));
    },
    async stop() {
      abort.abort();
      await running?.catch(() => undefined);
    },
  };
}

function named(text: string, pointer: string): TableName {
  const table = tableName(text);
  if (table === undefined) throw new ConfigError(pointer, `"${text}" is neither \`table\` nor \`schema.table\``);
  return table;
}
