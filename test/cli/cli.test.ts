import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { components } from "../../src/components.ts";
import { freePorts } from "../support/waiting.ts";
import { folderWith, said, sojourn, SOJOURN, start } from "./spawn.ts";

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "..", "..", "package.json"), "utf8")) as { version: string };

const AGENT = `
monitors:
  order:
    from: { webhook: { listen: "127.0.0.1:0", path: /orders } }
    id: body.id
    state: body.status
    states: { failed: { alert: { severity: critical } } }
    notify: { console: {} }
service:
  api: { listen: "127.0.0.1:0" }
  storage: { directory: ./state }
`;

test("--version is the package's, --help names every command and exit code", async () => {
  assert.deepEqual(await sojourn(["--version"]), { code: 0, out: `${version}\n`, err: "" });
  for (const args of [["--help"], ["-h"], ["help"], ["run", "--help"]]) {
    const { code, out, err } = await said(args);
    assert.equal(code, 0);
    assert.equal(err, "");
    for (const word of ["run", "validate", "print-config", "test", "components", "schema", "--config", "--set", "--dry-run", "78"]) {
      assert.ok(out.includes(word), `--help does not say ${word}`);
    }
  }
});

test("wrong usage ends with 2, says what was meant, and writes nothing on standard output", async () => {
  const cases: readonly (readonly [args: string[], says: string])[] = [
    [[], "Commands: run, validate"],
    [["validte"], "did you mean validate?"],
    [["frobnicate"], "there are run, validate"],
    [["run", "--confg", "x"], "did you mean --config?"],
    [["run", "--bogus"], "Unknown option '--bogus'"],
    [["run"], "run needs --config <file or directory>"],
    [["validate"], "validate needs --config <file or directory>"],
    [["validate", "--config"], "--config"],
    [["components", "--dry-run"], "components takes no --dry-run"],
    [["components", "file.yaml"], "components takes no file"],
    [["schema", "--component", "slac"], "did you mean slack?"],
    [["schema", "--component", "frobnicate"], "there are cdc, http_poll"],
  ];
  for (const [args, says] of cases) {
    const { code, out, err } = await said(args);
    assert.deepEqual([code, out], [2, ""], args.join(" "));
    assert.ok(err.startsWith("sojourn: ") && err.includes(says), `${args.join(" ")}: ${err}`);
    assert.ok(err.endsWith("Try: sojourn --help\n"), err);
    assert.equal(err.trimEnd().split("\n").length, 2, err);
  }
  assert.equal((await sojourn(["validte"])).code, 2);
});

test("components lists each with its kind, stability and one line", async () => {
  const { code, out } = await said(["components"]);
  assert.equal(code, 0);
  const [, ...lines] = out.trimEnd().split("\n");
  assert.equal(lines.length, components.length);
  for (const [i, { kind, type, stability, summary }] of components.entries()) {
    assert.match(lines[i]!, new RegExp(`^${kind} +${type} +${stability} +`));
    assert.ok(lines[i]!.endsWith(summary));
  }
});

test("a reader that goes away is no failure", async () => {
  const { stdout, stderr } = await promisify(execFile)("sh", ["-c", `"$0" "$1" schema | head -n 1; "$0" "$1" schema >/dev/null`, process.execPath, SOJOURN]);
  assert.deepEqual([stdout, stderr], ["{\n", ""]);
});

test("run with an invalid file ends with 78 and says every problem", async () => {
  await using folder = await folderWith({ "agent.yaml": AGENT.replace("id: body.id", "id: body.\n    stat: 1") });
  const { code, out, err } = await sojourn(["run", "--config", "agent.yaml"], { cwd: folder.path });
  assert.deepEqual([code, out], [78, ""]);
  assert.match(err, /agent\.yaml:5:\d+ monitors\.order\.id: /);
  assert.match(err, /agent\.yaml:6:5 monitors\.order\.stat: .*did you mean state\?/);
  assert.equal(err.trimEnd().split("\n").length, 2, err);
});

test("run with a taken port ends with 1 and one line that names it", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    await using folder = await folderWith({ "agent.yaml": AGENT });
    for (const setting of [`service.api.listen=127.0.0.1:${port}`, `monitors.order.from.webhook.listen=127.0.0.1:${port}`]) {
      const { code, out, err } = await sojourn(["run", "--config", "agent.yaml", "--set", setting, "--set", "service.log.level=error"], { cwd: folder.path });
      assert.deepEqual([code, out], [1, ""], err);
      assert.equal(err.trimEnd().split("\n").length, 1, err);
      assert.match(err, new RegExp(`127\\.0\\.0\\.1:${port}.*(?:in use|taken)`), setting);
    }
  } finally {
    server.close();
  }
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`run ends with 0 after ${signal}, its log on standard error as JSON lines`, async () => {
    await using folder = await folderWith({ "agent.yaml": AGENT });
    await using agent = start(["run", "--config", "agent.yaml"], { cwd: folder.path });
    const [, api] = await agent.saying(/"api":"(http:\/\/127\.0\.0\.1:[1-9]\d*)".*"ready"/);
    assert.equal((await fetch(`${api}/-/ready`)).status, 200);
    agent.child.kill(signal);
    const { code, out, err } = await agent.ended;
    assert.deepEqual([code, out], [0, ""]);
    const lines = err.trimEnd().split("\n").map((line) => JSON.parse(line) as { level: string; msg: string });
    assert.deepEqual(lines.filter(({ level }) => level !== "info"), []);
    assert.equal(lines.at(-1)!.msg, "stopped");
  });
}

test("a dry run prints the alerts that a real one would send, and leaves no state", async () => {
  const [port] = await freePorts(1);
  const text = AGENT.replace("console: {}", "slack: { webhook_url: http://127.0.0.1:9/secret }").replace("127.0.0.1:0", `127.0.0.1:${port}`);
  await using folder = await folderWith({ "agent.yaml": text });
  await using agent = start(["run", "--dry-run", "--config", "agent.yaml"], { cwd: folder.path });
  await agent.saying(/"ready"/);
  const headers = { "content-type": "application/json" };
  assert.equal((await fetch(`http://127.0.0.1:${port}/orders`, { method: "POST", headers, body: '{"id":"o1","status":"failed"}' })).status, 200);
  await agent.saying(/FIRING +OrderFailed order\/o1/);
  agent.child.kill("SIGTERM");
  assert.equal((await agent.ended).code, 0);
  assert.deepEqual(readdirSync(folder.path), ["agent.yaml"]);
});
