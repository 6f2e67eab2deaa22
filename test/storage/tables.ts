import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cell, Store, Table } from "../../src/sdk/store.ts";

/** Keyed by a single integer: SQLite's row id. */
export const things: Table = {
  name: "things",
  columns: [["id", "integer"], ["at", "integer"], ["ratio", "real"], ["state", "text"], ["attributes", "json"]],
  keyColumns: 1,
};

/** Keyed by text and a number. */
export const moves: Table = {
  name: "moves",
  columns: [["type", "text"], ["number", "integer"], ["to", "text"]],
  keyColumns: 2,
};

export const tables = [things, moves];

export function thing(id: number, state = "pending"): Cell[] {
  return [id, 1_767_225_600_000 + id, id / 2, state, '{"amount":12}'];
}

/** Everything in a table, row by row. */
export async function rowsOf(store: Store, table: Table): Promise<Cell[][]> {
  const rows: Cell[][] = [];
  await store.load(table, (cells) => {
    for (let i = 0; i < cells.length; i += table.columns.length) rows.push(cells.slice(i, i + table.columns.length));
  });
  return rows;
}

/** Closes the store after the test, so that one that fails does not hang. */
export function closing(store: Store): Store & AsyncDisposable {
  return Object.assign(store, { [Symbol.asyncDispose]: () => store.close() });
}

/** A directory that is gone after the test. */
export async function temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "sojourn-store-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
