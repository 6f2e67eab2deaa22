import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fakePagerDuty, type FakePagerDuty } from "../support/fake_pagerduty.ts";
import { fakeSlack, type FakeSlack } from "../support/fake_slack.ts";
import { until } from "../support/prometheus.ts";
import type { Failure } from "../support/scripted_server.ts";
import { freePorts, pause } from "../support/waiting.ts";
import { startAgent } from "./agent_process.ts";
import { compareIncidents, compareMoves, compareResources, compareSlack } from "./compare.ts";
import type { MakeSource, Source } from "./source.ts";
import { seeded } from "./truth.ts";

export interface ChaosResult {
  readonly kills: number;
  readonly orders: number;
  readonly moves: number;
  /** How often sources had to say something again. */
  readonly repeats: number;
  /** How often a source's server was broken. */
  readonly troubles: number;
  readonly incidents: number;
  readonly slackPosts: number;
  readonly slackRepeats: number;
  readonly seconds: number;
}

/** An incident of many alerts is told of anew once a minute. */
const SETTLE_MS_MAX = 150_000;

/**
 * Kills the real agent `kills` times while orders change in the sources, whose servers break as well, then holds what it knows
 * against what the sources did. Throws (AssertionError) on any difference.
 */
export async function chaos(kills: number, seed: number, makeSources: readonly MakeSource[]): Promise<ChaosResult> {
  const begin = performance.now();
  const directory = await mkdtemp(join(tmpdir(), "sojourn-chaos-"));
  const pagerduty = await fakePagerDuty();
  const slack = await fakeSlack();
  const [apiPort, metricsPort] = await freePorts(2);
  const random = seeded(seed);
  const sources: Source[] = [];
  let agent: ReturnType<typeof startAgent> | undefined;
  let ended = false;
  try {
    for (const make of makeSources) sources.push(await make({ directory, seed }));
    const config = join(directory, "agent.yaml");
    await writeFile(config, yaml(directory, sources, apiPort!, metricsPort!, pagerduty, slack));
    const running = (agent = startAgent(config, Object.assign({}, ...sources.map(({ env }) => env ?? {})) as Record<string, string>));
    // What is there at the first start is told in one message for each rule: then there would be few incidents to look at.
    await until("the agent is ready", async () => (running.log.includes('"ready"') ? true : undefined));
    const writing = Promise.all(sources.map((source) => source.run(() => ended)));
    writing.catch(() => (ended = true));
    let troubles = 0;
    for (let kill = 0; kill < kills && !ended; kill++) {
      await pause(300 + random() * 1_500);
      for (const destination of [pagerduty, slack]) if (random() < 0.25) destination.failNext(...trouble(random));
      for (const source of sources) {
        if (source.trouble === undefined || random() >= 0.2) continue;
        troubles++;
        await source.trouble(random);
      }
      await running.kill();
    }
    await pause(1_000);
    ended = true;
    const repeats = (await writing).reduce((a, b) => a + b, 0);
    for (const destination of [pagerduty, slack]) destination.heal();
    const truths = sources.map(({ truth }) => truth);
    const api = `http://127.0.0.1:${apiPort}`;
    await settledLike(async () => {
      for (const { type, truth } of sources) await compareResources(api, type, truth);
      for (const { type, truth, everyMove } of sources) if (everyMove !== false) await compareMoves(`http://127.0.0.1:${metricsPort}/metrics`, type, truth);
      compareIncidents(pagerduty, truths);
      compareSlack(slack, truths, kills);
    }, () => running.log);
    const slackRepeats = compareSlack(slack, truths, kills);
    assert.deepEqual(pagerduty.refused, []);
    assert.deepEqual(slack.refused, []);
    assert.equal(await running.stop(), 0, running.log);
    return {
      kills,
      orders: truths.reduce((sum, { orders }) => sum + orders.size, 0),
      moves: truths.reduce((sum, { moves }) => sum + [...moves.values()].reduce((a, b) => a + b, 0), 0),
      repeats,
      troubles,
      incidents: pagerduty.incidents.length,
      slackPosts: slack.posts.length,
      slackRepeats,
      seconds: (performance.now() - begin) / 1_000,
    };
  } finally {
    ended = true;
    await agent?.stop();
    for (const source of sources) await source.close?.();
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

/** Who does not see every move sees some that skip a state. */
const states = ({ everyMove }: Source): string =>
  `{ created: {${everyMove === false ? "" : " next: [pending] "}}, failed: { alert: { severity: critical } }, delivered: { terminal: true }, cancelled: { terminal: true } }`;

function yaml(directory: string, sources: readonly Source[], api: number, metrics: number, pagerduty: FakePagerDuty, slack: FakeSlack): string {
  const idOf = ({ receiver }: Source): string => receiver.slice(0, receiver.indexOf(":"));
  const tracks = sources.map((source) => {
    const { type, order } = source;
    return `  track/${type}: { type: ${type}, id: ${order}.order_id, state: ${order}.status, sequence: ${order}.seq, time: ${order}.time, states: ${states(source)} }`;
  });
  const pipelines = sources.map((source) => {
    const parse = source.parse === undefined ? "" : `parse/${source.type}, `;
    return `    ${source.type}: { receivers: [${idOf(source)}], processors: [${parse}track/${source.type}], exporters: [prometheus, pagerduty, slack] }`;
  });
  return `version: 1
receivers:
${sources.map(({ receiver }) => `  ${receiver}`).join("\n")}
processors:
${sources.flatMap(({ type, parse }) => (parse === undefined ? [] : [`  parse/${type}: { format: ${parse} }`])).join("\n")}
${tracks.join("\n")}
exporters:
  prometheus: { listen: "127.0.0.1:${metrics}" }
  # Above what comes: orders share an incident only at the first sync, or where a destination was in trouble.
  # What ends in such a one is told at this interval.
  pagerduty: { routing_key: "${"k".repeat(32)}", url: "${pagerduty.url}", messages_per_minute: 10000, group_interval: 5s }
  slack: { webhook_url: "${slack.url}", messages_per_minute: 10000, group_interval: 5s }
service:
  api: { listen: "127.0.0.1:${api}" }
  storage: { directory: "${directory}/state" }
  pipelines:
${pipelines.join("\n")}
`;
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
