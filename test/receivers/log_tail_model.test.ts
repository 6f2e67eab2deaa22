import assert from "node:assert/strict";
import { appendFile, copyFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { logTail } from "../../receivers/log_tail.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import { NotAcceptedError } from "../../src/sdk/errors.ts";
import { wholeBody, type Batch, type Json } from "../../src/sdk/observation.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { receiverContext } from "../support/context.ts";
import { config, temporary, type Config } from "./log_tail_support.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What the store has: the effects and the position of whole commits, in order. */
interface Store {
  readonly lines: string[];
  position: Json | undefined;
}

/** An agent that commits late and dies at any moment; what it had not committed is gone with it. */
async function agent(wanted: Config, store: Store, random: () => number) {
  const clock = virtualClock();
  const waiting: { batch: Batch; position: Json; resolve: () => void; reject: (error: Error) => void }[] = [];
  let dead = false;
  const { context, recorded } = receiverContext({
    clock,
    metrics: createMetrics(clock),
    ...(store.position === undefined ? {} : { position: store.position }),
    emit: (batch, position) => new Promise((resolve, reject) => {
      if (dead) reject(new NotAcceptedError("killed"));
      else waiting.push({ batch, position: structuredClone(position) as Json, resolve, reject });
    }),
  });
  const receiver = logTail.create(wanted as never, context);
  await receiver.start!();

  function commit(): void {
    for (let n = Math.ceil(random() * waiting.length); n > 0; n--) {
      const { batch, position, resolve } = waiting.shift()!;
      store.lines.push(...batch.map(({ body }) => wholeBody(body) as string));
      store.position = position;
      resolve();
    }
  }

  return {
    recorded,
    async run(turns: number): Promise<void> {
      for (let i = 0; i < turns; i++) {
        await clock.advance(50, turn);
        if (random() < 0.5) commit();
      }
    },
    /** Until nothing moves any more, all names were looked at, and everything is committed. */
    async quiesce(): Promise<void> {
      const asleep = async (): Promise<void> => {
        for (let turns = 0; clock.pending === 0 || waiting.length > 0; turns++) {
          assert.ok(turns < 1_000_000, "it never comes to rest");
          commit();
          await turn();
        }
      };
      for (let still = 0; still < 7; ) {
        const before = store.lines.length;
        await clock.advance(200, asleep);
        still = store.lines.length === before ? still + 1 : 0;
      }
    },
    async kill(): Promise<void> {
      dead = true;
      const stopping = receiver.stop!();
      for (const { reject } of waiting.splice(0)) reject(new NotAcceptedError("killed"));
      await stopping;
    },
  };
}

/** One log as its writer sees it. */
function writer(directory: string, name: string, random: () => number) {
  const path = join(directory, name);
  const lines: string[] = [];
  let carry = Buffer.alloc(0);
  let rotation = 0;

  async function write(bytes: Buffer): Promise<void> {
    await appendFile(path, bytes);
  }

  return {
    path,
    lines,
    /** Some lines, written in pieces that end anywhere: in a line, in a character. */
    async append(): Promise<void> {
      const parts: Buffer[] = [carry];
      for (let n = Math.floor(random() * (random() < 0.1 ? 4_000 : 12)); n >= 0; n--) {
        const line = `${name} ${lines.length} ${"äx€🚚 ".repeat(Math.floor(random() * 8))}end`;
        lines.push(line);
        parts.push(Buffer.from(line + (random() < 0.3 ? "\r\n" : "\n")));
      }
      const bytes = Buffer.concat(parts);
      const cut = random() < 0.5 ? bytes.length : Math.floor(random() * bytes.length);
      await write(bytes.subarray(0, cut));
      carry = bytes.subarray(cut);
    },
    /** The file is there afterwards. */
    async finishLine(): Promise<void> {
      await write(carry);
      carry = Buffer.alloc(0);
    },
    async rotate(): Promise<void> {
      await rename(path, `${path}.${++rotation}`);
      await writeFile(path, "");
    },
    async copyTruncate(): Promise<void> {
      await copyFile(path, `${path}.${++rotation}`);
      await truncate(path, 0);
    },
    async recreate(): Promise<void> {
      await rm(path);
      if (random() < 0.5) await writeFile(path, "");
    },
  };
}

/** `whole`: the glob takes in what was rotated away, so that anything may happen at any time; else the order is exact. */
async function play(seed: number, whole: boolean): Promise<void> {
  await using dir = await temporary();
  const { random } = virtualClock(0, seed * 7_919 + (whole ? 1 : 0));
  const wanted = config(join(dir.path, whole ? "*.log*" : "*.log"));
  const store: Store = { lines: [], position: undefined };
  const writers = ["a.log", "b.log"].map((name) => writer(dir.path, name, random));
  for (const { path } of writers) await writeFile(path, "");
  let running = await agent(wanted, store, random);
  for (let step = 0; step < 80; step++) {
    const log = writers[Math.floor(random() * writers.length)]!;
    const what = random();
    if (what < 0.5) await log.append();
    else if (what < 0.6) {
      await log.finishLine();
      // What is rotated has no included name any more: that the agent knows the file must have been committed.
      if (!whole) await running.quiesce();
      if (!whole) await log.append();
      if (!whole) await log.finishLine();
      await log.rotate();
    } else if (what < 0.66) {
      await log.finishLine();
      if (!whole) await running.quiesce();
      await log.copyTruncate();
      if (!whole && random() < 0.5) await log.append();
    } else if (what < 0.7) {
      await log.finishLine();
      await running.quiesce();
      await log.recreate();
    } else if (what < 0.8) {
      await running.kill();
      running = await agent(wanted, store, random);
    } else await running.run(Math.floor(random() * 10));
  }
  for (const log of writers) await log.finishLine();
  await running.quiesce();
  await running.kill();
  assert.deepEqual(running.recorded.reports, []);
  for (const { lines, path } of writers) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    const seen = store.lines.filter((line) => line.startsWith(`${name} `));
    const order = (a: string, b: string): number => Number(a.split(" ")[1]) - Number(b.split(" ")[1]);
    assert.deepEqual(whole ? seen.toSorted(order) : seen, lines, `seed ${seed}`);
  }
  assert.equal(store.lines.length, writers.reduce((sum, { lines }) => sum + lines.length, 0));
}

const seeds = Array.from({ length: Number(process.env["LOG_TAIL_SEEDS"] ?? 6) }, (_, i) => i + Number(process.env["LOG_TAIL_SEED"] ?? 1));

test("whatever happens to the files and the agent, every line is committed exactly once and in order", async () => {
  for (const seed of seeds) await play(seed, false);
});

test("the same with every rotated file still included, rotated and copied at any moment", async () => {
  for (const seed of seeds) await play(seed, true);
});
