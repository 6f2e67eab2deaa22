import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { components } from "../src/components.ts";
import { folderWith, said, SOJOURN, start } from "./cli/spawn.ts";
import { freePorts } from "./support/waiting.ts";

const root = join(import.meta.dirname, "..");
const PAGES = ["README.md", "src/README.md", "CONTRIBUTING.md", "docs/alerting.md"];
const readme = page("README.md");
const { scripts, version, name } = JSON.parse(page("package.json")) as { scripts: Record<string, string>; version: string; name: string };

function page(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, block]) => block!);
}

const commands = blocks(readme, "sh").flatMap((block) => block.trimEnd().split("\n"));
const [monitor = ""] = blocks(readme, "yaml");
const [printed = ""] = blocks(readme, "text");

/** What differs from run to run: times. */
const timeless = (text: string): string => text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z/g, "TIME").replace(/recovered after \S+\)/, "recovered after …)").trimEnd();

/** Does what curl would do; the shell says what its arguments are. */
async function asked(command: string): Promise<string> {
  const { stdout } = await promisify(execFile)("sh", ["-c", `curl() { printf '%s\\0' "$@"; }; ${command}`]);
  const args = stdout.split("\0").slice(0, -1);
  const after = (flag: string): string | undefined => (args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined);
  const [header = "", value = ""] = after("-H")?.split(":") ?? [];
  const body = after("-d");
  const response = await fetch(args.at(-1)!, body === undefined ? {} : { method: "POST", body, headers: { [header]: value } });
  assert.equal(response.status, 200, `${command}: ${response.status}`);
  return await response.text();
}

test("every link of the pages leads to a file of this clone", () => {
  for (const file of PAGES) {
    for (const [, target] of page(file).matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      assert.ok(existsSync(join(root, dirname(file), target!)), `${file} links to ${target}`);
    }
  }
  for (const { kind, type } of components) assert.ok(readme.includes(`(docs/reference/${kind}_${type}.md)`), `README.md does not list ${type}`);
});

test("every command of the README is one that these tests run, or npm's", () => {
  for (const command of commands) {
    const [, script] = /^npm (?:run )?(start|test|check)$/.exec(command) ?? [];
    const known = script === undefined
      ? /^(?:curl |bin\/sojourn (?:validate|run|print-config|test) --config |npm pack$)/.test(command) || command === `npm install --global ./${name}-${version}.tgz`
      : scripts[script] !== undefined;
    assert.ok(known, `no test runs: ${command}`);
  }
});

test("the README's commands that only read end well, on its own monitor", async () => {
  await using folder = await folderWith({ "orders.yaml": monitor });
  const reading = commands.filter((command) => /^bin\/sojourn (?!run)/.test(command));
  assert.equal(reading.length, 3);
  for (const command of reading) {
    const args = command.split(" ").slice(1).map((arg) => (arg === "orders.yaml" ? join(folder.path, arg) : arg.startsWith("examples/") ? join(root, arg) : arg));
    const { code, out, err } = await said(args);
    assert.equal(code, 0, `${command}\n${out}${err}`);
  }
});

test("the README's agent prints what the README shows, when its requests come", async () => {
  const [webhook, api] = await freePorts(2);
  const moved = (text: string): string => text.replaceAll("127.0.0.1:8081", `127.0.0.1:${webhook}`).replaceAll("127.0.0.1:9465", `127.0.0.1:${api}`);
  await using folder = await folderWith({ "orders.yaml": moved(monitor) });
  const [run] = commands.filter((command) => command.startsWith("bin/sojourn run"));
  const args = [...run!.split(" ").slice(1), "--set", `service.api.listen=127.0.0.1:${api}`, "--set", "service.storage.directory=./state"];
  await using agent = start(args, { cwd: folder.path, bin: SOJOURN });
  await agent.saying(/"ready"/);
  const requests = commands.filter((command) => command.startsWith("curl "));
  assert.equal(requests.length, 3);
  const answers: string[] = [];
  for (const request of requests) {
    answers.push(await asked(moved(request)));
    // The first alert is printed before the order moves on.
    await agent.saying(/FIRING/);
  }
  await agent.saying(/RESOLVED.*\n/);
  assert.equal((JSON.parse(answers[1]!) as { state: string }).state, "pending");
  // The minute may have a second more by the time that the agent looks.
  assert.equal(timeless(agent.out).replaceAll(/\b35m\ds\b/g, "35m"), timeless(printed));
});

test("the unit runs the command on the folder that the README names", async () => {
  const [, args] = /^ExecStart=\/usr\/local\/bin\/sojourn (.*)$/m.exec(page("deploy/systemd/sojourn.service"))!;
  assert.equal(args, "run --config /etc/sojourn");
  assert.ok(readme.includes("`/etc/sojourn`"));
});

const systemd = spawnSync("systemd-analyze", ["--version"]).error === undefined;
test("systemd takes the unit", { skip: systemd ? false : "there is no systemd-analyze here" }, () => {
  const { stderr } = spawnSync("systemd-analyze", ["verify", join(root, "deploy/systemd/sojourn.service")], { encoding: "utf8" });
  const about = stderr.split("\n").filter((line) => line.includes("sojourn.service"));
  // The command need not be installed where the tests run.
  assert.deepEqual(about.filter((line) => !line.includes("/usr/local/bin/sojourn is not executable")), []);
});
