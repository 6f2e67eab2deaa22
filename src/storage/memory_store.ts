import { StoreError, type Cell, type Store, type Table, type TableChange } from "../sdk/store.ts";
import { checkCells, checkPrefix, checkShape, checkTables } from "./cells.ts";

const LOAD_ROWS = 1_000;

/** A store in memory, with a disk that can be made to fail. Content stays over `close` and `open`, as on a disk. */
export interface MemoryStore extends Store {
  /** From now on commits reject, as on a full disk; nothing of them is written. */
  fail(error?: Error): void;
  /** Ends `fail`. */
  heal(): void;
  /** Commits wait, undecided, until `release`: a slow disk. */
  hold(): void;
  /** Decides the commits that waited, in their order, and ends `hold`. */
  release(): void;
  /** The process dies: commits that have not resolved are lost (they reject), and the store is closed. */
  crash(): void;
}

type Row = readonly Cell[];

/** What outlives closing. */
interface Kept {
  columns: readonly string[];
  rows: Map<Cell, Row>;
}

interface Commit {
  readonly changes: readonly TableChange[];
  readonly epoch: number;
  readonly done: PromiseWithResolvers<void>;
}

/** Text by Unicode code point, which is the order of its UTF-8 bytes and so that of a database. */
function compareText(a: string, b: string): number {
  let i = 0;
  while (i < a.length && a[i] === b[i]) i += 1;
  if (i < a.length && i < b.length && i > 0 && a.charCodeAt(i - 1) >>> 10 === 0x36) i -= 1;
  return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1);
}

function compareKeys(a: Row, b: Row, keyColumns: number): number {
  for (let i = 0; i < keyColumns; i++) {
    const x = a[i]!;
    const y = b[i]!;
    const order = typeof x === "string" ? compareText(x, String(y)) : Number(x) - Number(y);
    if (order !== 0) return order;
  }
  return 0;
}

/** As a database gives it back: text is UTF-8, a number is never NaN. */
function stored(cell: Cell): Cell {
  if (typeof cell === "string") return cell.toWellFormed();
  return Number.isNaN(cell) ? null : cell;
}

/** One value for all key cells. JSON, because it cannot confuse ("a,b", "c") with ("a", "b,c"). */
function keyOf(row: readonly Cell[], start: number, keyColumns: number): Cell {
  if (keyColumns === 1) return stored(row[start]!);
  return JSON.stringify(row.slice(start, start + keyColumns).map(stored));
}

/** A store for `sojourn test` and for tests of what stands on a store. Commits resolve on a microtask. */
export function memoryStore(): MemoryStore {
  const disk = new Map<string, Kept>();
  let open: Map<string, Kept> | undefined;
  let waiting: Commit[] = [];
  let holding = false;
  let failing: Error | undefined;
  // Counts failures. A commit called before a failure was known must not overtake the one that failed.
  let epoch = 0;

  const opened = (): Map<string, Kept> => {
    if (open === undefined) throw new StoreError("unusable", "the store is not open");
    return open;
  };

  function keep(table: Table): Kept {
    const columns = table.columns.map(([name]) => name);
    const old = disk.get(table.name);
    if (old === undefined) return { columns, rows: new Map() };
    const from = columns.map((name) => old.columns.indexOf(name));
    const rows = new Map([...old.rows].map(([key, row]) => [key, from.map((i) => row[i] ?? null)] as const));
    return { columns, rows };
  }

  function apply({ table, puts, deletes }: TableChange): void {
    const { rows } = opened().get(table.name)!;
    for (let i = 0; i < deletes.length; i += table.keyColumns) rows.delete(keyOf(deletes, i, table.keyColumns));
    for (let i = 0; i < puts.length; i += table.columns.length) {
      rows.set(keyOf(puts, i, table.keyColumns), puts.slice(i, i + table.columns.length).map(stored));
    }
  }

  function decide(commit: Commit): void {
    try {
      if (commit.epoch < epoch) throw new Error("not written, because the commit before it failed; it can be repeated");
      if (failing !== undefined) throw failing;
      for (const change of commit.changes) checkShape(change, opened());
      for (const change of commit.changes) checkCells(change);
      for (const change of commit.changes) apply(change);
      commit.done.resolve();
    } catch (error) {
      if (commit.epoch === epoch) epoch += 1;
      commit.done.reject(error);
    }
  }

  function decideAll(): void {
    const commits = waiting;
    waiting = [];
    for (const commit of commits) decide(commit);
  }

  function sorted(table: Table, prefix: readonly Cell[]): Row[] {
    checkPrefix(table, prefix, opened());
    const wanted = prefix.map(stored);
    const { rows } = opened().get(table.name)!;
    const found: Row[] = [];
    for (const row of rows.values()) if (wanted.every((cell, i) => row[i] === cell)) found.push(row);
    return found.sort((a, b) => compareKeys(a, b, table.keyColumns));
  }

  return {
    async open(tables) {
      if (open !== undefined) throw new StoreError("locked", "the store is open already");
      checkTables(tables);
      open = new Map(tables.map((table) => [table.name, keep(table)]));
      for (const [name, kept] of open) disk.set(name, kept);
    },
    async load(table, onRows) {
      const rows = sorted(table, []);
      for (let i = 0; i < rows.length; i += LOAD_ROWS) {
        await Promise.resolve();
        onRows(rows.slice(i, i + LOAD_ROWS).flat());
      }
    },
    async read(table, prefix, rowsMax) {
      return sorted(table, prefix).slice(0, rowsMax).flat();
    },
    async commit(changes) {
      opened();
      const done = Promise.withResolvers<void>();
      waiting.push({ changes, epoch, done });
      if (!holding) queueMicrotask(() => { if (!holding) decideAll(); });
      await done.promise;
    },
    async close() {
      if (open === undefined) return;
      holding = false;
      decideAll();
      open = undefined;
    },
    fail(error = new Error("disk full: nothing of this commit was written; it can be repeated")) {
      failing = error;
    },
    heal() {
      failing = undefined;
    },
    hold() {
      holding = true;
    },
    release() {
      holding = false;
      decideAll();
    },
    crash() {
      const lost = waiting;
      waiting = [];
      holding = false;
      open = undefined;
      for (const { done } of lost) done.reject(new StoreError("unusable", "the process died"));
    },
  };
}
