import { existsSync } from "node:fs";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clusterProperties, createBroker } from "./kafka_broker.ts";
import type { KafkaInstallation } from "./kafka_install.ts";
import { kafkaTopics } from "./kafka_topics.ts";
import { freePorts } from "./waiting.ts";

/**
 * Makes the archive of the installation, if it is not there: a broker runs for a moment, and its virtual machine writes down the classes
 * that it used. Costs ten seconds once, and saves one at each start of a broker afterwards. Two processes at once: the last one wins.
 */
export async function trainArchive(installation: KafkaInstallation): Promise<void> {
  if (existsSync(installation.archive)) return;
  const folder = await mkdtemp(join(tmpdir(), "sojourn-kafka-"));
  const written = `${installation.archive}.${process.pid}`;
  try {
    const [port, controller] = (await freePorts(2)) as [number, number];
    const addresses = `PLAINTEXT://127.0.0.1:${port}`;
    const properties = {
      ...clusterProperties([controller]),
      "listeners": `${addresses},CONTROLLER://127.0.0.1:${controller}`,
      "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    };
    const broker = await createBroker(installation, { id: 1, folder, port, clientPort: undefined, properties }, [`-XX:ArchiveClassesAtExit=${written}`]);
    await broker.start();
    const topics = kafkaTopics([broker.address]);
    await topics.createTopic("warm");
    await topics.produce("warm", [{ key: "k", value: "v" }]);
    await topics.read("warm");
    await topics.close();
    await broker.kill("SIGTERM");
    await rename(written, installation.archive);
  } finally {
    await rm(written, { force: true });
    await rm(folder, { recursive: true, force: true });
  }
}
