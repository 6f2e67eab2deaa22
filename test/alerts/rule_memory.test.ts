import assert from "node:assert/strict";
import { test } from "node:test";
import { RuleMemory } from "../../src/alerts/rule_memory.ts";
import type { TableChange } from "../../src/sdk/store.ts";
import { memoryStore } from "../../src/storage/memory_store.ts";

test("what rules remember is written once for each change, and is there after a restart", async () => {
  const store = memoryStore();
  let changed = 0;
  const memory = new RuleMemory(() => changed++);
  await store.open([...memory.tables]);
  const commit = async (): Promise<number> => {
    const changes: TableChange[] = [];
    memory.drain(changes);
    await store.commit(changes);
    // Beside them, each commit says until when the agent was there.
    return changes.reduce((sum, { puts, deletes }) => sum + puts.length / 4 - 1 + deletes.length / 3, 0);
  };
  memory.put("order", "A", "x", 1);
  memory.put("order", "A", "x", 2);
  memory.put("order", "A", "y", [1, null]);
  memory.put("order", "B", "x", { a: 1 });
  memory.put("", "A", "x", true);
  assert.equal(await commit(), 4);
  assert.equal(await commit(), 0);
  memory.put("order", "A", "y", undefined);
  memory.put("order", "A", "never", undefined);
  memory.put("nothing", "A", "never", undefined);
  assert.equal(changed, 6);
  assert.equal(await commit(), 1);
  const again = new RuleMemory(() => {});
  await again.restore(store);
  assert.deepEqual([...again.entries("order", "A")], [["x", 2]]);
  assert.deepEqual(again.get("order", "B", "x"), { a: 1 });
  assert.deepEqual([...again.rules()], [["", "A"], ["order", "A"], ["order", "B"]]);
  memory.forgetRule("order", "A");
  memory.put("order", "A", "z", 3);
  assert.equal(await commit(), 2);
  const last = new RuleMemory(() => {});
  await last.restore(store);
  assert.deepEqual([...last.entries("order", "A")], [["z", 3]]);
});

test("types and rules of any name are kept apart", () => {
  const memory = new RuleMemory(() => {});
  const names = ["", "a", "__proto__", "constructor", "a\nb", "[\"a\",\"b\"]"];
  for (const type of names) for (const rule of names) memory.put(type, rule, "toString", `${type} ${rule}`);
  for (const type of names) for (const rule of names) assert.equal(memory.get(type, rule, "toString"), `${type} ${rule}`);
});
