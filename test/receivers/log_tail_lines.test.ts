import assert from "node:assert/strict";
import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { config, tailing, temporary } from "./log_tail_support.ts";

test("a line that is not finished waits, and its start is the position", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  await writeFile(path, "whole\nhal");
  const before = await tailing(config(path));
  await before.pass(120_000);
  assert.deepEqual(before.lines(), ["whole"]);
  await before.stop();
  await appendFile(path, "f\n");
  await using tail = await tailing(config(path), before.position());
  assert.deepEqual(tail.lines(), ["half"]);
});

test("a carriage return before the newline, a byte order mark and empty lines do not show", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  await writeFile(path, "\uFEFFone\r\n\r\n\ntw\ro\r\n\u0000three\0\n");
  await using tail = await tailing(config(path));
  assert.deepEqual(tail.lines(), ["one", "tw\ro", "\u0000three\0"]);
});

test("bytes that are no UTF-8 are replaced and counted by the line; valid neighbours stay whole", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  await writeFile(path, Buffer.concat([Buffer.from("größe €\n"), Buffer.from([0x61, 0xff, 0x62, 10]), Buffer.from("legit \uFFFD\n")]));
  await using tail = await tailing(config(path));
  assert.deepEqual(tail.lines(), ["größe €", "a\uFFFDb", "legit \uFFFD"]);
  const family = tail.metrics.counter({ name: "sojourn_log_tail_invalid_utf8_total", help: "", labels: ["receiver"] });
  assert.equal(family.series("log_tail/test").value, 1);
});

test("a character that is written in two halves arrives whole", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  const bytes = Buffer.from("Größe 🚚\n");
  await writeFile(path, bytes.subarray(0, 3));
  await using tail = await tailing(config(path));
  for (let i = 3; i < bytes.length; i++) {
    await appendFile(path, bytes.subarray(i, i + 1));
    await tail.pass(200);
  }
  assert.deepEqual(tail.lines(), ["Größe 🚚"]);
});

test("a line that is too long is cut at a character and marked, whether it fits the buffer or not", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  await writeFile(path, `${"é".repeat(600)}\n${"x".repeat(2_000_000)}\nnext\n`);
  await using tail = await tailing(config(path, { max_line_size: "1001B" }));
  assert.deepEqual(tail.lines(), ["é".repeat(500), "x".repeat(1001), "next"]);
  assert.deepEqual(tail.observations().map(({ attributes }) => attributes["log.truncated"]), [true, true, undefined]);
});

test("a line longer than the read buffer but within the limit arrives whole", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  const long = "y".repeat(900_000);
  await writeFile(path, `a\n${long}`);
  await using tail = await tailing(config(path));
  await appendFile(path, `${long.slice(0, 100)}\nb\n`);
  await tail.pass();
  assert.deepEqual(tail.lines(), ["a", long + long.slice(0, 100), "b"]);
});

test("a restart inside a line that is too long gives its head once", async () => {
  await using dir = await temporary();
  const path = join(dir.path, "app.log");
  await writeFile(path, `a\n${"x".repeat(300_000)}`);
  const wanted = config(path, { max_line_size: "100kB" });
  const before = await tailing(wanted);
  await before.stop();
  assert.deepEqual(before.lines(), ["a"]);
  await appendFile(path, `${"x".repeat(300_000)}\nb\n`);
  await using tail = await tailing(wanted, before.position());
  assert.deepEqual(tail.lines(), ["x".repeat(100_000), "b"]);
});
