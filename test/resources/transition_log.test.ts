import assert from "node:assert/strict";
import { test } from "node:test";
import { TRANSITIONS, TRANSITIONS_KEPT, TransitionLog } from "../../src/resources/transition_log.ts";
import type { TableChange } from "../../src/sdk/store.ts";
import { memoryStore, type MemoryStore } from "../../src/storage/memory_store.ts";

async function opened(): Promise<MemoryStore> {
  const store = memoryStore();
  await store.open([TRANSITIONS]);
  return store;
}

function drained(log: TransitionLog): TableChange[] {
  const changes: TableChange[] = [];
  log.drain(changes);
  return changes;
}

const move = (n: number) => ({ from: `s${n}`, to: `s${n + 1}`, at: 1_000 + n, duration: n });

test("the last transitions are there, oldest first: stored, being stored, and not yet stored", async () => {
  const store = await opened();
  const log = new TransitionLog();
  for (let n = 0; n < 30; n++) log.add(7, n, move(n));
  await store.commit(drained(log));
  for (let n = 30; n < 33; n++) log.add(7, n, move(n));
  drained(log); // its commit is under way
  log.add(7, 33, move(33));
  log.add(8, 0, move(99));
  assert.deepEqual(await log.of(store, 7), Array.from({ length: TRANSITIONS_KEPT }, (_, i) => move(34 - TRANSITIONS_KEPT + i)));
});

test("a forgotten resource leaves nothing in the store, not even what it did since the last commit", async () => {
  const store = await opened();
  const log = new TransitionLog();
  for (let n = 0; n < 5; n++) log.add(7, n, move(n));
  await store.commit(drained(log));
  log.add(7, 5, move(5));
  log.add(8, 0, move(0));
  log.remove(7, 6);
  await store.commit(drained(log));
  assert.deepEqual(await store.read(TRANSITIONS, [7], 100), []);
  assert.deepEqual(await log.of(store, 8), [move(0)]);
});
