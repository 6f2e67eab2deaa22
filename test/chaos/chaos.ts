import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fakePagerDuty, type FakePagerDuty } from "../support/fake_pagerduty.ts";
import { fakeSlack, type FakeSlack } from "../support/fake_slack.ts";
import type { Failure } from "../support/scripted_server.ts";
import { freePorts, pause } from "../support/waiting.ts";
import { startAgent } from "./agent_process.ts";
import { logSource, seeded, Truth, webhookSource } from "./sources.ts";

export interface ChaosResult {
  readonly kills: number;
  readonly orders: number;
  readonly moves: number;
  readonly webhookRepeats: number;
  readonly incidents: number;
  readonly slackPosts: number;
  readonly slackRepeats: number;
  readonly seconds: number;
}

/** An incident of many alerts is told of anew once a minute. */
const SETTLE_MS_MAX = 150_000;

/**
 * Kills the real agent `kills` times while a log is written and rotated and signed webhooks arrive, then holds what it knows
 * against what the sources did. Throws (AssertionError) on any difference.
 */
export async function chaos(kills: number, seed: number): Promise<ChaosResult> {
  const begin = performance.now();
  const directory = await mkdtemp(join(tmpdir(), "sojourn-chaos-"));
  const pagerduty = await fakePagerDuty();
  const slack = await fakeSlack();
  const [hookPort, apiPort, metricsPort] = await freePorts(3);
  const secret = `whsec_${Buffer.from("a secret of the chaos harness").toString("base64")}`;
  const config = join(directory, "agent.yaml");
  await writeFile(config, yaml(directory, hookPort!, apiPort!, metricsPort!, pagerduty, slack));
  const agent = startAgent(config, { HOOK_SECRET: secret });
  const random = seeded(seed);
  const logged = new Truth("L", seeded(seed + 1));
  const hooked = new Truth("W", seeded(seed + 2));
  let ended = false;
  try {
    const sources = Promise.all([
      logSource(logged, join(directory, "app.log"), seeded(seed + 3), () => ended),
      webhookSource(hooked, `http://127.0.0.1:${hookPort}/orders`, secret, seeded(seed + 4), () => ended),
    ]);
    sources.catch(() => (ended = true));
    for (let kill = 0; kill < kills && !ended; kill++) {
      await pause(300 + random() * 1_500);
      for (const destination of [pagerduty, slack]) if (random() < 0.25) destination.failNext(...trouble(random));
      await agent.kill();
    }
    await pause(1_000);
    ended = true;
    const [, webhookRepeats] = await sources;
    for (const destination of [pagerduty, slack]) destination.heal();
    const api = `http://127.0.0.1:${apiPort}`;
    const metrics = `http://127.0.0.1:${metricsPort}/metrics`;
    await settledLike(async () => {
      await compareResources(api, "logged", logged);
      await compareResources(api, "hooked", hooked);
      await compareMoves(metrics, "logged", logged);
      await compareMoves(metrics, "hooked", hooked);
      compareIncidents(pagerduty, [logged, hooked]);
      compareSlack(slack, [logged, hooked], kills);
    }, () => agent.log);
    const slackRepeats = compareSlack(slack, [logged, hooked], kills);
    assert.deepEqual(pagerduty.refused, []);
    assert.deepEqual(slack.refused, []);
    assert.equal(await agent.stop(), 0, agent.log);
    const total = (truths: readonly Truth[], of: (truth: Truth) => number): number => truths.reduce((sum, truth) => sum + of(truth), 0);
    return {
      kills,
      orders: total([logged, hooked], ({ orders }) => orders.size),
      moves: total([logged, hooked], ({ moves }) => [...moves.values()].reduce((a, b) => a + b, 0)),
      webhookRepeats: webhookRepeats!,
      incidents: pagerduty.incidents.length,
      slackPosts: slack.posts.length,
      slackRepeats,
      seconds: (performance.now() - begin) / 1_000,
    };
  } finally {
    ended = true;
    await agent.stop();
    await Promise.all([pagerduty.close(), slack.close()]);
    await rm(directory, { recursive: true, force: true });
  }
}

/** What destinations do on a bad day: refuse for a while, ask to come later, hang, or lose their answer. */
function trouble(random: () => number): Failure[] {
  const kinds: readonly Failure[] = [
    { kind: "answer", status: 500 },
    { kind: "answer", status: 503 },
    { kind: "answer", status: 429, headers: { "retry-after": "1" } },
    { kind: "lost" },
    { kind: "silence" },
  ];
  return Array.from({ length: 1 + Math.floor(random() * 2) }, () => kinds[Math.floor(random() * kinds.length)]!);
}

function yaml(directory: string, hook: number, api: number, metrics: number, pagerduty: FakePagerDuty, slack: FakeSlack): string {
  const states = "{ created: { next: [pending] }, failed: { alert: { severity: critical } }, delivered: { terminal: true }, cancelled: { terminal: true } }";
  return `version: 1
receivers:
  log_tail: { include: ["${directory}/app.log*"], start_at: beginning, poll_interval: 50ms }
  webhook: { listen: "127.0.0.1:${hook}", path: /orders, signature: { scheme: standard_webhooks, secrets: ["\${env:HOOK_SECRET}"] } }
processors:
  parse: { format: json }
  track/logged: { type: logged, id: body.order_id, state: body.status, sequence: body.seq, time: body.time, states: ${states} }
  track/hooked: { type: hooked, id: body.order_id, state: body.status, sequence: body.seq, time: body.time, states: ${states} }
exporters:
  prometheus: { listen: "127.0.0.1:${metrics}" }
  # Above what comes: no two orders share an incident, so that each can be held against its order.
  pagerduty: { routing_key: "${"k".repeat(32)}", url: "${pagerduty.url}", messages_per_minute: 10000 }
  slack: { webhook_url: "${slack.url}", messages_per_minute: 10000 }
service:
  api: { listen: "127.0.0.1:${api}" }
  storage: { directory: "${directory}/state" }
  pipelines:
    logged: { receivers: [log_tail], processors: [parse, track/logged], exporters: [prometheus, pagerduty, slack] }
    hooked: { receivers: [webhook], processors: [track/hooked], exporters: [prometheus, pagerduty, slack] }
`;
}

/** Every resource's state equals the source's. */
async function compareResources(api: string, type: string, truth: Truth): Promise<void> {
  const found = new Map<string, string>();
  for (let cursor: string | null = ""; cursor !== null; ) {
    const response: Response = await fetch(`${api}/api/v1/resources?type=${type}&limit=1000${cursor === "" ? "" : `&cursor=${cursor}`}`);
    const page = (await response.json()) as { items: { id: string; state: string }[]; next: string | null };
    for (const { id, state } of page.items) found.set(id, state);
    cursor = page.next;
  }
  assertSame(found, new Map([...truth.orders.values()].map(({ id, state }) => [id, state])), `states of ${type}`);
}

/** Every transition is counted exactly once in the store. */
async function compareMoves(url: string, type: string, truth: Truth): Promise<void> {
  const text = await (await fetch(url)).text();
  const counted = new Map<string, number>();
  for (const line of text.split("\n")) {
    const match = /^custom_resource_transitions_total\{type="([^"]+)",from="([^"]+)",to="([^"]+)"\} (\d+)$/.exec(line);
    if (match?.[1] === type && match[4] !== "0") counted.set(`${match[2]}>${match[3]}`, Number(match[4]));
  }
  const results = text.split("\n").filter((line) => line.startsWith("custom_resource_observations_total") && line.includes(`"${type}"`)).map((line) => line.replace(/.*result=/, "")).join(" ");
  const written = [...truth.orders.values()].reduce((sum, { sequence }) => sum + sequence, 0);
  assertSame(counted, truth.moves, `transitions of ${type}; ${written} observations were written; taken as ${results}`);
}

/**
 * Each order that is failed now is in exactly one open incident: its own or, where too much waited for a destination in
 * trouble, one that it shares; never more of its own than it failed; none open where it is not failed any more.
 */
function compareIncidents(pagerduty: FakePagerDuty, truths: readonly Truth[]): void {
  const shared = sharedIncidents(pagerduty);
  const named = Map.groupBy(shared.named, (resource) => resource.slice(resource.lastIndexOf("/") + 1));
  const own = Map.groupBy(pagerduty.incidents, ({ summary }) => / (\S+) is /.exec(summary)?.[1] ?? "");
  let unnamed = 0;
  for (const truth of truths) {
    for (const order of truth.orders.values()) {
      const incidents = own.get(order.id) ?? [];
      const open = incidents.filter(({ status }) => status !== "resolved").length + (named.get(order.id)?.length ?? 0);
      assert.ok(incidents.length <= order.failures, `${order.id} failed ${order.failures} times and has ${incidents.length} incidents`);
      assert.ok(open <= 1, `${order.id} is in ${open} open incidents`);
      if (order.state !== "failed") assert.equal(open, 0, `open incidents of ${order.id}, which is ${order.state}`);
      else if (open === 0) unnamed++;
    }
  }
  assert.equal(unnamed, shared.more, "orders that are failed and in no incident by name, and those that incidents only count");
}

/** What the open incidents of many alerts said last: the resources that they name, and how many more they count. */
function sharedIncidents(pagerduty: FakePagerDuty): { readonly named: readonly string[]; readonly more: number } {
  interface Shared { readonly alerts?: readonly { readonly resource: string }[]; readonly more?: string }
  const named: string[] = [];
  let more = 0;
  for (const { dedup_key, status } of pagerduty.incidents) {
    if (status === "resolved") continue;
    const last = pagerduty.events.findLast((event) => event.dedup_key === dedup_key && event.event_action === "trigger");
    const details = (last?.payload?.custom_details ?? {}) as Shared;
    named.push(...(details.alerts ?? []).map(({ resource }) => resource));
    more += Number(/\d+/.exec(details.more ?? "0")![0]);
  }
  return { named, more };
}

/**
 * Slack cannot deduplicate: at most one repeat for each kill. Messages about many orders (where Slack was in trouble) tell
 * again of those that still fail, and only count those beyond a number. Returns the repeats.
 */
function compareSlack(slack: FakeSlack, truths: readonly Truth[], kills: number): number {
  let repeats = 0;
  const fired = new Map<string, number>();
  const ended = new Map<string, number>();
  const shared = new Set<string>();
  let more = 0;
  for (const { text } of slack.posts) {
    const [title, ...lines] = text.split("\n");
    if (lines.length > 0) {
      for (const line of lines) {
        const [, id] = /^FIRING: .*\b([LW]-\d+)\b/.exec(line) ?? [];
        if (id !== undefined) shared.add(id);
        more += Number(/^\+(\d+) more$/.exec(line)?.[1] ?? 0);
      }
      continue;
    }
    const [, id] = /\b([LW]-\d+)\b/.exec(title!) ?? [];
    assert.ok(id !== undefined, `a message about no order: ${text}`);
    const told = /resolved/i.test(text) ? ended : fired;
    told.set(id, (told.get(id) ?? 0) + 1);
  }
  let unnamed = 0;
  for (const truth of truths) {
    for (const order of truth.orders.values()) {
      const told = fired.get(order.id) ?? 0;
      repeats += Math.max(0, told - order.failures) + Math.max(0, (ended.get(order.id) ?? 0) - order.failures);
      if (order.state === "failed" && told === 0 && !shared.has(order.id)) unnamed++;
    }
  }
  assert.ok(unnamed <= more, `nobody was told on Slack of ${unnamed} orders that failed, ${more} were only counted`);
  assert.ok(repeats <= kills, `${repeats} repeats on Slack after ${kills} kills`);
  return repeats;
}

async function settledLike(compare: () => Promise<void>, log: () => string): Promise<void> {
  const until = performance.now() + SETTLE_MS_MAX;
  for (;;) {
    try {
      return await compare();
    } catch (error) {
      if (performance.now() > until) throw new Error(`${(error as Error).message}\nthe agent said:\n${log().slice(-4_000)}`, { cause: error });
      await pause(250);
    }
  }
}

/** Not `deepEqual`: what that makes of a difference between tens of thousands of entries takes gigabytes. */
function assertSame<V>(is: ReadonlyMap<string, V>, should: ReadonlyMap<string, V>, what: string): void {
  const differences = [...new Set([...is.keys(), ...should.keys()])]
    .filter((key) => is.get(key) !== should.get(key))
    .map((key) => `${key} is ${String(is.get(key))}, should be ${String(should.get(key))}`);
  assert.equal(differences.length, 0, `${what}: ${differences.slice(0, 10).join("; ")}${differences.length > 10 ? `; and ${differences.length - 10} more` : ""}`);
}
