import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryStore } from "../../src/storage/memory_store.ts";
import { rowsOf, tables, thing, things } from "./tables.ts";

const put = (id: number, state?: string) => [{ table: things, puts: thing(id, state), deletes: [] }];

test("a failing disk rejects commits and keeps nothing of them until it is healed", async () => {
  const store = memoryStore();
  await store.open(tables);
  store.fail();
  await assert.rejects(store.commit(put(1)), /disk full/);
  store.fail(new Error("broken"));
  await assert.rejects(store.commit(put(1)), /broken/);
  store.heal();
  assert.deepEqual(await rowsOf(store, things), []);
  await store.commit(put(1));
  assert.deepEqual(await rowsOf(store, things), [thing(1)]);
});

test("commits that are held are decided in order when released", async () => {
  const store = memoryStore();
  await store.open(tables);
  store.hold();
  let settled = 0;
  const commits = [store.commit(put(1, "a")), store.commit(put(1, "b"))].map((commit) => commit.finally(() => settled++));
  await new Promise<void>((next) => setImmediate(next));
  assert.equal(settled, 0);
  assert.deepEqual(await rowsOf(store, things), []);
  store.release();
  await Promise.all(commits);
  assert.deepEqual(await rowsOf(store, things), [thing(1, "b")]);
});

test("a crash loses the commits that have not resolved, and a restart finds the others", async () => {
  const store = memoryStore();
  await store.open(tables);
  await store.commit(put(1));
  store.hold();
  const lost = store.commit(put(2));
  store.crash();
  await assert.rejects(lost, /died/);
  await store.open(tables);
  assert.deepEqual(await rowsOf(store, things), [thing(1)]);
  await store.commit(put(3));
  assert.deepEqual(await rowsOf(store, things), [thing(1), thing(3)]);
});
