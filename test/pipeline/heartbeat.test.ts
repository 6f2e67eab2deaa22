import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { loadConfig } from "../../src/config/load.ts";
import type { HeartbeatConfig } from "../../src/config/model.ts";
import { Heartbeat, heartbeatOf } from "../../src/pipeline/heartbeat.ts";
import { problemText } from "../../src/pipeline/problems.ts";
import { messageOf } from "../../src/sdk/errors.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { harness, orders } from "../support/agent.ts";
import { fakeServer } from "../support/http_server.ts";
import { until } from "../support/waiting.ts";

const PATH = "/ping/5up3r-s3cr3t-uuid";

/** A heartbeat on virtual time against a real server. */
async function beating(parts: { url?: string; method?: "GET" | "POST"; status?: () => number; committed?: () => Promise<void>; alive?: () => boolean } = {}) {
  const server = await fakeServer((_, response) => response.writeHead(parts.status?.() ?? 200).end("OK"));
  const clock = virtualClock();
  const results: string[] = [];
  const failures: string[] = [];
  let healed = 0;
  const heartbeat = new Heartbeat({
    clock,
    alive: parts.alive ?? (() => true),
    committed: parts.committed ?? (async () => {}),
    onBeat: (result) => void results.push(result),
    onFailed: (error) => void failures.push(messageOf(error)),
    onHealed: () => void healed++,
  });
  const config: HeartbeatConfig = { url: `${parts.url ?? server.url}${PATH}`, interval: "1m", method: parts.method ?? "GET" };
  return {
    server, clock, results, failures, heartbeat, config,
    healed: () => healed,
    /** Time passes, and what was sent is answered. */
    async advance(ms: number, count: number): Promise<void> {
      await clock.advance(ms);
      await until(`${count} beats`, () => results.length >= count);
    },
    async [Symbol.asyncDispose]() {
      await heartbeat.stop();
      await server[Symbol.asyncDispose]();
    },
  };
}

test("the first beat goes out at once, then one for each interval, and none after the end", async () => {
  await using it = await beating();
  it.heartbeat.configure(it.config);
  await it.advance(0, 1);
  await it.advance(59_999, 1);
  assert.equal(it.server.received.length, 1);
  await it.advance(1, 2);
  await it.advance(60_000, 3);
  assert.deepEqual(it.server.received.map(({ method, url }) => `${method} ${url}`), Array(3).fill(`GET ${PATH}`));
  assert.deepEqual(it.results, ["success", "success", "success"]);
  await it.heartbeat.stop();
  it.heartbeat.configure(it.config);
  await it.clock.advance(600_000);
  assert.equal(it.server.received.length, 3);
  assert.equal(it.clock.pending, 0);
  await until("no connection", () => it.server.connections === 0);
});

test("the method is as configured; a changed configuration beats at once, the same one goes on, none ends it", async () => {
  await using it = await beating();
  it.heartbeat.configure(it.config);
  await it.advance(0, 1);
  await it.advance(30_000, 1);
  it.heartbeat.configure({ ...it.config });
  await it.clock.advance(10);
  assert.equal(it.server.received.length, 1, "nothing has changed");
  it.heartbeat.configure({ ...it.config, method: "POST", interval: "10s" });
  await it.advance(0, 2);
  await it.advance(10_000, 3);
  assert.deepEqual(it.server.received.map(({ method }) => method), ["GET", "POST", "POST"]);
  it.heartbeat.configure(undefined);
  await it.clock.advance(600_000);
  assert.equal(it.server.received.length, 3);
});

test("a failed beat is one attempt, counted, told without the URL's path, and heals", async () => {
  let status = 503;
  await using it = await beating({ status: () => status });
  it.heartbeat.configure(it.config);
  await it.advance(0, 1);
  assert.equal(it.server.received.length, 1);
  assert.deepEqual(it.results, ["failure"]);
  assert.match(it.failures[0]!, /heartbeat.*answered 503/);
  assert.ok(!it.failures[0]!.includes("s3cr3t"));
  status = 200;
  await it.advance(60_000, 2);
  assert.deepEqual([it.results, it.healed()], [["failure", "success"], 1]);
});

test("nobody listening, and nobody answering, is told without the URL's path", async () => {
  await using dead = await beating({ url: "http://user:pa55word@127.0.0.1:9" });
  dead.heartbeat.configure(dead.config);
  await dead.advance(0, 1);
  assert.match(dead.failures[0]!, /heartbeat.*ECONNREFUSED/);
  assert.ok(!/s3cr3t|pa55word/.test(dead.failures[0]!));

  await using silent = await fakeServer(() => {});
  await using it = await beating({ url: silent.url });
  it.heartbeat.configure(it.config);
  await until("asked", () => silent.received.length === 1);
  await it.advance(10_000, 1);
  assert.match(it.failures[0]!, /timed out/);
  assert.ok(!it.failures[0]!.includes("s3cr3t"));
});

test("while nothing can be committed no beat is sent, and no call piles up; afterwards there is one again", async () => {
  let calls = 0;
  let release = (): void => {};
  let hangs = true;
  await using it = await beating({
    committed: () => {
      calls++;
      return hangs ? new Promise<void>((resolve) => (release = resolve)) : Promise.resolve();
    },
  });
  it.heartbeat.configure(it.config);
  await it.advance(600_000, 10);
  assert.deepEqual([calls, it.server.received.length, new Set(it.results)], [1, 0, new Set(["skipped"])]);
  hangs = false;
  release();
  await until("a beat", () => it.results.includes("success"));
  assert.equal(it.server.received.length, 1);
});

test("an agent that is not alive is silent", async () => {
  let alive = false;
  await using it = await beating({ alive: () => alive });
  it.heartbeat.configure(it.config);
  await it.advance(120_000, 3);
  assert.equal(it.server.received.length, 0);
  alive = true;
  await it.advance(60_000, 4);
  assert.equal(it.server.received.length, 1);
});

test("of a whole agent: it beats while its store takes commits, not while it does not, and not when it has stopped", async () => {
  await using server = await fakeServer((_, response) => response.end());
  await using it = await harness(orders());
  const heartbeat = heartbeatOf(it.now.agent, it.clock, (result) => it.now.own.heartbeats.series(result));
  const count = (result: string): number => it.now.own.heartbeats.series(result).value;
  heartbeat.configure({ url: `${server.url}${PATH}`, interval: "1m", method: "GET" });
  await it.advance(5_000);
  await until("the first beat", () => count("success") === 1);
  const real = it.store.commit.bind(it.store);
  it.store.commit = async () => { throw new Error("disk full"); };
  void it.receiver("feed").emit([], { offset: 1 }).catch(() => {});
  await it.advance(300_000);
  assert.equal(count("success"), 1);
  assert.ok(count("skipped") >= 3, String(count("skipped")));
  it.store.commit = real;
  // The store is tried again within seconds; the answer takes real time, in which the beat must not time out.
  await it.advance(8_000);
  await until("beats again", () => count("success") >= 2);
  await it.stop();
  const sent = server.received.length;
  await it.advance(300_000);
  assert.equal(server.received.length, sent);
  await heartbeat.stop();
});

const CONFIG = (heartbeat: string): string => `
version: 1
receivers: { webhook: { listen: "127.0.0.1:0", path: /x } }
exporters: { console: {} }
service:
  api: { listen: "127.0.0.1:0" }
  heartbeat: ${heartbeat}
  pipelines: { p: { receivers: [webhook], exporters: [console] } }
`;

async function folder(): Promise<{ path: string; [Symbol.asyncDispose](): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "sojourn-heartbeat-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

test("a configuration that cannot work is refused where it is written; the URL is never shown", async () => {
  const { components } = await import("../../src/components.ts");
  await using at = await folder();
  const file = join(at.path, "a.yaml");
  const load = async (heartbeat: string) => {
    await writeFile(file, CONFIG(heartbeat));
    return loadConfig({ sources: [file], env: {}, definitions: components });
  };
  const problems = async (heartbeat: string): Promise<string> => (await load(heartbeat)).problems.map(problemText).join("\n");
  for (const url of ["ftp://h/5up3r", "hc-ping/5up3r", "5up3r"]) {
    const said = await problems(`{ url: "${url}" }`);
    assert.match(said, /service\.heartbeat\.url: is no URL .*allowed: http and https/);
    assert.ok(!said.includes("5up3r"));
  }
  assert.match(await problems("{ url: https://h/x, interval: 10ms }"), /service\.heartbeat\.interval: is too short; allowed: at least 1s/);
  assert.match(await problems("{ interval: 1m }"), /heartbeat.*url/);
  assert.match(await problems("{ url: https://h/x, method: DELETE }"), /heartbeat\.method/);
  const { wanted } = await load(`{ url: "https://hc-ping.com${PATH}" }`);
  assert.deepEqual(wanted.service.heartbeat, { url: `https://hc-ping.com${PATH}`, interval: "1m", method: "GET" });
  assert.ok(!JSON.stringify(wanted.serviceRedacted).includes("s3cr3t"));
});

test("sojourn run beats, with another URL after a reload; a dry run does not", { timeout: 60_000 }, async () => {
  await using server = await fakeServer((_, response) => response.end());
  await using at = await folder();
  const file = join(at.path, "a.yaml");
  const run = async (more: readonly string[], ready: () => Promise<void>): Promise<void> => {
    const child = spawn(process.execPath, [join(import.meta.dirname, "../../src/main.ts"), "run", "--config", file, ...more], {
      env: { ...process.env, STATE_DIRECTORY: join(at.path, "state") }, stdio: ["ignore", "pipe", "pipe"],
    });
    const exit = new Promise((resolve) => void child.once("exit", resolve));
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
    try {
      await until("ready", () => output.includes('"ready"') || /\bready\b/.test(output));
      await ready();
      child.kill("SIGTERM");
      assert.equal(await exit, 0, output);
      assert.ok(!/first-secret|second-secret/.test(output));
    } finally {
      child.kill("SIGKILL");
    }
  };
  await writeFile(file, CONFIG(`{ url: "${server.url}/first-secret" }`));
  await run(["--dry-run"], async () => {});
  assert.equal(server.received.length, 0);
  await run([], async () => {
    await until("a beat", () => server.received.length === 1);
    await writeFile(file, CONFIG(`{ url: "${server.url}/second-secret" }`));
    await until("a beat of the new configuration", () => server.received.length === 2);
  });
  assert.deepEqual(server.received.map(({ url }) => url), ["/first-secret", "/second-secret"]);
});
