import type { QueryArrayConfig, QueryArrayResult } from "pg";
import { databaseSecrets } from "../../src/sdk/database.ts";
import { converterOf, type TypeFacts } from "../../src/sdk/postgres_value.ts";
import { cellsSize, PAGE_BYTES, PAGE_BYTES_MAX, PAGE_ROWS_MAX, type Cell, type Column, type Connect } from "./session.ts";

const FIRST_ROWS = 50;
const ROWS = "sojourn_rows";
const NONE_CREATED: ReadonlyMap<number, TypeFacts> = new Map();

/** Types of numbers, by OID (src/include/catalog/pg_type.dat). */
const NUMBERS = new Set([20, 21, 23, 26, 700, 701, 1700]);
const asText = { getTypeParser: () => (text: string) => text } as unknown as NonNullable<QueryArrayConfig["types"]>;

/**
 * PostgreSQL: a server-side cursor in a read-only transaction, fetched page by page. Everything that is set is set for the
 * transaction, so that a pooler between us and the server may give each one to another connection.
 */
export const connectPostgres: Connect = async ({ database, password_file, tls, statementMs, signal }) => {
  const { default: pg } = await import("pg");
  const secrets = await databaseSecrets(database, { password_file, tls });
  signal.throwIfAborted();
  const client = new pg.Client({
    host: database.host, port: database.port, user: database.user, database: database.database,
    password: secrets.password, ssl: secrets.tls ?? false, application_name: "sojourn", keepAlive: true,
  });
  let usable = true;
  let receivedBytes = 0;
  let tooMuch = false;
  let fetchRows = FIRST_ROWS;
  // Without a listener the loss of an idle connection would end the process; the next query says what happened.
  client.on("error", () => void (usable = false));
  client.on("end", () => void (usable = false));

  function destroy(): void {
    usable = false;
    connection.stream.destroy();
  }

  const { connection } = client as unknown as { readonly connection: { readonly stream: NodeJS.ReadWriteStream & { destroy(): void } } };
  const onAbort = (): void => destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await client.connect();
  } catch (error) {
    destroy();
    throw explained(error, secrets.tls !== undefined);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  // The client keeps a message whole in memory, however long. Not what a table says may take the agent down.
  connection.stream.on("data", (chunk: Uint8Array) => {
    receivedBytes += chunk.length;
    if (receivedBytes <= PAGE_BYTES_MAX) return;
    tooMuch = true;
    destroy();
  });

  async function ask(text: string, values?: readonly unknown[]): Promise<QueryArrayResult<Cell[]>> {
    receivedBytes = 0;
    try {
      return await client.query<Cell[]>({
        text, rowMode: "array", types: asText, ...(values === undefined ? {} : { values: [...values], queryMode: "extended" }),
      } as QueryArrayConfig<unknown[]>) as QueryArrayResult<Cell[]>;
    } catch (error) {
      if (tooMuch) throw new Error(`the next rows take more than ${PAGE_BYTES_MAX} bytes: select fewer or shorter columns`, { cause: error });
      throw explained(error, true);
    }
  }

  return {
    system: "postgresql",
    get usable() {
      return usable;
    },
    async begin(sql, params) {
      fetchRows = FIRST_ROWS;
      await ask(
        `BEGIN TRANSACTION READ ONLY; SET LOCAL statement_timeout = ${statementMs}; SET LOCAL TIME ZONE 'UTC'; SET LOCAL datestyle = 'ISO, YMD'; `
        + "SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1; SET LOCAL cursor_tuple_fraction = 1");
      // By the extended protocol: one statement, whatever the text says.
      await ask(`DECLARE ${ROWS} NO SCROLL CURSOR FOR\n${sql}`, params.map((param) => (param === null ? null : String(param))));
    },
    async page() {
      const { rows, fields } = await ask(`FETCH ${fetchRows} FROM ${ROWS}`);
      const last = rows.length < fetchRows;
      const columns = fields.map(({ name, dataTypeID }): Column => {
        // A result names the base of a domain; elements of an array of a type that somebody created stay text.
        const convert = converterOf(dataTypeID, NONE_CREATED);
        return { name, numeric: NUMBERS.has(dataTypeID), value: (cell) => convert(cell as string) };
      });
      let bytes = 1;
      for (const row of rows) bytes += cellsSize(row);
      fetchRows = Math.max(1, Math.min(PAGE_ROWS_MAX, 4 * fetchRows, Math.round((PAGE_BYTES * rows.length) / bytes)));
      return { columns, rows, last };
    },
    async end() {
      if (usable) await ask("ROLLBACK");
    },
    destroy,
    async close() {
      if (usable) await client.end();
    },
  };
};

/** What the server said, with its hint. It repeats no password; the statement's text is the configuration's. */
function explained(error: unknown, encrypted: boolean): unknown {
  const { message, hint, detail } = error as { readonly message?: string; readonly hint?: string; readonly detail?: string };
  if (message === undefined) return error;
  const advice = !encrypted && /no encryption|SSL off/.test(message) ? "the server wants TLS: `tls: {}`" : hint;
  return new Error([message, detail, advice].filter((part) => part !== undefined && part !== "").join("; "), { cause: error });
}
