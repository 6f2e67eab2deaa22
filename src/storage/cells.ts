import { PermanentError } from "../sdk/errors.ts";
import type { Cell, ColumnType, Table, TableChange } from "../sdk/store.ts";

/** Why `cell` may not stand in a column of this type; undefined when it may. */
function mismatch(cell: Cell | undefined, type: ColumnType): string | undefined {
  if (cell === null) return undefined;
  const wanted = type === "integer" || type === "real" ? "number" : "string";
  return typeof cell === wanted ? undefined : `is ${typeof cell}, not ${wanted}`;
}

/** Why `cell` may not be a key. Rows are found by comparing keys, so nothing may compare equal to nothing. */
function keyMismatch(cell: Cell | undefined, type: ColumnType): string | undefined {
  if (cell === null) return "is null, and it is a key";
  if (type === "integer" && !Number.isSafeInteger(cell)) return "is not a safe integer, and it is a key";
  return Number.isNaN(cell) ? "is NaN, and it is a key" : mismatch(cell, type);
}

function checkRows(table: Table, width: number, cells: readonly Cell[]): number {
  let textLength = 0;
  for (let start = 0; start < cells.length; start += width) {
    for (let column = 0; column < width; column++) {
      const cell = cells[start + column];
      const [name, type] = table.columns[column]!;
      const wrong = column < table.keyColumns ? keyMismatch(cell, type) : mismatch(cell, type);
      // The value itself stays out of the message: it may be a customer's.
      if (wrong !== undefined) throw new PermanentError(`a cell of ${table.name}.${name} ${wrong}`);
      if (typeof cell === "string") textLength += cell.length;
    }
  }
  return textLength;
}

/**
 * Checks what a commit is about to write, and returns how many characters of text it holds.
 *
 * A value of the wrong type is an error rather than converted, so that what is read after a restart is what was
 * written. Numbers are kept as they are in `integer` columns too (1.5 stays 1.5); NaN becomes null.
 * Throws `PermanentError`: the same rows can never be written.
 */
export function checkCells(change: TableChange): number {
  const { table, puts, deletes } = change;
  return checkRows(table, table.keyColumns, deletes) + checkRows(table, table.columns.length, puts);
}

/** Checks that flat rows come in whole rows, of tables that are open. Throws `PermanentError`. */
export function checkShape(change: TableChange, open: { has(name: string): boolean }): void {
  const { table, puts, deletes } = change;
  if (!open.has(table.name)) throw new PermanentError(`table ${table.name} was not named when the store was opened`);
  if (puts.length % table.columns.length !== 0 || deletes.length % table.keyColumns !== 0) {
    throw new PermanentError(`rows of table ${table.name} are not whole`);
  }
}

/** Checks the arguments of `Store.read`. Throws `PermanentError`. */
export function checkPrefix(table: Table, prefix: readonly Cell[], open: { has(name: string): boolean }): void {
  checkShape({ table, puts: [], deletes: [] }, open);
  if (prefix.length <= table.keyColumns) return;
  throw new PermanentError(`table ${table.name} has no key of ${prefix.length} columns`);
}

/** Checks a declaration, so that a store never creates half of one. Throws `PermanentError`. */
export function checkTables(tables: readonly Table[]): void {
  const names = new Set<string>();
  for (const { name, columns, keyColumns } of tables) {
    const distinct = new Set(columns.map(([column]) => column.toLowerCase()));
    const usable = keyColumns >= 1 && keyColumns <= columns.length && distinct.size === columns.length;
    if (!usable || names.has(name.toLowerCase())) throw new PermanentError(`table ${name} is declared wrongly or twice`);
    names.add(name.toLowerCase());
  }
}
