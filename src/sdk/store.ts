/** What a column holds. `json` is text in the database; the caller gives and gets text. */
export type ColumnType = "integer" | "real" | "text" | "json";

/** A value in a row. */
export type Cell = string | number | null;

/** A table of the store, declared by whoever owns its content. */
export interface Table {
  readonly name: string;
  /** In order. Key columns come first. */
  readonly columns: readonly (readonly [name: string, type: ColumnType])[];
  /** How many of the first columns are the primary key. */
  readonly keyColumns: number;
}

/** Rows of one table to write and to delete; both flat, row after row. Deletes are applied before puts. */
export interface TableChange {
  readonly table: Table;
  /** `columns.length` cells for each row: inserted, or replaced by key. */
  readonly puts: readonly Cell[];
  /** `keyColumns` cells for each row. A shorter prefix of the key is not allowed. */
  readonly deletes: readonly Cell[];
}

/**
 * Where state is kept. One transaction for each `commit`; commits are applied in the order of their calls.
 * Nothing outside `storage/` knows what stands behind it.
 */
export interface Store {
  /** Creates what is missing. Rejects (`StoreError`) on a damaged, newer or locked store; never overwrites one. */
  open(tables: readonly Table[]): Promise<void>;
  /** All rows of a table, a bounded chunk of flat cells at a time. For start-up. */
  load(table: Table, onRows: (cells: readonly Cell[]) => void): Promise<void>;
  /** Rows whose first key columns equal `prefix`, by key, at most `rowsMax`; flat. Sees every commit that resolved. */
  read(table: Table, prefix: readonly Cell[], rowsMax: number): Promise<readonly Cell[]>;
  /** Durable when it resolves (fsync). Rejects when nothing of it was written; the same call may be repeated. */
  commit(changes: readonly TableChange[]): Promise<void>;
  /** Finishes pending commits, releases the lock. Harmless twice. */
  close(): Promise<void>;
}

/** Why a store cannot be used: `locked` (a second agent), `damaged`, `newer`, `unusable` (permissions, no directory). */
export class StoreError extends Error {
  override name = "StoreError";
  readonly kind: "locked" | "damaged" | "newer" | "unusable";
  constructor(kind: StoreError["kind"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** Part of the agent's memory that is kept in the store. */
export interface Persistent {
  readonly tables: readonly Table[];
  /** Fills memory from the store. Before anything else runs. */
  restore(store: Store): Promise<void>;
  /** Moves what changed since the last call into `changes`, to be written in one transaction. Synchronous. */
  drain(changes: TableChange[]): void;
  /** What the last `drain` gave is durable now. */
  committed?(): void;
}
