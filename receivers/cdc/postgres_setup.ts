import { PermanentError } from "../../src/sdk/errors.ts";
import { literal, quoted, sqlState, type Connected, type Rows } from "./postgres_connection.ts";

/** A table as configured. */
export interface TableName {
  readonly schema: string;
  readonly name: string;
  /** `schema.name`: how it is called in the position and in messages. */
  readonly text: string;
}

/** Something on the server must be changed by a person: the message says what. */
export class SetupError extends PermanentError {
  override name = "SetupError";
}

/** `orders`, `shop.orders`, `"Odd.Name".orders`: unquoted parts are taken as they are written. Undefined when it is neither. */
export function tableName(text: string): TableName | undefined {
  const part = `"(?:[^"]|"")+"|[^".]+`;
  const match = new RegExp(`^(?:(${part})\\.)?(${part})$`).exec(text);
  if (match === null) return undefined;
  const plain = (name: string): string => (name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name);
  const schema = plain(match[1] ?? "public");
  const name = plain(match[2]!);
  return { schema, name, text: `${schema}.${name}` };
}

export const qualified = ({ schema, name }: TableName): string => `${quoted(schema)}.${quoted(name)}`;

/** What the server is like. */
export interface Server {
  /** Major version. */
  readonly version: number;
  /** Within this time it wants to hear of us; 0: never. */
  readonly walSenderTimeoutMs: number;
  /** What a slot may hold back, whatever we do; undefined: the whole disk. */
  readonly walKeepBytes: number | undefined;
}

/** Rejects with `SetupError` when the server cannot replicate logically, or to this role. */
export async function inspect({ rows }: Connected): Promise<Server> {
  const [row] = await rows<Record<"version" | "level" | "timeout" | "keep" | "recovery", string>>(
    `SELECT current_setting('server_version_num') AS version, current_setting('wal_level') AS level, pg_is_in_recovery()::text AS recovery,
       (SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout') AS timeout,
       (SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS keep`);
  const version = Math.floor(Number(row!.version) / 10_000);
  if (version < 14) throw new SetupError(`the server is PostgreSQL ${version}; 14 and later can be watched`);
  if (row!.level !== "logical") {
    throw new SetupError(`the server's wal_level is ${row!.level}: set wal_level = logical (ALTER SYSTEM SET wal_level = logical) and restart it`);
  }
  if (row!.recovery === "true" && version < 16) throw new SetupError("the server is a standby; before PostgreSQL 16 only a primary can be watched");
  return {
    version,
    walSenderTimeoutMs: Number(row!.timeout),
    walKeepBytes: Number(row!.keep) < 0 ? undefined : Number(row!.keep) * 2 ** 20,
  };
}

/** How a replication connection may be refused, as what a person has to do. */
export function connectionProblem(error: unknown, user: string): unknown {
  const text = error instanceof Error ? error.message : "";
  if (sqlState(error) === "42501" || /replication role|permission denied to start WAL sender/i.test(text)) {
    return new SetupError(`the role may not replicate: ALTER ROLE ${quoted(user)} REPLICATION (on Amazon RDS: GRANT rds_replication TO ${quoted(user)})`, { cause: error });
  }
  if (sqlState(error) === "53300" && /max_wal_senders/.test(text)) {
    return new SetupError("all replication connections are taken: raise max_wal_senders on the server", { cause: error });
  }
  return error;
}

interface TableRow {
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
  readonly identified: string;
}

/** The tables as they are there. Rejects with those that are not. */
export async function checkTables({ rows }: Connected, tables: readonly TableName[]): Promise<readonly TableRow[]> {
  const found = await rows<TableRow>(
    `SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
       (c.relreplident = 'f' OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid
         AND (c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident)))::text AS identified
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND (n.nspname, c.relname) IN (SELECT * FROM unnest($1::name[], $2::name[]))`,
    [tables.map(({ schema }) => schema), tables.map(({ name }) => name)]);
  const missing = tables.filter(({ schema, name }) => !found.some((row) => row.schema === schema && row.name === name));
  if (missing.length > 0) throw new SetupError(`there is no table ${missing.map(({ text }) => text).join(", ")} in this database (names are as in the catalogue: lower case unless they were quoted)`);
  return found;
}

/** What the stream calls the tables. */
export async function tableIds({ rows }: Connected, tables: readonly TableName[]): Promise<readonly { readonly oid: number; readonly text: string }[]> {
  const found = await rows<{ oid: string; text: string }>(
    `SELECT c.oid::text AS oid, n.nspname || '.' || c.relname AS text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest($1::name[], $2::name[]))`, [tables.map(({ schema }) => schema), tables.map(({ name }) => name)]);
  return found.map(({ oid, text }) => ({ oid: Number(oid), text }));
}

export interface PublicationOptions {
  readonly publication: string;
  readonly tables: readonly TableName[];
  /** SQL condition by table (`schema.name`). */
  readonly filters: ReadonlyMap<string, string>;
}

/** Creates the publication when it is not there; rejects with what it lacks when it is. */
export async function ensurePublication(connection: Connected, { version }: Server, options: PublicationOptions): Promise<void> {
  const { rows } = connection;
  const found = await checkTables(connection, options.tables);
  const name = quoted(options.publication);
  const exists = await rows("SELECT 1 FROM pg_publication WHERE pubname = $1", [options.publication]);
  if (exists.length === 0) {
    const unidentified = found.filter(({ identified }) => identified !== "true");
    if (unidentified.length > 0) {
      const list = unidentified.map(({ schema, name: table }) => `${quoted(schema)}.${quoted(table)}`);
      throw new SetupError(`${list.join(", ")} has no primary key: once published, the server would refuse every UPDATE and DELETE on it. Add one, or: ALTER TABLE ${list[0]} REPLICA IDENTITY FULL`);
    }
    await createPublication(connection, version, options);
  }
  const published = new Set((await rows<{ table: string }>(
    "SELECT schemaname || '.' || tablename AS table FROM pg_publication_tables WHERE pubname = $1", [options.publication])).map(({ table }) => table));
  const lacking = options.tables.filter(({ text }) => !published.has(text));
  if (lacking.length === 0) return;
  const parted = lacking.filter(({ schema, name: table }) => found.some((row) => row.kind === "p" && row.schema === schema && row.name === table));
  if (parted.length > 0) {
    const [via] = await rows<{ via: string }>("SELECT pubviaroot::text AS via FROM pg_publication WHERE pubname = $1", [options.publication]);
    if (via?.via === "false") throw new SetupError(`${parted[0]!.text} has partitions, and the publication tells of each of them alone: ALTER PUBLICATION ${name} SET (publish_via_partition_root = true)`);
  }
  throw new SetupError(`the publication ${options.publication} lacks ${lacking.map(({ text }) => text).join(", ")}: ALTER PUBLICATION ${name} ADD TABLE ${lacking.map(qualified).join(", ")}`);
}

async function createPublication({ rows }: Connected, version: number, { publication, tables, filters }: PublicationOptions): Promise<void> {
  if (filters.size > 0 && version < 15) throw new SetupError(`row_filters need PostgreSQL 15; the server is ${version}`);
  const list = tables.map((table) => {
    const filter = filters.get(table.text);
    return filter === undefined ? qualified(table) : `${qualified(table)} WHERE (${filter})`;
  });
  const generated = version >= 18 ? ", publish_generated_columns = stored" : "";
  const create = `CREATE PUBLICATION ${quoted(publication)} FOR TABLE ${list.join(", ")} WITH (publish_via_partition_root = true${generated})`;
  await rows("BEGIN");
  try {
    await rows("SET LOCAL lock_timeout = '10s'");
    await rows(create);
    if (filters.size > 0) await checkFilters(rows, publication);
    await rows("COMMIT");
  } catch (error) {
    await rows("ROLLBACK").catch(() => undefined);
    if (sqlState(error) !== "42501") throw error;
    throw new SetupError(`the role may not create the publication. Let the tables' owner run: ${create}`, { cause: error });
  }
}

/** A filter may only read what the server logs of a row as it was: else it would refuse every UPDATE and DELETE on the table. */
async function checkFilters(rows: Rows, publication: string): Promise<void> {
  const unread = await rows<{ table: string; column: string }>(
    `SELECT c.oid::regclass::text AS table, a.attname AS column
     FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid JOIN pg_class c ON c.oid = r.prrelid
     JOIN pg_depend d ON d.classid = 'pg_publication_rel'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid > 0
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
     WHERE p.pubname = $1 AND c.relreplident <> 'f' AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid
       AND (c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident) AND a.attnum = ANY (i.indkey))`, [publication]);
  const [first] = unread;
  if (first === undefined) return;
  throw new SetupError(`row_filters of ${first.table} reads ${first.column}, which does not identify a row: the server would refuse every UPDATE and DELETE on it. First: ALTER TABLE ${first.table} REPLICA IDENTITY FULL`);
}

/** Names in a command of the replication protocol. */
export function publicationNames(publication: string): string {
  return literal(quoted(publication));
}
