import { quoted, sqlState, type Connected } from "./postgres_connection.ts";
import { lsnOf } from "./postgres_position.ts";
import { SetupError } from "./postgres_setup.ts";

/** A replication slot as the server sees it. */
export interface Slot {
  readonly active: boolean;
  /** Process of the server that serves whoever reads it. */
  readonly pid: string | undefined;
  /** Everything that was committed before has been acknowledged. */
  readonly confirmed: bigint;
  /** WAL that the server keeps because of it; undefined once it is lost. */
  readonly lagBytes: number | undefined;
  /** The server has removed what it would need: it can never be read again. */
  readonly lost: boolean;
}

interface SlotRow {
  readonly plugin: string | null;
  readonly here: string;
  readonly pid: string | null;
  readonly confirmed: string | null;
  readonly lag: string | null;
  readonly status: string | null;
}

/** Undefined when there is none. Rejects when it is not one that we could read. */
export async function readSlot({ rows }: Connected, name: string): Promise<Slot | undefined> {
  const [row] = await rows<SlotRow>(
    `SELECT plugin, (database = current_database())::text AS here, active_pid::text AS pid, confirmed_flush_lsn::text AS confirmed, wal_status AS status,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn)::text AS lag
     FROM pg_replication_slots WHERE slot_name = $1`, [name]);
  if (row === undefined) return undefined;
  if (row.plugin !== "pgoutput" || row.here !== "true") {
    throw new SetupError(`the slot ${name} is not for pgoutput in this database: give this receiver another \`slot\``);
  }
  return {
    active: row.pid !== null,
    pid: row.pid ?? undefined,
    confirmed: row.confirmed === null ? 0n : lsnOf(row.confirmed),
    lagBytes: row.lag === null ? undefined : Math.max(0, Number(row.lag)),
    lost: row.status === "lost" || row.lag === null,
  };
}

/** Creates it; waits for the transactions that run on the server. Needs a budget: a slot that nobody reads fills the disk. */
export async function createSlot(replication: Connected, name: string, budgetBytes: number | undefined): Promise<void> {
  if (budgetBytes === undefined) {
    throw new SetupError(`there is no replication slot ${name}, and creating one needs \`max_slot_lag\`: how much WAL it may hold back on the primary's disk before it is given up (max_slot_lag: 5GiB)`);
  }
  try {
    await replication.rows(`CREATE_REPLICATION_SLOT ${quoted(name)} LOGICAL pgoutput NOEXPORT_SNAPSHOT`);
  } catch (error) {
    throw slotProblem(error);
  }
}

/** Resolves false when there was none. Rejects when somebody reads it. */
export async function dropSlot(admin: Connected, name: string): Promise<boolean> {
  try {
    await admin.rows("SELECT pg_drop_replication_slot($1)", [name]);
    return true;
  } catch (error) {
    if (sqlState(error) === "42704") return false;
    throw error;
  }
}

/** No slot is free, as what a person has to do. */
export function slotProblem(error: unknown): unknown {
  if (sqlState(error) !== "53400") return error;
  return new SetupError("all replication slots are taken: raise max_replication_slots on the server (a snapshot needs one more for a moment), or drop one that nobody reads", { cause: error });
}

/** `1.2 GiB`. */
export function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const unit = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${Number((bytes / 2 ** (10 * unit)).toFixed(1))} ${units[unit]!}`;
}

/** `the slot sojourn holds back 1.2 GiB of the 5 GiB that max_slot_lag allows`. */
export function lagText(name: string, lagBytes: number, budgetBytes: number): string {
  return `the slot ${name} holds back ${sizeText(lagBytes)} of the ${sizeText(budgetBytes)} that max_slot_lag allows`;
}
