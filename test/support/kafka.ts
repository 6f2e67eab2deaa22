import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext } from "node:test";
import { clusterProperties, createBroker, type KafkaBroker } from "./kafka_broker.ts";
import { kafkaTopics, type KafkaTopics } from "./kafka_topics.ts";
import { trainArchive } from "./kafka_archive.ts";
import { kafkaInstallation } from "./kafka_install.ts";
import {
  createScramUser, listenerProperties, makeCertificates, type KafkaCertificates, type KafkaListener,
} from "./kafka_security.ts";

const folders = new Set<string>();
process.once("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** What a test asks of its cluster. With any of it, `KAFKA_BROKERS` is not looked at. */
export interface KafkaOptions extends KafkaListener {
  /** Default 1. Every one is a controller, too: of three, one may be away. */
  readonly brokers?: 1 | 3;
  /** Settings of the brokers, as in server.properties. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The test kills brokers: never use those of `KAFKA_BROKERS`. */
  readonly own?: boolean;
}

/** A Kafka cluster that runs. `await using` ends it and removes its data. */
export interface Kafka extends KafkaTopics, AsyncDisposable {
  /** host:port of each broker, for the client that is tested (with SASL and TLS if asked for). */
  readonly bootstrap: readonly string[];
  /** False for the cluster of `KAFKA_BROKERS`: its brokers cannot be killed. */
  readonly own: boolean;
  /** 1, 2, 3. */
  broker(id: number): KafkaBroker;
  /** PEM files for a client, with `tls`. */
  readonly certificates: KafkaCertificates | undefined;
}

/**
 * Starts a real Apache Kafka (KRaft) in one or two seconds, or takes the one at `KAFKA_BROKERS`. Undefined, and the test was skipped in
 * plain sight, where Java or Maven is missing; without a test, and in CI, that is an error. Topics are not created by themselves.
 */
export async function startKafka(t?: TestContext, options: KafkaOptions = {}): Promise<Kafka | undefined> {
  const external = process.env.KAFKA_BROKERS;
  if (external !== undefined && external !== "" && Object.keys(options).length === 0) return attach(external.split(","));
  const installation = await kafkaInstallation(t);
  if (installation === undefined) return undefined;
  await trainArchive(installation);

  const folder = await mkdtemp(join(tmpdir(), "sojourn-kafka-"));
  folders.add(folder);
  const { brokers: count = 1, sasl, tls, settings } = options;
  const secured = sasl !== undefined || tls !== undefined;
  const ports = await quietPorts(count * 3);
  const certificates = tls === undefined ? undefined : await makeCertificates(folder);
  const protocol = `${sasl === undefined ? "" : "SASL_"}${tls === undefined ? (sasl === undefined ? "" : "PLAINTEXT") : "SSL"}`;
  const cluster = clusterProperties(ports.slice(0, count));
  const brokers = await Promise.all(Array.from({ length: count }, (_, i) => {
    const [port, clientPort] = [ports[count + i]!, secured ? ports[2 * count + i]! : undefined];
    const addresses = `PLAINTEXT://127.0.0.1:${port}${clientPort === undefined ? "" : `,CLIENT://127.0.0.1:${clientPort}`}`;
    const properties = {
      ...cluster,
      "listeners": `${addresses},CONTROLLER://127.0.0.1:${ports[i]}`,
      "advertised.listeners": addresses,
      "listener.security.protocol.map": `PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT${secured ? `,CLIENT:${protocol}` : ""}`,
      ...listenerProperties({ sasl, tls }, folder),
      ...settings,
    };
    return createBroker(installation, { id: i + 1, folder: join(folder, `broker-${i + 1}`), port, clientPort, properties });
  }));

  const topics = kafkaTopics(brokers.map(({ port }) => `127.0.0.1:${port}`));
  async function end(): Promise<void> {
    await topics.close();
    await Promise.all(brokers.map((broker) => broker.kill()));
    await rm(folder, { recursive: true, force: true });
    folders.delete(folder);
  }
  try {
    await Promise.all(brokers.map((broker) => broker.start()));
    if (sasl === "SCRAM-SHA-256" || sasl === "SCRAM-SHA-512") await createScramUser(brokers[0]!.port, sasl);
  } catch (error) {
    await end();
    throw error;
  }
  return {
    ...topics,
    own: true,
    bootstrap: brokers.map(({ address }) => address),
    broker: (id) => brokers[id - 1]!,
    certificates,
    [Symbol.asyncDispose]: end,
  };
}

function attach(bootstrap: readonly string[]): Kafka {
  const topics = kafkaTopics(bootstrap);
  return {
    ...topics,
    own: false,
    bootstrap,
    broker: () => {
      throw new Error("the brokers of KAFKA_BROKERS are not ours to kill: ask for a cluster with `own`");
    },
    certificates: undefined,
    [Symbol.asyncDispose]: () => topics.close(),
  };
}

/**
 * One cluster for a whole test file, started by the first test that asks for it and ended after the last:
 * `const kafka = sharedKafka(); test("…", async (t) => { const cluster = await kafka(t); if (cluster === undefined) return; … })`.
 */
export function sharedKafka(options: KafkaOptions = {}): (t: TestContext) => Promise<Kafka | undefined> {
  let cluster: Promise<Kafka | undefined> | undefined;
  after(async () => {
    await (await cluster?.catch(() => undefined))?.[Symbol.asyncDispose]();
  });
  return async (t) => {
    const found = await (cluster ??= startKafka(t, options));
    if (found === undefined) t.skip("Kafka cannot be had: it needs openjdk-17-jre-headless and maven (Debian)");
    return found;
  };
}

/**
 * Ports that nobody listens on, and that the system does not give out by itself: a broker that was killed must find its port free
 * when it comes back.
 */
async function quietPorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(10_000, 32_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true));
    });
    await new Promise((resolve) => server.close(resolve));
    if (free) ports.add(port);
  }
  return [...ports];
}
