import assert from "node:assert/strict";
import { appendFile, copyFile, link, mkdir, rename, rm, symlink, truncate, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { config, tailing, temporary } from "./log_tail_support.ts";

/** A directory with a log in it, and the names that rotation uses. */
async function place() {
  const dir = await temporary();
  const path = join(dir.path, "app.log");
  return { ...dir, path, old: `${path}.1`, directory: dir.path, [Symbol.asyncDispose]: dir[Symbol.asyncDispose] };
}

const range = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `line ${from + i}`);
const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");

for (const include of ["app.log", "app.log*"]) {
  test(`a renamed file is read to its end before the one that took its name (include ${include})`, async () => {
    await using at = await place();
    await writeFile(at.path, text(range(0, 3)));
    await using tail = await tailing(config(join(at.directory, include)));
    await appendFile(at.path, text(range(3, 5)));
    await rename(at.path, at.old);
    await writeFile(at.path, "");
    await tail.pass();
    // The writer has not opened the new file yet.
    await appendFile(at.old, text(range(5, 7)));
    await appendFile(at.path, text(range(7, 10)));
    await tail.pass();
    assert.deepEqual(tail.lines(), range(0, 10));
    await tail.pass(120_000);
    assert.deepEqual(tail.lines(), range(0, 10));
  });

  test(`what was rotated while the agent was down is read on from where it was (include ${include})`, async () => {
    await using at = await place();
    const wanted = config(join(at.directory, include));
    await writeFile(at.path, text(range(0, 3)));
    const before = await tailing(wanted);
    await before.stop();
    await appendFile(at.path, text(range(3, 5)));
    await rename(at.path, at.old);
    await writeFile(at.path, text(range(5, 8)));
    await using tail = await tailing(wanted, before.position());
    await tail.pass();
    assert.deepEqual(tail.lines(), range(3, 8));
  });
}

test("several rotations in a row lose nothing", async () => {
  await using at = await place();
  await using tail = await tailing(config(join(at.directory, "app.log")));
  for (let i = 0; i < 5; i++) {
    await writeFile(at.path, text(range(i * 10, i * 10 + 10)));
    await tail.pass();
    await appendFile(at.path, "");
    await rename(at.path, join(at.directory, `app.log.${i}`));
  }
  await tail.pass();
  assert.deepEqual(tail.lines(), range(0, 50));
});

test("a last line without newline is taken once its file is rotated away and quiet", async () => {
  await using at = await place();
  await writeFile(at.path, "one\nlast");
  await using tail = await tailing(config(join(at.directory, "app.log*")));
  await rename(at.path, at.old);
  await writeFile(at.path, "new\n");
  await tail.pass(2_000);
  assert.deepEqual(tail.lines(), ["one", "new"]);
  await tail.pass(6_000);
  assert.deepEqual(tail.lines(), ["one", "new", "last"]);
  await tail.stop();
  await using again = await tailing(config(join(at.directory, "app.log*")), tail.position());
  await again.pass(10_000);
  assert.deepEqual(again.lines(), []);
});

test("a deleted file is read to its end, its last line too, then let go", async () => {
  await using at = await place();
  await writeFile(at.path, "one\n");
  await using tail = await tailing(config(at.path));
  await appendFile(at.path, "two\nthree");
  await unlink(at.path);
  await tail.pass(8_000);
  assert.deepEqual(tail.lines(), ["one", "two", "three"]);
  assert.deepEqual(tail.position(), { version: 1, files: [] });
});

test("a truncated file is read from its beginning", async () => {
  await using at = await place();
  await writeFile(at.path, text(range(0, 10)));
  await using tail = await tailing(config(at.path));
  await truncate(at.path, 0);
  await tail.pass();
  await appendFile(at.path, "new\n");
  await tail.pass();
  assert.deepEqual(tail.lines(), [...range(0, 10), "new"]);
});

test("a truncated file that has outgrown its old size between two looks is known by its header", async () => {
  await using at = await place();
  await writeFile(at.path, text(range(0, 10)));
  await using tail = await tailing(config(at.path));
  await writeFile(at.path, text(range(100, 200)));
  await tail.pass();
  assert.deepEqual(tail.lines(), [...range(0, 10), ...range(100, 200)]);
});

test("new content of exactly the old size is found by its time and header", async () => {
  await using at = await place();
  await writeFile(at.path, "aaa\nbbb\n");
  await using tail = await tailing(config(at.path));
  await new Promise((resolve) => setTimeout(resolve, 20));
  await writeFile(at.path, "ccc\nddd\n");
  await tail.pass();
  assert.deepEqual(tail.lines(), ["aaa", "bbb", "ccc", "ddd"]);
});

test("truncation while the agent was down is known by size or header", async () => {
  for (const content of ["x\n", text(range(50, 150))]) {
    await using at = await place();
    await writeFile(at.path, text(range(0, 10)));
    const before = await tailing(config(at.path));
    await before.stop();
    await writeFile(at.path, content);
    await using tail = await tailing(config(at.path), before.position());
    assert.equal(text(tail.lines() as string[]), content);
  }
});

test("an inode that was reused while the agent was down is another file", async () => {
  await using at = await place();
  await writeFile(at.path, text(range(0, 10)));
  const before = await tailing(config(at.path));
  await before.stop();
  const position = before.position() as { files: { header: { hash: string } }[] };
  // The same inode, as far as the store can tell, under other content.
  position.files[0]!.header.hash = "0".repeat(32);
  await using tail = await tailing(config(at.path), position as never);
  assert.deepEqual(tail.lines(), range(0, 10));
});

test("the same identity goes on under another name", async () => {
  await using at = await place();
  await writeFile(at.path, text(range(0, 3)));
  const wanted = config(join(at.directory, "*"));
  const before = await tailing(wanted);
  await before.stop();
  await rename(at.path, join(at.directory, "moved.log"));
  await appendFile(join(at.directory, "moved.log"), text(range(3, 4)));
  await using tail = await tailing(wanted, before.position());
  assert.deepEqual(tail.lines(), range(3, 4));
});

test("a file that is gone after a restart is counted as missed, and goes on should it come back", async () => {
  await using at = await place();
  await writeFile(at.path, text(range(0, 3)));
  const before = await tailing(config(at.path));
  await before.stop();
  const elsewhere = join(at.directory, "elsewhere");
  await mkdir(elsewhere);
  await rename(at.path, join(elsewhere, "app.log"));
  await using tail = await tailing(config(at.path), before.position());
  const missed = tail.metrics.counter({ name: "sojourn_log_tail_files_missed_total", help: "", labels: ["receiver"] });
  assert.equal(missed.series("log_tail/test").value, 1);
  await rename(join(elsewhere, "app.log"), at.path);
  await appendFile(at.path, text(range(3, 4)));
  await tail.pass();
  assert.deepEqual(tail.lines(), range(3, 4));
});

test("a symbolic link that is swapped ends the old file and begins the new", async () => {
  await using at = await place();
  const [first, second] = [join(at.directory, "log.1.json"), join(at.directory, "log.2.json")];
  const name = join(at.directory, "log.json");
  await writeFile(first, text(range(0, 3)));
  await symlink(first, name);
  await using tail = await tailing(config(name));
  await appendFile(first, text(range(3, 5)));
  await writeFile(second, text(range(5, 8)));
  await symlink(second, `${name}.tmp`);
  await rename(`${name}.tmp`, name);
  await tail.pass();
  assert.deepEqual(tail.lines(), range(0, 8));
  // And back, later: what was read stays read.
  await tail.pass(120_000);
  await symlink(first, `${name}.tmp`);
  await rename(`${name}.tmp`, name);
  await appendFile(first, text(range(8, 9)));
  await tail.pass();
  assert.deepEqual(tail.lines(), range(0, 9));
});

test("a file of several names is read once", async () => {
  await using at = await place();
  await writeFile(at.path, "once\n");
  await symlink(at.path, join(at.directory, "app.link"));
  await link(at.path, join(at.directory, "app.hard"));
  await using tail = await tailing(config(join(at.directory, "app.*")));
  await tail.pass();
  assert.deepEqual(tail.lines(), ["once"]);
});

for (const include of ["app.log", "app.log*"]) {
  test(`copytruncate neither loses nor repeats a line (include ${include})`, async () => {
    await using at = await place();
    const wanted = config(join(at.directory, include));
    await writeFile(at.path, text(range(0, 100)));
    await using tail = await tailing(wanted);
    await copyFile(at.path, at.old);
    await appendFile(at.path, text(range(100, 105)));
    await tail.pass();
    await truncate(at.path, 0);
    await appendFile(at.path, text(range(105, 110)));
    await tail.pass(10_000);
    assert.deepEqual(tail.lines(), range(0, 110));
  });
}

test("a copy holds what was not read before the truncation, and only that is read of it", async () => {
  await using at = await place();
  const wanted = config(join(at.directory, "app.log*"));
  await writeFile(at.path, text(range(0, 100)));
  await using tail = await tailing(wanted);
  await appendFile(at.path, text(range(100, 105)));
  await copyFile(at.path, at.old);
  await truncate(at.path, 0);
  await appendFile(at.path, text(range(105, 110)));
  await tail.pass(20_000);
  assert.deepEqual(tail.lines(), range(0, 110));
});

test("copytruncate while the agent was down neither loses nor repeats a line", async () => {
  await using at = await place();
  const wanted = config(join(at.directory, "app.log*"));
  await writeFile(at.path, text(range(0, 100)));
  const before = await tailing(wanted);
  await before.stop();
  await appendFile(at.path, text(range(100, 105)));
  await copyFile(at.path, at.old);
  await truncate(at.path, 0);
  await appendFile(at.path, text(range(105, 110)));
  await using tail = await tailing(wanted, before.position());
  await tail.pass(20_000);
  assert.deepEqual((tail.lines() as string[]).sort(), range(100, 110).sort());
  await tail.stop();
  await using again = await tailing(wanted, tail.position());
  await again.pass(20_000);
  assert.deepEqual(again.lines(), []);
});

test("a file that begins like one with a similar name is no copy: all of it is read", async () => {
  await using at = await place();
  await writeFile(at.path, text(["id,status", ...range(0, 50)]));
  await using tail = await tailing(config(join(at.directory, "app*.log")));
  await writeFile(join(at.directory, "app-eu.log"), text(["id,status"]));
  await tail.pass();
  assert.equal(tail.lines().length, 52);
  // By its name this one could be a copy that is being made.
  const numbered = join(at.directory, "app-2.log");
  await writeFile(numbered, text(["id,status"]));
  await tail.pass();
  assert.equal(tail.lines().length, 52);
  await appendFile(numbered, text(range(50, 100)));
  await tail.pass();
  assert.deepEqual(tail.lines().slice(52), ["id,status", ...range(50, 100)]);
  await writeFile(join(at.directory, "app-3.log"), text(["id,status"]));
  await tail.pass(20_000);
  assert.equal(tail.lines().length, 104);
});

test("a rotator that compresses and deletes is no matter", async () => {
  await using at = await place();
  await writeFile(at.path, text(range(0, 3)));
  await using tail = await tailing(config(join(at.directory, "app.log"), { exclude: ["**/*.gz"] }));
  await rename(at.path, at.old);
  await writeFile(`${at.old}.gz`, "\u001f\u008b");
  await rm(at.old);
  await writeFile(at.path, text(range(3, 5)));
  await tail.pass(10_000);
  assert.deepEqual(tail.lines(), range(0, 5));
});
