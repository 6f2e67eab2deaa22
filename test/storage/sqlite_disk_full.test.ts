import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { PermanentError } from "../../src/sdk/errors.ts";
import { StoreError, type Store, type Table, type TableChange } from "../../src/sdk/store.ts";
import { sqliteStore } from "../../src/storage/sqlite_store.ts";
import { closing, rowsOf, tables, temporaryDirectory, thing, things } from "./tables.ts";

const ids = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);
const put = (numbers: number[], state?: string): TableChange[] =>
  [{ table: things, puts: numbers.flatMap((id) => thing(id, state)), deletes: [] }];

const saysFull = (error: unknown): boolean =>
  error instanceof Error && !(error instanceof PermanentError) && !(error instanceof StoreError)
  && /disk full: nothing/.test(error.message);

/** Commits until the disk is full; says how many went in. */
async function fill(store: Store, rows: number): Promise<number> {
  for (let n = 0; n < 1_000; n++) {
    try {
      await store.commit(put(ids(n * rows, rows)));
    } catch (error) {
      assert.ok(saysFull(error), String(error));
      return n;
    }
  }
  throw new Error("the disk never filled up");
}

test("when the disk is full a commit rejects, writes nothing, and succeeds unchanged once there is room", async (t) => {
  await using directory = await temporaryDirectory();
  const disk = join(directory.path, "disk");
  await mkdir(disk);
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], { encoding: "utf8" });
  if (mounted.status !== 0) {
    t.skip(`cannot mount a small disk (${mounted.stderr ?? mounted.error?.message}); the next test fills a file instead`);
    return;
  }
  try {
    const ballast = join(disk, "ballast");
    await writeFile(ballast, Buffer.alloc(2 * 2 ** 20));
    await using store = closing(sqliteStore({ directory: disk }));
    await store.open(tables);
    const done = await fill(store, 1_000);
    assert.ok(done > 0);
    const before = await rowsOf(store, things);
    assert.deepEqual(before, ids(0, done * 1_000).map((id) => thing(id)));
    const again = put(ids(done * 1_000, 1_000));
    await assert.rejects(store.commit(again), saysFull);
    await rm(ballast);
    await store.commit(again);
    assert.equal((await rowsOf(store, things)).length, (done + 1) * 1_000);
    await store.close();
    await store.open(tables);
    assert.deepEqual(await rowsOf(store, things), ids(0, (done + 1) * 1_000).map((id) => thing(id)));
    await store.close();
    await writeFile(ballast, Buffer.alloc(8 * 2 ** 20)).catch(() => undefined);
    const later: Table = { name: "later", columns: [["id", "integer"]], keyColumns: 1 };
    await assert.rejects(store.open([...tables, later]), (error: StoreError) => error.kind === "unusable");
    await rm(ballast);
    await store.open(tables);
    assert.equal((await rowsOf(store, things)).length, (done + 1) * 1_000);
    await store.close();
  } finally {
    const unmounted = spawnSync("umount", [disk], { encoding: "utf8" });
    assert.equal(unmounted.status, 0, unmounted.stderr);
  }
});

test("when the file may not grow a commit rejects, writes nothing, and succeeds unchanged once there is room", async () => {
  await using directory = await temporaryDirectory();
  await using store = closing(sqliteStore({ directory: directory.path, pagesMax: 200 }));
  await store.open(tables);
  // Several messages for each commit, so that one fails in the middle.
  const done = await fill(store, 500);
  assert.ok(done > 0);
  await assert.rejects(store.commit(put(ids(100_000, 30_000))), saysFull);
  const behind = [store.commit(put(ids(200_000, 30_000))), store.commit(put([1], "paid"))];
  await assert.rejects(behind[0]!, saysFull);
  await assert.rejects(behind[1]!, /the commit before it failed/);
  assert.deepEqual(await rowsOf(store, things), ids(0, done * 500).map((id) => thing(id)));
  const again = put(ids(done * 500, 500));
  await assert.rejects(store.commit(again), saysFull);
  await store.commit([{ table: things, puts: [], deletes: ids(0, 1_000) }]);
  await store.commit(again);
  assert.deepEqual(await rowsOf(store, things), ids(1_000, done * 500 - 500).map((id) => thing(id)));
  await store.close();
});
