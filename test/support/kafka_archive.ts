import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clusterProperties, createBroker } from "./kafka_broker.ts";
import type { KafkaInstallation } from "./kafka_install.ts";
import { kafkaTopics } from "./kafka_topics.ts";
import { freePorts } from "./waiting.ts";

const TRAINING_MS_MAX = 180_000;

/**
 * Makes the archive of the installation, if it is not there: a broker runs for a moment, and its virtual machine writes down the classes
 * that it used. Costs ten seconds once, and saves one at each start of a broker afterwards. While another process does so, there is none yet.
 */
export async function trainArchive(installation: KafkaInstallation): Promise<void> {
  const training = `${installation.archive}.training`;
  if (existsSync(installation.archive) || !(await isFirst(training))) return;
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
    await rm(training, { recursive: true, force: true });
    await rm(folder, { recursive: true, force: true });
  }
}

/** True when nobody else is at it; one that has not ended for minutes was killed. */
async function isFirst(folder: string): Promise<boolean> {
  const made = (): Promise<boolean> => mkdir(folder).then(() => true, () => false);
  if (await made()) return true;
  const begun = await stat(folder).then(({ mtimeMs }) => mtimeMs, () => 0);
  if (Date.now() - begun < TRAINING_MS_MAX) return false;
  await rm(folder, { recursive: true, force: true });
  return made();
}
