import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { smallest } from "../../src/sdk/smallest.ts";

test("the first of many are the same as if all had been sorted", () => {
  const number = (a: number, b: number): number => a - b;
  fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 2_000 }), fc.integer({ min: 1, max: 100 }), (items, limit) => {
    assert.deepEqual(smallest(items, limit, number), items.toSorted(number).slice(0, limit));
  }));
  const many = Array.from({ length: 5_000 }, (_, i) => i);
  for (const items of [many, many.toReversed()]) assert.deepEqual(smallest(items, 101, number), many.slice(0, 101));
});
