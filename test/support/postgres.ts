import { execFile, spawn, type ChildProcess } from "node:child_process";
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import pg from "pg";
import { postgresBinaries, serverUser, type PostgresVersion } from "./postgres_binaries.ts";
import { freePorts, pause } from "./waiting.ts";

export { POSTGRES_VERSIONS, type PostgresVersion } from "./postgres_binaries.ts";

/** A PostgreSQL that runs. `await using` ends it and removes its data. */
export interface Postgres extends AsyncDisposable {
  /** Major version, as the server says. */
  readonly version: number;
  readonly host: string;
  readonly port: number;
  /** False for a server that `PG_URL` names: it was not ours to start, so it cannot be killed or restarted. */
  readonly own: boolean;
  /** `postgres://user:password@host:port/database`. */
  url(database: string, user?: string, password?: string): string;
  /** Runs SQL as the superuser, one or many statements; the rows of the last one. Columns as `pg` gives them. */
  sql<R extends object = Record<string, unknown>>(database: string, text: string, values?: readonly unknown[]): Promise<R[]>;
  /** A client of its own for transactions; ended with the server. */
  client(database: string): Promise<pg.Client>;
  /** An empty database, dropped with the server; a name of its own unless given. Gives the name. */
  createDatabase(name?: string): Promise<string>;
  /** Stopped at once, as a crash of the server, and started again on the same port. */
  restart(): Promise<void>;
  /** Ends it at once, as a crash; `restart` brings it back. */
  kill(): Promise<void>;
}

/** What a test asks of its server. */
export interface PostgresOptions {
  /** Default 15. */
  readonly version?: PostgresVersion;
  /** Settings beside `wal_level = logical` and `fsync = off`. With any, or with a version, `PG_URL` is not looked at. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Files in the server's data directory, by name, for settings that name them: certificates. */
  readonly files?: Readonly<Record<string, string>>;
  /** The test kills or restarts its server: never use `PG_URL`'s. */
  readonly own?: boolean;
}

/** As anybody connects by TCP: `postgres` is trusted, everyone else needs the password. */
const HBA = ["local all all trust", "host all postgres all trust", "host all all all scram-sha-256"].join("\n");

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGQUIT");
});

/**
 * Starts a real PostgreSQL in some seconds, or takes the one at `PG_URL` (a superuser's, with wal_level = logical). Undefined when
 * it cannot be had: then the test was skipped.
 */
export async function startPostgres(t: Pick<TestContext, "skip">, options: PostgresOptions = {}): Promise<Postgres | undefined> {
  const external = process.env.PG_URL;
  const asked = options.version !== undefined || options.settings !== undefined || options.files !== undefined || options.own === true;
  if (external !== undefined && external !== "" && !asked) return attach(external);
  const binaries = await postgresBinaries(t, options.version ?? 15);
  if (binaries === undefined) return undefined;

  const user = await serverUser();
  const folder = await mkdtemp(join(tmpdir(), "sojourn-postgres-"));
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  const data = join(folder, "data");
  const env = { PATH: process.env.PATH ?? "", LC_ALL: "C", TZ: "UTC" };
  await promisify(execFile)(join(binaries, "initdb"), ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"], { ...user, cwd: folder, env });
  await writeFile(join(data, "pg_hba.conf"), HBA);
  for (const [name, content] of Object.entries(options.files ?? {})) {
    await writeFile(join(data, name), content, { mode: 0o600 });
    if (user !== undefined) await chown(join(data, name), user.uid, user.gid);
  }
  const [port] = (await freePorts(1)) as [number];
  const settings = {
    wal_level: "logical", fsync: "off", full_page_writes: "off", max_replication_slots: "30", max_wal_senders: "30", max_connections: "100",
    shared_buffers: "32MB", listen_addresses: "127.0.0.1", port: String(port), unix_socket_directories: "", ...options.settings,
  };
  let child: ChildProcess | undefined;
  let log = "";

  async function start(): Promise<void> {
    const args = ["-D", data, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
    const started = spawn(join(binaries!, "postgres"), args, { ...user, cwd: folder, env, stdio: ["ignore", "ignore", "pipe"] });
    child = started;
    running.add(started);
    started.stderr.setEncoding("utf8").on("data", (chunk: string) => void (log = (log + chunk).slice(-20_000)));
    started.once("exit", () => running.delete(started));
    for (const end = performance.now() + 30_000; ; await pause(20)) {
      if (started.exitCode !== null) throw new Error(`postgres ended: ${log}`);
      if (await sql("postgres", "SELECT 1").then(() => true, () => false)) return;
      if (performance.now() > end) throw new Error(`postgres does not answer: ${log}`);
    }
  }

  async function kill(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise<void>((resolve) => void child!.once("exit", () => resolve()));
    // Immediate shutdown: no checkpoint, as after a crash, but it takes its shared memory with it.
    child.kill("SIGQUIT");
    const forced = setTimeout(() => child!.kill("SIGKILL"), 5_000);
    await exited;
    clearTimeout(forced);
  }

  const parts = connections(`postgres://postgres@127.0.0.1:${port}`);
  const { sql } = parts;
  await start();
  return {
    ...parts, host: "127.0.0.1", port, own: true, version: options.version ?? 15, kill,
    async restart() {
      await kill();
      await start();
    },
    async [Symbol.asyncDispose]() {
      await parts.end();
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

let databases = 0;

function connections(base: string) {
  const superuser = new URL(base);
  const clients: pg.Client[] = [];
  const made: string[] = [];

  async function open(database: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: url(database) });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  }

  function url(database: string, user?: string, password?: string): string {
    const at = new URL(superuser);
    at.pathname = `/${encodeURIComponent(database)}`;
    if (user !== undefined) {
      at.username = encodeURIComponent(user);
      at.password = encodeURIComponent(password ?? "");
    }
    return at.href;
  }

  async function sql<R extends object = Record<string, unknown>>(database: string, text: string, values?: readonly unknown[]): Promise<R[]> {
    const client = await open(database);
    try {
      const result = (await client.query(text, values === undefined ? undefined : [...values])) as pg.QueryResult<R> | pg.QueryResult<R>[];
      return (Array.isArray(result) ? result.at(-1)! : result).rows;
    } finally {
      await client.end();
    }
  }

  return {
    url, sql, made,
    async client(database: string) {
      const client = await open(database);
      clients.push(client);
      return client;
    },
    async createDatabase(name = `test_${process.pid}_${++databases}`) {
      await sql("postgres", `CREATE DATABASE "${name.replaceAll('"', '""')}"`);
      made.push(name);
      return name;
    },
    end: () => Promise.all(clients.map((client) => client.end().catch(() => undefined))),
  };
}

async function attach(base: string): Promise<Postgres> {
  const parts = connections(base);
  const at = new URL(base);
  const [row] = await parts.sql<{ server_version_num: string }>("postgres", "SHOW server_version_num");
  const notOurs = (): never => {
    throw new Error("PG_URL's server is not ours to stop: ask for one with `own: true`");
  };
  return {
    ...parts, host: at.hostname, port: Number(at.port || 5_432), own: false, version: Math.floor(Number(row!.server_version_num) / 10_000),
    restart: async () => notOurs(),
    kill: async () => notOurs(),
    async [Symbol.asyncDispose]() {
      await parts.end();
      for (const name of parts.made) {
        await parts.sql(name, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database() AND NOT active").catch(() => undefined);
        await parts.sql("postgres", `DROP DATABASE IF EXISTS "${name.replaceAll('"', '""')}" WITH (FORCE)`).catch(() => undefined);
      }
    },
  };
}
