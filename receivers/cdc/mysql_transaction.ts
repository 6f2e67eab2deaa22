import type { Observation } from "../../src/sdk/observation.ts";

/** A transaction with more than this is passed on in parts, before its end is known. */
const ROWS_MAX = 5_000;
const BYTES_MAX = 8 * 2 ** 20;

/** How much of a transaction was taken: observations by table, as the binlog brings them. */
export interface Taken {
  readonly id: string;
  readonly rows: Readonly<Record<string, number>>;
}

/**
 * The transaction that the binlog is in. It is held back until its commit: with temporary tables or other engines in it, the
 * binlog has rows that were rolled back, to a savepoint or altogether. Only one too large to hold is passed on in parts.
 */
export interface Transaction {
  readonly open: boolean;
  /** Begins. `taken`: what was passed on of it before a restart, which is skipped. */
  begin(id: string, taken: Taken | undefined): void;
  /** Adds one, unless it was taken before. True when it is time for `part`. */
  add(table: string, observation: () => Observation, bytes: number): boolean;
  savepoint(name: string): void;
  /** False when part of what is rolled back has been passed on. */
  rollbackTo(name: string): boolean;
  /** Takes out what is held, and says how much of the transaction is out with it. */
  part(): { observations: Observation[]; taken: Taken };
  /** Its end: what is still held. */
  commit(): Observation[];
  /** False when part of it has been passed on. */
  rollback(): boolean;
}

export function createTransaction(): Transaction {
  let open = false;
  let id = "";
  let held: Observation[] = [];
  let bytes = 0;
  let passed = false;
  let seen = new Map<string, number>();
  let skip: Readonly<Record<string, number>> = {};
  let savepoints = new Map<string, number>();

  function end(): Observation[] {
    const rest = held;
    open = false;
    held = [];
    bytes = 0;
    return rest;
  }

  return {
    get open() {
      return open;
    },
    begin(of, taken) {
      end();
      open = true;
      id = of;
      passed = taken !== undefined && taken.id === of;
      skip = passed ? taken!.rows : {};
      seen = new Map();
      savepoints = new Map();
    },
    add(table, observation, size) {
      const count = (seen.get(table) ?? 0) + 1;
      seen.set(table, count);
      if (Object.hasOwn(skip, table) && count <= skip[table]!) return false;
      held.push(observation());
      bytes += size;
      return held.length >= ROWS_MAX || bytes >= BYTES_MAX;
    },
    savepoint: (name) => void savepoints.set(name, held.length),
    rollbackTo(name) {
      const at = savepoints.get(name);
      // Set before the part that was passed on last, or never seen.
      if (at === undefined || at < 0) return !passed;
      held.length = Math.min(at, held.length);
      return true;
    },
    part() {
      const observations = held;
      held = [];
      bytes = 0;
      passed = true;
      for (const name of savepoints.keys()) savepoints.set(name, -1);
      return { observations, taken: { id, rows: Object.fromEntries(seen) } };
    },
    commit: end,
    rollback() {
      end();
      return !passed;
    },
  };
}
