import assert from "node:assert/strict";
import { test } from "node:test";
import { Buckets, divisionOf } from "../../../src/alerts/groups/buckets.ts";
import type { Statistic } from "../../../src/sdk/rule.ts";

const MINUTE = 60_000;

/** A window of one statistic; `add` takes what comes at a time, when it is `now`. */
function window(of: Statistic, earlierMs = 0) {
  const buckets = new Buckets(divisionOf(MINUTE, earlierMs), [of]);
  const add = (at: number, number: number, now: number): void => buckets.add(buckets.at(at).bucket, at, now, 0, number, String(number));
  return { buckets, add, value: (now: number) => buckets.now(now)[0]!.value() };
}

test("an observation counts for as long as the window is, to the millisecond where it is alone", () => {
  const { add, value, buckets } = window("count");
  add(500, 1, 500);
  assert.deepEqual([value(500), value(MINUTE + 499), value(MINUTE + 500)], [1, 1, 0]);
  assert.equal(buckets.leavesAt(500), MINUTE + 500);
  assert.deepEqual(buckets.takeOld(MINUTE + 499), []);
  assert.equal(buckets.takeOld(MINUTE + 500).length, 1);
});

test("what comes late into a part of the window that had left brings that part back, whatever the statistic", () => {
  for (const statistic of ["count", "distinct", "p99"] as const) {
    const { add, value } = window(statistic, MINUTE);
    add(100, 7, 100);
    add(10_000, 8, 10_000);
    const now = MINUTE + 200;
    assert.equal(value(now), statistic === "p99" ? 8 : 1);
    add(900, 9, now);
    assert.equal(value(now), statistic === "p99" ? 9 : 3, statistic);
  }
});

test("what leaves sooner than all that was there makes the sum end sooner", () => {
  const { add, value } = window("distinct");
  add(50_000, 1, 50_000);
  assert.equal(value(50_000), 1);
  add(2_000, 2, 50_000);
  assert.deepEqual([value(50_000), value(MINUTE + 2_000)], [2, 1]);
});

test("earlier is the same number of whole parts, and knows what comes late", () => {
  const { add, buckets } = window("sum", MINUTE);
  const before = (now: number): number | undefined => buckets.before(now)[0]!.value();
  for (let second = 0; second < 100; second++) add(second * 1_000, 1, second * 1_000);
  assert.equal(before(2 * MINUTE - 1), 60);
  add(30_000, 5, 2 * MINUTE - 1);
  assert.equal(before(2 * MINUTE - 1), 65);
  assert.equal(before(2 * MINUTE), 65, "second 0 has gone, second 60 has come");
});

test("far back the parts are coarser, never coarser than a sixth of the window, and there are no more than about 2,000", () => {
  for (const [over, earlier] of [[5 * MINUTE, 0], [5 * MINUTE, 24 * 60 * MINUTE], [MINUTE, 300 * MINUTE], [60 * MINUTE, 7 * 24 * 60 * MINUTE], [1_000, 300_000]] as const) {
    const { widthMs, bucketsMax } = divisionOf(over, earlier);
    assert.ok(widthMs <= Math.ceil(over / 6) && bucketsMax <= 2_010, `${over} ${earlier}: ${widthMs} ${bucketsMax}`);
    assert.ok(Math.abs(over / widthMs - Math.round(over / widthMs)) < 0.05);
  }
});
