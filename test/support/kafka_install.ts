import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { program } from "./prometheus.ts";

const POM = fileURLToPath(import.meta.resolve("./kafka_pom.xml"));

/** What runs a broker. */
export interface KafkaInstallation {
  readonly java: string;
  /** Folder of the jars. */
  readonly libraries: string;
  /** Classes as the JVM keeps them ready: with it a broker starts in half the time. It may not be there yet. */
  readonly archive: string;
}

/**
 * Kafka's jars, from a folder that test runs share (SOJOURN_TEST_CACHE, else ~/.cache/sojourn-test) or, the first time, by Maven.
 * Undefined when Java or Maven is missing and the test was skipped for it; without a test, and in CI, that is an error.
 */
export async function kafkaInstallation(t?: TestContext): Promise<KafkaInstallation | undefined> {
  const found = await mavenLibraries("kafka", POM, t);
  return found && { ...found, archive: `${found.libraries}.jsa` };
}

/** Java, and the jars that a pom.xml asks for. Fetched once, shared as `kafkaInstallation` has it. */
export async function mavenLibraries(name: string, pom: string, t?: TestContext): Promise<Pick<KafkaInstallation, "java" | "libraries"> | undefined> {
  const java = found(t, "java", "openjdk-17-jre-headless");
  if (java === undefined) return undefined;
  const cache = process.env.SOJOURN_TEST_CACHE || join(homedir(), ".cache", "sojourn-test");
  const version = createHash("sha256").update(await readFile(pom)).digest("hex").slice(0, 12);
  const libraries = join(cache, `${name}-${version}`);
  if (!existsSync(libraries)) {
    const maven = found(t, "mvn", "maven");
    if (maven === undefined) return undefined;
    await mkdir(cache, { recursive: true });
    // One process fetches, others wait; what is there is complete, because it was moved there as a whole.
    const script = '[ -d "$2" ] || { rm -rf "$2.part" && "$1" -q -B -f "$3" dependency:copy-dependencies -DoutputDirectory="$2.part" && mv "$2.part" "$2"; }';
    await promisify(execFile)("flock", [`${libraries}.lock`, "sh", "-c", script, "sh", maven, libraries, pom], { maxBuffer: 16 << 20 });
  }
  return { java, libraries };
}

function found(t: TestContext | undefined, name: string, debianPackage: string): string | undefined {
  const missing = (reason = ""): never => {
    throw new Error(reason);
  };
  return program(t ?? ({ skip: missing } as unknown as TestContext), name, debianPackage);
}
