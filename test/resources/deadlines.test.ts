import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Deadlines } from "../../src/resources/deadlines.ts";

test("rows come up at their earliest deadline, each once, whatever was armed, cancelled and taken before", () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ arm: fc.nat(300), at: fc.nat(50) }) },
    fc.record({ cancel: fc.nat(300) }),
    fc.record({ take: fc.nat(60) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
    const deadlines = new Deadlines();
    const naive = new Map<number, number>();
    for (const one of steps) {
      if ("arm" in one) {
        deadlines.arm(one.arm, one.at);
        naive.set(one.arm, Math.min(one.at, naive.get(one.arm) ?? Infinity));
      } else if ("cancel" in one) {
        deadlines.cancel(one.cancel);
        naive.delete(one.cancel);
      } else {
        const row = deadlines.takeDue(one.take);
        const next = Math.min(Infinity, ...naive.values());
        if (row === undefined) assert.ok(next > one.take);
        else {
          assert.equal(naive.get(row), next);
          naive.delete(row);
        }
      }
      assert.equal(deadlines.size, naive.size);
      assert.equal(deadlines.nextMs, Math.min(Infinity, ...naive.values()));
    }
  }));
});

test("a row that is never due is not armed", () => {
  const deadlines = new Deadlines();
  deadlines.arm(3, Infinity);
  assert.equal(deadlines.size, 0);
  assert.equal(deadlines.takeDue(Number.MAX_SAFE_INTEGER), undefined);
});
