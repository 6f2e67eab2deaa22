import assert from "node:assert/strict";
import { test } from "node:test";
import { Committer } from "../../src/pipeline/committer.ts";
import { Seen } from "../../src/pipeline/seen.ts";
import type { Cell, Table, TableChange } from "../../src/sdk/store.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { memoryStore } from "../../src/storage/memory_store.ts";

const NUMBERS: Table = { name: "numbers", columns: [["n", "integer"], ["text", "text"]], keyColumns: 1 };

async function prepared() {
  const clock = virtualClock();
  const store = memoryStore();
  await store.open([NUMBERS]);
  const waiting: Cell[] = [];
  const log: string[] = [];
  const part = {
    tables: [NUMBERS],
    restore: async () => {},
    drain: (changes: TableChange[]) => {
      if (waiting.length > 0) changes.push({ table: NUMBERS, puts: waiting.splice(0), deletes: [] });
    },
    committed: () => void log.push("committed"),
  };
  const committer = new Committer({
    clock, store, parts: [part],
    onCommit: (_, rows) => void log.push(`${rows} rows`), onFailure: () => void log.push("failed"), onHealed: () => void log.push("healed"),
  });
  const stored = async (): Promise<number> => (await store.read(NUMBERS, [], 100)).length / 2;
  return { clock, store, waiting, log, committer, stored };
}

test("who waits for an answer is not kept waiting; who does not shares the commit of others", async () => {
  const { clock, waiting, log, committer } = await prepared();
  waiting.push(1, "a");
  committer.changed(false);
  await clock.advance(10);
  assert.deepEqual(log, []);
  waiting.push(2, "b");
  committer.changed(false);
  const done = committer.committed(true);
  await clock.advance(0);
  await done;
  assert.deepEqual(log, ["2 rows", "committed"]);
  assert.equal(clock.pending, 0);
});

test("with nothing to commit there is nothing to wait for", async () => {
  const { committer, clock } = await prepared();
  await committer.committed(true);
  assert.equal(clock.pending, 0);
});

test("a failed commit is repeated until there is room; what came meanwhile goes into the next", async () => {
  const { clock, store, waiting, log, committer, stored } = await prepared();
  store.fail();
  waiting.push(1, "a");
  committer.changed(true);
  const first = committer.committed(true);
  await clock.advance(60_000);
  assert.ok(log.length > 5 && log.length < 100 && log.every((entry) => entry === "failed"));
  assert.equal(committer.failing, true);
  waiting.push(2, "b");
  committer.changed(true);
  const second = committer.committed(true);
  store.heal();
  await clock.advance(10_000);
  await Promise.all([first, second]);
  assert.equal(await stored(), 2);
  assert.equal(committer.failing, false);
  assert.deepEqual(log.filter((entry) => entry !== "failed"), ["1 rows", "healed", "committed", "1 rows", "committed"]);
});

test("a row of the wrong shape is dropped, the others are written, and who waited is answered", async () => {
  const { clock, waiting, log, committer, stored } = await prepared();
  for (let n = 0; n < 9; n++) waiting.push(n, n === 4 ? (undefined as unknown as Cell) : "x");
  committer.changed(true);
  const done = committer.committed(true);
  await clock.advance(0);
  await done;
  assert.equal(await stored(), 8);
  assert.deepEqual(log, ["failed", "9 rows", "healed", "committed"]);
});

test("stopping rejects what waits, arms nothing, and is not held up by a disk that hangs", async () => {
  const { clock, store, waiting, committer } = await prepared();
  store.hold();
  waiting.push(1, "a");
  committer.changed(true);
  const done = committer.committed(true);
  await clock.advance(0);
  await Promise.all([assert.rejects(done, /over/), committer.stop(new Error("over"))]);
  committer.changed(true);
  assert.equal(clock.pending, 0);
  await assert.rejects(committer.committed(true), /over/);
});

test("an idempotency id is forgotten by age and by number, oldest first, in the store too", async () => {
  const clock = virtualClock();
  const store = memoryStore();
  const seen = new Seen(clock, () => ({ ttlMs: 1_000, max: 3 }));
  await store.open(seen.tables);
  const commit = async (): Promise<void> => {
    const changes: TableChange[] = [];
    seen.drain(changes);
    await store.commit(changes);
  };
  for (const id of ["a", "b", "c", "d"]) assert.equal(seen.add("feed", id), true);
  assert.deepEqual(["a", "b", "c"].map((id) => seen.add("other", id)), [true, true, true], "receivers do not share ids");
  assert.equal(seen.add("feed", "d"), false);
  await commit();
  const restored = new Seen(clock, () => ({ ttlMs: 1_000, max: 3 }));
  await restored.restore(store);
  assert.deepEqual(["b", "c", "d"].map((id) => restored.add("feed", id)), [false, false, false]);
  assert.equal(restored.add("feed", "a"), true);
  clock.jump(1_001);
  assert.equal(restored.add("feed", "d"), true);
  assert.equal(restored.size("feed"), 1);
});
