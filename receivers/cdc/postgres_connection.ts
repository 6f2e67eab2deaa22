import type { Client, ClientConfig } from "pg";
import { deadline, type Clock } from "../../src/sdk/clock.ts";
import { databaseSecrets, type Database } from "../../src/sdk/database.ts";
import type { CdcConfig } from "./schema.ts";

const CONNECT_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2_000;

// Values as text that says the same to everybody, whatever the role's or the database's settings are.
const SETTINGS = "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c bytea_output=hex -c extra_float_digits=1";

/** The part of pg's connection that it does not document, and that replication needs. */
export interface RawConnection {
  readonly stream: { pause(): void; resume(): void; destroy(): void; readonly writableLength: number };
  sendCopyFromChunk(chunk: Buffer): void;
  on(event: "copyData", take: (message: { readonly chunk: Buffer }) => void): void;
  once(event: "replicationStart", take: () => void): void;
  end(): void;
}

/** What is connected to, and by whom. */
export interface Address {
  readonly config: CdcConfig;
  readonly database: Database;
  /** Id of the receiver: the server shows it as the application's name. */
  readonly receiver: string;
  readonly clock: Clock;
}

/** Runs one statement, after those before it; gives its rows, columns as text. */
export type Rows = <R extends object>(text: string, values?: readonly unknown[]) => Promise<R[]>;

/** A connection, and how it ended. */
export interface Connected {
  readonly client: Client;
  readonly raw: RawConnection;
  readonly rows: Rows;
  /** Why it cannot be used any longer; undefined as long as it can. */
  readonly broken: () => Error | undefined;
  /** Called once it is broken, at once if it is. */
  onBroken(tell: (error: Error) => void): void;
  /** Says goodbye; takes it away where the server does not answer. Never rejects. */
  close(): Promise<void>;
}

/** Passwords and certificates are read from their files for each connection. Column values come as text. */
export async function connect(at: Address, replication: boolean): Promise<Connected> {
  const { config, database } = at;
  const [{ default: pg }, { password, tls }] = await Promise.all([import("pg"), databaseSecrets(database, config)]);
  const settings: ClientConfig & { readonly replication?: string } = {
    host: database.host,
    port: database.port,
    user: database.user,
    database: database.database,
    // Never from the environment or a file of the process's user: null is taken for none.
    password: () => password ?? "",
    ssl: tls ?? false,
    keepAlive: true,
    application_name: `sojourn ${at.receiver}`,
    options: SETTINGS,
    types: { getTypeParser: () => (value: unknown) => value } as never,
    ...(replication ? { replication: "database" } : {}),
  };
  const client = new pg.Client(settings);
  const raw = (client as unknown as { readonly connection: RawConnection }).connection;
  let broken: Error | undefined;
  let ended = false;
  const told: ((error: Error) => void)[] = [];
  const breaks = (error: Error): void => {
    if (broken !== undefined) return;
    broken = error;
    for (const tell of told.splice(0)) tell(error);
  };
  client.on("error", breaks);
  client.on("end", () => {
    ended = true;
    breaks(new Error("the server closed the connection"));
  });
  const late = deadline(at.clock, CONNECT_TIMEOUT_MS);
  // Not the client's own timer: ours is also virtual.
  late.signal.addEventListener("abort", () => raw.stream.destroy(), { once: true });
  try {
    await client.connect();
  } catch (error) {
    raw.stream.destroy();
    throw late.signal.aborted ? new Error(`the server has not let us in within ${CONNECT_TIMEOUT_MS / 1_000} s`, { cause: error }) : error;
  } finally {
    late.clear();
  }
  let last: Promise<unknown> = Promise.resolve();
  return {
    client, raw,
    // One after the other, whoever asks: the client is about to stop queueing by itself.
    rows<R extends object>(text: string, values: readonly unknown[] = []): Promise<R[]> {
      const result = last.then(async () => (values.length === 0 ? await client.query<R>(text) : await client.query<R>(text, [...values])).rows);
      last = result.catch(() => undefined);
      return result;
    },
    broken: () => broken,
    onBroken: (tell) => (broken === undefined ? void told.push(tell) : tell(broken)),
    async close() {
      if (ended) return;
      // Not the client's own end: with a command under way it would drop what was written last, the acknowledgement.
      raw.end();
      const late = deadline(at.clock, CLOSE_TIMEOUT_MS);
      await new Promise<void>((resolve) => {
        client.once("end", () => resolve());
        late.signal.addEventListener("abort", () => resolve(), { once: true });
      });
      late.clear();
      raw.stream.destroy();
    },
  };
}

/** An identifier as SQL has it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A string as SQL has it, for commands that take no parameters. */
export function literal(text: string): string {
  const escaped = text.replaceAll("'", "''");
  return text.includes("\\") ? ` E'${escaped.replaceAll("\\", "\\\\")}'` : `'${escaped}'`;
}

/** SQLSTATE of what the server refused; undefined for anything else. */
export function sqlState(error: unknown): string | undefined {
  const code = (error as { readonly code?: unknown } | null)?.code;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}
