import { randomBytes } from "node:crypto";
import { observation, type Observation } from "../../src/sdk/observation.ts";
import { changeAttributes } from "./change.ts";
import { snapshotRow } from "./postgres_changes.ts";
import { connect, literal, quoted, type Address, type Connected } from "./postgres_connection.ts";
import { loadTypes } from "./postgres_facts.ts";
import { lsnOf, lsnText } from "./postgres_position.ts";
import { connectionProblem, qualified, type TableName } from "./postgres_setup.ts";
import { slotProblem } from "./postgres_slot.ts";
import { converterOf, type Convert } from "../../src/sdk/postgres_value.ts";

/** Rows fetched at once: as many as make up about this much, so that memory stays bounded whatever a row holds. */
const FETCH_BYTES = 2 * 2 ** 20;
const FETCH_ROWS_FIRST = 50;
const FETCH_ROWS_MAX = 2_000;

/** The database as it was at one instant, open for reading. */
export interface Snapshot {
  /** Transactions whose commit record begins before this are in it, all others are not. */
  readonly lsn: bigint;
  /** When it was taken, by the server's clock; epoch ms. */
  readonly time: number;
  /** Hands on the rows of a table, some at a time, in no order; waits for each. */
  read(table: TableName, take: (rows: readonly Observation[], bytes: number) => Promise<void> | undefined): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a snapshot that is exactly between two transactions of the log, by way of a temporary slot: it is gone before this
 * resolves. Waits for transactions that run on the server. After `signal` it is closed, open or not.
 */
export async function openSnapshot(at: Address, publication: string, version: number, signal: AbortSignal): Promise<Snapshot> {
  const replication = await connect(at, true).catch((error: unknown) => {
    throw connectionProblem(error, at.database.user);
  });
  let reader: Connected | undefined;
  signal.addEventListener("abort", () => {
    void replication.close();
    void reader?.close();
  }, { once: true });
  try {
    signal.throwIfAborted();
    const name = `sojourn_snapshot_${randomBytes(6).toString("hex")}`;
    const [slot] = await replication.rows<{ consistent_point: string; snapshot_name: string }>(
      `CREATE_REPLICATION_SLOT ${quoted(name)} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT`).catch((error: unknown) => {
      throw slotProblem(error);
    });
    reader = await connect(at, false);
    await reader.rows("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
    await reader.rows(`SET TRANSACTION SNAPSHOT ${literal(slot!.snapshot_name)}`);
    // While what was read waits for its commit, the transaction is idle; and a table takes as long as it takes.
    await reader.rows("SET LOCAL idle_in_transaction_session_timeout = 0");
    await reader.rows("SET LOCAL statement_timeout = 0");
    const [now] = await reader.rows<{ ms: string }>("SELECT floor(extract(epoch FROM now()) * 1000)::text AS ms");
    return opened(at, reader, publication, version, lsnOf(slot!.consistent_point), Number(now!.ms));
  } catch (error) {
    await reader?.close();
    throw error;
  } finally {
    await replication.close();
  }
}

function opened(at: Address, reader: Connected, publication: string, version: number, lsn: bigint, time: number): Snapshot {
  const { rows } = reader;
  const { database } = at.database;

  async function selectOf(table: TableName): Promise<string> {
    // The publication says which columns and rows are told of: what is read here must be the same.
    const [told] = version >= 15
      ? await rows<{ columns: string | null; filter: string | null; kind: string }>(
        `SELECT (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attname = ANY (p.attnames) AND (a.attgenerated = '' OR $4::int >= 18)) AS columns,
           p.rowfilter AS filter, c.relkind::text AS kind
         FROM pg_publication_tables p JOIN pg_class c ON c.relname = p.tablename JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = p.schemaname
         WHERE p.pubname = $1 AND p.schemaname = $2 AND p.tablename = $3`, [publication, table.schema, table.name, String(version)])
      : await rows<{ columns: string | null; filter: string | null; kind: string }>(
        `SELECT (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns, NULL AS filter, c.relkind::text AS kind
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`, [table.schema, table.name]);
    if (told === undefined) throw new Error(`the publication ${publication} lacks ${table.text}`);
    const filter = told.filter === null ? "" : ` WHERE ${told.filter}`;
    return `SELECT ${told.columns ?? ""} FROM ${told.kind === "p" ? "" : "ONLY "}${qualified(table)}${filter}`;
  }

  return {
    lsn, time,
    async read(table, take) {
      await rows(`DECLARE rows NO SCROLL CURSOR FOR ${await selectOf(table)}`);
      const source = { system: "postgresql", database, schema: table.schema, table: table.name, lsn: lsnText(lsn) };
      const attributes = changeAttributes(source);
      let columns: { readonly name: string; readonly convert: Convert }[] | undefined;
      for (let count = FETCH_ROWS_FIRST; ;) {
        const result = await reader.client.query<(string | null)[]>({ text: `FETCH ${count} FROM rows`, rowMode: "array" });
        if (columns === undefined) {
          const facts = await loadTypes(reader, result.fields.map(({ dataTypeID }) => dataTypeID));
          columns = result.fields.map(({ name, dataTypeID }) => ({ name, convert: converterOf(dataTypeID, facts) }));
        }
        if (result.rows.length === 0) break;
        let bytes = 0;
        const found = result.rows.map((values) => {
          for (const value of values) bytes += value?.length ?? 0;
          return observation({ op: "r", before: null, after: snapshotRow(columns!, values), source }, { source: at.receiver, time, attributes, snapshot: true });
        });
        await take(found, bytes);
        count = Math.max(1, Math.min(FETCH_ROWS_MAX, count * 2, Math.floor(FETCH_BYTES / Math.max(1, bytes / found.length))));
      }
      await rows("CLOSE rows");
    },
    close: () => reader.close(),
  };
}
