import assert from "node:assert/strict";
import { test } from "node:test";
import { PermanentError } from "../../src/sdk/errors.ts";
import { StoreError, type Cell, type Store, type Table } from "../../src/sdk/store.ts";
import { memoryStore } from "../../src/storage/memory_store.ts";
import { sqliteStore } from "../../src/storage/sqlite_store.ts";
import { moves, rowsOf, tables, temporaryDirectory, thing, things } from "./tables.ts";

/** What any store promises, whatever stands behind it. `use` gets a store that is open. */
function promises(kind: string, make: (directory: string) => Store): void {
  const promise = (name: string, use: (store: Store) => Promise<void>): void => {
    test(`${kind}: ${name}`, async () => {
      await using directory = await temporaryDirectory();
      const store = make(directory.path);
      await store.open(tables);
      try {
        await use(store);
      } finally {
        await store.close();
      }
    });
  };

  promise("what was committed is read back as it was, of every type", async (store) => {
    const rows: Cell[][] = [
      [Number.MIN_SAFE_INTEGER, 1_767_225_600_123, -0.5, "é😀\0'\"", "[]"],
      [0, null, null, null, null],
      [7, 1.5, 3, "", "null"],
      [8, 1e18, 1e300, "NaN", '{"__proto__":1}'],
      [Number.MAX_SAFE_INTEGER, Infinity, -Infinity, "x".repeat(100_000), "{}"],
    ];
    await store.commit([{ table: things, puts: rows.flat(), deletes: [] }]);
    assert.deepEqual(await rowsOf(store, things), rows);
    assert.deepEqual(await store.read(things, [8], 1), rows[3]);
  });

  promise("NaN becomes null, and broken Unicode the replacement character", async (store) => {
    await store.commit([{ table: things, puts: [1, NaN, NaN, "a\ud800", null], deletes: [] }]);
    assert.deepEqual(await rowsOf(store, things), [[1, null, null, "a\ufffd", null]]);
  });

  promise("a put replaces the row with its key, and the last put of a commit wins", async (store) => {
    await store.commit([{ table: things, puts: [...thing(1), ...thing(2)], deletes: [] }]);
    await store.commit([{ table: things, puts: [...thing(2, "paid"), ...thing(2, "shipped")], deletes: [] }]);
    assert.deepEqual(await rowsOf(store, things), [thing(1), thing(2, "shipped")]);
  });

  promise("deletes come before puts, so a row may be deleted and put in one commit", async (store) => {
    await store.commit([{ table: moves, puts: ["order", 1, "a", "order", 2, "b"], deletes: [] }]);
    await store.commit([{ table: moves, puts: ["order", 1, "c"], deletes: ["order", 1, "order", 2, "never", 9] }]);
    assert.deepEqual(await rowsOf(store, moves), [["order", 1, "c"]]);
  });

  promise("rows are read by a prefix of their key, in its order, and no more than asked for", async (store) => {
    const puts = [["b", 2, "x"], ["a", 10, "x"], ["a", 9, "x"], ["a,9", 1, "x"], ["\u{10000}", 1, "x"], ["\uffff", 1, "x"]];
    await store.commit([{ table: moves, puts: puts.flat(), deletes: [] }]);
    assert.deepEqual(await store.read(moves, ["a"], 10), ["a", 9, "x", "a", 10, "x"]);
    assert.deepEqual(await store.read(moves, ["a"], 1), ["a", 9, "x"]);
    assert.deepEqual(await store.read(moves, ["a", 10], 5), ["a", 10, "x"]);
    assert.deepEqual(await store.read(moves, ["c"], 5), []);
    const keys = (await rowsOf(store, moves)).map(([type]) => type);
    assert.deepEqual(keys, ["a", "a", "a,9", "b", "\uffff", "\u{10000}"]);
    assert.deepEqual((await store.read(moves, [], 100)).length, 6 * 3);
  });

  promise("a large commit is all there, and is loaded in chunks", async (store) => {
    const count = 30_000;
    const ids = Array.from({ length: count }, (_, i) => (i * 7_919) % count);
    await store.commit([
      { table: things, puts: ids.flatMap((id) => thing(id)), deletes: [] },
      { table: moves, puts: ids.flatMap((id) => [`type${id % 3}`, id, "x"]), deletes: [] },
    ]);
    let chunks = 0;
    let next = 0;
    await store.load(things, (cells) => {
      chunks += 1;
      assert.ok(cells.length <= 5_000 * things.columns.length);
      for (let i = 0; i < cells.length; i += things.columns.length) assert.equal(cells[i], next++);
    });
    assert.equal(next, count);
    assert.ok(chunks > 1);
    assert.equal((await rowsOf(store, moves)).length, count);
    await store.commit([{ table: things, puts: thing(5, "left"), deletes: ids }]);
    assert.deepEqual(await rowsOf(store, things), [thing(5, "left")]);
  });

  promise("commits called at once are applied in the order of their calls", async (store) => {
    const order: number[] = [];
    const commits = Array.from({ length: 50 }, (_, i) =>
      store.commit([{ table: things, puts: thing(1, `s${i}`), deletes: [] }]).then(() => order.push(i)));
    await Promise.all(commits);
    assert.deepEqual(order, Array.from({ length: 50 }, (_, i) => i));
    assert.deepEqual(await rowsOf(store, things), [thing(1, "s49")]);
  });

  promise("a commit that can never be written is refused as a whole, for good, and nothing else", async (store) => {
    await store.commit([{ table: things, puts: thing(1), deletes: [] }]);
    const unknown: Table = { name: "unknown", columns: [["id", "integer"]], keyColumns: 1 };
    const refused: [Table, Cell[], Cell[]][] = [
      [things, ["1", null, null, null, null], []],
      [things, [2, "soon", null, null, null], []],
      [things, [2, null, null, 5, null], []],
      [things, [null, null, null, null, null], []],
      [things, [1.5, null, null, null, null], []],
      [things, [2 ** 53, null, null, null, null], []],
      [things, [2, null, null, null], []],
      [things, [2, null, null, null, undefined as unknown as null], []],
      [things, [2, null, null, null, (() => 1) as unknown as null], []],
      [moves, [], ["order"]],
      [moves, ["order", null, "x"], []],
      [unknown, [1], []],
    ];
    for (const [table, puts, deletes] of refused) {
      const changes = [{ table: things, puts: thing(9), deletes: [1] }, { table, puts, deletes }];
      await assert.rejects(store.commit(changes), (error: Error) => error instanceof PermanentError || /clone/.test(error.message));
    }
    assert.deepEqual(await rowsOf(store, things), [thing(1)]);
    await store.commit([{ table: things, puts: thing(2), deletes: [] }]);
    assert.deepEqual(await rowsOf(store, things), [thing(1), thing(2)]);
  });

  promise("a refused cell anywhere in a large commit takes all of it back, and the next one writes only itself", async (store) => {
    const rows = 50_000;
    for (const wrong of [0, rows / 2, rows - 1]) {
      const puts = Array.from({ length: rows }, (_, id) => thing(id)).flat();
      puts[wrong * things.columns.length + 3] = 5;
      await assert.rejects(store.commit([{ table: things, puts, deletes: [] }]), /things.state is number, not string/);
      await store.commit([{ table: things, puts: thing(1, `${wrong}`), deletes: [] }]);
      const left = await rowsOf(store, things);
      assert.equal(left.length, 1);
      assert.deepEqual(left, [thing(1, `${wrong}`)]);
    }
  });

  promise("a commit called behind one that failed fails with it, and both can be repeated in order", async (store) => {
    const failing = store.commit([{ table: things, puts: ["wrong", null, null, null, null], deletes: [] }]);
    const behind = store.commit([{ table: things, puts: thing(1, "newer"), deletes: [] }]);
    await assert.rejects(failing, PermanentError);
    await assert.rejects(behind, /the commit before it failed/);
    await store.commit([{ table: things, puts: thing(1, "older"), deletes: [] }]);
    await store.commit([{ table: things, puts: thing(1, "newer"), deletes: [] }]);
    assert.deepEqual(await rowsOf(store, things), [thing(1, "newer")]);
  });

  promise("an empty commit resolves", async (store) => {
    await store.commit([]);
    await store.commit([{ table: things, puts: [], deletes: [] }]);
  });

  promise("closing finishes pending commits, may be called twice, and everything after it rejects", async (store) => {
    const pending = store.commit([{ table: things, puts: thing(1), deletes: [] }]);
    await Promise.all([store.close(), store.close()]);
    await pending;
    await store.close();
    const closed = (error: unknown): boolean => error instanceof StoreError && error.kind === "unusable";
    await assert.rejects(store.commit([]), closed);
    await assert.rejects(store.read(things, [1], 1), closed);
    await assert.rejects(store.load(things, () => {}), closed);
    await store.open(tables);
    assert.deepEqual(await rowsOf(store, things), [thing(1)]);
  });

  promise("opening twice is refused, and so is a table declared wrongly", async (store) => {
    await assert.rejects(store.open(tables), (error: StoreError) => error.kind === "locked");
    await store.close();
    await assert.rejects(store.open([things, things]), PermanentError);
    await assert.rejects(store.open([{ name: "x", columns: [["a", "text"], ["A", "text"]], keyColumns: 1 }]), PermanentError);
    await store.open(tables);
  });

  promise("a column that a newer version adds is null in rows that were there", async (store) => {
    await store.commit([{ table: moves, puts: ["order", 1, "paid"], deletes: [] }]);
    await store.close();
    const wider: Table = { ...moves, columns: [...moves.columns, ["why \"quoted\"", "json"]] };
    await store.open([wider, things]);
    await store.commit([{ table: wider, puts: ["order", 2, "shipped", "{}"], deletes: [] }]);
    assert.deepEqual(await rowsOf(store, wider), [["order", 1, "paid", null], ["order", 2, "shipped", "{}"]]);
  });

  promise("an error thrown while rows are taken in stops the load, and the store goes on", async (store) => {
    const ids = Array.from({ length: 12_000 }, (_, id) => id);
    await store.commit([{ table: things, puts: ids.flatMap((id) => thing(id)), deletes: [] }]);
    await assert.rejects(store.load(things, () => { throw new Error("no room"); }), /no room/);
    assert.deepEqual(await store.read(things, [3], 1), thing(3));
  });
}

promises("memory", () => memoryStore());
promises("sqlite", (directory) => sqliteStore({ directory }));
