/**
 * `npm run bench`: the figures of this repository, as ratios in one run.
 * Usage: npm run bench -- [tail_json] [--lines N] [--rounds N]
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median, type Measured } from "./measure.ts";
import { generate, type Shape } from "./tail_json/generate.ts";
import { runAgent } from "./tail_json/agent.ts";
import { hasMtail, runMtail } from "./tail_json/mtail.ts";

const SHAPES: Readonly<Record<string, Shape>> = {
  "flat, all match": { nested: false, matching: 1 },
  "flat, 5% match": { nested: false, matching: 0.05 },
  "nested, all match": { nested: true, matching: 1 },
  "nested, 5% match": { nested: true, matching: 0.05 },
};

const { values } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: { lines: { type: "string", default: "2000000" }, rounds: { type: "string", default: "3" } },
});
const lines = Number(values.lines);
const rounds = Number(values.rounds);
const cache = join(import.meta.dirname, "..", ".cache", "bench");
await mkdir(cache, { recursive: true });

console.log(`tail_json: ${lines} lines read from the head, parsed, filtered, tracked (100,000 orders, on disk) and counted; ${rounds} rounds, medians`);
if (!hasMtail) console.log("mtail is not installed (Debian: apt-get install mtail): its column is left out");
console.log("whole processes, start-up included; mtail matches and counts by regular expression, it keeps no state\n");
const header = ["data", "program", "CPU-s/1M", "min-max", "lines/s", "peak RSS MB", "CPU vs mtail"];
console.log(row(header));
for (const [name, shape] of Object.entries(SHAPES)) {
  const file = join(cache, `${name.replace(/\W+/g, "_")}_${lines}.log`);
  const expected = await generate(file, lines, shape);
  const runs: Record<string, Measured[]> = { sojourn: [], ...(hasMtail ? { mtail: [] } : {}) };
  for (let round = 0; round < rounds; round++) {
    runs["sojourn"]!.push(await runAgent(file, expected, shape));
    if (hasMtail && round === 0) runs["mtail"]!.push(await runMtail(file, expected, shape)); // slow and steady: once
  }
  const mtailCpu = runs["mtail"]?.[0]?.cpuSeconds;
  for (const [program, measured] of Object.entries(runs)) {
    const cpu = measured.map(({ cpuSeconds }) => (cpuSeconds / lines) * 1e6);
    const middle = median(cpu);
    console.log(row([
      name,
      program,
      middle.toFixed(2),
      `${Math.min(...cpu).toFixed(2)}-${Math.max(...cpu).toFixed(2)}`,
      Math.round(lines / median(measured.map(({ wallSeconds }) => wallSeconds))).toLocaleString("en"),
      (Math.max(...measured.map(({ peakRssBytes }) => peakRssBytes)) / 1e6).toFixed(0),
      mtailCpu === undefined ? "" : `${(mtailCpu / lines * 1e6 / middle).toFixed(1)}x cheaper`,
    ]));
  }
}

function row(cells: readonly string[]): string {
  const widths = [18, 8, 9, 11, 10, 12, 14];
  return cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" ").trimEnd();
}
