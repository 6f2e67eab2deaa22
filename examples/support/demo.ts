import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cli } from "../../src/cli/cli.ts";
import { components } from "../../src/components.ts";

/** A server that stands for somebody else's system. `await using` ends it. */
export interface DemoServer extends AsyncDisposable {
  /** http://127.0.0.1:port */
  readonly url: string;
}

/** What to answer: a string as text, `undefined` as 404, anything else as JSON. */
export type DemoAnswer = (path: string, body: string) => unknown;

/** Listens on `port` of this machine, or on the one that DEMO_PORT names. Rejects with one clear line when it is taken. */
export async function demoServer(port: number, answer: DemoAnswer): Promise<DemoServer> {
  const wanted = Number(process.env["DEMO_PORT"] ?? port);
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk)).on("end", () => {
      const given = answer(request.url ?? "/", Buffer.concat(chunks).toString());
      if (given === undefined) response.writeHead(404).end();
      else if (typeof given === "string") response.writeHead(200, { "content-type": "text/plain" }).end(given);
      else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(given));
    });
  });
  server.listen(wanted, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    say(`port ${wanted} is taken; choose another: DEMO_PORT=${wanted + 1} npm run example …`);
    process.exit(1);
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * `sojourn run` on the agent.yaml of an example, until Ctrl-C; further arguments go to it (`-- --set a.b=value`), after `set`,
 * what a demo does sooner or oftener. What it remembers is gone afterwards, so that the example tells the same story each time.
 */
export async function runAgent(folder: string, set: readonly string[] = []): Promise<void> {
  const state = await mkdtemp(join(tmpdir(), "sojourn-example-"));
  process.env["STATE_DIRECTORY"] = state;
  try {
    const args = [...set.flatMap((assignment) => ["--set", assignment]), ...process.argv.slice(2)];
    process.exitCode = await cli(["run", "--config", join(folder, "agent.yaml"), ...args], components);
  } finally {
    await rm(state, { recursive: true, force: true });
  }
}

/**
 * POSTs JSON as another system would: again until it is taken, since the agent may still be starting. A function is asked at
 * each attempt, so that a time in what it gives is that of the one that is taken.
 */
export async function deliver(url: string, value: object | (() => object), signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const body = JSON.stringify(typeof value === "function" ? (value as () => object)() : value);
    const response = await fetch(url, {
      method: "POST", headers: { "content-type": "application/json" }, body, signal,
    }).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok === true) return;
    await pause(300, signal);
  }
}

/** Settles after so many milliseconds, or when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

/** Runs the agent and, beside it, what feeds it; the feed's signal aborts when the agent has ended. */
export async function runAgentBeside(folder: string, feed: (signal: AbortSignal) => Promise<void>, set: readonly string[] = []): Promise<void> {
  const ended = new AbortController();
  const feeding = feed(ended.signal);
  try {
    await runAgent(folder, set);
  } finally {
    ended.abort();
    await feeding;
  }
}

/** A time that lies so many seconds back, as RFC 3339. */
export function secondsAgo(seconds: number): string {
  return new Date(Date.now() - seconds * 1_000).toISOString();
}

/** A line of the demo's own, beside what the agent prints. */
export function say(line: string): void {
  process.stdout.write(`demo: ${line}\n`);
}
