/**
 * `node bench/kafka.ts [--messages N] [--rounds N]`: messages per second and core out of Kafka, as ratios in one run, from a broker on this
 * machine. Each round is a process of its own; its start-up counts, the broker's work does not.
 *
 * client:   @platformatic/kafka hands on every message of the topic, and nobody does anything with it (no group's state, no commit)
 * raw, json: our receiver with that encoding, in front of an `emit` that does nothing
 * track:    the whole agent: kafka (json), track (100,000 orders, its store on disk), prometheus
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { Consumer, MessagesStreamModes } from "@platformatic/kafka";
import { kafka } from "../receivers/kafka.ts";
import { createMetrics } from "../src/metrics/store.ts";
import { realClock } from "../src/sdk/clock.ts";
import { silentLog } from "../src/sdk/log.ts";
import type { Batch } from "../src/sdk/observation.ts";
import { startKafka } from "../test/support/kafka.ts";
import { freePorts } from "../test/support/waiting.ts";
import { cpuSeconds, median } from "./measure.ts";

const TOPIC = "bench";
const PARTITIONS = 4;
const ORDERS = 100_000;
const CHUNK = 2_000;
const SECONDS_MAX = 300;

interface Run { readonly wallSeconds: number; readonly cpuSeconds: number }

const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "1000000" }, rounds: { type: "string", default: "3" },
    run: { type: "string" }, brokers: { type: "string", default: "" },
  },
});
const messages = Number(values.messages);
if (values.run === undefined) await main();
else console.log(JSON.stringify(await inThisProcess(values.run, values.brokers)));

async function main(): Promise<void> {
  await using cluster = await startKafka(undefined, { own: true });
  if (cluster === undefined) throw new Error("no Kafka");
  await cluster.createTopic(TOPIC, { partitions: PARTITIONS });
  let bytes = 0;
  for (let at = 0; at < messages; at += CHUNK) {
    const chunk = Array.from({ length: Math.min(CHUNK, messages - at) }, (_, n) => message(at + n));
    for (const { value } of chunk) bytes += value.length;
    await cluster.produce(TOPIC, chunk);
  }
  console.log(`kafka: ${messages} messages of ${Math.round(bytes / messages)} bytes in ${PARTITIONS} partitions, uncompressed; ${values.rounds} rounds, medians`);
  const brokers = cluster.bootstrap.join();
  const runs: Record<string, Run[]> = { client: [], raw: [], json: [], track: [] };
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const name of Object.keys(runs)) runs[name]!.push(name === "track" ? await agent(brokers) : await child(name, brokers));
  }
  const perSecond = (of: readonly Run[]): number => messages / median(of.map((run) => run.cpuSeconds));
  console.log(row(["what", "messages/CPU-s", "CPU-s/1M", "min-max", "messages/s", "against client"]));
  for (const [name, of] of Object.entries(runs)) {
    const cpu = of.map((run) => (run.cpuSeconds / messages) * 1e6);
    console.log(row([
      name, Math.round(perSecond(of)).toLocaleString("en"), median(cpu).toFixed(2), `${Math.min(...cpu).toFixed(2)}-${Math.max(...cpu).toFixed(2)}`,
      Math.round(messages / median(of.map((run) => run.wallSeconds))).toLocaleString("en"), `${(perSecond(of) / perSecond(runs["client"]!)).toFixed(2)}x`,
    ]));
  }
}

function message(n: number): { key: string; value: string; partition: number } {
  const order = (n * 7_919) % ORDERS;
  const value = JSON.stringify({
    order_id: `ORD-${order}`, status: ["created", "paid", "shipped", "delivered"][Math.floor(n / ORDERS) % 4], amount: (n % 10_000) / 100, currency: "EUR",
    customer: { id: `C-${n % 5_000}`, region: "eu-west-1" }, lines: [{ sku: "A-1", quantity: 1 }, { sku: "B-2", quantity: 3 }], at: new Date(1_700_000_000_000 + n * 10).toISOString(),
  });
  return { key: `ORD-${order}`, value, partition: order % PARTITIONS };
}

async function child(name: string, brokers: string): Promise<Run> {
  const args = [import.meta.filename, "--run", name, "--brokers", brokers, "--messages", String(messages)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: SECONDS_MAX * 1_000 });
  return JSON.parse(stdout) as Run;
}

async function inThisProcess(name: string, brokers: string): Promise<Run> {
  await (name === "client" ? client(brokers) : receiver(name, brokers));
  const { user, system } = process.cpuUsage();
  return { wallSeconds: performance.now() / 1_000, cpuSeconds: (user + system) / 1e6 };
}

async function client(brokers: string): Promise<void> {
  const consumer = new Consumer({ clientId: "bench", groupId: `bench-${process.pid}`, bootstrapBrokers: brokers.split(","), autocommit: false, maxBytes: 16 * 2 ** 20, highWaterMark: 10_000 });
  const stream = await consumer.consume({ topics: [TOPIC], mode: MessagesStreamModes.EARLIEST, maxWaitTime: 100 });
  await new Promise<void>((resolve, reject) => {
    let seen = 0;
    stream.on("data", () => { if (++seen === messages) resolve(); });
    stream.on("error", reject);
  });
  await consumer.close(true);
}

async function receiver(encoding: string, brokers: string): Promise<void> {
  let seen = 0;
  const all = Promise.withResolvers<void>();
  const nothing = (): void => {};
  const context = {
    id: "kafka/bench", clock: realClock, log: silentLog, metrics: createMetrics(realClock), position: undefined, report: (error: unknown) => console.error(error),
    healed: nothing, crashed: nothing, caughtUp: nothing, failing: nothing, status: nothing, refused: nothing, deadLetter: nothing,
    async emit(batch: Batch): Promise<void> {
      seen += batch.length;
      if (seen === messages) all.resolve();
    },
  };
  const instance = kafka.create({
    brokers: [brokers], topics: [TOPIC], partitions: "all", client_id: "bench", initial_offset: "earliest", on_offset_expired: "fail", encoding,
    flattened: false, on_error: "drop", isolation_level: "read_committed", max_poll_records: 5_000, fetch_min_bytes: "1B", fetch_max_wait: "100ms",
    fetch_max_bytes: "16MiB", max_partition_fetch_bytes: "4MiB", max_message_size: "4MiB", metadata_interval: "30s", failing_after: "30s", request_timeout: "30s",
    session_timeout: "45s", heartbeat_interval: "3s",
  } as never, context as never);
  await instance.start!();
  await all.promise;
  await instance.stop!();
}

async function agent(brokers: string): Promise<Run> {
  const folder = await mkdtemp(join(tmpdir(), "sojourn-bench-"));
  const [metrics, api] = await freePorts(2);
  const yaml = join(folder, "agent.yaml");
  await writeFile(yaml, `version: 1
receivers:
  kafka: { brokers: ["${brokers}"], topics: [${TOPIC}], initial_offset: earliest, max_partition_fetch_bytes: 4MiB }
processors:
  track: { type: order, id: body.order_id, state: body.status, time: body.at, attributes: { amount: body.amount }, states: { delivered: { terminal: true } } }
exporters:
  prometheus: { listen: "127.0.0.1:${metrics}" }
service:
  api: { listen: "127.0.0.1:${api}" }
  storage: { directory: "${folder}/state" }
  pipelines:
    orders: { receivers: [kafka], processors: [track], exporters: [prometheus] }
`);
  const begin = performance.now();
  const process_ = spawn(process.execPath, [join(import.meta.dirname, "..", "src", "main.ts"), "run", "--config", yaml], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  process_.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-10_000)));
  const ended = once(process_, "exit");
  try {
    for (;;) {
      if (process_.exitCode !== null) throw new Error(`the agent ended: ${said}`);
      if (await accepted(metrics!) >= messages) break;
      if (performance.now() - begin > SECONDS_MAX * 1_000) throw new Error(`not done in ${SECONDS_MAX} s: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    return { wallSeconds: (performance.now() - begin) / 1_000, cpuSeconds: await cpuSeconds(process_.pid!) };
  } finally {
    process_.kill("SIGTERM");
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
}

async function accepted(port: number): Promise<number> {
  try {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const line = text.split("\n").find((one) => one.startsWith("sojourn_receiver_accepted_observations_total{"));
    return line === undefined ? 0 : Number(line.trim().split(" ")[1]);
  } catch {
    return 0; // not up yet
  }
}

function row(cells: readonly string[]): string {
  const widths = [8, 15, 9, 12, 11, 14];
  return cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" ").trimEnd();
}
