import { connect as connectSocket } from "node:net";
import type { Readable } from "node:stream";
import type { FieldPacket } from "mysql2";
import { databaseSecrets } from "../../src/sdk/database.ts";
import { base64, exactNumber, jsonValue, rfc3339, shortestFloat } from "../../src/sdk/database_value.ts";
import { cellsSize, PAGE_BYTES, PAGE_ROWS_MAX, type Cell, type Column, type Connect } from "./session.ts";

const TYPES = { float: 4, timestamp: 7, datetime: 12, bit: 16, json: 245 } as const;
/** decimal, tiny, short, long, float, double, longlong, int24, year, newdecimal: include/field_types.h of MySQL. */
const NUMBERS = new Set([0, 1, 2, 3, 4, 5, 8, 9, 13, 246]);
const STREAM_ROWS = 256;

/**
 * MySQL and MariaDB: a prepared statement in a read-only transaction, its result read as it comes. Prepared, because only the
 * server knows which `?` is a parameter, and whether a backslash escapes.
 */
export const connectMysql: Connect = async ({ database, password_file, tls, statementMs, signal }) => {
  const { createConnection } = await import("mysql2");
  const secrets = await databaseSecrets(database, { password_file, tls });
  signal.throwIfAborted();
  const { host, port } = database;
  const { servername, ...trust } = secrets.tls ?? {};
  const connection = createConnection({
    // The client takes the name to verify from `host` alone, so another one needs the connection made for it.
    host: servername ?? host, port, ...(servername === undefined ? {} : { stream: () => connectSocket({ host, port }) }), user: database.user, password: secrets.password ?? "", database: database.database,
    ...(secrets.tls === undefined ? {} : { ssl: { rejectUnauthorized: true, verifyIdentity: trust.rejectUnauthorized !== false, ...trust } as object }),
    charset: "utf8mb4", timezone: "Z", dateStrings: true, supportBigNumbers: true, bigNumberStrings: true, jsonStrings: true,
    disableEval: true, flags: ["-LOCAL_FILES"],
  });
  let usable = true;
  // Without a listener the loss of an idle connection would end the process; the next query says what happened.
  connection.on("error", () => void (usable = false));
  connection.on("end", () => void (usable = false));
  let rows: AsyncIterator<readonly Cell[]> | undefined;
  let fields: readonly FieldPacket[] | undefined;

  function destroy(): void {
    usable = false;
    connection.destroy();
  }

  const ask = (sql: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
      connection.query(sql, (error, result) => (error === null ? resolve(result) : reject(error)));
    });

  const onAbort = (): void => destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  let mariadb: boolean;
  try {
    await new Promise<void>((resolve, reject) => {
      connection.connect((error) => (error === null ? resolve() : reject(error)));
    });
    mariadb = await prepared(ask, statementMs);
  } catch (error) {
    destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }

  return {
    system: mariadb ? "mariadb" : "mysql",
    get usable() {
      return usable;
    },
    async begin(sql, params) {
      await ask("START TRANSACTION READ ONLY");
      fields = undefined;
      const command = connection.execute({ sql, rowsAsArray: true } as never, params as never) as unknown as { stream(options: object): Readable };
      const stream = command.stream({ highWaterMark: STREAM_ROWS });
      stream.on("fields", (given: readonly FieldPacket[]) => void (fields = given));
      rows = stream[Symbol.asyncIterator]() as AsyncIterator<readonly Cell[]>;
    },
    async page() {
      const found: (readonly Cell[])[] = [];
      let last = false;
      for (let bytes = 0; found.length < PAGE_ROWS_MAX && bytes < PAGE_BYTES;) {
        const next = await rows!.next();
        last = next.done === true;
        if (last) break;
        // What changes something has no rows, but a count.
        if (!Array.isArray(next.value)) throw new Error("gives no rows: sql_poll takes one SELECT");
        found.push(next.value as readonly Cell[]);
        bytes += cellsSize(next.value as readonly Cell[]);
      }
      if (last) rows = undefined;
      return { columns: (fields ?? []).map(columnOf), rows: found, last };
    },
    async end() {
      // Nobody reads the rest, and nothing else can be said on the connection before it was read.
      if (rows !== undefined) destroy();
      rows = undefined;
      if (usable) await ask("ROLLBACK");
    },
    destroy,
    async close() {
      if (!usable) return;
      await new Promise<void>((resolve) => {
        connection.end(() => resolve());
      });
    },
  };
};

/** Sets what our queries rely on; true for MariaDB. */
async function prepared(ask: (sql: string) => Promise<unknown>, statementMs: number): Promise<boolean> {
  const [version] = (await ask("SELECT VERSION() AS version")) as { readonly version: string }[];
  const mariadb = /mariadb/i.test(version?.version ?? "");
  const limit = mariadb ? `max_statement_time = ${statementMs / 1_000}` : `max_execution_time = ${statementMs}`;
  await ask(`SET SESSION time_zone = '+00:00', SESSION ${limit}`);
  // A statement such as DROP TABLE ends the transaction that it comes in, and with it what holds for that one.
  await ask("SET SESSION TRANSACTION READ ONLY");
  return mariadb;
}

function columnOf(field: FieldPacket): Column {
  const { name, columnType: type = -1 } = field;
  const numeric = NUMBERS.has(type);
  return {
    name,
    numeric,
    value(cell) {
      if (typeof cell === "number") return type === TYPES.float ? shortestFloat(cell) : Number.isFinite(cell) ? cell : String(cell);
      if (typeof cell === "bigint") return exactNumber(String(cell));
      if (typeof cell !== "string") return type === TYPES.bit ? exactNumber(String(BigInt(`0x${Buffer.from(cell).toString("hex") || "0"}`))) : base64(cell);
      if (numeric) return exactNumber(cell);
      // MariaDB keeps JSON as text, and says so beside the type.
      if (type === TYPES.json || field.extendedFormat === "json") return jsonValue(cell);
      return type === TYPES.datetime || type === TYPES.timestamp ? rfc3339(cell) : cell;
    },
  };
}
