import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { mavenLibraries } from "./kafka_install.ts";
import type { Postgres } from "./postgres.ts";

const POM = fileURLToPath(import.meta.resolve("./debezium_pom.xml"));
const LOG_CHARS_MAX = 20_000;

/** Kafka Connect with connectors of Debezium, running. `await using` ends it. */
export interface Debezium extends AsyncDisposable {
  /** The end of what it logged: why nothing comes. Throws when it has ended. */
  log(): string;
}

/** Settings of a connector by its name, which is the prefix of its topics, too. */
export type Connectors = Readonly<Record<string, Readonly<Record<string, string>>>>;

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * Starts real connectors of Debezium in Kafka Connect (standalone), one for each entry, on the database `database`. Undefined when
 * Java or Maven is missing: then the test was skipped. It does not wait: messages come some seconds later. Topics are created for it.
 */
export async function startDebezium(
  t: TestContext, bootstrap: readonly string[], postgres: Postgres, database: string, connectors: Connectors,
): Promise<Debezium | undefined> {
  const installation = await mavenLibraries("debezium", POM, t);
  if (installation === undefined) return undefined;
  const folder = await mkdtemp(join(tmpdir(), "sojourn-debezium-"));
  const write = async (name: string, settings: Readonly<Record<string, string>>): Promise<string> => {
    const file = join(folder, `${name}.properties`);
    await writeFile(file, Object.entries(settings).map(([key, value]) => `${key}=${value}\n`).join(""));
    return file;
  };
  const worker = await write("worker", {
    "bootstrap.servers": bootstrap.join(","),
    "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "offset.storage.file.filename": join(folder, "offsets"),
    "offset.flush.interval.ms": "500",
    "listeners": "HTTP://127.0.0.1:0",
    // The classes name their plugins themselves: nothing is scanned.
    "plugin.discovery": "service_load",
  });
  const user = new URL(postgres.url(database));
  const files = await Promise.all(Object.entries(connectors).map(([name, settings]) => write(name, {
    "name": name,
    "topic.prefix": name,
    "slot.name": name,
    "publication.name": name,
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "database.hostname": postgres.host,
    "database.port": String(postgres.port),
    "database.user": decodeURIComponent(user.username),
    "database.password": decodeURIComponent(user.password) || "none",
    "database.dbname": database,
    "plugin.name": "pgoutput",
    "topic.creation.default.replication.factor": "1",
    "topic.creation.default.partitions": "1",
    "poll.interval.ms": "20",
    ...settings,
  })));

  let log = "";
  const child = spawn(installation.java, [
    "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-cp", join(installation.libraries, "*"), "org.apache.kafka.connect.cli.ConnectStandalone", worker, ...files,
  ], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  child.once("close", () => running.delete(child));
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => void (log = (log + text).slice(-LOG_CHARS_MAX)));
  }
  return {
    log() {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`Debezium ended: ${log}`);
      return log;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
