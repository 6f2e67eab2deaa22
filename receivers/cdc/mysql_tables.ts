import type { Client, TextRow } from "./mysql_client.ts";
import { fromQuery, type Hint, type QueryColumn } from "./mysql_value.ts";

/** What the database says of a table that is watched. */
export interface Table {
  readonly database: string;
  readonly name: string;
  /** `database.name`: how positions and messages name it. */
  readonly label: string;
  /** Not InnoDB or the like: no snapshot of it agrees with the binlog. */
  readonly engine: string;
  readonly transactional: boolean;
  readonly columns: readonly Column[];
  /** Names of the primary key's columns, in its order. */
  readonly key: readonly string[];
  readonly hints: ReadonlyMap<string, Hint>;
}

interface Column extends QueryColumn {
  readonly name: string;
  /** How `after` of a key is compared, and written into SQL. */
  readonly order: string;
  readonly literal: "number" | "text" | "bytes";
}

const TRANSACTIONAL = new Set(["innodb", "rocksdb", "tokudb"]);
const HINTS: Readonly<Record<string, Hint>> = { uuid: "uuid", inet4: "inet4", inet6: "inet6" };
const NUMBERS = new Set(["tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "year", "float", "double", "bit", "enum", "set"]);
const BYTES = new Set(["binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry"]);
const JSON_CHECK = /^json_valid\(`((?:[^`]|``)+)`\)$/i;

export function quoted(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}

/** Which database and table each of `tables` names. */
export function tableNames(tables: readonly string[], database: string): { database: string; name: string }[] {
  return tables.map((text) => {
    const dot = text.indexOf(".");
    return dot < 0 ? { database, name: text } : { database: text.slice(0, dot), name: text.slice(dot + 1) };
  });
}

/** A table that is not there. */
export class NoTableError extends Error {
  override name = "NoTableError";
}

/** Asks what there is of the tables. Rejects, with what to grant, for one that cannot be seen. */
export async function describeTables(client: Client, wanted: readonly string[], database: string, mariadb: boolean): Promise<Table[]> {
  const tables: Table[] = [];
  for (const name of tableNames(wanted, database)) tables.push(await describeTable(client, name, mariadb));
  return tables;
}

async function describeTable(client: Client, wanted: { database: string; name: string }, mariadb: boolean): Promise<Table> {
  const values = [wanted.database, wanted.name];
  const [found] = await client.query(
    "SELECT TABLE_SCHEMA AS d, TABLE_NAME AS t, ENGINE AS e, TABLE_TYPE AS k FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?", values);
  const label = `${wanted.database}.${wanted.name}`;
  if (found === undefined) throw new NoTableError(`the table ${label} is not there, or must not be read: GRANT SELECT ON it`);
  if (found.k === "VIEW") throw new Error(`${label} is a view: the binlog has only tables`);
  const columns = await client.query(
    "SELECT COLUMN_NAME AS name, LOWER(DATA_TYPE) AS type FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION", values);
  const key = await client.query(
    "SELECT COLUMN_NAME AS name FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX", values);
  const checks = mariadb
    ? await client.query("SELECT CHECK_CLAUSE AS clause FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ? AND TABLE_NAME = ?", values)
    : [];
  const hints = hintsOf(columns, checks);
  const engine = found.e ?? "none";
  return {
    database: found.d!, name: found.t!, label: `${found.d}.${found.t}`, engine, transactional: TRANSACTIONAL.has(engine.toLowerCase()),
    columns: columns.map(({ name, type }) => columnOf(name!, type!, hints.get(name!))),
    key: key.map(({ name }) => name!), hints,
  };
}

/**
 * Foreign keys whose cascades change rows of these tables: the engine does that beneath the binlog, which says nothing of it.
 * https://mariadb.com/kb/en/foreign-keys/
 */
export async function cascades(client: Client, tables: readonly Table[]): Promise<string[]> {
  const found: string[] = [];
  for (const { database, name, label } of tables) {
    const rows = await client.query(
      "SELECT CONSTRAINT_NAME AS name, REFERENCED_TABLE_NAME AS parent FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ? AND TABLE_NAME = ? "
      + "AND (DELETE_RULE IN ('CASCADE', 'SET NULL') OR UPDATE_RULE IN ('CASCADE', 'SET NULL'))", [database, name]);
    for (const row of rows) found.push(`${label} (${row.name}, to ${row.parent})`);
  }
  return found;
}

/** MariaDB's JSON is text with a check, and its binlog does not tell a UUID from other bytes. */
function hintsOf(columns: readonly TextRow[], checks: readonly TextRow[]): Map<string, Hint> {
  const hints = new Map<string, Hint>();
  for (const { name, type } of columns) {
    const hint = HINTS[type!];
    if (hint !== undefined) hints.set(name!, hint);
  }
  for (const { clause } of checks) {
    const name = JSON_CHECK.exec(clause!)?.[1]?.replaceAll("``", "`");
    if (name !== undefined) hints.set(name, "json");
  }
  return hints;
}

function columnOf(name: string, type: string, hint: Hint | undefined): Column {
  const id = quoted(name);
  // An ENUM is ordered by its number, but compared with text as text.
  const byNumber = type === "enum" || type === "set" || type === "bit";
  return {
    name, ...fromQuery(id, type, BYTES.has(type), hint),
    order: byNumber ? `${id} + 0` : id,
    literal: NUMBERS.has(type) ? "number" : BYTES.has(type) ? "bytes" : "text",
  };
}

/** The rows behind `after`, in the key's order; all, in any order, where there is no key. The key's values come first. */
export function rowsQuery(table: Table, after: readonly string[] | undefined): string {
  const keys = keyColumns(table);
  const columns = [...keys.map(({ order, literal }) => (literal === "bytes" ? `HEX(${order})` : order)), ...table.columns.map(({ sql }) => sql)];
  const from = `SELECT ${columns.join(", ")} FROM ${quoted(table.database)}.${quoted(table.name)}`;
  if (keys.length === 0) return from;
  const where = after === undefined || after.length !== keys.length ? "" : ` WHERE ${behind(keys, after)}`;
  return `${from}${where} ORDER BY ${keys.map(({ order }) => order).join(", ")}`;
}

export function keyColumns(table: Table): Column[] {
  return table.key.map((name) => table.columns.find((column) => column.name === name)!);
}

/** `(a, b) > (x, y)`, written so that the server uses the key's index. */
function behind(keys: readonly Column[], after: readonly string[]): string {
  const [key, ...rest] = keys;
  const value = literalOf(key!, after[0]!);
  if (rest.length === 0) return `${key!.order} > ${value}`;
  return `(${key!.order} >= ${value} AND (${key!.order} > ${value} OR ${behind(rest, after.slice(1))}))`;
}

function literalOf({ literal, name }: Column, text: string): string {
  // sql_mode is ours: a backslash escapes.
  if (literal === "text") return `'${text.replace(/[\\']/g, "\\$&")}'`;
  const ok = literal === "number" ? /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(text) : /^[0-9A-F]*$/i.test(text);
  if (!ok) throw new Error(`the position has no value for the key's column ${name}`);
  return literal === "bytes" ? `x'${text}'` : text;
}
