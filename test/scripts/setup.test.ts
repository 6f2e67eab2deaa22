import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";

const module = (name: string): string => import.meta.resolve(`../../scripts/${name}`);
const runner = fileURLToPath(module("run.mjs"));

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "sojourn-setup-"));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
}

/** Runs Node; `onOutput` sees everything printed so far. */
async function node(args: readonly string[], onOutput: (pid: number, out: string) => void = () => {}): Promise<Ended> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      out += text;
      onOutput(child.pid!, out);
    });
  }
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  return { code, signal, out };
}

const script = (text: string): string[] => ["--input-type=module", "-e", text];

test("processes that set up at once take turns, also past a lock whose owner was killed", async (t) => {
  const path = await folder(t);
  const lock = join(path, "tools", "lock");
  const counter = join(path, "counter");
  await writeFile(counter, "0");
  const dead = await node(script("console.log(process.pid)"));
  await mkdir(lock, { recursive: true });
  await writeFile(join(lock, "owner"), JSON.stringify({ host: hostname(), pid: Number(dead.out) }));
  const increment = script(`
    import { readFileSync, writeFileSync } from "node:fs";
    import { locked } from "${module("lock.mjs")}";
    await locked(${JSON.stringify(lock)}, async () => {
      const n = Number(readFileSync(${JSON.stringify(counter)}, "utf8"));
      await new Promise((resolve) => setTimeout(resolve, 20));
      writeFileSync(${JSON.stringify(counter)}, String(n + 1));
    }, () => {});`);
  const ended = await Promise.all([1, 2, 3, 4].map(() => node(increment)));
  assert.deepEqual(ended.map(({ code, out }) => [code, out]), Array.from({ length: 4 }, () => [0, ""]));
  assert.equal(await readFile(counter, "utf8"), "4");
  assert.deepEqual(await readdir(join(path, "tools")), []);
});

/** A process that runs `text` as its child, as npm's scripts do. */
function parentOf(text: string): string[] {
  return script(`
    import { runToEnd } from "${module("child.mjs")}";
    process.exitCode = await runToEnd(process.execPath, ["-e", ${JSON.stringify(text)}], { env: process.env });`);
}

test("a task's exit code is the run's, and 128 + its number when a signal ended it", async () => {
  assert.equal((await node(parentOf("process.exit(78)"))).code, 78);
  assert.equal((await node(parentOf("process.kill(process.pid, 'SIGKILL')"))).code, 137);
});

test("SIGTERM is passed on once and its effect awaited; Ctrl-C is left to the terminal, which tells the task itself", async () => {
  const text = `
    for (const s of ["SIGTERM", "SIGINT"]) process.on(s, () => { console.log(s); if (s === "SIGTERM") setTimeout(() => process.exit(3), 100); });
    setInterval(() => {}, 1000); console.log("ready");`;
  let told = false;
  const { code, signal, out } = await node(parentOf(text), (pid, soFar) => {
    if (told || !soFar.includes("ready")) return;
    told = true;
    for (const s of ["SIGINT", "SIGTERM", "SIGTERM"]) process.kill(pid, s);
  });
  assert.deepEqual({ code, signal, out }, { code: 3, signal: null, out: "ready\nSIGTERM\n" });
});

test("an unknown task is wrong usage, and says which there are", async () => {
  const { code, out } = await node([runner, "tset"]);
  assert.equal(code, 2);
  assert.match(out, /unknown task "tset"; there are start, example, bench, chaos, generate, test, check, build/);
});

test("a failing npm is one line that says what to do", async () => {
  const { out } = await node(script(`
    import { npmCi } from "${module("npm_ci.mjs")}";
    const env = { ...process.env, PATH: "/nonexistent" };
    delete process.env.npm_execpath;
    const say = () => {};
    await npmCi({ folder: "/", what: "x", env, help: "", root: "/nonexistent", say }).catch((error) => console.log(error.message));`));
  assert.equal(out, "npm is missing: install it (it comes with Node.js) and run this again\n");
});
