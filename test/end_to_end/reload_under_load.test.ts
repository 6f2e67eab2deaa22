import assert from "node:assert/strict";
import { appendFile, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { assemble } from "../../src/cli/assemble.ts";
import { Reloader } from "../../src/cli/reloader.ts";
import { components } from "../../src/components.ts";
import { ConfigLoader } from "../../src/config/load.ts";
import type { Instance } from "../../src/pipeline/instance.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { silentLog } from "../../src/sdk/log.ts";
import { sqliteStore } from "../../src/storage/sqlite_store.ts";
import { freePorts, pause } from "../support/waiting.ts";

const RELOADS = 100;

/** The configuration after so many reloads: what changes is the receivers, a processor, a pipeline, or nothing. */
function main(directory: string, port: number, round: number): string {
  return `version: 1
receivers:
  webhook/changing: { listen: "127.0.0.1:${port}", path: /changing, id: body.delivery, in_flight_max: ${64 + (round >> 2)} }
  webhook/unchanged: { listen: "127.0.0.1:${port}", path: /unchanged, id: body.delivery }
  log_tail: { include: ["${directory}/app.log*"], start_at: beginning, poll_interval: ${20 + ((round >> 3) % 2)}ms }
processors:
  parse: { format: json }
  track: { type: order, id: body.id, state: body.state, sequence: body.seq, attributes: { round: "${round % 8 < 4 ? "body.seq" : "body.seq + 1"}" } }
service:
  pipelines:
    orders: { receivers: [webhook/changing, webhook/unchanged, log_tail], processors: [parse, track], exporters: [] }
${round % 5 === 0 ? "    again: { receivers: [webhook/unchanged], processors: [{ filter: { keep: 'body.seq > 3' } }], exporters: [] }\n" : ""}`;
}

test("a hundred reloads under load lose nothing, repeat nothing, refuse no connection and leave alone what did not change", { timeout: 110_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), "sojourn-reload-"));
  const [port] = await freePorts(1);
  const configs = await mkdtemp(join(tmpdir(), "sojourn-reload-config-"));
  const write = async (name: string, text: string): Promise<void> => {
    await writeFile(join(configs, `.${name}`), text);
    await rename(join(configs, `.${name}`), join(configs, name));
  };
  await write("main.yaml", main(directory, port!, 0));
  const loader = new ConfigLoader({ sources: [configs], env: {}, definitions: components });
  const loaded = await loader.load();
  assert.deepEqual(loaded.problems, []);
  const store = sqliteStore({ directory: join(directory, "state") });
  const { agent, listeners, own } = assemble({ definitions: components, clock: realClock, store, log: silentLog, service: loaded.wanted.service });
  const reloader = new Reloader({ loader, agent, log: silentLog, onApplied: async () => {} });
  let ended = false;
  try {
    await reloader.start(loaded);
    const senders = ["changing", "changing", "unchanged", "unchanged"].map((path, i) => send(`http://127.0.0.1:${port}/${path}`, `w${i}`, () => ended));
    const writer = writeLog(join(directory, "app.log"), () => ended);
    const results = { success: 0, unchanged: 0, rejected: 0, failure: 0 };
    for (let round = 1; round <= RELOADS; round++) {
      const before = agent.graph.instances;
      const kind = round % 4;
      if (kind === 1) await write("main.yaml", main(directory, port!, round));
      else if (kind === 2) await write("broken.yaml", round % 8 === 2 ? "receivers: { webhook/x: { listne: 1 } }" : "a: [");
      else if (kind === 3) await rm(join(configs, "broken.yaml"));
      const { result } = await reloader.reload();
      results[result]++;
      assertKept(before, agent.graph.instances);
      await pause(15);
    }
    ended = true;
    const sent = await Promise.all(senders);
    const lines = await writer;
    const posted = sent.reduce((sum, { orders }) => sum + orders, 0);
    assert.deepEqual({ failure: results.failure, rejected: results.rejected }, { failure: 0, rejected: RELOADS / 4 });
    assert.ok(posted > 300 && lines > 300, `too little happened: ${posted} requests, ${lines} lines`);
    for (const { refused } of sent) assert.deepEqual(refused, []);
    const accepted = (receiver: string): number => own.receiverAccepted.series(receiver).value;
    for (let i = 0; i < 200 && accepted("log_tail") < lines; i++) await pause(50);
    assert.equal(accepted("log_tail"), lines);
    assert.equal(accepted("webhook/changing") + accepted("webhook/unchanged"), posted);
    assert.equal(agent.services.resources.live, lines + posted);
  } finally {
    ended = true;
    await agent.stop();
    await listeners.close();
    await rm(directory, { recursive: true, force: true });
    await rm(configs, { recursive: true, force: true });
  }
});

/** What has the same configuration is the same instance. */
function assertKept(before: ReadonlyMap<string, Instance>, after: ReadonlyMap<string, Instance>): void {
  for (const [key, instance] of before) {
    const now = after.get(key);
    if (now === undefined || now.config.fingerprint !== instance.config.fingerprint) continue;
    assert.equal(now, instance, `${key} was made anew although nothing of it changed`);
  }
}

/** One request after the other, each repeated under the same id until it is taken. Nothing but an answer may come back. */
async function send(url: string, prefix: string, ended: () => boolean): Promise<{ orders: number; refused: string[] }> {
  const refused: string[] = [];
  let orders = 0;
  for (; !ended(); orders++) {
    const body = JSON.stringify({ id: `${prefix}-${orders}`, delivery: `${prefix}-${orders}`, state: "new", seq: orders });
    for (let taken = false; !taken; ) {
      try {
        const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
        await response.text();
        taken = response.ok;
        if (!taken && response.status !== 503) refused.push(`${response.status}`);
      } catch (error) {
        refused.push(String((error as Error).cause ?? error));
      }
    }
  }
  return { orders, refused };
}

async function writeLog(file: string, ended: () => boolean): Promise<number> {
  let lines = 0;
  for (let i = 0; !ended(); i++) {
    const text = Array.from({ length: 10 }, () => `{"id":"l-${lines}","state":"new","seq":${lines++}}\n`).join("");
    await appendFile(file, text);
    if (i % 50 === 49) await rename(file, `${file}.${i}`);
    await pause(5);
  }
  return lines;
}
