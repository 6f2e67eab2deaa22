import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { after, type TestContext } from "node:test";
import { promisify } from "node:util";
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise";
import { program } from "./prometheus.ts";
import { freePorts, pause } from "./waiting.ts";

const START_SECONDS_MAX = 30;
const USER = "sojourn";
const PASSWORD = "s3cret-pa55";

/** Settings of mariadbd, as on its command line and without the dashes: `{"binlog-format": "MIXED"}`. `null` leaves a default of ours away. */
export type MariadbSettings = Readonly<Record<string, string | number | null>>;

const SETTINGS: MariadbSettings = {
  "server-id": 1, "log-bin": "binlog", "binlog-format": "ROW", "binlog-row-image": "FULL", "binlog-row-metadata": "FULL",
  "innodb-log-file-size": "8M", "innodb-buffer-pool-size": "32M", "innodb-flush-log-at-trx-commit": 1, "sync-binlog": 1,
  "character-set-server": "utf8mb4", "performance-schema": "OFF", "default-time-zone": "+00:00",
};

/** A MariaDB server. `await using` ends it and removes its data; of one that is not ours it drops the databases made here. */
export interface Mariadb extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** False for the server of `MYSQL_URL`: it cannot be stopped. */
  readonly ours: boolean;
  /** `mysql://user:password@host:port/database`. */
  url(database: string, user?: string, password?: string): string;
  /** Runs one statement on a connection kept for this, as a user who may do anything, and gives its rows. */
  query<Row = Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Another connection, which the caller ends. */
  connect(database?: string): Promise<Connection>;
  /** An empty database with a name of its own: `base_1`, … */
  createDatabase(base?: string): Promise<string>;
  /** Begins a new binlog file and removes all before it. */
  purgeBinlogs(): Promise<void>;
  /** SIGKILL, as a power cut. */
  kill(): Promise<void>;
  /** Starts it again on its port and data; stops it in good order first, unless `kill` has. */
  restart(settings?: MariadbSettings): Promise<void>;
}

/**
 * Starts a MariaDB of its own on a free port, with an empty data directory (its installation takes under a second). ROW binlog with full metadata.
 * Undefined, and the test is skipped in plain sight, where there is none (in CI it fails). `MYSQL_URL` names one to use instead.
 */
export async function startMariadb(t: Pick<TestContext, "skip">, { settings = {} }: { readonly settings?: MariadbSettings } = {}): Promise<Mariadb | undefined> {
  const given = process.env.MYSQL_URL;
  if (given !== undefined) return mariadbAt(new URL(given));
  const installer = program(t, "mariadb-install-db", "mariadb-server");
  // Debian has the server where a user's PATH does not look.
  process.env.PATH = `${process.env.PATH ?? ""}:/usr/sbin`;
  const server = installer === undefined ? undefined : program(t, "mariadbd", "mariadb-server");
  if (installer === undefined || server === undefined) return undefined;
  const folder = await mkdtemp(join(tmpdir(), "sojourn-mariadb-"));
  const data = join(folder, "data");
  // Whoever runs the tests owns the data: mariadbd takes root as well, when it is told.
  const owner = `--user=${userInfo().username}`;
  await promisify(execFile)(installer, [
    "--no-defaults", owner, `--datadir=${data}`, "--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=8M",
  ]);
  const init = join(folder, "init.sql");
  await writeFile(init, [
    "SET sql_log_bin = 0;",
    `CREATE USER IF NOT EXISTS '${USER}'@'%' IDENTIFIED BY '${PASSWORD}';`,
    `GRANT ALL ON *.* TO '${USER}'@'%' WITH GRANT OPTION;`,
    "SET sql_log_bin = 1;",
  ].join("\n"));
  const [port] = await freePorts(1);
  let child: ChildProcess | undefined;
  let wanted: MariadbSettings = settings;

  async function start(): Promise<void> {
    const options = Object.entries({ ...SETTINGS, ...wanted }).filter(([, value]) => value !== null).map(([name, value]) => `--${name}=${value}`);
    const started = spawn(server!, [
      "--no-defaults", owner, `--datadir=${data}`, `--socket=${join(folder, "socket")}`, `--port=${port}`, "--bind-address=127.0.0.1",
      "--skip-name-resolve", `--init-file=${init}`, ...options,
    ], { stdio: ["ignore", "ignore", "pipe"] });
    child = started;
    let log = "";
    started.stderr.setEncoding("utf8").on("data", (chunk: string) => void (log = (log + chunk).slice(-10_000)));
    const end = performance.now() + START_SECONDS_MAX * 1_000;
    while (!log.includes("ready for connections")) {
      if (started.exitCode !== null || performance.now() > end) throw new Error(`mariadbd did not start: ${log}`);
      await pause(20);
    }
  }

  async function stop(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }

  // Also when the test's process ends before it comes to `Symbol.asyncDispose`.
  process.once("exit", () => child?.kill("SIGKILL"));
  await start();
  const url = new URL(`mysql://${USER}:${PASSWORD}@127.0.0.1:${port}/`);
  return mariadbAt(url, {
    kill: () => stop("SIGKILL"),
    async restart(next = wanted) {
      await stop("SIGTERM");
      wanted = next;
      await start();
    },
    async end() {
      await stop("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  });
}

interface Control {
  kill(): Promise<void>;
  restart(settings?: MariadbSettings): Promise<void>;
  end(): Promise<void>;
}

function mariadbAt(at: URL, control?: Control): Mariadb {
  const user = decodeURIComponent(at.username);
  const password = decodeURIComponent(at.password);
  const host = at.hostname;
  const port = at.port === "" ? 3_306 : Number(at.port);
  const made: string[] = [];
  let connection: Connection | undefined;

  const connect = (database?: string): Promise<Connection> =>
    createConnection({ host, port, user, password, charset: "utf8mb4", ...(database === undefined ? {} : { database }) });

  async function kept(): Promise<Connection> {
    if (connection === undefined) {
      connection = await connect();
      // A server that is killed takes it along; the next query makes another.
      connection.on("error", () => void (connection = undefined));
    }
    return connection;
  }

  function drop(): void {
    connection?.destroy();
    connection = undefined;
  }

  function notOurs(): never {
    throw new Error("the server of MYSQL_URL is not ours to stop: look at `ours` first");
  }

  const mariadb: Mariadb = {
    host, port, user, password, ours: control !== undefined, connect,
    url: (database, name = user, secret = password) =>
      `mysql://${encodeURIComponent(name)}:${encodeURIComponent(secret)}@${host}:${port}/${encodeURIComponent(database)}`,
    async query<Row>(sql: string, values: readonly unknown[] = []) {
      const [rows] = await (await kept()).query<RowDataPacket[]>(sql, values as unknown[]);
      return (Array.isArray(rows) ? rows : []) as unknown as Row[];
    },
    async createDatabase(base = "shop") {
      const name = `${base}_${control === undefined ? `${process.pid}_` : ""}${made.length + 1}`;
      await mariadb.query(`CREATE DATABASE \`${name}\``);
      made.push(name);
      return name;
    },
    async purgeBinlogs() {
      await mariadb.query("FLUSH BINARY LOGS");
      const logs = await mariadb.query<{ Log_name: string }>("SHOW BINARY LOGS");
      await mariadb.query(`PURGE BINARY LOGS TO '${logs.at(-1)!.Log_name}'`);
    },
    async kill() {
      await (control ?? notOurs()).kill();
      drop();
    },
    async restart(settings) {
      drop();
      await (control ?? notOurs()).restart(settings);
    },
    async [Symbol.asyncDispose]() {
      if (control === undefined) for (const name of made) await mariadb.query(`DROP DATABASE IF EXISTS \`${name}\``);
      drop();
      await control?.end();
    },
  };
  return mariadb;
}

/**
 * One server for a whole test file, started by the first test that asks for it and ended after the last:
 * `const mariadb = sharedMariadb(); test("…", async (t) => { const server = await mariadb(t); if (server === undefined) return; … })`.
 */
export function sharedMariadb(options: { readonly settings?: MariadbSettings } = {}): (t: TestContext) => Promise<Mariadb | undefined> {
  let server: Promise<Mariadb | undefined> | undefined;
  after(async () => {
    await (await server?.catch(() => undefined))?.[Symbol.asyncDispose]();
  });
  return async (t) => {
    const found = await (server ??= startMariadb(t, options));
    if (found === undefined) t.skip("MariaDB is not installed (Debian: apt-get install mariadb-server)");
    return found;
  };
}
