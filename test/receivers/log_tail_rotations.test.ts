import assert from "node:assert/strict";
import { appendFile, rename, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Json } from "../../src/sdk/observation.ts";
import { config, tailing, temporary } from "./log_tail_support.ts";

const long = (from: number, to: number): string => Array.from({ length: to - from }, (_, i) => `${`line ${from + i}`.padEnd(200, ".")}\n`).join("");

for (const down of [false, true]) {
  test(`rotated several times between two looks, large files are read one after the other (${down ? "agent down" : "agent running"})`, async () => {
    await using directory = await temporary();
    const path = join(directory.path, "app.log");
    const wanted = config(`${path}*`);
    await writeFile(path, long(0, 10));
    const first = await tailing(wanted);
    await first.pass();
    if (down) await first.stop();
    await appendFile(path, long(10, 2_000));
    await rename(path, `${path}.1`);
    await writeFile(path, long(2_000, 4_000));
    await rename(path, `${path}.2`);
    await writeFile(path, long(4_000, 6_000));
    await rename(path, `${path}.3`);
    if (!down) await first.pass();
    await writeFile(path, long(6_000, 8_000));
    await using again = down ? await tailing(wanted, first.position()) : first;
    await again.pass();
    const read = again.lines().map((line) => Number(/\d+/.exec(line as string)![0]));
    assert.equal(read.length, down ? 7_990 : 8_000);
    assert.deepEqual(read.filter((number, i) => i > 0 && number < read[i - 1]!).slice(0, 5), [], "read before what was written earlier");
  });
}

test("stopped anywhere between a rotation and the end of what was rotated away, it goes on in order", async () => {
  await using directory = await temporary();
  const path = join(directory.path, "app.log");
  const wanted = config(`${path}*`);
  await writeFile(path, long(0, 10));
  const positions: Json[] = [];
  const first = await tailing(wanted, undefined, { emit: async (batch, position) => void (batch.length > 0 && positions.push(structuredClone(position!) as Json)) });
  await appendFile(path, long(10, 4_000));
  await rename(path, `${path}.1`);
  await writeFile(path, long(4_000, 8_000));
  await rename(path, `${path}.2`);
  await writeFile(path, long(8_000, 12_000));
  await first.pass();
  await first.stop();
  assert.ok(positions.length > 5, `only ${positions.length} positions`);
  for (const [i, position] of positions.entries()) {
    await using again = await tailing(wanted, position);
    await again.pass();
    const read = again.lines().map((line) => Number(/\d+/.exec(line as string)![0]));
    const begin = 12_000 - read.length;
    assert.equal(read.findIndex((number, at) => number !== begin + at), -1, `from position ${i}`);
  }
});

test("thousands of rotated files are taken up in order and in no time, with fewer handles than files", async () => {
  await using directory = await temporary();
  const path = join(directory.path, "app.log");
  for (let i = 0; i < 2_000; i++) {
    await writeFile(`${path}.${i}`, long(i, i + 1));
    await utimes(`${path}.${i}`, 1_000 + i, 1_000 + i);
  }
  const begin = performance.now();
  await using tail = await tailing(config(`${path}*`, { files_max: 500 }));
  for (let scans = 0; scans < 10 && tail.lines().length < 2_000; scans++) await tail.pass();
  assert.deepEqual(tail.lines().map((line) => Number(/\d+/.exec(line as string)![0])), Array.from({ length: 2_000 }, (_, i) => i));
  const seconds = (performance.now() - begin) / 1_000;
  assert.ok(seconds < 10, `it took ${seconds} s`);
});

test("files beyond those that can be followed are reported, not silently left out", async () => {
  await using directory = await temporary();
  for (let i = 0; i < 12; i++) await writeFile(join(directory.path, `app.log.${i}`), long(i, i + 1));
  await using tail = await tailing(config(join(directory.path, "app.log*"), { files_max: 1 }));
  for (let scans = 0; scans < 12; scans++) await tail.pass();
  assert.equal(tail.lines().length, 10);
  const [report] = tail.recorded.reports;
  assert.match(String(report), /cannot read .*app\.log\.\d+: 10 files match already; narrow include, .* raise files_max \(and 1 more\)/);
});
