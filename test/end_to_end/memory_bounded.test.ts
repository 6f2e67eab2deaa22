import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { peakRssBytes } from "../../bench/measure.ts";
import { generate } from "../../bench/tail_json/generate.ts";
import { fakeSlack } from "../support/fake_slack.ts";
import { freePorts, pause } from "../support/waiting.ts";

const LINES = 300_000;
// Enough for the state of 100,000 orders, far too little for 300,000 observations: an agent that kept what nobody takes would die.
const HEAP_MB_MAX = 192;

test("memory stays bounded while a source runs at full speed and nobody takes what is exported", { timeout: 110_000, skip: process.platform === "linux" ? false : "reads /proc" }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "sojourn-memory-"));
  const slack = await fakeSlack();
  slack.failNext(...Array.from({ length: 1_000 }, () => ({ kind: "silence" }) as const));
  const [metrics, api] = await freePorts(2);
  const file = join(directory, "app.log");
  await generate(file, LINES, { nested: false, matching: 1 });
  const config = join(directory, "agent.yaml");
  await writeFile(config, `version: 1
receivers:
  log_tail: { include: ["${file}"], start_at: beginning }
processors:
  parse: { format: json }
  track: { type: order, id: body.order_id, state: body.new_status, time: body.time, states: { failed: { alert: true } } }
exporters:
  console: { observations: true }
  slack: { webhook_url: "${slack.url}" }
  prometheus: { listen: "127.0.0.1:${metrics}" }
service:
  api: { listen: "127.0.0.1:${api}" }
  storage: { directory: "${directory}/state" }
  pipelines:
    orders: { receivers: [log_tail], processors: [parse, track], exporters: [console, slack, prometheus] }
`);
  // Its standard output is a pipe that is never read.
  const agent = spawn(process.execPath, [join(import.meta.dirname, "..", "..", "src", "main.ts"), "run", "--config", config], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_OPTIONS: `--max-old-space-size=${HEAP_MB_MAX}` },
  });
  let said = "";
  agent.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const exited = once(agent, "exit");
  try {
    const value = (page: string, series: string): number => Number(page.split("\n").find((line) => line.startsWith(series))?.split(" ").at(-1) ?? 0);
    let page = "";
    for (let i = 0; i < 900; i++) {
      assert.equal(agent.exitCode, null, said);
      page = await fetch(`http://127.0.0.1:${metrics}/metrics`).then((response) => response.text(), () => "");
      // Rules are judged once the file has been read to its end.
      if (value(page, 'sojourn_receiver_accepted_observations_total{receiver="log_tail"}') === LINES && value(page, 'sojourn_alerts{alertname="OrderFailed",alertstate="firing"') > 1_000) break;
      await pause(100);
    }
    assert.equal(value(page, 'sojourn_receiver_accepted_observations_total{receiver="log_tail"}'), LINES, `the blocked exporters held up the pipeline: ${said}`);
    assert.ok(value(page, 'sojourn_exporter_dropped_observations_total{exporter="console",reason="queue_full"}') > LINES / 2, "the exporter was not blocked");
    assert.ok(value(page, 'sojourn_alerts{alertname="OrderFailed",alertstate="firing"') > 1_000);
    const waiting = value(page, 'sojourn_outbox_notifications{exporter="slack"}');
    assert.ok(waiting > 0 && waiting <= 50, `${waiting} messages wait for Slack: it was not blocked, or alerts do not share them`);
    t.diagnostic(`peak RSS ${Math.round((await peakRssBytes(agent.pid!)) / 1e6)} MB`);
    agent.kill("SIGTERM");
    agent.stdout.resume(); // what is in the pipe may go now
    assert.deepEqual((await exited)[0], 0, said);
  } finally {
    agent.kill("SIGKILL");
    await exited;
    await slack.close();
    await rm(directory, { recursive: true, force: true });
  }
});
