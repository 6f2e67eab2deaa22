import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { cpuSeconds, peakRssBytes, type Measured } from "../measure.ts";
import { freePorts } from "../../test/support/waiting.ts";
import type { Shape } from "./generate.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const METRIC = "bench_orders_total";

/** The job as a user writes it: tail from the head, parse, filter, track, count. */
function config(file: string, directory: string, { nested }: Shape, ports: readonly number[]): string {
  const at = nested
    ? { level: "body.level", component: "body.service.component", id: "body.order.id", status: "body.order.status.new", amount: "body.order.amount", reason: "body.order.reason" }
    : { level: "body.level", component: "body.component", id: "body.order_id", status: "body.new_status", amount: "body.amount", reason: "body.reason" };
  return `version: 1
receivers:
  log_tail: { include: ["${file}"], start_at: beginning }
processors:
  parse: { format: json }
  filter: { keep: '${at.level} == "error" || ${at.component} == "order-processor"' }
  track: { type: order, id: ${at.id}, state: ${at.status}, time: body.time, attributes: { amount: ${at.amount} }, states: { failed: { terminal: true } } }
  metrics:
    metrics:
      - { name: ${METRIC}, type: counter, help: "Orders seen.", by: { status: ${at.status}, reason: ${at.reason} } }
exporters:
  prometheus: { listen: "127.0.0.1:${ports[0]}" }
service:
  api: { listen: "127.0.0.1:${ports[1]}" }
  storage: { directory: "${directory}/state" }
  pipelines:
    orders: { receivers: [log_tail], processors: [parse, filter, track, metrics], exporters: [prometheus] }
`;
}

/** Runs the real agent, its store on disk, until its own metric shows every matching line; stops it then. */
export async function runAgent(file: string, expected: number, shape: Shape): Promise<Measured> {
  const directory = await mkdtemp(join(tmpdir(), "sojourn-bench-"));
  const yaml = join(directory, "agent.yaml");
  const ports = await freePorts(2);
  await writeFile(yaml, config(file, directory, shape, ports));
  const begin = performance.now();
  const child = spawn(process.execPath, [join(ROOT, "src", "main.ts"), "run", "--config", yaml], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const ended = once(child, "exit");
  try {
    for (;;) {
      if (child.exitCode !== null) throw new Error(`the agent ended: ${said}`);
      const counted = await scrape(ports[0]!);
      if (counted > expected) throw new Error(`counted ${counted} of ${expected} lines`);
      if (counted === expected) break;
      if (performance.now() - begin > 300_000) throw new Error(`counted ${counted} of ${expected} lines after 300 s: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    const wallSeconds = (performance.now() - begin) / 1_000;
    return { wallSeconds, cpuSeconds: await cpuSeconds(child.pid!), peakRssBytes: await peakRssBytes(child.pid!) };
  } finally {
    child.kill("SIGTERM");
    await ended;
    await rm(directory, { recursive: true, force: true });
  }
}

async function scrape(port: number): Promise<number> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    const text = await response.text();
    let sum = 0;
    for (const line of text.split("\n")) if (line.startsWith(`${METRIC}{`)) sum += Number(line.slice(line.lastIndexOf(" ")));
    return sum;
  } catch {
    return 0; // not up yet
  }
}
