import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { freePorts } from "../support/waiting.ts";
import { sojourn, start, type SpawnOptions } from "./spawn.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = realpathSync(mkdtempSync(join(tmpdir(), "sojourn-package-")));
const installed = join(folder, "elsewhere", "node_modules", "sojourn");
after(() => rmSync(folder, { recursive: true, force: true }));

const { version, dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string; dependencies: Record<string, string> };

/** The installed command, away from the clone: nothing of the clone's environment leads back to it. */
const options: SpawnOptions = { cwd: join(folder, "elsewhere"), bin: join(installed, "bin", "sojourn"), env: { NODE_PATH: "" } };

/**
 * Builds, packs, and unpacks into the node_modules of an empty folder that has nothing else but the dependencies that
 * package.json declares. That is what npm would install, without asking a registry.
 */
before(() => {
  const source = join(folder, "source");
  for (const name of ["package.json", "README.md", "LICENSE", "bin"]) cpSync(join(root, name), join(source, name), { recursive: true });
  const built = spawnSync(process.execPath, [join("node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.build.json", "--outDir", join(source, "dist")], { cwd: root, encoding: "utf8" });
  assert.equal(built.status, 0, `the build failed:\n${built.stdout}${built.stderr}`);
  // Its scripts would build again, from what is not there.
  const packed = execFileSync("npm", ["pack", "--ignore-scripts", "--json"], { cwd: source, encoding: "utf8" });
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["-xzf", join(source, filename), "-C", installed, "--strip-components=1"]);
  rmSync(source, { recursive: true });
  for (const name of Object.keys(dependencies)) {
    const at = join(folder, "elsewhere", "node_modules", name);
    mkdirSync(dirname(at), { recursive: true });
    symlinkSync(join(root, "node_modules", name), at, "junction");
  }
});

test("the package holds the program, its licence and its README, and nothing of tests or sources", () => {
  for (const file of ["bin/sojourn", "dist/src/main.js", "dist/src/storage/sqlite_worker.js", "dist/receivers/webhook.js", "LICENSE", "README.md", "package.json"]) {
    assert.ok(existsSync(join(installed, file)), `${file} is missing`);
  }
  const files = globSync("**/*.*", { cwd: installed });
  assert.deepEqual(files.filter((file) => /(?:^|\/)(?:test|bench|examples|scripts|src)\//.test(file.replace(/^dist\/src\//, "dist/"))), []);
  assert.deepEqual(files.filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts")), []);
});

test("the installed command knows its version and its components, and checks a file", async () => {
  assert.deepEqual(await sojourn(["--version"], options), { code: 0, out: `${version}\n`, err: "" });
  writeFileSync(join(folder, "elsewhere", "good.yaml"), agent(0));
  assert.deepEqual(await sojourn(["validate", "--config", "good.yaml"], options), { code: 0, out: "ok: 1 file, 1 pipeline, 8 components\n", err: "" });
  writeFileSync(join(folder, "elsewhere", "bad.yaml"), agent(0).replace("path:", "pth:"));
  assert.equal((await sojourn(["validate", "--config", "bad.yaml"], options)).code, 78);
});

test("the installed agent keeps its state over a restart, in SQLite", async () => {
  const [port] = await freePorts(1);
  writeFileSync(join(folder, "elsewhere", "agent.yaml"), agent(port!));
  {
    await using first = start(["run", "--config", "agent.yaml"], options);
    await first.saying(/"ready"/);
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`http://127.0.0.1:${port}/orders`, { method: "POST", headers, body: '{"id":"o1","status":"failed"}' });
    assert.equal(answer.status, 200);
    await first.saying(/FIRING +OrderFailed order\/o1/);
    first.child.kill("SIGTERM");
    assert.equal((await first.ended).code, 0, first.err);
  }
  await using second = start(["run", "--config", "agent.yaml"], options);
  const [, api] = await second.saying(/"api":"(http:\/\/127\.0\.0\.1:\d+)".*"ready"/);
  const resource = (await (await fetch(`${api}/api/v1/resources/order/o1`)).json()) as { state: string };
  assert.equal(resource.state, "failed");
  second.child.kill("SIGTERM");
  assert.equal((await second.ended).code, 0, second.err);
  assert.ok(!second.out.includes("FIRING"), "the alert was sent again");
});

/** Every component that needs nothing outside; what is loaded only when it starts is in the package, too. */
function agent(port: number): string {
  return `
monitors:
  order:
    from: [{ webhook: { listen: "127.0.0.1:${port}", path: /orders } }, { log_tail: { include: [./*.log] } }]
    processors: [{ parse: { format: json } }]
    id: body.id
    state: body.status
    states: { failed: { alert: true } }
    rules: [{ alert: OrderTooLarge, expr: self.state == "huge" }]
    notify: [console: {}, prometheus: { listen: "127.0.0.1:0" }, otlp: { endpoint: "http://127.0.0.1:9", interval: 1h, timeout: 1s }]
service:
  api: { listen: "127.0.0.1:0" }
  storage: { directory: ./state }
`;
}
