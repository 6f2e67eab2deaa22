import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_TRANSITION, TRANSITIONS, TRANSITIONS_SHOWN, TransitionLog } from "../../src/resources/transition_log.ts";
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
  const log = new TransitionLog(() => 2);
  let last = NO_TRANSITION;
  let other = NO_TRANSITION;
  const both = (n: number): void => {
    last = log.add(7, last, move(n));
    other = log.add(8, other, move(100 + n));
  };
  for (let n = 0; n < 30; n++) both(n);
  await store.commit(drained(log));
  for (let n = 30; n < 33; n++) both(n);
  drained(log); // its commit is under way
  both(33);
  const expected = (first: number) => Array.from({ length: TRANSITIONS_SHOWN }, (_, i) => move(first + 34 - TRANSITIONS_SHOWN + i));
  assert.deepEqual(await log.of(store, 7, last), expected(0));
  assert.deepEqual(await log.of(store, 8, other), expected(100));
  assert.deepEqual(await log.of(store, 9, NO_TRANSITION), []);
});

test("after a restart the log goes on where the resources left it", async () => {
  const store = await opened();
  const before = new TransitionLog(() => 1);
  const first = before.add(7, NO_TRANSITION, move(0));
  await store.commit(drained(before));
  before.add(7, first, move(1)); // never committed
  const log = new TransitionLog(() => 1);
  await log.restore(store, first);
  const last = log.add(7, first, move(2));
  await store.commit(drained(log));
  assert.deepEqual(await log.of(store, 7, last), [move(0), move(2)]);
});

test("the log is bounded: the oldest transitions go, and whoever made them shows fewer", async () => {
  const store = await opened();
  const log = new TransitionLog(() => 1);
  const quiet = log.add(7, NO_TRANSITION, move(0));
  let last = NO_TRANSITION;
  for (let n = 0; n < 150_000; n++) {
    last = log.add(8, last, move(n));
    if (n % 10_000 === 9_999) await store.commit(drained(log));
  }
  assert.deepEqual(await log.of(store, 7, quiet), []);
  assert.equal((await log.of(store, 8, last)).length, TRANSITIONS_SHOWN);
  const rows = (await store.read(TRANSITIONS, [], 1_000_000)).length / TRANSITIONS.columns.length;
  assert.ok(rows >= 100_000 && rows <= 110_001, `${rows} rows`);
});
