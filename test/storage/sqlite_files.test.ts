import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { StoreError, type Table } from "../../src/sdk/store.ts";
import { sqliteStore } from "../../src/storage/sqlite_store.ts";
import { closing, rowsOf, tables, temporaryDirectory, thing, things } from "./tables.ts";

const ids = Array.from({ length: 5_000 }, (_, id) => id);

/** A directory with a store of a few hundred pages in it, closed. */
async function filled(directory: string): Promise<string> {
  await using store = closing(sqliteStore({ directory }));
  await store.open(tables);
  await store.commit([{ table: things, puts: ids.flatMap((id) => thing(id)), deletes: [] }]);
  await store.close();
  return join(directory, "sojourn.db");
}

async function digest(path: string): Promise<string> {
  return createHash("sha256").update(await readFile(path)).digest("hex");
}

/** Opening fails with this kind and words, twice, and leaves the file as it was. */
async function refused(directory: string, kind: StoreError["kind"], words: RegExp): Promise<void> {
  const path = join(directory, "sojourn.db");
  const before = await digest(path);
  for (let attempt = 0; attempt < 2; attempt++) {
    await assert.rejects(sqliteStore({ directory }).open(tables), (error: unknown) => {
      assert.ok(error instanceof StoreError, String(error));
      assert.equal(error.kind, kind, error.message);
      assert.match(error.message, words);
      assert.ok(error.message.includes(path), error.message);
      return true;
    });
  }
  assert.equal(await digest(path), before);
}

test("what is no database is refused as damaged, with what to do and what would be lost", async () => {
  await using directory = await temporaryDirectory();
  await writeFile(join(directory.path, "sojourn.db"), "this is not a database, whatever its name says\n".repeat(200));
  await refused(directory.path, "damaged", /move it aside .* open alerts, messages not yet sent/);
});

test("an empty file is refused as damaged: ours is never empty", async () => {
  await using directory = await temporaryDirectory();
  await writeFile(join(directory.path, "sojourn.db"), "");
  await refused(directory.path, "damaged", /is empty/);
});

test("a file cut short is refused as damaged, wherever it was cut", async () => {
  for (const keep of [50, 100, 4_096, 0.5]) {
    await using directory = await temporaryDirectory();
    const path = await filled(directory.path);
    await truncate(path, keep < 1 ? Math.floor((await stat(path)).size * keep) : keep);
    await refused(directory.path, "damaged", /move it aside/);
  }
});

test("a page overwritten inside the file is found at start", async () => {
  await using directory = await temporaryDirectory();
  const path = await filled(directory.path);
  await using file = await open(path, "r+");
  await file.write(Buffer.alloc(4_096, 0x5a), 0, 4_096, 4_096 * 20);
  await refused(directory.path, "damaged", /move it aside/);
});

test("a log whose database is missing is not thrown away", async () => {
  await using directory = await temporaryDirectory();
  const path = await filled(directory.path);
  await rm(path);
  await writeFile(`${path}-wal`, "the last commits");
  await assert.rejects(sqliteStore({ directory: directory.path }).open(tables), /is missing, but its log/);
  assert.equal(await readFile(`${path}-wal`, "utf8"), "the last commits");
});

test("a file of a newer version is refused, not downgraded", async () => {
  await using directory = await temporaryDirectory();
  const path = await filled(directory.path);
  const newer = new DatabaseSync(path);
  newer.exec("PRAGMA user_version = 2");
  newer.close();
  await refused(directory.path, "newer", /newer version \(format 2, this one knows 1\)/);
});

test("another application's SQLite file is refused", async () => {
  await using directory = await temporaryDirectory();
  const foreign = new DatabaseSync(join(directory.path, "sojourn.db"));
  foreign.exec("CREATE TABLE contacts (name TEXT)");
  foreign.close();
  await refused(directory.path, "damaged", /belongs to another application/);
});

test("a table with another key is refused, and the start that failed has changed no table", async () => {
  await using directory = await temporaryDirectory();
  await filled(directory.path);
  await using store = closing(sqliteStore({ directory: directory.path }));
  const rekeyed: Table = { ...things, keyColumns: 2 };
  const added: Table = { name: "added", columns: [["id", "integer"]], keyColumns: 1 };
  await assert.rejects(store.open([added, rekeyed]), /table things has the key \(id\), this version needs \(id, at\)/);
  const reader = new DatabaseSync(join(directory.path, "sojourn.db"), { readOnly: true });
  assert.equal(reader.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'added'").get()?.["n"], 0);
  reader.close();
});

test("a directory that cannot be one is reported as unusable", async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, "file");
  await writeFile(file, "");
  const unusable = (error: unknown): boolean => error instanceof StoreError && error.kind === "unusable";
  await assert.rejects(sqliteStore({ directory: file }).open(tables), unusable);
  await assert.rejects(sqliteStore({ directory: join(file, "below") }).open(tables), unusable);
  await assert.rejects(sqliteStore({ directory: `${directory.path}/nul\0` }).open(tables), unusable);
  await mkdir(join(directory.path, "taken", "sojourn.db"), { recursive: true });
  await assert.rejects(sqliteStore({ directory: join(directory.path, "taken") }).open(tables), StoreError);
});

test("a directory under one where none can be made is refused, not tried for ever", { timeout: 20_000 }, async () => {
  await using store = closing(sqliteStore({ directory: "/proc/sojourn/state" }));
  await assert.rejects(store.open(tables), (error) => error instanceof StoreError && /mkdir '\/proc\/sojourn'/.test(error.message));
});

test("a lock file that is none is named, not removed", async () => {
  await using directory = await temporaryDirectory();
  await writeFile(join(directory.path, "sojourn.lock"), "not a lock\n".repeat(100));
  await assert.rejects(sqliteStore({ directory: directory.path }).open(tables), /sojourn\.lock is not a lock file/);
});

test("directory and files are their owner's only, and a clean end leaves no log behind", async () => {
  await using parent = await temporaryDirectory();
  const directory = join(parent.path, "a", "b");
  await using store = closing(sqliteStore({ directory }));
  await store.open(tables);
  await store.commit([{ table: things, puts: thing(1), deletes: [] }]);
  for (const made of [join(parent.path, "a"), directory]) assert.equal((await stat(made)).mode & 0o777, 0o700);
  const running = await readdir(directory);
  assert.deepEqual(running.sort(), ["sojourn.db", "sojourn.db-shm", "sojourn.db-wal", "sojourn.lock", "sojourn.pid"]);
  for (const name of running) assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600, name);
  await store.close();
  assert.deepEqual((await readdir(directory)).sort(), ["sojourn.db", "sojourn.lock"]);
});

test("the log is written back while the agent runs, so it does not grow with every commit", async () => {
  await using directory = await temporaryDirectory();
  await using store = closing(sqliteStore({ directory: directory.path }));
  await store.open(tables);
  const text = JSON.stringify("x".repeat(200_000));
  const log = async (): Promise<number> => (await stat(join(directory.path, "sojourn.db-wal"))).size;
  let largest = 0;
  let written = 0;
  for (let n = 0; n < 30; n++) {
    const puts = Array.from({ length: 25 }, (_, id) => [id, n, null, null, text]).flat();
    await store.commit([{ table: things, puts, deletes: [] }]);
    written += 25 * text.length;
    largest = Math.max(largest, await log());
  }
  assert.ok(written > 140e6);
  assert.ok(largest < 60e6, `the log grew to ${largest} bytes`);
  assert.deepEqual((await rowsOf(store, things)).map((row) => [row[0], row[1]]), Array.from({ length: 25 }, (_, id) => [id, 29]));
  await store.close();
});
