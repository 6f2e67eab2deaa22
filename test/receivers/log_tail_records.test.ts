import assert from "node:assert/strict";
import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Json } from "../../src/sdk/observation.ts";
import { config, tailing, temporary } from "./log_tail_support.ts";

const multiline = (parts: { line_start_pattern?: string; line_end_pattern?: string; lines_max?: number; timeout?: string }) =>
  ({ timeout: "1s", lines_max: 1_000, ...parts });

test("a record goes from one start to the next, and ends when nothing follows for a while", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  await writeFile(path, "lost head\nERROR a\n  at b\n\n  at c\nERROR d\r\n  at e\r\n");
  await using tail = await tailing(config(path, { multiline: multiline({ line_start_pattern: "^ERROR" }) }));
  assert.deepEqual(tail.lines(), ["lost head", "ERROR a\n  at b\n\n  at c"]);
  assert.equal(tail.recorded.caughtUp, false);
  await tail.pass(800);
  await appendFile(path, "  at f\n");
  await tail.pass(800);
  assert.equal(tail.lines().length, 2);
  await tail.pass(1_000);
  assert.deepEqual(tail.lines().slice(2), ["ERROR d\n  at e\n  at f"]);
  assert.equal(tail.recorded.caughtUp, true);
});

test("a file whose records never pause has caught up once all that was there at the start is handed on", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  await writeFile(path, "ERROR 1\n");
  await using tail = await tailing(config(path, { multiline: multiline({ line_start_pattern: "^ERROR", timeout: "1s" }) }));
  assert.equal(tail.recorded.caughtUp, false);
  for (let i = 2; i < 5; i++) {
    await appendFile(path, `ERROR ${i}\n`);
    await tail.pass(400);
  }
  assert.equal(tail.recorded.caughtUp, true);
  assert.equal(tail.lines().at(-1), "ERROR 3", "the last one still waits for its next line");
});

test("a record ends with the line that matches the end pattern", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  await writeFile(path, "BEGIN\nx\nCOMMIT;\nBEGIN\n");
  await using tail = await tailing(config(path, { multiline: multiline({ line_end_pattern: ";$" }) }));
  assert.deepEqual(tail.lines(), ["BEGIN\nx\nCOMMIT;"]);
});

test("a record is bounded in lines and in size", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  await writeFile(path, `S\n1\n2\n3\n4\nS ${"x".repeat(40)}\n${"y".repeat(80)}\nS end\n`);
  const wanted = config(path, { multiline: multiline({ line_start_pattern: "^S", lines_max: 3 }), max_line_size: "100B" });
  await using tail = await tailing(wanted);
  await tail.pass(2_000);
  assert.deepEqual(tail.lines(), ["S\n1\n2", "3\n4", `S ${"x".repeat(40)}\n${"y".repeat(57)}`, "S end"]);
  assert.deepEqual(tail.observations().map(({ attributes }) => attributes["log.truncated"]), [undefined, undefined, true, undefined]);
});

test("a restart within a record reads it again from its start, and no other", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  const wanted = config(path, { multiline: multiline({ line_start_pattern: "^S", timeout: "1h" }) });
  await writeFile(path, "S one\n a\nS two\n b\n");
  const before = await tailing(wanted);
  await before.stop();
  assert.deepEqual(before.lines(), ["S one\n a"]);
  await appendFile(path, " c\nS three\n");
  await using tail = await tailing(wanted, before.position());
  assert.deepEqual(tail.lines(), ["S two\n b\n c"]);
});

test("offsets of records are bytes, whatever the text", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  const wanted = config(path, { multiline: multiline({ line_start_pattern: "^S", timeout: "1h" }) });
  await writeFile(path, "S größe €\n 🚚\nS zwei ü\n");
  const before = await tailing(wanted);
  await before.stop();
  const { files } = before.position() as { files: { offset: number }[] };
  assert.equal(files[0]!.offset, Buffer.byteLength("S größe €\n 🚚\n"));
});

const T = "2026-02-03T04:05:06.789012345Z";
const MS = Date.UTC(2026, 1, 3, 4, 5, 6, 789);

for (const container of ["cri", "auto"] as const) {
  test(`partial lines of a container are joined per stream, with time and stream (${container})`, async () => {
    await using dir = await temporary();
    const path = join(dir.path, "0.log");
    await writeFile(path, [
      `${T} stdout F whole`, `${T} stdout P one `, `${T} stderr F between\r`, `${T} stdout P:x two `, "2026-02-03T04:05:07Z stdout F three",
      `${T} stderr F `, "no container's line", "",
    ].join("\n"));
    await using tail = await tailing(config(path, { container }));
    assert.deepEqual(tail.lines(), ["whole", "between", "one two three", "no container's line"]);
    const [first, second, third, last] = tail.observations();
    assert.deepEqual([first!.time, third!.time], [MS, MS]);
    assert.deepEqual([first, second, third, last].map((one) => one!.attributes["log.iostream"]), ["stdout", "stderr", "stdout", undefined]);
  });
}

for (const container of ["docker", "auto"] as const) {
  test(`Docker's JSON lines are read the same way (${container})`, async () => {
    await using dir = await temporary();
    const path = join(dir.path, "x-json.log");
    const line = (log: Json, stream = "stdout"): string => JSON.stringify({ log, stream, time: T });
    await writeFile(path, [line("a\n"), line("b "), line("err\r\n", "stderr"), line("c\n"), "{\"log\":5}", "{broken", ""].join("\n"));
    await using tail = await tailing(config(path, { container }));
    assert.deepEqual(tail.lines(), ["a", "err", "b c", "{\"log\":5}", "{broken"]);
    assert.equal(tail.observations()[0]!.time, MS);
  });
}

test("what the other stream had committed beyond a partial line is not read twice", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "0.log");
  const wanted = config(path, { container: "cri" });
  await writeFile(path, `${T} stdout P half \n${T} stderr F e1\nplain\n${T} stderr F e2\n`);
  const before = await tailing(wanted);
  await before.stop();
  assert.deepEqual(before.lines(), ["e1", "plain", "e2"]);
  const idle = await tailing(wanted, before.position());
  await idle.stop();
  assert.deepEqual(idle.lines(), []);
  await appendFile(path, `${T} stderr F e3\n${T} stdout F whole\n`);
  await using tail = await tailing(wanted, before.position());
  assert.deepEqual(tail.lines(), ["e3", "half whole"]);
  const { files } = tail.position() as { files: { ahead?: object }[] };
  assert.equal(files[0]!.ahead, undefined);
});

test("records of several lines are put together from a container's lines", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "0.log");
  const wanted = config(path, { container: "auto", multiline: multiline({ line_start_pattern: "^E" }) });
  await writeFile(path, `${T} stderr F E one\n${T} stdout F E other\n${T} stderr P  at \n${T} stderr F b\n${T} stderr F E two\n`);
  await using tail = await tailing(wanted);
  await tail.pass(2_000);
  assert.deepEqual(tail.lines(), ["E one\n at b", "E two", "E other"]);
});
