import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "../support/prometheus.ts";

/** A folder of examples/, or one in it. */
export function exampleFolder(name = ""): string {
  return fileURLToPath(import.meta.resolve(`../../examples/${name}`));
}

/** The start command of an example, running. `await using` ends it. */
export interface RunningExample extends AsyncDisposable {
  /** What it printed so far: alerts, and the demo's own lines. */
  readonly out: string;
  /** The agent's log so far. */
  readonly log: string;
  /** Waits until it has printed that; gives the match. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
  /** Waits until `found` gives something. Rejects at once, with the log, when the example has ended. */
  until<T>(what: string, found: () => Promise<T | undefined>): Promise<T>;
  /** SIGTERM, as a supervisor would; gives the exit code. Rejects when it leaves temporary files behind. */
  stop(): Promise<number | null>;
}

export interface StartOptions {
  /** Go to the agent: `--set`, `a.b=value`. */
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Port of the agent's API. */
  readonly api?: number;
}

/** Runs examples/<name>/start.ts. Its demo server listens on a port of its own. */
export async function startExample(name: string, { args = [], env = {}, api }: StartOptions = {}): Promise<RunningExample> {
  const temporary = await mkdtemp(join(tmpdir(), "sojourn-examples-"));
  const { SHOP_URL: _, SLACK_WEBHOOK_URL: __, ...inherited } = process.env;
  const child = spawn(
    process.execPath,
    [exampleFolder(`${name}/start.ts`), "--set", `service.api.listen=127.0.0.1:${api ?? (await freePort())}`, ...args],
    { env: { ...inherited, DEMO_PORT: "0", TMPDIR: temporary, ...env }, stdio: ["ignore", "pipe", "pipe"] },
  );
  let out = "";
  let log = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const ended = once(child, "close");
  const running = (): boolean => child.exitCode === null && child.signalCode === null;

  async function waitFor<T>(what: string, found: () => Promise<T | undefined>): Promise<T> {
    return until(`${what}\n${out}${log}`, async () => {
      const value = await found();
      if (value === undefined && !running()) throw new Error(`${name} ended with ${child.exitCode ?? child.signalCode} before: ${what}\n${out}${log}`);
      return value;
    });
  }

  return {
    get out() {
      return out;
    },
    get log() {
      return log;
    },
    until: waitFor,
    printed: (pattern) => waitFor(`${pattern.source} printed`, async () => pattern.exec(out) ?? undefined),
    async stop() {
      child.kill("SIGTERM");
      await ended;
      const left = await readdir(temporary);
      if (left.length > 0) throw new Error(`${name} left ${left.join(", ")} behind`);
      return child.exitCode;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
      await rm(temporary, { recursive: true, force: true });
    },
  };
}

/**
 * A port that nobody listens on. Not one that the system gives out for port 0: between here and the example's listening
 * such a one would go to another test.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true));
    });
    await new Promise((resolve) => server.close(resolve));
    if (free) return port;
  }
}
