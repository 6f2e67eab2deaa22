import assert from "node:assert/strict";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { peakRssBytes } from "../../bench/measure.ts";
import { startAgent } from "../chaos/agent_process.ts";
import { fakePagerDuty } from "../support/fake_pagerduty.ts";
import { fakeSlack } from "../support/fake_slack.ts";
import { freePorts, pause } from "../support/waiting.ts";

const ORDERS = 100_000;
// Node.js ends a process whose heap outgrows it.
const HEAP_MB_MAX = 512;
const ANSWER_MS_MAX = 5_000;
/** What the destinations take in a minute, and at once. */
const PAGERDUTY = { perMinute: 120, burst: 30 };
const SLACK = { perMinute: 60, burst: 10 };

/** One line for each order, in that state. */
function lines(status: string): string {
  const time = new Date().toISOString();
  return Array.from({ length: ORDERS }, (_, i) => `{"id":"o${i}","status":"${status}","time":"${time}"}\n`).join("");
}

test("100,000 alerts at once: memory stays bounded, destinations get no more than they take, the API answers, and all are resolved", {
  timeout: 110_000, skip: process.platform === "linux" ? false : "reads /proc",
}, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "sojourn-storm-"));
  const pagerduty = await fakePagerDuty();
  const slack = await fakeSlack();
  const [port] = await freePorts(1);
  const file = join(directory, "app.log");
  const config = join(directory, "agent.yaml");
  await writeFile(file, '{"id":"first","status":"paid"}\n');
  await writeFile(config, `version: 1
receivers:
  log_tail: { include: ["${file}"], start_at: beginning, poll_interval: 50ms }
processors:
  parse: { format: json }
  track: { type: order, id: body.id, state: body.status, states: { failed: { alert: { severity: critical } } } }
exporters:
  pagerduty: { routing_key: "${"k".repeat(32)}", url: "${pagerduty.url}" }
  slack: { webhook_url: "${slack.url}" }
service:
  api: { listen: "127.0.0.1:${port}" }
  storage: { directory: "${directory}/state" }
  pipelines:
    orders: { receivers: [log_tail], processors: [parse, track], exporters: [pagerduty, slack] }
`);
  const agent = startAgent(config, { NODE_OPTIONS: `--max-old-space-size=${HEAP_MB_MAX}` });
  const api = `http://127.0.0.1:${port}`;
  let slowestMs = 0;

  /** Asks while the agent works; keeps the slowest answer. */
  async function ask<T>(path: string): Promise<T> {
    const begin = performance.now();
    const response = await fetch(`${api}${path}`, { signal: AbortSignal.timeout(ANSWER_MS_MAX * 2) });
    const body = (await response.json()) as T;
    slowestMs = Math.max(slowestMs, performance.now() - begin);
    return body;
  }

  /** Waits until no order, or the last of them, is in that state; they are read in order. */
  async function untilLast(status: string): Promise<void> {
    for (;;) {
      const { state } = await ask<{ state?: string }>(`/api/v1/resources/order/o${ORDERS - 1}`);
      await ask("/api/v1/alerts?limit=100");
      if (state === status) return;
      await pause(100);
    }
  }

  function assertLimits(seconds: number): void {
    for (const [name, { requests }, { perMinute, burst }] of [["PagerDuty", pagerduty, PAGERDUTY], ["Slack", slack, SLACK]] as const) {
      const most = burst + Math.ceil((seconds * perMinute) / 60) + 1;
      assert.ok(requests <= most, `${name} got ${requests} messages in ${seconds.toFixed(1)} s, ${most} are allowed`);
    }
  }

  try {
    for (let ready = false; !ready; await pause(50)) ready = await fetch(`${api}/api/v1/resources/order/first`).then(({ ok }) => ok, () => false);
    const begin = performance.now();
    await appendFile(file, lines("failed"));
    await untilLast("failed");
    const firedMs = performance.now() - begin;
    const open = (): number => pagerduty.incidents.filter(({ status }) => status !== "resolved").length;
    for (let i = 0; open() < 10 || slack.posts.length < 5; i++) {
      assert.ok(i < 300, `${open()} incidents, ${slack.posts.length} messages: ${agent.log.slice(-2_000)}`);
      await pause(50);
    }
    assertLimits((performance.now() - begin) / 1_000);
    await appendFile(file, lines("paid"));
    await untilLast("paid");
    for (let i = 0; open() > 0; i++) {
      assert.ok(i < 1_200, `${open()} incidents are still open: ${agent.log.slice(-2_000)}`);
      await pause(50);
    }
    assert.equal((await ask<{ items: unknown[] }>("/api/v1/alerts?status=firing")).items.length, 0);
    const peakMb = (await peakRssBytes(agent.pid!)) / 1e6;
    t.diagnostic(`${ORDERS} alerts fired in ${Math.round(firedMs)} ms, slowest answer ${Math.round(slowestMs)} ms, peak RSS ${Math.round(peakMb)} MB, `
      + `${pagerduty.requests} requests to PagerDuty, ${slack.requests} to Slack`);
    assert.ok(slowestMs < ANSWER_MS_MAX, `an answer took ${Math.round(slowestMs)} ms`);
    assert.deepEqual([pagerduty.refused, slack.refused], [[], []]);
    assert.equal(await agent.stop(), 0, agent.log);
  } finally {
    await agent.stop();
    await Promise.all([pagerduty.close(), slack.close()]);
    await rm(directory, { recursive: true, force: true });
  }
});
