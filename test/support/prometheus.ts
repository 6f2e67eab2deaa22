import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { TestContext } from "node:test";

/**
 * The path of a program on PATH or in /usr/bin. Without it the test is skipped with the reason in plain sight
 * (and undefined comes back), except in CI, where everything is there: then it fails.
 */
export function program(t: Pick<TestContext, "skip">, name: string, debianPackage = "prometheus"): string | undefined {
  for (const folder of [...(process.env.PATH ?? "").split(delimiter), "/usr/bin"]) {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      continue;
    }
  }
  const reason = `${name} is not installed (Debian: apt-get install ${debianPackage})`;
  if (process.env.CI === "true") throw new Error(`${reason}; in CI that is a failure`);
  t.skip(reason);
  return undefined;
}

/** What `promtool check metrics` says of an exposition: nothing when it is accepted without remarks. */
export function promtoolCheck(promtool: string, text: string): string {
  const { status, stderr, stdout } = spawnSync(promtool, ["check", "metrics"], { input: text, encoding: "utf8" });
  return status === 0 ? `${stdout}${stderr}` : `exit ${status}: ${stdout}${stderr}`;
}

/** A target as `/api/v1/targets` has it, shortened. */
export interface Target {
  readonly health: "up" | "down" | "unknown";
  readonly lastError: string;
}

/** One series of a query's answer. */
export interface Result {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [seconds: number, value: string];
}

/** A running Prometheus. `await using` ends it and removes its data. */
export interface Prometheus extends AsyncDisposable {
  targets(): Promise<readonly Target[]>;
  query(expression: string): Promise<readonly Result[]>;
}

/** Starts a real Prometheus that scrapes `address` (host:port) every second. */
export async function startPrometheus(binary: string, address: string, path = "/metrics"): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), "sojourn-prometheus-"));
  const config = join(folder, "prometheus.yml");
  await writeFile(config, [
    "global: { scrape_interval: 1s }",
    "scrape_configs:",
    `  - { job_name: sojourn, metrics_path: ${path}, static_configs: [{ targets: ["${address}"] }] }`,
  ].join("\n"));
  const child = spawn(binary, [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    "--web.listen-address=127.0.0.1:0",
  ], { stdio: ["ignore", "ignore", "pipe"] });
  const exited = new Promise<void>((resolve) => void child.once("exit", () => resolve()));

  const port = await new Promise<string>((resolve, reject) => {
    let log = "";
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      log = (log + chunk).slice(-20_000);
      const listening = /Listening on.*?address=127\.0\.0\.1:(\d+)/.exec(log);
      if (listening !== null) resolve(listening[1]!);
    });
    child.once("error", reject);
    void exited.then(() => reject(new Error(`prometheus ended: ${log}`)));
  });

  async function get<T>(url: string): Promise<T> {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${url}`);
    const { data } = (await response.json()) as { data: T };
    return data;
  }

  return {
    targets: async () => (await get<{ activeTargets: Target[] }>("targets")).activeTargets,
    query: async (expression) => (await get<{ result: Result[] }>(`query?query=${encodeURIComponent(expression)}`)).result,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Asks again, some times a second, until `found` gives something; fails with `what` after `seconds`. */
export async function until<T>(what: string, found: () => Promise<T | undefined>, seconds = 30): Promise<T> {
  const end = performance.now() + seconds * 1_000;
  for (;;) {
    const value = await found();
    if (value !== undefined) return value;
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
