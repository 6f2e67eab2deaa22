import { connect as connectSocket } from "node:net";
import type { Connection, ConnectionOptions, RowDataPacket } from "mysql2";
import type { CdcConfig } from "./schema.ts";
import { databaseSecrets, type Database } from "../../src/sdk/database.ts";
import { messageOf } from "../../src/sdk/errors.ts";

const CONNECT_TIMEOUT_MS = 10_000;
/** Seconds that the server waits for a client that takes its time, as we do while our own commits are slow. Default there: 60. */
export const SERVER_WAITS_SECONDS = 86_400;

/** Seconds that a connection may be quiet: the one beside the binlog is asked only when a table changes. Default there: 8 hours. */
export const QUIET_SECONDS = 2_000_000;

/** A row by column name; all values as text, so that nothing is rounded. */
export type TextRow = Readonly<Record<string, string | null>>;

/** One connection, for queries in order. */
export interface Client {
  readonly connection: Connection;
  query(sql: string, values?: readonly unknown[]): Promise<TextRow[]>;
  end(): void;
}

/** What both clients need: mysql2 for queries, and the binlog's client built on it. Secrets are read from their files. */
export async function clientOptions(database: Database, config: CdcConfig): Promise<ConnectionOptions> {
  const { password, tls } = await databaseSecrets(database, config);
  const { host, port, user } = database;
  const options: ConnectionOptions = {
    host, port, user, database: database.database, connectTimeout: CONNECT_TIMEOUT_MS, enableKeepAlive: true,
    charset: "utf8mb4", dateStrings: true, timezone: "Z", jsonStrings: true, supportBigNumbers: true, bigNumberStrings: true,
    ...(password === undefined ? {} : { password }),
  };
  if (tls === undefined) return options;
  const { servername, ...rest } = tls;
  const verifyIdentity = rest.rejectUnauthorized !== false;
  // The client takes the name to verify from `host` alone, so another one needs the connection made for it.
  const named = servername === undefined ? {} : { host: servername, stream: () => connectSocket({ host, port }) };
  return { ...options, ...named, ssl: { rejectUnauthorized: true, verifyIdentity, ...rest } as NonNullable<ConnectionOptions["ssl"]> };
}

/** Connects. Times come in UTC and nothing in SQL depends on the server's modes. */
export async function connectClient(options: ConnectionOptions, signal: AbortSignal): Promise<Client> {
  const { createConnection } = await import("mysql2");
  signal.throwIfAborted();
  const connection = createConnection({ ...options, typeCast: (field) => field.string() });
  const end = (): void => {
    signal.removeEventListener("abort", end);
    connection.destroy();
  };
  signal.addEventListener("abort", end);
  // What breaks between queries breaks the next query too.
  connection.on("error", () => undefined);

  function query(sql: string, values: readonly unknown[] = []): Promise<TextRow[]> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error);
      signal.addEventListener("abort", onAbort, { once: true });
      connection.query<RowDataPacket[]>(sql, values as unknown[], (error, rows) => {
        signal.removeEventListener("abort", onAbort);
        if (error === null) resolve((Array.isArray(rows) ? rows : []) as TextRow[]);
        else reject(error);
      });
    });
  }

  try {
    await query("SET SESSION time_zone = '+00:00', sql_mode = '', transaction_isolation = 'REPEATABLE-READ'").catch(async (error: unknown) => {
      // MariaDB before 11.1 has the older name.
      if ((error as { code?: string }).code !== "ER_UNKNOWN_SYSTEM_VARIABLE") throw error;
      await query("SET SESSION time_zone = '+00:00', sql_mode = '', tx_isolation = 'REPEATABLE-READ'");
    });
    await query(`SET SESSION net_write_timeout = ${SERVER_WAITS_SECONDS}, wait_timeout = ${QUIET_SECONDS}`);
  } catch (error) {
    end();
    throw error;
  }
  return { connection, query, end };
}

/** The server no longer has, or never had, what comes after our position. */
export class PositionLostError extends Error {
  override name = "PositionLostError";
}

const LOST = /purged|could not find gtid state|not in the master's binlog|diverged|could not find first log|impossible position|position > file size/i;

/** An error of the server, with what to do about it. */
export function explained(error: unknown, user: string): Error {
  const { errno } = error as { errno?: number };
  const message = messageOf(error);
  const say = (what: string): Error => new Error(`${message}; ${what}`, { cause: error });
  if (/same server_uuid\/server_id/i.test(message)) return say("another replica has our server_id: set `server_id` to one of our own");
  switch (errno) {
    case 1045: case 1698: return say("look at the user and the password of `url`, or at `password_file`");
    case 1227: return say(`grant what it takes: GRANT REPLICATION SLAVE ON *.* TO ${user}`);
    case 1044: case 1142: case 1143: return say(`grant what it takes: GRANT SELECT ON the tables to ${user}`);
    case 1236: return LOST.test(message) ? new PositionLostError(message, { cause: error }) : (error as Error);
    default: return error instanceof Error ? error : new Error(message);
  }
}
