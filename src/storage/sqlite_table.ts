import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import { StoreError, type Cell, type Table } from "../sdk/store.ts";
import type { Rows } from "./sqlite_protocol.ts";

/** One statement for several rows: a quarter less time than row by row; more rows gain nothing. */
const ROWS_PER_PUT = 8;
/** What one answer to `load` holds at most: both, so that neither many rows nor long text make it large. */
const LOAD_ROWS_MAX = 4_000;
const LOAD_TEXT_MAX = 4 * 2 ** 20;

const SQL_TYPE = { integer: "INTEGER", real: "REAL", text: "TEXT", json: "TEXT" } as const;

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const marks = (count: number): string => `(${Array<string>(count).fill("?").join(", ")})`;

/** Reading and writing one table. Whoever calls owns the transaction. */
export interface SqliteTable {
  readonly declared: Table;
  put(cells: readonly Cell[]): void;
  delete(keys: readonly Cell[]): void;
  /** The rows whose key is beyond `after` (empty: from the start), by key. */
  load(after: readonly Cell[]): Rows;
  read(prefix: readonly Cell[], rowsMax: number): readonly Cell[];
}

/** Creates the table, or adds the columns that a newer version has declared; rows written before hold null there. */
export function createTable(database: DatabaseSync, { name, columns, keyColumns }: Table): void {
  const present = database.prepare(`PRAGMA table_info(${quoted(name)})`).all();
  if (present.length === 0) {
    const keys = columns.slice(0, keyColumns).map(([column]) => quoted(column)).join(", ");
    const types = columns.map(([column, type], i) =>
      `${quoted(column)} ${SQL_TYPE[type]}${i < keyColumns ? " NOT NULL" : ""}`);
    // One integer is SQLite's own row id, its fastest key. Any other key would cost a second tree with a row id.
    const rowId = keyColumns === 1 && columns[0]?.[1] === "integer";
    const columnsAndKey = `${types.join(", ")}, PRIMARY KEY (${keys})`;
    database.exec(`CREATE TABLE ${quoted(name)} (${columnsAndKey})${rowId ? "" : " WITHOUT ROWID"}`);
    return;
  }
  const key = present.filter(({ pk }) => Number(pk) > 0).sort((a, b) => Number(a["pk"]) - Number(b["pk"]));
  const wanted = columns.slice(0, keyColumns);
  if (key.length !== keyColumns || key.some((column, i) => column["name"] !== wanted[i]?.[0])) {
    throw new StoreError("unusable", `table ${name} has the key (${key.map((column) => column["name"]).join(", ")}), `
      + `this version needs (${wanted.map(([column]) => column).join(", ")})`);
  }
  for (const [column, type] of columns) {
    if (present.some((other) => other["name"] === column)) continue;
    database.exec(`ALTER TABLE ${quoted(name)} ADD COLUMN ${quoted(column)} ${SQL_TYPE[type]}`);
  }
}

/** A double beyond 2^53 without a fraction comes back as an integer that Node refuses to give as a number. */
function isTooLarge(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_OUT_OF_RANGE";
}

const asCell = (value: SQLOutputValue): Cell => (typeof value === "bigint" ? Number(value) : (value as Cell));

/** Runs a query; again with bigints where a number needs them, since those cost time. */
function query(
  statement: StatementSync, parameters: readonly Cell[], textMax: number,
): { cells: Cell[]; rows: number; stopped: boolean } {
  for (let big = false; ; big = true) {
    try {
      statement.setReadBigInts(big);
      const cells: Cell[] = [];
      let rows = 0;
      let text = 0;
      // The statement gives arrays (`setReturnArrays`), which its type does not know.
      for (const row of statement.iterate(...parameters) as Iterable<unknown> as Iterable<SQLOutputValue[]>) {
        for (const value of row) {
          if (typeof value === "string") text += value.length;
          cells.push(big ? asCell(value) : (value as Cell));
        }
        rows += 1;
        if (text >= textMax) return { cells, rows, stopped: true };
      }
      return { cells, rows, stopped: false };
    } catch (error) {
      if (big || !isTooLarge(error)) throw error;
    }
  }
}

/** Statements are prepared when first needed, then kept. */
export function sqliteTable(database: DatabaseSync, declared: Table): SqliteTable {
  const { columns, keyColumns } = declared;
  const width = columns.length;
  const name = quoted(declared.name);
  const names = columns.map(([column]) => quoted(column));
  const all = names.join(", ");
  const keys = names.slice(0, keyColumns);
  const prepared = new Map<string, StatementSync>();

  function statement(sql: string): StatementSync {
    let found = prepared.get(sql);
    if (found === undefined) {
      found = database.prepare(sql);
      found.setReturnArrays(true);
      prepared.set(sql, found);
    }
    return found;
  }

  function runEach(sql: string, cells: readonly Cell[], size: number, from: number): number {
    const run = statement(sql);
    let start = from;
    for (; start + size <= cells.length; start += size) run.run(...cells.slice(start, start + size));
    return start;
  }

  const put = (rows: number): string =>
    `REPLACE INTO ${name} (${all}) VALUES ${Array<string>(rows).fill(marks(width)).join(", ")}`;

  return {
    declared,
    put(cells) {
      const rest = runEach(put(ROWS_PER_PUT), cells, ROWS_PER_PUT * width, 0);
      if (rest < cells.length) runEach(put(1), cells, width, rest);
    },
    delete(cells) {
      if (cells.length === 0) return;
      runEach(`DELETE FROM ${name} WHERE ${keys.map((key) => `${key} = ?`).join(" AND ")}`, cells, keyColumns, 0);
    },
    load(after) {
      // From the last key on, rather than a cursor left open: that would keep the log from being checkpointed.
      const beyond = after.length === 0 ? "" : `WHERE (${keys.join(", ")}) > ${marks(keyColumns)}`;
      const sql = `SELECT ${all} FROM ${name} ${beyond} ORDER BY ${keys.join(", ")} LIMIT ${LOAD_ROWS_MAX}`;
      const { cells, rows, stopped } = query(statement(sql), after, LOAD_TEXT_MAX);
      return { cells, more: stopped || rows === LOAD_ROWS_MAX };
    },
    read(prefix, rowsMax) {
      const where = prefix.length === 0 ? "" : `WHERE ${prefix.map((_, i) => `${keys[i]} = ?`).join(" AND ")}`;
      const sql = `SELECT ${all} FROM ${name} ${where} ORDER BY ${keys.join(", ")} LIMIT ?`;
      return query(statement(sql), [...prefix, rowsMax], Infinity).cells;
    },
  };
}
