import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { cpuSeconds, peakRssBytes, type Measured } from "../measure.ts";
import type { Shape } from "./generate.ts";

const MTAIL = ["/usr/bin/mtail", "/usr/local/bin/mtail"].find((path) => existsSync(path));

export const hasMtail = MTAIL !== undefined;

/** The nearest that mtail has to the job: it matches and counts, but keeps no state of any order. */
function program({ nested }: Shape): string {
  const pattern = nested
    ? `"component":"order-processor".*"new":"(?P<status>[a-z_]+)".*"reason":"(?P<reason>[a-z_]*)"`
    : `"component":"order-processor".*"new_status":"(?P<status>[a-z_]+)".*"reason":"(?P<reason>[a-z_]*)"`;
  return `counter bench_orders_total by status, reason\n/${pattern}/ {\n  bench_orders_total[$status][$reason]++\n}\n`;
}

/** Runs mtail once over the file. Its CPU time is read while it runs, every 20 ms: the last reading counts. */
export async function runMtail(file: string, expected: number, shape: Shape): Promise<Measured> {
  const directory = await mkdtemp(join(tmpdir(), "mtail-bench-"));
  try {
    const progs = join(directory, "orders.mtail");
    await writeFile(progs, program(shape));
    const begin = performance.now();
    const child = spawn(MTAIL!, ["-one_shot", "-one_shot_format=prometheus", "-progs", progs, "-logs", file, "-port", "0", "-address", "127.0.0.1"], { stdio: ["ignore", "pipe", "pipe"], cwd: directory });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stderr.resume();
    const ended = once(child, "exit");
    let cpu = 0;
    let rss = 0;
    while (child.exitCode === null && child.signalCode === null) {
      try {
        cpu = Math.max(cpu, await cpuSeconds(child.pid!));
        rss = Math.max(rss, await peakRssBytes(child.pid!));
      } catch {
        break; // it is gone
      }
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 20))]);
    }
    await ended;
    const wallSeconds = (performance.now() - begin) / 1_000;
    let counted = 0;
    for (const line of output.split("\n")) if (line.startsWith("bench_orders_total{")) counted += Number(line.trim().split(/\s+/).find((part, i) => i > 0 && /^\d+$/.test(part)));
    if (counted !== expected) throw new Error(`mtail counted ${counted} of ${expected} lines: ${output.slice(0, 500)}`);
    return { wallSeconds, cpuSeconds: cpu, peakRssBytes: rss };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
