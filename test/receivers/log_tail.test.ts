import assert from "node:assert/strict";
import { appendFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { logTail } from "../../receivers/log_tail.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import type { ConfigError } from "../../src/sdk/errors.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { receiverContext } from "../support/context.ts";
import { config, tailing, temporary } from "./log_tail_support.ts";

test("lines come in order, one observation each, and say which file they are from", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  await writeFile(path, "one\ntwo\n");
  await using tail = await tailing(config(path));
  await appendFile(path, "three\n");
  await tail.pass();
  assert.deepEqual(tail.lines(), ["one", "two", "three"]);
  const [first] = tail.observations();
  assert.deepEqual(first!.attributes, { "log.file.path": path, "log.file.name": "app.log" });
  assert.equal(first!.source, "log_tail/test");
});

test("with start_at end only what is written after the start is read, files that come later whole", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  await writeFile(path, "old\nunfinished");
  await using tail = await tailing(config(join(dir.path, "*.log"), { start_at: "end" }));
  await appendFile(path, " line\nnew\n");
  await writeFile(join(dir.path, "later.log"), "whole\n");
  await tail.pass();
  assert.deepEqual(tail.lines(), ["unfinished line", "new", "whole"]);
});

test("the first start is over once its position is committed: a file that comes while the agent is down is read whole", async () => {
  await using dir = await temporary();
  const wanted = config(join(dir.path, "*.log"), { start_at: "end" });
  const before = await tailing(wanted);
  await before.stop();
  await writeFile(join(dir.path, "app.log"), "meanwhile\n");
  await using tail = await tailing(wanted, before.position());
  assert.deepEqual(tail.lines(), ["meanwhile"]);
});

test("dense lines are split into bounded batches, each with its exact position", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  const written = Array.from({ length: 30_000 }, (_, i) => (i % 7 === 0 ? `ü${i}` : `${i}`));
  await writeFile(path, written.join("\n") + "\n");
  const whole = await tailing(config(path));
  await whole.stop();
  assert.deepEqual(whole.lines(), written);
  let count = 0;
  for (const { batch, position } of whole.recorded.emitted) {
    assert.ok(batch.length <= 2_000);
    count += batch.length;
    const [file] = (position as { files: { offset: number }[] }).files;
    assert.equal(file?.offset ?? 0, Buffer.byteLength(written.slice(0, count).map((line) => `${line}\n`).join("")));
  }
});

test("a huge file does not keep a small one waiting", async () => {
  await using dir = await temporary();
  await writeFile(join(dir.path, "a.log"), `${"x".repeat(99)}\n`.repeat(100_000));
  await writeFile(join(dir.path, "b.log"), "small\n");
  await using tail = await tailing(config(join(dir.path, "*.log")));
  const lines = tail.lines();
  assert.equal(lines.length, 100_001);
  assert.ok(lines.indexOf("small") < 10_000);
});

test("reading stops while commits are outstanding, and stop waits for them", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  await writeFile(path, `${"x".repeat(99)}\n`.repeat(100_000));
  const waiting: (() => void)[] = [];
  const clock = virtualClock();
  const { context, recorded } = receiverContext({ clock, metrics: createMetrics(clock), emit: () => new Promise((resolve) => waiting.push(resolve)) });
  const receiver = logTail.create(config(path) as never, context);
  await receiver.start!();
  for (let i = 0; i < 500; i++) await new Promise((resolve) => setImmediate(resolve));
  const bytes = recorded.emitted.reduce((sum, { batch }) => sum + batch.length * 100, 0);
  assert.ok(recorded.emitted.length <= 16 && recorded.emitted.length > 1, `${recorded.emitted.length} batches`);
  assert.ok(bytes <= 17 * 2 ** 20 && bytes < 100_000 * 100);
  let stopped = false;
  const stop = receiver.stop!().then(() => (stopped = true));
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(stopped, false);
  for (const resolve of waiting) resolve();
  await stop;
  assert.equal(recorded.emitted.length, waiting.length);
});

test("a batch that was not accepted is sent again before anything after it", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  await writeFile(path, "");
  let refusing = false;
  const accepted: unknown[] = [];
  await using tail = await tailing(config(path), undefined, {
    emit: async (batch) => {
      await Promise.resolve();
      if (refusing) throw new Error("not now");
      accepted.push(...batch.map(({ body }) => body));
    },
  });
  refusing = true;
  await appendFile(path, "one\n");
  await tail.pass(400);
  await appendFile(path, "two\n");
  await tail.pass(3_000);
  assert.deepEqual(accepted, []);
  refusing = false;
  await tail.pass(3_000);
  assert.deepEqual(accepted, ["one", "two"]);
  assert.ok(tail.recorded.reports.includes("not now"));
});

test("it has caught up when the end of every file that was there is reached, and not before", async () => {
  await using dir = await temporary();
  await writeFile(join(dir.path, "a.log"), "x\n".repeat(50_000));
  let lines = 0;
  let release: (() => void) | undefined;
  await using tail = await tailing(config(join(dir.path, "*.log")), undefined, {
    async emit(batch) {
      lines += batch.length;
      if (lines === 50_000) await new Promise<void>((resolve) => void (release = resolve));
    },
  });
  await tail.pass(1_000);
  assert.equal(lines, 50_000);
  assert.equal(tail.recorded.caughtUp, false);
  release!();
  await tail.pass(200);
  assert.equal(tail.recorded.caughtUp, true);
});

test("nothing to read is caught up as well", async () => {
  await using dir = await temporary();
  await using tail = await tailing(config(join(dir.path, "none", "*.log")));
  await tail.pass(200);
  assert.equal(tail.recorded.caughtUp, true);
  await mkdir(join(dir.path, "none"));
  await writeFile(join(dir.path, "none", "a.log"), "now\n");
  await tail.pass();
  assert.deepEqual(tail.lines(), ["now"]);
});

test("exclude wins over include, and only regular files are read", async () => {
  await using dir = await temporary();
  await mkdir(join(dir.path, "dir.log"));
  await writeFile(join(dir.path, "a.log"), "a\n");
  await writeFile(join(dir.path, "b.debug.log"), "b\n");
  await using tail = await tailing(config(join(dir.path, "*.log"), { exclude: [join(dir.path, "*.debug.log")] }));
  assert.deepEqual(tail.lines(), ["a"]);
});

test("more files than may be open are all read, and what is appended to closed ones too", async () => {
  await using dir = await temporary();
  const names = Array.from({ length: 9 }, (_, i) => join(dir.path, `${i}.log`));
  for (const [i, name] of names.entries()) await writeFile(name, `first ${i}\n`);
  await using tail = await tailing(config(join(dir.path, "*.log"), { files_max: 3 }));
  await tail.pass(6_000);
  for (const [i, name] of names.entries()) await appendFile(name, `second ${i}\n`);
  await tail.pass(6_000);
  const expected = names.flatMap((_, i) => [`first ${i}`, `second ${i}`]).sort();
  assert.deepEqual((tail.lines() as string[]).sort(), expected);
  assert.ok(tail.recorded.caughtUp);
});

test("lag and open files are metrics, and each file is in the status", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  await writeFile(path, "whole\nhalf");
  const tail = await tailing(config(path));
  const gauge = (name: string) => tail.metrics.gauge({ name, help: "", labels: ["receiver"] }).series("log_tail/test").value;
  await tail.pass(200);
  assert.equal(gauge("sojourn_log_tail_files_open"), 1);
  assert.equal(gauge("sojourn_log_tail_lag_bytes"), 4);
  assert.deepEqual(tail.recorded.describe?.(), {
    files: [{ path, offset: 6, size: 10, lag_bytes: 4, state: "open" }], files_total: 1, files_waiting: 0, files_unreadable: 0, unreadable: [], lag_bytes: 4,
  });
  await tail.stop();
});

test("a wrong configuration says where, and stop is safe before start and twice", async () => {
  const { context } = receiverContext({ clock: virtualClock() });
  const pointerOf = (parts: Parameters<typeof config>[1], include = "/x/*.log"): string => {
    try {
      logTail.create(config(include, parts) as never, context);
    } catch (error) {
      return (error as ConfigError).pointer;
    }
    return "accepted";
  };
  assert.equal(pointerOf({}, "/x/[a.log"), "/include/0");
  assert.equal(pointerOf({ exclude: ["/x/{a"] }), "/exclude/0");
  assert.equal(pointerOf({ max_line_size: "1GiB" }), "/max_line_size");
  const multiline = { timeout: "1s", lines_max: 10 };
  assert.equal(pointerOf({ multiline }), "/multiline");
  assert.equal(pointerOf({ multiline: { ...multiline, line_start_pattern: "(" } }), "/multiline/line_start_pattern");
  const idle = logTail.create(config("/x/*.log") as never, context);
  await idle.stop!();
  await idle.stop!();
});

test("a stored position that it does not know is refused, not overwritten", async () => {
  await using dir = await temporary();
  await assert.rejects(tailing(config(join(dir.path, "*.log")), { version: 2, files: [] }), /version 2/);
  await assert.rejects(tailing(config(join(dir.path, "*.log")), { version: 1, files: [{ path: "x" }] }), /damaged/);
});
