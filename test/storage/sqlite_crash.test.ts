import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { test } from "node:test";
import type { Worker } from "node:worker_threads";
import { StoreError } from "../../src/sdk/store.ts";
import { sqliteStore } from "../../src/storage/sqlite_store.ts";
import { ROWS } from "./child_agent.ts";
import { closing, moves, rowsOf, tables, temporaryDirectory, thing, things } from "./tables.ts";

/** Runs the child until it has said `lines` lines; `kill` then strikes in the middle of what it does. */
async function runUntil(
  directory: string, lines: number, mode: string,
): Promise<{ child: ChildProcess; said: string[]; kill(): Promise<void> }> {
  const program = [join(import.meta.dirname, "child_agent.ts"), directory, mode];
  const child = spawn(process.execPath, program, { stdio: ["pipe", "pipe", "inherit"] });
  const said: string[] = [];
  const output = createInterface({ input: child.stdout! });
  const closed = once(output, "close");
  await new Promise<void>((resolve, reject) => {
    child.once("exit", (code, signal) => reject(new Error(`the child ended: ${code ?? signal}`)));
    output.on("line", (line) => {
      said.push(line);
      if (said.length >= lines) resolve();
    });
  });
  const kill = async (): Promise<void> => {
    child.removeAllListeners("exit");
    child.kill("SIGKILL");
    await closed;
  };
  return { child, said, kill };
}

const isLocked = (error: unknown): boolean => error instanceof StoreError && error.kind === "locked";

test("after SIGKILL every commit that resolved is there, none by half, and the lock is free", async () => {
  for (const lines of [2, 3, 5]) {
    await using directory = await temporaryDirectory();
    const { said, kill } = await runUntil(directory.path, lines, "commit");
    await kill();
    await using store = closing(sqliteStore({ directory: directory.path }));
    await store.open(tables);
    const resolved = Number(said.at(-1));
    const states = new Set((await rowsOf(store, things)).map((row) => row[3]));
    const targets = new Set((await rowsOf(store, moves)).filter(([type]) => type === "order").map((row) => row[2]));
    const kept = (await store.read(moves, ["kept"], ROWS)).length / moves.columns.length;
    await store.close();
    assert.equal(states.size, 1, "rows of two commits are mixed");
    assert.deepEqual(targets, states);
    // The commit that was under way when the process died may be there, as a whole.
    assert.ok(kept === resolved || kept === resolved + 1, `${resolved} resolved, ${kept} are there`);
    assert.deepEqual([...states], [`${kept}`]);
  }
});

test("a second agent is refused while the first lives, and told which process holds the directory", async () => {
  await using directory = await temporaryDirectory();
  const { child, kill } = await runUntil(directory.path, 1, "hold");
  await using store = closing(sqliteStore({ directory: directory.path }));
  try {
    await assert.rejects(store.open(tables), (error: StoreError) => {
      assert.ok(error.message.includes(directory.path), error.message);
      assert.ok(error.message.includes(`process ${child.pid} `), error.message);
      return isLocked(error);
    });
    await assert.rejects(store.commit([]), /not open/);
  } finally {
    await kill();
  }
  await store.open(tables);
  await store.commit([{ table: things, puts: thing(1), deletes: [] }]);
  await store.close();
});

test("two stores of one process exclude each other, too", async () => {
  await using directory = await temporaryDirectory();
  await using first = closing(sqliteStore({ directory: directory.path }));
  await using second = closing(sqliteStore({ directory: directory.path }));
  await first.open(tables);
  await assert.rejects(second.open(tables), isLocked);
  await assert.rejects(second.open(tables), isLocked);
  await first.close();
  await second.open(tables);
  await second.close();
});

test("others can read the database while the agent runs, and hold up no commit", async () => {
  await using directory = await temporaryDirectory();
  await using store = closing(sqliteStore({ directory: directory.path }));
  await store.open(tables);
  await store.commit([{ table: things, puts: thing(1), deletes: [] }]);
  const reader = new DatabaseSync(join(directory.path, "sojourn.db"), { readOnly: true });
  reader.exec("BEGIN");
  assert.equal(reader.prepare("SELECT state FROM things").get()?.["state"], "pending");
  await store.commit([{ table: things, puts: thing(1, "paid"), deletes: [] }]);
  assert.equal(reader.prepare("SELECT state FROM things").get()?.["state"], "pending");
  await store.close();
  reader.close();
  await store.open(tables);
  assert.deepEqual(await rowsOf(store, things), [thing(1, "paid")]);
  await store.close();
});

test("when the store's thread dies, pending and later calls reject, and the store can be opened again", async () => {
  await using directory = await temporaryDirectory();
  let worker: Worker | undefined;
  process.once("worker", (started) => { worker = started; });
  await using store = closing(sqliteStore({ directory: directory.path }));
  await store.open(tables);
  await store.commit([{ table: things, puts: thing(1), deletes: [] }]);
  const puts = Array.from({ length: 50_000 }, (_, id) => thing(id, "lost")).flat();
  const dies = (error: unknown): boolean =>
    error instanceof StoreError && error.kind === "unusable" && /thread has ended/.test(error.message);
  const pending = [store.commit([{ table: things, puts, deletes: [] }]), store.read(things, [1], 1)];
  const settled = Promise.all(pending.map((call) => assert.rejects(call, dies)));
  await worker!.terminate();
  await settled;
  await assert.rejects(store.commit([]), dies);
  await store.close();
  await store.open(tables);
  assert.deepEqual(await rowsOf(store, things), [thing(1)]);
  await store.close();
});
