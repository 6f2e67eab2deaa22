import assert from "node:assert/strict";
import { appendFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
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
