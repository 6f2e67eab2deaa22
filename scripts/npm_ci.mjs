import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const PROGRESS_MS = 5_000;

/** Set-up cannot go on; the message says why and what to do, on one line. */
export class SetupError extends Error {}

const FLAGS = [
  "ci",
  // No package needs its scripts; without them no compiler and no header folder (npm's `nodedir`) matters.
  "--ignore-scripts",
  // Whatever the user's configuration or NODE_ENV says: types, linter and native parts are development needs.
  "--include=dev", "--include=optional", "--no-global", "--no-dry-run", "--engine-strict=false",
  "--prefer-offline", "--fetch-retries=3", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=5000",
  "--no-audit", "--no-fund", "--no-progress", "--no-update-notifier", "--loglevel=error",
];

// What npm says, and what to do about it.
const CAUSES = [
  [/EUSAGE/, "package-lock.json does not fit package.json: run `npm install`, commit both, then this again"],
  [/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED|ERR_SOCKET|network/i,
    "the package registry cannot be reached: connect to the network (or set npm's proxy) and run this again"],
  [/ENOSPC/, "the disk is full: make room and run this again"],
  [/EACCES|EPERM|EROFS/, "no permission to write here: run this as the owner of the clone"],
  [/EINTEGRITY/, "a downloaded package is not the one that was locked: run `npm cache verify`, then this again"],
  [/E40[13]/, "the package registry refuses: look at npm's login for it"],
  [/ETARGET|E404/, "the package registry does not have a locked version: look at which registry npm uses"],
];

/**
 * Installs exactly what the lock file in `folder` says. Progress goes to `say`, everything npm prints to
 * `.tools/setup.log`.
 *
 * @param {{ folder: string, what: string, env: NodeJS.ProcessEnv, help: string, root: string, say: (line: string) => void }} o
 */
export async function npmCi({ folder, what, env, help, root, say }) {
  say(`installing ${what} …`);
  const begin = performance.now();
  const seconds = () => `${((performance.now() - begin) / 1_000).toFixed(0)} s`;
  const tick = setInterval(() => say(`  … still installing, ${seconds()}`), PROGRESS_MS);
  try {
    const { code, output } = await runNpm(folder, env);
    const log = join(root, ".tools", "setup.log");
    mkdirSync(join(root, ".tools"), { recursive: true });
    writeFileSync(log, output);
    if (code !== 0) {
      const cause = CAUSES.find(([pattern]) => pattern.test(output))?.[1] ?? lastError(output, code);
      throw new SetupError(`npm ci failed: ${cause}${help} (details: ${log})`);
    }
    say(`  installed in ${seconds()}`);
  } finally {
    clearInterval(tick);
  }
}

function lastError(output, code) {
  const lines = output.split("\n").filter((line) => /^npm (error|ERR!)/.test(line) && !/complete log/.test(line));
  return (lines[0] ?? `it ended with ${code}`).replace(/^npm (error|ERR!)\s*/, "");
}

function runNpm(folder, env) {
  // The npm that started this script, if one did: it may not be on PATH.
  const cli = /npm-cli\.[cm]?js$/.test(process.env.npm_execpath ?? "") ? process.env.npm_execpath : undefined;
  const windows = process.platform === "win32";
  return new Promise((resolve, reject) => {
    const child = spawn(cli === undefined ? "npm" : "node", cli === undefined ? FLAGS : [cli, ...FLAGS], {
      cwd: folder, env: npmEnvironment(env), stdio: ["ignore", "pipe", "pipe"], shell: windows && cli === undefined,
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (output = (output + text).slice(-200_000)));
    }
    child.on("error", (error) => {
      const missing = error.code === "ENOENT";
      reject(new SetupError(missing ? "npm is missing: install it (it comes with Node.js) and run this again" : `npm cannot be started: ${error.message}`));
    });
    child.on("close", (code, signal) => resolve({ code: code ?? signal, output }));
  });
}

// What the outer npm tells its scripts about its own run says nothing about this one, and npm would warn about nodedir.
function npmEnvironment(env) {
  const outer = /^npm_(package_|lifecycle_|config_(nodedir|node_gyp|local_prefix|prefix|global_prefix|workspace|noproxy$))/i;
  const kept = Object.entries(env).filter(([name, value]) => !outer.test(name) || (/noproxy$/i.test(name) && value !== ""));
  return Object.fromEntries(kept);
}
