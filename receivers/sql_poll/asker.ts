import { deadline, type Clock } from "../../src/sdk/clock.ts";
import type { Database } from "../../src/sdk/database.ts";
import type { TlsConfig } from "../../src/sdk/tls.ts";
import { connectMysql } from "./mysql.ts";
import { connectPostgres } from "./postgres.ts";
import type { Column, Connect, Page, Param, Session } from "./session.ts";
import { connectSqlite } from "./sqlite.ts";

const CONNECT: Readonly<Record<Database["kind"], Connect>> = { postgres: connectPostgres, mysql: connectMysql, sqlite: connectSqlite };
/** So much longer than the server we wait: what it says of a query that it gave up is better than our silence. */
const GRACE_MS = 1_000;

export interface AskerOptions {
  readonly database: Database;
  readonly password_file: string | undefined;
  readonly tls: TlsConfig | undefined;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Asks one database; keeps one connection, and makes another when it is lost. */
export interface Asker {
  /** OpenTelemetry's `db.system.name`, as far as it is known. */
  readonly system: string;
  /**
   * Runs the query and hands on its pages, in order and never empty but the first, until the last one or until `take` gives false. True:
   * that was all. Rejects with what the database said.
   */
  read(sql: string, params: readonly Param[], take: (page: Page) => Promise<boolean>): Promise<boolean>;
  close(): Promise<void>;
}

export function createAsker({ database, password_file, tls, timeoutMs, clock, signal }: AskerOptions): Asker {
  let session: Session | undefined;
  let system = database.kind === "postgres" ? "postgresql" : database.kind;

  /** Waits for what the database does, no longer than it may take. */
  async function limited<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const limit = deadline(clock, timeoutMs + GRACE_MS, signal);
    const aborted = Promise.withResolvers<never>();
    const onAbort = (): void => {
      session?.destroy();
      aborted.reject(signal.aborted ? signal.reason : new Error(`no answer within ${timeoutMs / 1_000}s`));
    };
    limit.signal.addEventListener("abort", onAbort, { once: true });
    if (limit.signal.aborted) onAbort();
    try {
      return await Promise.race([run(limit.signal), aborted.promise]);
    } finally {
      limit.signal.removeEventListener("abort", onAbort);
      limit.clear();
      aborted.promise.catch(() => undefined);
    }
  }

  async function connected(): Promise<Session> {
    const made = await limited((until) => CONNECT[database.kind]({ database, password_file, tls, statementMs: timeoutMs, signal: until }));
    if (signal.aborted) made.destroy();
    signal.throwIfAborted();
    system = made.system;
    return made;
  }

  async function begun(sql: string, params: readonly Param[]): Promise<Session> {
    const kept = session?.usable === true ? session : undefined;
    const used = kept ?? (session = await connected());
    try {
      await limited(() => used.begin(sql, params));
      return used;
    } catch (error) {
      // A kept connection may have died in its sleep: that is no failure yet.
      if (kept === undefined || kept.usable || signal.aborted) throw error;
      session = undefined;
      return begun(sql, params);
    }
  }

  async function ended(): Promise<void> {
    const used = session;
    if (used?.usable !== true) return;
    try {
      await limited(() => used.end());
    } catch {
      used.destroy();
    }
  }

  return {
    get system() {
      return system;
    },
    async read(sql, params, take) {
      try {
        const used = await begun(sql, params);
        for (;;) {
          const page = await limited(() => used.page());
          checkColumns(page.columns);
          if (!(await take(page))) return false;
          if (page.last) return true;
        }
      } catch (error) {
        if (signal.aborted) throw error;
        throw new Error(database.label, { cause: error });
      } finally {
        await ended();
      }
    },
    async close() {
      const used = session;
      session = undefined;
      if (used === undefined) return;
      // The signal is aborted by now, and nobody waits for a server that does not say goodbye.
      used.destroy();
      await used.close();
    },
  };
}

/** A body has a name once; one of two columns with the same name would be lost without a word. */
function checkColumns(columns: readonly Column[]): void {
  const names = new Set<string>();
  for (const { name } of columns) {
    if (name === "__proto__") throw new Error("a column is named __proto__: name it with AS");
    if (names.has(name)) throw new Error(`two columns are named ${name}: name one of them with AS`);
    names.add(name);
  }
}
