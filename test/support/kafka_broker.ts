import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { existsSync } from "node:fs";
import type { KafkaInstallation } from "./kafka_install.ts";
import { pause } from "./waiting.ts";

const START_SECONDS_MAX = 60;
const CLUSTER_ID = "AAAAAAAAQACAAAAAAAAAAQ";

/** One broker, which is a controller as well. */
export interface KafkaBroker {
  readonly id: number;
  /** Of the plain listener. */
  readonly port: number;
  /** host:port for the client that is tested. */
  readonly address: string;
  readonly running: boolean;
  /** Resolves when the broker serves. On the port and the data it had before. */
  start(): Promise<void>;
  /** SIGKILL, as a power cut; or SIGTERM: it hands its partitions over first. Settled when it has ended. */
  kill(signal?: "SIGKILL" | "SIGTERM"): Promise<void>;
  /** Stops its process where it is, connections open: a broker that hangs. */
  freeze(): void;
  thaw(): void;
}

export interface BrokerPlace {
  readonly id: number;
  readonly folder: string;
  readonly port: number;
  readonly clientPort: number | undefined;
  readonly properties: Readonly<Record<string, string>>;
}

/** The settings of a cluster whose controllers listen at these ports, by broker id. */
export function clusterProperties(controllerPorts: readonly number[]): Readonly<Record<string, string>> {
  const brokers = controllerPorts.length;
  return {
    "process.roles": "broker,controller",
    "controller.quorum.voters": controllerPorts.map((port, i) => `${i + 1}@127.0.0.1:${port}`).join(","),
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    // A broker that was killed comes back only when its former self has lost its session.
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "200",
    "controller.quorum.election.timeout.ms": "300",
    "controller.quorum.election.backoff.max.ms": "100",
    "controller.quorum.fetch.timeout.ms": "1000",
    "offsets.topic.replication.factor": String(Math.min(3, brokers)),
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": String(Math.min(3, brokers)),
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "auto.create.topics.enable": "false",
    "replica.lag.time.max.ms": "3000",
    "log.cleaner.enable": "false",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "background.threads": "2",
  };
}

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A broker in a folder of its own, not yet started. `jvm`: more options of the virtual machine. */
export async function createBroker(kafka: KafkaInstallation, place: BrokerPlace, jvm: readonly string[] = []): Promise<KafkaBroker> {
  const { id, folder, port } = place;
  await mkdir(join(folder, "data"), { recursive: true });
  // What kafka-storage.sh would write; a second and a virtual machine are saved.
  const directory = Buffer.alloc(16, id).toString("base64url");
  await writeFile(join(folder, "data", "meta.properties"), `version=1\ncluster.id=${CLUSTER_ID}\nnode.id=${id}\ndirectory.id=${directory}\n`);
  const file = join(folder, "server.properties");
  const properties = { ...place.properties, "node.id": String(id), "log.dirs": join(folder, "data") };
  await writeFile(file, Object.entries(properties).map(([key, value]) => `${key}=${value}\n`).join(""));
  const archive = existsSync(kafka.archive) && jvm.length === 0 ? [`-XX:SharedArchiveFile=${kafka.archive}`] : [];
  const args = [
    "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", ...archive, ...jvm,
    "-Xlog:disable", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.log.kafka.server.BrokerServer=info",
    "-cp", join(kafka.libraries, "*"), "kafka.Kafka", file,
  ];
  let child: ChildProcess | undefined;

  const alive = (): boolean => child !== undefined && child.exitCode === null && child.signalCode === null;

  async function start(): Promise<void> {
    if (alive()) return;
    const started = spawn(kafka.java, args, { stdio: ["ignore", "ignore", "pipe"] });
    child = started;
    running.add(started);
    started.once("exit", () => running.delete(started));
    let log = "";
    let serves = false;
    started.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      log = (log + chunk).slice(-20_000);
      serves ||= log.includes("Transition from STARTING to STARTED");
    });
    const end = performance.now() + START_SECONDS_MAX * 1_000;
    while (!serves) {
      if (!alive() || performance.now() > end) throw new Error(`broker ${id} did not start: ${log}`);
      await pause(20);
    }
  }

  return {
    id, port, start,
    address: `127.0.0.1:${place.clientPort ?? port}`,
    get running() {
      return alive();
    },
    async kill(signal = "SIGKILL") {
      if (!alive()) return;
      const exited = once(child!, "exit");
      child!.kill(signal);
      await exited;
    },
    freeze: () => void child?.kill("SIGSTOP"),
    thaw: () => void child?.kill("SIGCONT"),
  };
}
