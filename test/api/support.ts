import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request, type IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApi, type Api } from "../../src/api/api.ts";
import type { ReloadOutcome } from "../../src/api/control.ts";
import { assemble } from "../../src/cli/assemble.ts";
import { components } from "../../src/components.ts";
import { ConfigLoader, type Loaded } from "../../src/config/load.ts";
import type { Wanted } from "../../src/config/model.ts";
import type { Agent } from "../../src/pipeline/agent.ts";
import { problemText } from "../../src/pipeline/problems.ts";
import type { Clock } from "../../src/sdk/clock.ts";
import type { AnyDefinition } from "../../src/sdk/component.ts";
import type { Listeners } from "../../src/sdk/listeners.ts";
import { silentLog } from "../../src/sdk/log.ts";
import { observation, type Json } from "../../src/sdk/observation.ts";
import { settled, virtualClock, type VirtualClock } from "../../src/sdk/virtual_clock.ts";
import { memoryStore, type MemoryStore } from "../../src/storage/memory_store.ts";

/** Where the API of a test listens: a port of its own. */
export const API = "127.0.0.1:0";

/** One receiver that feeds orders: pending ones are stuck after 30 minutes, failed ones alert at once. */
export const ORDERS = `
receivers:
  webhook/orders: { listen: "${API}", path: /hooks/orders }
processors:
  track/order:
    type: order
    id: body.id
    state: body.status
    attributes: { amount: body.amount }
    on_error: dead_letter
    states:
      pending: { stuck_after: 30m, next: [paid, failed] }
      paid: {}
      failed: { alert: { severity: critical } }
  track/device: { type: device, id: body.id, when: "has(body.device)" }
service:
  api: { listen: "${API}" }
  pipelines:
    orders: { receivers: [webhook/orders], processors: [track/order] }
`;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON. Throws when it is none. */
  readonly body: never;
}

/** An agent with its API on a real socket. */
export interface Served extends AsyncDisposable {
  readonly agent: Agent;
  readonly api: Api;
  readonly listeners: Listeners;
  readonly store: MemoryStore;
  readonly directory: string;
  readonly wanted: Wanted;
  ask(method: string, path: string, headers?: Record<string, string>, address?: string): Promise<Answer>;
  get(path: string): Promise<Answer>;
  /** POSTs JSON. */
  post(path: string, body: unknown): Promise<Answer>;
  /** Loads again and runs it. */
  reload(): Promise<ReloadOutcome>;
}

export interface ServedOptions {
  readonly clock: Clock;
  readonly files: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly definitions?: readonly AnyDefinition[];
  readonly start?: boolean;
}

/** Loads the files, runs them, serves. */
export async function served({ clock, files, env = {}, definitions = components, start = true }: ServedOptions): Promise<Served> {
  const directory = await mkdtemp(join(tmpdir(), "sojourn-api-"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  const loader = new ConfigLoader({ sources: [directory], env, definitions });
  const loaded = await loader.load();
  const store = memoryStore();
  const { agent, listeners } = assemble({ definitions, clock, store, log: silentLog, service: loaded.wanted.service });
  const reload = async (): Promise<ReloadOutcome> => {
    const next: Loaded = await loader.load();
    await agent.reload(next.wanted);
    await api.open(next.wanted.service);
    return { result: next.problems.length > 0 ? "rejected" : "success", problems: next.problems.map(problemText) };
  };
  const api = createApi({ agent, listeners, clock, reload });
  if (start) await agent.start(loaded.wanted);
  await api.open(loaded.wanted.service);
  const made: Served = {
    agent, api, listeners, store, directory, reload,
    wanted: loaded.wanted,
    ask: (method, path, headers = {}, address = API) => asked(listeners.port(address)!, address.replace(/:\d+$/, ""), method, path, headers),
    get: (path) => made.ask("GET", path),
    post: (path, body) => asked(listeners.port(API)!, "127.0.0.1", "POST", path, { "content-type": "application/json" }, JSON.stringify(body)),
    async [Symbol.asyncDispose]() {
      await finished(agent.stop(), clock);
      await api.close();
      await listeners.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
  return made;
}

/** Waits for what needs a commit, and so time to pass, where the clock is virtual. */
export async function finished<T>(work: Promise<T>, clock: Clock): Promise<T> {
  let done = false;
  const ended = work.finally(() => (done = true));
  ended.catch(() => {});
  while (!done && "advance" in clock) {
    await new Promise((resolve) => setImmediate(resolve));
    await (clock as VirtualClock).advance(0);
  }
  return ended;
}

/** One request on a connection of its own. */
export function asked(port: number, host: string, method: string, path: string, headers: Record<string, string>, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host, port, method, path, headers: { connection: "close", ...headers }, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk)).on("error", reject).on("end", () => {
        resolve({ status: response.statusCode!, headers: response.headers, text, get body() { return JSON.parse(text) as never; } });
      });
    });
    sent.on("error", reject).end(body);
  });
}

/** Sends observations to the agent and lets their commit happen. */
export async function send(agent: Agent, clock: VirtualClock, ...bodies: Json[]): Promise<void> {
  const done = agent.emit("webhook/orders", bodies.map((body) => observation(body, { time: clock.now(), source: "webhook/orders" })));
  await clock.advance(0);
  await done;
  await settled();
}

/** An agent on ORDERS and virtual time. */
export async function orders(more = ""): Promise<{ readonly clock: VirtualClock; readonly served: Served }> {
  const clock = virtualClock(Date.UTC(2026, 10, 3, 10, 15));
  return { clock, served: await served({ clock, files: { "agent.yaml": ORDERS + more } }) };
}

/** Checks the form of an error and gives its detail. */
export function detailOf(answer: Answer, status: number): string {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers["content-type"], "application/problem+json");
  const { type, title, status: told, detail } = answer.body as { type: string; title: string; status: number; detail: string };
  assert.equal(type, "about:blank");
  assert.equal(told, status);
  assert.ok(title.length > 0);
  return detail;
}
