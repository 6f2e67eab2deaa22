import assert from "node:assert/strict";
import { appendFile, open, rm, stat, symlink, writeFile, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Recorded } from "../support/context.ts";
import { config, tailing, temporary, type Tailing } from "./log_tail_support.ts";

/** Cannot be read: by root too, who reads whatever has no permissions. */
async function makeUnreadable(path: string): Promise<void> {
  await symlink(path, path);
}

async function makeReadable(path: string, content: string): Promise<void> {
  await rm(path);
  await writeFile(path, content);
}

const gaugeOf = (tail: Tailing, name: string): number => tail.metrics.gauge({ name, help: "", labels: ["receiver"] }).series("log_tail/test").value;

test("one unreadable file of many is said once, counted and shown; it hinders no other, makes nothing stale, and heals", async () => {
  await using dir = await temporary();
  const bad = join(dir.path, "bad.log");
  await makeUnreadable(bad);
  await writeFile(join(dir.path, "good.log"), "good\n");
  await using tail = await tailing(config(join(dir.path, "*.log")));
  await tail.pass(5_000);
  assert.deepEqual(tail.lines(), ["good"]);
  assert.equal(tail.recorded.failing, undefined);
  assert.match(tail.recorded.reports.join("\n"), /^cannot read .*bad\.log: ELOOP[^\n]*$/);
  const status = tail.recorded.describe!() as { files_unreadable: number; unreadable: object[] };
  assert.deepEqual([status.files_unreadable, status.unreadable], [1, [{ path: bad, error: "ELOOP" }]]);
  assert.equal(gaugeOf(tail, "sojourn_log_tail_files_unreadable"), 1);
  await makeReadable(bad, "secret\n");
  await tail.pass();
  assert.deepEqual(tail.lines(), ["good", "secret"]);
  assert.equal(tail.recorded.healed, 1);
  assert.equal(gaugeOf(tail, "sojourn_log_tail_files_unreadable"), 0);
});

test("when none of the files can be read it is failing, and is so until the news is in", async () => {
  await using dir = await temporary();
  const paths = ["a.log", "b.log"].map((name) => join(dir.path, name));
  for (const path of paths) await makeUnreadable(path);
  const whileFailing: boolean[] = [];
  const seen: { recorded?: Recorded } = {};
  await using tail = await tailing(config(join(dir.path, "*.log")), undefined, {
    async emit(batch) {
      if (batch.length > 0) whileFailing.push(seen.recorded?.failing !== undefined);
    },
  });
  seen.recorded = tail.recorded;
  await tail.pass(5_000);
  assert.match(tail.recorded.failing ?? "", /^cannot read .*a\.log: ELOOP.* \(and 1 more\)$/);
  assert.equal(tail.recorded.reports.length, 1);
  await makeReadable(paths[0]!, "one\n");
  await tail.pass();
  assert.deepEqual(tail.lines(), ["one"]);
  assert.deepEqual(whileFailing, [true], "what was stale is not judged again before the news is in");
  assert.equal(tail.recorded.failing, undefined, "one of two brings news");
  assert.equal(tail.recorded.healed, 0);
  await makeReadable(paths[1]!, "two\n");
  await tail.pass();
  assert.deepEqual(tail.lines(), ["one", "two"]);
  assert.equal(tail.recorded.healed, 1);
});

test("a file that was read and is gone does not hide that what is left cannot be read", async () => {
  await using dir = await temporary();
  await makeUnreadable(join(dir.path, "bad.log"));
  await writeFile(join(dir.path, "good.log"), "good\n");
  await using tail = await tailing(config(join(dir.path, "*.log")));
  await tail.pass();
  assert.equal(tail.recorded.failing, undefined);
  await rm(join(dir.path, "good.log"));
  await tail.pass(5_000);
  assert.match(tail.recorded.failing ?? "", /bad\.log/);
  await writeFile(join(dir.path, "good.log"), "again\n");
  await tail.pass();
  assert.equal(tail.recorded.failing, undefined);
  assert.deepEqual(tail.lines(), ["good", "again"]);
});

test("files closed for want of handles are readable: nothing is failing", async () => {
  await using dir = await temporary();
  await makeUnreadable(join(dir.path, "bad.log"));
  for (let i = 0; i < 4; i++) await writeFile(join(dir.path, `${i}.log`), `${i}\n`);
  await using tail = await tailing(config(join(dir.path, "*.log"), { files_max: 1 }));
  await tail.pass(6_000);
  assert.equal(tail.recorded.failing, undefined);
  assert.deepEqual((tail.lines() as string[]).sort(), ["0", "1", "2", "3"]);
});

test("a pattern that matches nothing is normal", async () => {
  await using dir = await temporary();
  await using tail = await tailing(config(join(dir.path, "*.log")));
  await tail.pass(5_000);
  assert.equal(tail.recorded.failing, undefined);
});

test("a file that opens but cannot be read hinders neither the start nor another file, and leaves no handle open", async (t) => {
  await using dir = await temporary();
  const bad = join(dir.path, "bad.log");
  await writeFile(bad, "never read\n");
  await writeFile(join(dir.path, "good.log"), "");
  const { ino } = await stat(bad);
  const probe = await open(bad);
  const prototype = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  const real = prototype.read;
  let failures = 0;
  let opened = 0;
  // A disk that cannot read these sectors, a network file system without its server.
  t.mock.method(prototype, "read", async function (this: FileHandle, ...args: Parameters<FileHandle["read"]>) {
    if ((await this.stat()).ino !== ino) return real.apply(this, args);
    failures++;
    opened++;
    const close = this.close.bind(this);
    this.close = async () => {
      opened--;
      await close();
    };
    throw Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
  });
  await using tail = await tailing(config(join(dir.path, "*.log"), { start_at: "end" }));
  await appendFile(join(dir.path, "good.log"), "good\n");
  await tail.pass(5_000);
  assert.deepEqual(tail.lines(), ["good"]);
  assert.match(tail.recorded.reports[0]!, /bad\.log: EIO/);
  assert.equal(tail.recorded.failing, undefined);
  assert.equal(tail.recorded.caughtUp, true);
  assert.ok(failures > 1, "it is tried again");
  assert.equal(opened, 0);
});
