import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Agenda, type Entry } from "../../../src/alerts/groups/agenda.ts";
import { Contributions, membersOf } from "../../../src/alerts/groups/members.ts";
import { Sketch } from "../../../src/alerts/groups/sketch.ts";
import type { Statistic } from "../../../src/sdk/rule.ts";
import { virtualClock } from "../../../src/sdk/virtual_clock.ts";

const STATISTICS: readonly Statistic[] = ["count", "sum", "avg", "min", "max", "distinct", "p50", "p95"];
const number = fc.oneof(fc.integer({ min: -20, max: 20 }), fc.double({ min: -1e6, max: 1e6, noNaN: true }), fc.constantFrom(0.1, 0.2, 0.3, 1e-9, 1e15));

/** The number itself, by nearest rank. */
function percentileOf(list: readonly number[], percent: number): number | undefined {
  return list.toSorted((a, b) => a - b)[Math.ceil((percent / 100) * list.length) - 1];
}

function scratch(of: Statistic, list: readonly number[]): number | undefined {
  const sum = list.reduce((total, n) => total + n, 0);
  switch (of) {
    case "count":
      return list.length;
    case "sum":
      return sum;
    case "distinct":
      return new Set(list.map((n) => n + 0)).size;
    case "avg":
      return list.length === 0 ? undefined : sum / list.length;
    case "min":
      return list.length === 0 ? undefined : Math.min(...list);
    case "max":
      return list.length === 0 ? undefined : Math.max(...list);
    default:
      return percentileOf(list, Number(of.slice(1)));
  }
}

function near(actual: number | undefined, wanted: number | undefined, relative: number, scale = Math.abs(wanted ?? 0)): void {
  if (wanted === undefined || actual === undefined) assert.equal(actual, wanted);
  else assert.ok(Math.abs(actual - wanted) <= relative * scale + 1e-12, `${actual} is not ${wanted}`);
}

test("whatever comes, changes and goes, a group's statistics are those of its members", () => {
  const change = fc.record({ row: fc.integer({ min: 0, max: 15 }), group: fc.integer({ min: 0, max: 2 }), number });
  fc.assert(fc.property(fc.constantFrom(...STATISTICS), fc.array(change, { maxLength: 300 }), (of, changes) => {
    const contributions = new Contributions();
    const groups = [1, 2].map((group) => membersOf(of, group, contributions));
    const known = new Map<number, { group: number; number: number }>();
    for (const { row, group, number: value } of changes) {
      const before = known.get(row);
      if (before !== undefined) groups[before.group - 1]!.remove(row, before.number, String(before.number + 0));
      contributions.group[row] = group;
      contributions.number[row] = value;
      if (group === 0) known.delete(row);
      else {
        known.set(row, { group, number: value });
        groups[group - 1]!.add(row, value, String(value + 0));
      }
      for (const one of [1, 2]) {
        const list = [...known.values()].filter((member) => member.group === one).map((member) => member.number);
        assert.equal(groups[one - 1]!.count, list.length);
        const largest = Math.max(0, ...list.map(Math.abs));
        near(groups[one - 1]!.value(), scratch(of, list), of.startsWith("p") ? 0.02 : of === "sum" || of === "avg" ? 1e-12 : 0, of === "sum" || of === "avg" ? largest * 16 : undefined);
      }
    }
  }), { numRuns: 150 });
});

test("what was added and taken away leaves nothing behind, however large it was", () => {
  const sum = membersOf("sum", 1, new Contributions());
  for (const n of [0.1, 1e15, 0.2]) sum.add(0, n, undefined);
  sum.remove(0, 1e15, undefined);
  assert.equal(sum.value(), 0.1 + 0.2);
  sum.remove(0, 0.1, undefined);
  sum.remove(0, 0.2, undefined);
  assert.equal(sum.value(), 0);
});

test("a percentile is off by less than 2 %, the same in any order and after it was kept; equal numbers come out exactly", () => {
  fc.assert(fc.property(fc.array(fc.oneof(fc.double({ min: 1e-3, max: 100, noNaN: true }), fc.integer({ min: -1_000, max: 1_000 })), { minLength: 1, maxLength: 200 }), fc.integer({ min: 50, max: 99 }), (list, percent) => {
    const [one, other, half] = [new Sketch(), new Sketch(), new Sketch()];
    for (const n of list) one.add(n);
    for (const [i, n] of list.toReversed().entries()) (i % 2 === 0 ? other : half).add(n);
    other.merge(half);
    near(one.percentile(percent), percentileOf(list, percent), 0.02);
    assert.equal(other.percentile(percent), one.percentile(percent));
    assert.equal(Sketch.from(JSON.parse(JSON.stringify(one)) as number[]).percentile(percent), one.percentile(percent));
  }));
  const same = new Sketch();
  for (let i = 0; i < 10; i++) same.add(0.3);
  assert.deepEqual([same.percentile(50), same.percentile(99), new Sketch().percentile(50)], [0.3, 0.3, undefined]);
});

test("numbers of any size take no more than a bounded number of bins, and the upper half stays right", () => {
  const sketch = new Sketch();
  const list: number[] = [];
  for (let i = 0; i < 20_000; i++) list.push(10 ** ((i * 7_919) % 20_000 / 1_000 - 5));
  for (const n of list) sketch.add(n);
  assert.ok(sketch.toJSON().length <= 3 * 512);
  near(sketch.percentile(99), percentileOf(list, 99), 0.02);
  near(sketch.percentile(90), percentileOf(list, 90), 0.02);
  for (const n of list) sketch.remove(n);
  assert.deepEqual([sketch.count, sketch.toJSON()], [0, []]);
});

test("what is due is looked at in the order of its time, then of its rank and key, once; what is set anew replaces what was", async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.record({ entry: fc.integer({ min: 0, max: 9 }), at: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant(Infinity)) }), { maxLength: 40 }), async (sets) => {
    const clock = virtualClock(0);
    const agenda = new Agenda(clock);
    const looked: string[] = [];
    const entries = Array.from({ length: 10 }, (_, i): Entry => ({ at: Infinity, place: -1, rank: i % 3, key: `k${i}`, look: (now) => void looked.push(`${now} ${i % 3} k${i}`) }));
    const due = new Map<number, number>();
    for (const { entry, at } of sets) {
      agenda.set(entries[entry]!, at);
      due.set(entry, at);
    }
    await clock.advance(100);
    const wanted = [...due].filter(([, at]) => at !== Infinity).sort(([a, x], [b, y]) => x - y || a % 3 - b % 3 || a - b).map(([i, at]) => `${at} ${i % 3} k${i}`);
    assert.deepEqual(looked, wanted);
    assert.equal(clock.pending, 0);
  }), { numRuns: 50 });
});

test("a percentile is the nearest rank, whatever a division rounds", () => {
  for (let percent = 50; percent < 100; percent++) {
    const sketch = new Sketch();
    for (let i = 0; i < 100; i++) sketch.add(i < percent ? 1 : 1_000);
    assert.equal(sketch.percentile(percent), 1, `p${percent}`);
  }
});

test("numbers too large for a sum are none while they are there, and leave it whole", () => {
  const sum = membersOf("sum", 1, new Contributions());
  sum.add(0, 1.5e308, undefined);
  sum.add(1, 1.5e308, undefined);
  sum.add(2, 5, undefined);
  assert.equal(sum.value(), undefined);
  sum.remove(0, 1.5e308, undefined);
  sum.remove(1, 1.5e308, undefined);
  assert.equal(sum.value(), 5);
});
