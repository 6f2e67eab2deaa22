import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** An alert as `GET /api/v2/alerts` has it, shortened. What is over is not there. */
export interface StoredAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly generatorURL?: string;
  readonly fingerprint: string;
}

/** A running Alertmanager. `await using` ends it and removes its data. */
export interface Alertmanager extends AsyncDisposable {
  /** http://127.0.0.1:port, with the path it was started with. */
  readonly url: string;
  alerts(): Promise<readonly StoredAlert[]>;
}

export interface AlertmanagerOptions {
  /** Where it tells of alerts; default: nowhere. */
  readonly webhook?: string;
  /** --web.route-prefix */
  readonly prefix?: string;
}

/** Starts a real Alertmanager that waits for nothing before it tells of an alert. */
export async function startAlertmanager(binary: string, { webhook, prefix = "" }: AlertmanagerOptions = {}): Promise<Alertmanager> {
  const folder = await mkdtemp(join(tmpdir(), "sojourn-alertmanager-"));
  const config = join(folder, "alertmanager.yml");
  await writeFile(config, [
    'route: { receiver: hook, group_by: ["..."], group_wait: 0s, group_interval: 50ms, repeat_interval: 1h }',
    `receivers: [{ name: hook${webhook === undefined ? "" : `, webhook_configs: [{ url: "${webhook}", send_resolved: true }]`} }]`,
  ].join("\n"));
  const child = spawn(binary, [
    `--config.file=${config}`,
    `--storage.path=${join(folder, "data")}`,
    "--web.listen-address=127.0.0.1:0",
    "--cluster.listen-address=",
    ...(prefix === "" ? [] : [`--web.route-prefix=${prefix}`]),
  ], { stdio: ["ignore", "ignore", "pipe"] });
  const exited = new Promise<void>((resolve) => void child.once("exit", () => resolve()));

  const port = await new Promise<string>((resolve, reject) => {
    let log = "";
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      log = (log + chunk).slice(-20_000);
      const listening = /[Ll]istening.*?address=127\.0\.0\.1:(\d+)/.exec(log);
      if (listening !== null) resolve(listening[1]!);
    });
    child.once("error", reject);
    void exited.then(() => reject(new Error(`Alertmanager ended: ${log}`)));
  });
  const url = `http://127.0.0.1:${port}${prefix}`;

  return {
    url,
    async alerts() {
      const response = await fetch(`${url}/api/v2/alerts`);
      if (!response.ok) throw new Error(`Alertmanager answered ${response.status}: ${await response.text()}`);
      return (await response.json()) as StoredAlert[];
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
