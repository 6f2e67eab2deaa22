import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { assemble } from "../../src/cli/assemble.ts";
import { components } from "../../src/components.ts";
import { loadConfig } from "../../src/config/load.ts";
import { realClock } from "../../src/sdk/clock.ts";
import type { Logger } from "../../src/sdk/log.ts";
import type { Store } from "../../src/sdk/store.ts";
import { sqliteStore } from "../../src/storage/sqlite_store.ts";
import { fakePagerDuty } from "../support/fake_pagerduty.ts";
import { freePorts, pause } from "../support/waiting.ts";

const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");

async function temporary(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "sojourn-store-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function yaml(directory: string, ports: readonly number[], pagerduty = "http://127.0.0.1:9"): string {
  return `version: 1
receivers:
  webhook: { listen: "127.0.0.1:${ports[0]}", path: /orders, id: body.delivery }
processors:
  track: { type: order, id: body.id, state: body.state, states: { failed: { alert: true } } }
exporters:
  pagerduty: { routing_key: "${"k".repeat(32)}", url: "${pagerduty}" }
service:
  api: { listen: "127.0.0.1:${ports[1]}" }
  storage: { directory: "${directory}" }
  pipelines:
    orders: { receivers: [webhook], processors: [track], exporters: [pagerduty] }
`;
}

function start(config: string): { child: ChildProcess; said: () => string; ended: Promise<number | null> } {
  const child = spawn(process.execPath, [MAIN, "run", "--config", config], { stdio: ["ignore", "ignore", "pipe"] });
  let text = "";
  child.stderr!.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  return { child, said: () => text, ended: once(child, "exit").then(([code]) => code as number | null) };
}

test("while the disk is full nothing is acknowledged and nobody is paged, the agent says so, and it goes on when there is room", async () => {
  await using directory = await temporary();
  const pagerduty = await fakePagerDuty();
  const ports = await freePorts(2);
  const config = join(directory.path, "agent.yaml");
  await writeFile(config, yaml(join(directory.path, "state"), ports, pagerduty.url));
  const { wanted, problems } = await loadConfig({ sources: [config], env: {}, definitions: components });
  assert.deepEqual(problems, []);
  const real = sqliteStore({ directory: join(directory.path, "state") });
  let full = false;
  const store: Store = {
    open: (tables) => real.open(tables),
    load: (table, onRows) => real.load(table, onRows),
    read: (table, prefix, rowsMax) => real.read(table, prefix, rowsMax),
    close: () => real.close(),
    commit: (changes) => (full ? Promise.reject(new Error("the disk is full")) : real.commit(changes)),
  };
  const lines: string[] = [];
  const log: Logger = { debug() {}, info: (_, text) => void lines.push(text), warn: (_, text) => void lines.push(text), error: (_, text) => void lines.push(text), child: () => log };
  const { agent, listeners } = assemble({ definitions: components, clock: realClock, store, log, service: wanted.service });
  try {
    await agent.start(wanted);
    full = true;
    let answered = false;
    const body = JSON.stringify({ id: "o1", state: "failed", delivery: "d1" });
    const post = (): Promise<number> =>
      fetch(`http://127.0.0.1:${ports[0]}/orders`, { method: "POST", headers: { "content-type": "application/json" }, body }).then(({ status }) => status);
    const answer = post().then((status) => ((answered = true), status));
    await pause(500);
    const redelivery = post();
    await pause(100);
    assert.equal(answered, false, "it was acknowledged before it was durable");
    assert.deepEqual(pagerduty.events, []);
    assert.equal(agent.services.resources.get("order", "o1")?.state, "failed", "memory shows it all the same");
    assert.ok(agent.degraded.some((reason) => /commit/.test(reason)), agent.degraded.join());
    full = false;
    assert.equal(await answer, 200);
    assert.equal(await redelivery, 200);
    for (let i = 0; i < 100 && pagerduty.events.length === 0; i++) await pause(20);
    assert.equal(pagerduty.incidents.length, 1);
    assert.deepEqual(agent.degraded, []);
    assert.equal(lines.filter((line) => line.includes("the disk is full")).length, 1, lines.join("\n"));
    assert.ok(lines.includes("works again"));
  } finally {
    full = false;
    await agent.stop();
    await listeners.close();
    await pagerduty.close();
  }
});

test("a damaged store is reported in one line and left as it is", async () => {
  await using directory = await temporary();
  const config = join(directory.path, "agent.yaml");
  const state = join(directory.path, "state");
  await mkdir(state);
  await writeFile(join(state, "sojourn.db"), "this is no database, but somebody may want it back");
  await writeFile(config, yaml(state, await freePorts(2)));
  const { said, ended } = start(config);
  assert.equal(await ended, 1);
  assert.match(said(), /^sojourn: .*sojourn\.db.*\n$/);
  assert.equal(await readFile(join(state, "sojourn.db"), "utf8"), "this is no database, but somebody may want it back");
});

test("a second agent on the store says who has it, and leaves the first alone", async () => {
  await using directory = await temporary();
  const state = join(directory.path, "state");
  const configs = ["first.yaml", "second.yaml"].map((name) => join(directory.path, name));
  const ports = await freePorts(4);
  await writeFile(configs[0]!, yaml(state, ports.slice(0, 2)));
  await writeFile(configs[1]!, yaml(state, ports.slice(2)));
  const first = start(configs[0]!);
  try {
    for (let i = 0; i < 300 && !first.said().includes('"ready"'); i++) await pause(50);
    const second = start(configs[1]!);
    assert.equal(await second.ended, 1);
    assert.match(second.said(), new RegExp(`^sojourn: .*${first.child.pid}.*\\n$`));
    const healthy = await fetch(`http://127.0.0.1:${ports[1]}/-/healthy`);
    assert.equal(healthy.status, 200);
  } finally {
    first.child.kill("SIGTERM");
    assert.equal(await first.ended, 0, first.said());
  }
});
