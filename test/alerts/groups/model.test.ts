import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { harness, orders, type Harness } from "../../support/agent.ts";

const SECOND = 1_000;
const OVER = 60 * SECOND;
/** So long it may take until it is on disk that a window of a minute was listened to. */
const LIFE_MS_MIN = 13_000;
const RUNS = { numRuns: 15, interruptAfterTimeLimit: 60_000 };

/** What fires now: rule and group. */
function firing(h: Harness): string[] {
  return h.now.agent.services.alerts.list().filter(({ status, group }) => status === "firing" && group !== undefined).map(({ alert, group, value }) => `${alert} ${JSON.stringify(group)} ${JSON.stringify(value)}`.replace(/ [^ ]*$/, "")).sort();
}

/** All that was told so far. */
function told(h: Harness): string[] {
  return h.alerts.map(({ status, alert, group, value, fired_at, resolved_at }) => JSON.stringify([status, alert, group, value, fired_at, resolved_at]));
}

/** Hands on bodies in pieces as `cuts` says; all at once without. */
async function inPieces<T>(list: readonly T[], cuts: readonly number[], send: (piece: readonly T[]) => Promise<void>): Promise<void> {
  let from = 0;
  for (let i = 0; from < list.length; i++) {
    const to = cuts.length === 0 ? list.length : from + (cuts[i % cuts.length]! || 1);
    await send(list.slice(from, to));
    from = to;
  }
}

interface Seen { readonly at: number; readonly g: string; readonly n: number }

/** A window as a list of what came: in buckets of a sixtieth, each there while its newest observation is in the window. */
class ListedWindow {
  readonly #keptMs: number;
  #seen: Seen[] = [];

  constructor(keptMs: number) {
    this.#keptMs = keptMs;
  }

  #last(of: Seen): number {
    return Math.max(...this.#seen.filter(({ at }) => bucketOf(at) === bucketOf(of.at)).map(({ at }) => at));
  }
  pass(now: number): void {
    this.#seen = this.#seen.filter((one) => this.#last(one) + this.#keptMs > now);
  }
  add(one: Seen, now: number): void {
    this.pass(now);
    if (one.at + this.#keptMs > now) this.#seen.push(one);
  }
  of(now: number, g?: string): number[] {
    return this.#seen.filter((one) => this.#last(one) + OVER > now && (g === undefined || one.g === g)).map(({ n }) => n);
  }
  /** The sixty whole buckets that end with the one of that time. */
  endingAt(time: number): number[] {
    return this.#seen.filter(({ at }) => bucketOf(at) <= bucketOf(time) && bucketOf(at) > bucketOf(time) - 60).map(({ n }) => n);
  }
}

function bucketOf(at: number): number {
  return Math.floor(at / (OVER / 60));
}

const WINDOWS = `[
  { alert: Count, window: { count: true, over: 60s, by: { g: body.g } }, expr: value >= 3 },
  { alert: Sum, window: { sum: body.n, over: 60s, by: { g: body.g } }, expr: value > 10 },
  { alert: Max, window: { max: body.n, over: 60s }, expr: value >= 8 },
  { alert: Ratio, window: { count: body.n > 5, over: 60s, divided_by: { count: true } }, expr: value > 0.5 },
  { alert: Distinct, window: { distinct: body.n, over: 60s, by: { g: body.g } }, expr: value >= 3 },
  { alert: Median, window: { p50: body.n, over: 60s }, expr: value >= 6 },
  { alert: More, window: { sum: body.n, over: 60s, earlier: 60s }, expr: value > earlier + 5 },
  { alert: Less, window: { distinct: body.n, over: 60s, earlier: 60s }, expr: value < earlier }]`.replaceAll("\n", " ");

function expectedOfWindows(window: ListedWindow, kept: ListedWindow, now: number, began: number): string[] {
  const found: string[] = [];
  const all = window.of(now);
  for (const g of ["a", "b"]) {
    const list = window.of(now, g);
    if (list.length >= 3) found.push(`Count {"g":"${g}"}`);
    if (list.reduce((sum, n) => sum + n, 0) > 10) found.push(`Sum {"g":"${g}"}`);
    if (new Set(list).size >= 3) found.push(`Distinct {"g":"${g}"}`);
  }
  if (all.length > 0 && Math.max(...all) >= 8) found.push("Max {}");
  if (all.filter((n) => n > 5).length / all.length > 0.5) found.push("Ratio {}");
  if (all.length > 0 && all.toSorted((x, y) => x - y)[Math.ceil(all.length / 2) - 1]! >= 6) found.push("Median {}");
  if (now >= began + 2 * OVER) {
    const [value, earlier] = [kept.of(now), kept.endingAt(now - OVER)];
    if (value.reduce((sum, n) => sum + n, 0) > earlier.reduce((sum, n) => sum + n, 0) + 5) found.push("More {}");
    if (new Set(value).size < new Set(earlier).size) found.push("Less {}");
  }
  return found.sort();
}

const windowStep = fc.record({
  waitMs: fc.oneof(fc.integer({ min: 0, max: 20 * SECOND }), fc.integer({ min: 0, max: 90 * SECOND })),
  restarts: fc.boolean(),
  seen: fc.array(fc.record({ agoMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 150 * SECOND })), g: fc.constantFrom("a", "b"), n: fc.integer({ min: 0, max: 9 }) }), { maxLength: 6 }),
});

test("windows say what a list of the observations would, however they are split into batches, over restarts", async () => {
  const yaml = orders({ rules: WINDOWS }).replace("[track/order, threshold/order]", "[threshold/order]");
  await fc.assert(fc.asyncProperty(fc.array(windowStep, { minLength: 3, maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 }), async (steps, cuts) => {
    await using whole = await harness(yaml);
    await using split = await harness(yaml);
    const began = whole.clock.now();
    const window = new ListedWindow(OVER);
    const kept = new ListedWindow(2 * OVER + OVER / 60);
    for (const { waitMs, restarts, seen } of steps) {
      for (const h of [whole, split]) {
        await h.advance(waitMs);
        // A life too short to note that it listened counts as an interruption of what is compared with `earlier`.
        if (h === split && restarts && waitMs >= LIFE_MS_MIN) await h.restart(0);
        const now = h.clock.now();
        // The time of receipt is what the receiver says: one batch may hold several.
        await inPieces(seen, h === whole ? [] : cuts, async (piece) => {
          for (const { agoMs, g, n } of piece) await h.send("feed", { g, n }, { time: now - agoMs });
        });
      }
      const now = whole.clock.now();
      for (const list of [window, kept]) {
        for (const { agoMs, g, n } of seen) list.add({ at: now - agoMs, g, n }, now);
        list.pass(now);
      }
      assert.deepEqual(firing(whole), expectedOfWindows(window, kept, now, began));
    }
    assert.deepEqual(told(split), told(whole));
  }), RUNS);
});

const AGGREGATES = `[
  { alert: Count, aggregate: { count: true, by: { s: self.state } }, expr: value >= 3 },
  { alert: Sum, aggregate: { sum: self.amount, by: { s: self.state } }, expr: value >= 12 },
  { alert: Avg, aggregate: { avg: self.amount }, expr: value > 5 },
  { alert: Min, aggregate: { min: self.amount, by: { s: self.state } }, expr: value >= 4 },
  { alert: Max, aggregate: { max: self.amount, by: { s: self.state } }, expr: value >= 8 },
  { alert: Share, aggregate: { share: self.amount > 5, when: self.state != 'z' }, expr: value > 0.5 },
  { alert: Distinct, aggregate: { distinct: self.amount, by: { s: self.state } }, expr: value >= 3 },
  { alert: Median, aggregate: { p50: self.amount }, expr: value >= 6 }]`.replaceAll("\n", " ");

interface Known { readonly s: string; readonly n: number | undefined }

function expectedOfAggregates(known: ReadonlyMap<string, Known>): string[] {
  const found: string[] = [];
  const numbers = (list: readonly Known[]): number[] => list.flatMap(({ n }) => n ?? []);
  const sum = (list: readonly number[]): number => list.reduce((total, n) => total + n, 0);
  const all = numbers([...known.values()]);
  for (const s of ["x", "y", "z"]) {
    const members = [...known.values()].filter((one) => one.s === s);
    const list = numbers(members);
    if (members.length >= 3) found.push(`Count {"s":"${s}"}`);
    if (sum(list) >= 12) found.push(`Sum {"s":"${s}"}`);
    if (list.length > 0 && Math.min(...list) >= 4) found.push(`Min {"s":"${s}"}`);
    if (list.length > 0 && Math.max(...list) >= 8) found.push(`Max {"s":"${s}"}`);
    if (new Set(list).size >= 3) found.push(`Distinct {"s":"${s}"}`);
  }
  if (all.length > 0 && sum(all) / all.length > 5) found.push("Avg {}");
  const judged = numbers([...known.values()].filter(({ s }) => s !== "z"));
  if (judged.filter((n) => n > 5).length / judged.length > 0.5) found.push("Share {}");
  if (all.length > 0 && all.toSorted((x, y) => x - y)[Math.ceil(all.length / 2) - 1]! >= 6) found.push("Median {}");
  return found.sort();
}

const change = fc.record({
  id: fc.constantFrom("a", "b", "c", "d", "e", "f"), status: fc.constantFrom("x", "y", "z"),
  amount: fc.option(fc.integer({ min: 0, max: 9 }), { nil: null }), gone: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
});

test("aggregates say what adding all resources up anew would, after every change, however they are split, over restarts and reloads", async () => {
  const yaml = orders({ track: "delete_when: body.gone", rules: AGGREGATES });
  const steps = fc.array(fc.record({ changes: fc.array(change, { maxLength: 6 }), what: fc.constantFrom("nothing", "nothing", "restart", "reload", "other rules") }), { minLength: 3, maxLength: 12 });
  await fc.assert(fc.asyncProperty(steps, fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 }), async (list, cuts) => {
    await using whole = await harness(yaml);
    await using split = await harness(yaml);
    const known = new Map<string, Known>();
    for (const [i, { changes, what }] of list.entries()) {
      await whole.send("feed", changes);
      await inPieces(changes, cuts, (piece) => split.send("feed", piece));
      for (const { id, status, amount, gone } of changes) {
        if (gone) known.delete(id);
        else known.set(id, { s: status, n: amount ?? undefined });
      }
      assert.deepEqual(firing(whole), expectedOfAggregates(known));
      if (what === "restart") await split.restart(0);
      if (what === "reload") await split.reload(yaml.replace("feed: {}", `feed: { mark: m${i} }`));
      if (what === "other rules") {
        // Gone for less than five minutes: that is no end, and what fires is not told again.
        await split.reload(orders({ track: "delete_when: body.gone" }));
        await split.reload(yaml);
      }
      await whole.advance(SECOND);
      await split.advance(SECOND);
    }
    assert.deepEqual(told(split), told(whole));
  }), RUNS);
});
