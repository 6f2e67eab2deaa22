import assert from "node:assert/strict";
import { test } from "node:test";
import { eachOf } from "../../src/sdk/each.ts";
import { Duration, Failure, type Value } from "../../src/sdk/expression.ts";

test("items are bodies: what the body held as it is, what the expression made as JSON", () => {
  const order = { id: "o1" };
  const items = eachOf([order, 3n, new Duration(5_400_000), "text", null]) as readonly unknown[];
  assert.deepEqual(items, [{ id: "o1" }, 3, "5400s", "text", null]);
  assert.equal(items[0], order);
});

test("what is no list fails, and so does an item that no body can hold", () => {
  let deep: Value = [];
  for (let i = 0; i < 300; i++) deep = [deep];
  assert.match((eachOf({ a: 1 }) as Failure).message, /gives no list/);
  assert.match((eachOf([1, deep]) as Failure).message, /too large or nested too deeply/);
  assert.equal((eachOf(new Failure("no such key")) as Failure).message, "no such key");
});
