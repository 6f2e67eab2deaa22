import assert from "node:assert/strict";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startAgent } from "../chaos/agent_process.ts";
import { startKafka } from "../support/kafka.ts";
import { until } from "../support/prometheus.ts";

test("a whole agent: transitions, alerts and dead letters reach their topics in order, through kills of the agent and an outage of Kafka", async (t) => {
  await using kafka = await startKafka(t, { own: true });
  if (kafka === undefined) return;
  await kafka.createTopic("moves", { partitions: 2 });
  await kafka.createTopic("alerts", { partitions: 2 });
  await kafka.createTopic("dead", { partitions: 1 });
  const directory = await mkdtemp(join(tmpdir(), "sojourn-kafka-agent-"));
  t.after(() => rm(directory, { recursive: true }));
  const log = join(directory, "orders.log");
  const config = join(directory, "agent.yaml");
  await writeFile(log, "");
  await writeFile(config, `version: 1
receivers: { log_tail: { include: ["${log}"], start_at: beginning } }
processors:
  parse: { format: json, on_error: dead_letter }
  track: { type: order, id: body.id, state: body.status, sequence: body.seq, states: { failed: { alert: { severity: critical } } } }
exporters:
  kafka:
    brokers: ["${kafka.bootstrap.join(",")}"]
    transitions: { topic: moves }
    alerts: { topic: alerts }
    dead_letters: { topic: dead }
    sending_queue: { storage: true }
    timeout: 1s
service:
  api: { listen: "127.0.0.1:0" }
  storage: { directory: "${directory}/state" }
  pipelines: { orders: { receivers: [log_tail], processors: [parse, track], exporters: [kafka] } }
`);
  const agent = startAgent(config, {});
  t.after(() => agent.stop());
  const ids = ["o1", "o2", "o3"];
  const states = ["new", "paid", "failed", "paid", "done"];
  for (const [seq, status] of states.entries()) {
    await appendFile(log, ids.map((id) => `${JSON.stringify({ id, status, seq })}\n`).join(""));
    if (seq === 1) await kafka.broker(1).kill();
    if (seq === 2 || seq === 4) await agent.kill();
    if (seq === 3) await kafka.broker(1).start();
  }

  await appendFile(log, "no JSON\n");

  /** What each key was told, without what came again because the agent was killed before it knew that it had been taken. */
  const told = async (topic: string, of: (value: Record<string, unknown>) => unknown): Promise<Record<string, unknown[]>> => {
    const all: Record<string, unknown[]> = {};
    for (const { key, value } of await kafka.read(topic)) {
      const one = of(JSON.parse(value!) as Record<string, unknown>);
      if (!all[key!]?.includes(one)) (all[key!] ??= []).push(one);
    }
    return all;
  };
  const moves = await until("every order's last move in the topic", async () => {
    const found = await told("moves", ({ from, to }) => `${String(from)}>${String(to)}`);
    return ids.every((id) => found[`order/${id}`]?.includes("paid>done")) ? found : undefined;
  });
  for (const id of ids) assert.deepEqual(moves[`order/${id}`], ["null>new", "new>paid", "paid>failed", "failed>paid", "paid>done"], id);

  // An alert that nobody was told of while Kafka was away may be over before it is told: then neither is.
  const alerts = await told("alerts", ({ status }) => status);
  for (const [key, statuses] of Object.entries(alerts)) assert.deepEqual(statuses, ["firing", "resolved"].slice(0, statuses.length), key);
  const [letter] = await until("the line that is no JSON in its topic", async () => {
    const found = await kafka.read("dead");
    return found.length > 0 ? found : undefined;
  });
  assert.equal(letter!.key, "parse");
  const { component, reason, content } = JSON.parse(letter!.value!) as { component: string; reason: string; content: { body: string } };
  assert.deepEqual([component, content.body], ["parse", "no JSON"]);
  assert.match(reason, /JSON/);
  assert.equal(await agent.stop(), 0, agent.log);
});
