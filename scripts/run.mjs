#!/usr/bin/env node
/**
 * npm's scripts: sets the clone up if need be, then does what was asked with the right Node.js.
 * Usage: node scripts/run.mjs <start|example|test|check|bench|chaos|generate|build> [arguments]
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { runToEnd } from "./child.mjs";
import { root, setUp, SetupError } from "./setup.mjs";

// A test that hangs is a failure, not a wait.
const TEST_TIMEOUT_MS = 120_000;

const script = (file) => (args, tools) => runToEnd(tools.node, [needed(file), ...args], tools);

const tasks = {
  start: script("examples/quickstart/start.ts"),
  example,
  bench: script("bench/run.ts"),
  chaos: script("test/chaos/run.ts"),
  generate: script("scripts/generate.ts"),
  test,
  check,
  build,
};

/** `npm run example order_stuck`; what follows goes to the agent. */
function example([name = "", ...args], tools) {
  const start = (folder) => join("examples", folder, "start.ts");
  const known = readdirSync(join(root, "examples")).filter((folder) => existsSync(join(root, start(folder))));
  if (!known.includes(name)) throw new SetupError(`which example? There are ${known.join(", ")}: npm run example ${known[0]}`);
  return runToEnd(tools.node, [start(name), ...args], tools);
}

/** Tests of these run whole agents as processes; the quick ones run neither those nor other people's servers. */
const SLOW = ["chaos", "cli", "end_to_end", "examples"];
const SERVERS = /\/support\/(?:kafka|postgres|mariadb|debezium)\.ts"/;
const HELPERS = /from "(\.\/[a-z_]+_support\.ts)"/g;

/** What needs no server: done in under a minute. */
function quickTests() {
  const needsServer = (file) => {
    const text = readFileSync(join(root, file), "utf8");
    return SERVERS.test(text) || [...text.matchAll(HELPERS)].some(([, helper]) => needsServer(join(dirname(file), helper)));
  };
  return readdirSync(join(root, "test"), { recursive: true })
    .map((file) => join("test", file))
    .filter((file) => file.endsWith(".test.ts") && !SLOW.includes(file.split(sep)[1]) && !needsServer(file));
}

function test(args, tools) {
  const quick = args[0] === "--quick";
  const given = quick ? args.slice(1) : args;
  const files = given.some((arg) => !arg.startsWith("-")) ? [] : quick ? quickTests() : ["test/**/*.test.ts"];
  // Tests mostly wait for sockets and files: one more at a time than there are cores is faster.
  const concurrency = Math.max(2, (availableParallelism?.() ?? 2) + 1);
  const options = [
    "--import", pathToFileURL(join(root, "scripts", "test_exit.mjs")).href,
    "--test", "--test-reporter=spec", `--test-concurrency=${concurrency}`, `--test-timeout=${TEST_TIMEOUT_MS}`,
  ];
  // A hundred test files load much the same modules: what was compiled once is kept.
  const env = { ...tools.env, NODE_COMPILE_CACHE: join(root, ".cache", "compile") };
  return runToEnd(tools.node, [...options, ...given, ...files], { ...tools, env });
}

/** Types, lint, freshness of generated files, tidiness; every step runs, so that one run shows everything. */
async function check(args, tools) {
  const bin = (...parts) => join("node_modules", ...parts);
  const steps = {
    types: [bin("typescript", "bin", "tsc"), "-p", "."],
    lint: [bin("oxlint", "bin", "oxlint"), "--type-aware", "--deny-warnings"],
    "generated files are fresh": existsSync(join(root, "scripts/generate.ts")) ? ["scripts/generate.ts", "--check"] : undefined,
    tidiness: ["scripts/tidy.ts"],
  };
  const failed = [];
  for (const [name, command] of Object.entries(steps)) {
    if (command === undefined) continue;
    const begin = performance.now();
    const code = await runToEnd(tools.node, command, tools);
    if (code > 128) return code;
    if (code !== 0) failed.push(name);
    say(`${name}: ${code === 0 ? "ok" : "FAILED"} (${((performance.now() - begin) / 1_000).toFixed(1)} s)`);
  }
  if (failed.length > 0) say(`check failed: ${failed.join(", ")}`);
  return failed.length > 0 ? 1 : 0;
}

/** What `npm pack` takes: JavaScript in dist/, of this source and no older one. */
async function build(args, tools) {
  rmSync(join(root, "dist"), { recursive: true, force: true });
  return await runToEnd(tools.node, [join("node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.build.json", ...args], tools);
}

function needed(file) {
  if (!existsSync(join(root, file))) throw new SetupError(`${file} is not in this clone`);
  return file;
}

function say(line) {
  process.stdout.write(`sojourn: ${line}\n`);
}

const [name = "", ...args] = process.argv.slice(2);
if (!Object.hasOwn(tasks, name)) {
  process.stderr.write(`sojourn: unknown task "${name}"; there are ${Object.keys(tasks).join(", ")}\n`);
  process.exitCode = 2;
} else {
  say(name);
  try {
    process.exitCode = await tasks[name](args, { ...(await setUp(say)), cwd: root });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`sojourn: ${error.message}\n`);
    process.exitCode = 1;
  }
}
