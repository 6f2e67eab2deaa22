import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { observation, type Json } from "../../src/sdk/observation.ts";
import { harness, orders, type Harness } from "../support/agent.ts";

const MINUTE = 60_000;
const STUCK_MS = 10 * MINUTE;
const FOR_MS = 5 * MINUTE;
const ILLEGAL_MS = 60 * MINUTE;
const WITHIN_MS = 12 * MINUTE;
const ABSENT_MS = 25 * MINUTE;

const YAML = orders({
  track: `previous: body.was
delete_when: has(body.gone)
states:
  pending: { stuck_after: 10m, next: [paid, failed] }
  paid: { next: [shipped] }
  failed: { terminal: true, alert: true }`,
  rules: `[
    { alert: Large, expr: self.amount > 100, clear: self.amount < 50, for: 5m },
    { alert: Unpaid, sequence: { after: self.state == 'pending', followed_by: self.state == 'paid', unless: self.state == 'failed', within: 12m } },
    { alert: Silent, absent_for: 25m },
  ]`.replaceAll("\n", " "),
});

/** What an observation says; `ago` in minutes before it is sent. */
interface Said {
  readonly id: string;
  readonly status: string;
  readonly was: string | undefined;
  readonly ago: number;
  readonly amount: number | undefined;
  readonly gone: boolean;
  readonly snapshot: boolean;
}

type Step =
  | { readonly kind: "send"; readonly said: readonly Said[]; readonly split: number }
  | { readonly kind: "lose"; readonly said: readonly Said[] }
  | { readonly kind: "pass"; readonly minutes: number }
  | { readonly kind: "restart"; readonly minutes: number };

const NEXT: Readonly<Record<string, readonly string[]>> = { pending: ["paid", "failed"], paid: ["shipped"] };

interface Resource {
  deleted: boolean;
  state: string;
  since: number;
  movedAt: number;
  eventTime: number;
  incarnation: number;
  illegal: boolean;
  amount: number | undefined;
  /** Since when it is large. */
  largeSince: number | undefined;
  lastSeen: number;
  /** When it became pending without having been paid since, in which incarnation, and whether it was pending when last heard of. */
  unpaid: { since: number | undefined; incarnation: number; pending: boolean };
  firing: Set<string>;
}

const NEVER = { since: undefined, incarnation: 0, pending: false };

/** Resources and alerts, as simply as can be: no timers, no rows, no store; everything is looked at every minute. */
class Model {
  readonly resources = new Map<string, Resource>();
  readonly transitions = new Map<string, number>();
  readonly changes: string[] = [];
  /** The agent runs since then. */
  upSince = 0;

  apply(said: Said, now: number): void {
    const time = now - said.ago * MINUTE;
    let r = this.resources.get(said.id);
    const isNew = r === undefined;
    if (r === undefined) {
      r = { deleted: true, state: "", since: time, movedAt: time, eventTime: time, incarnation: 0, illegal: false, amount: undefined, largeSince: undefined, lastSeen: now, unpaid: NEVER, firing: new Set() };
      this.resources.set(said.id, r);
    }
    // Late: it says only that the resource is there.
    const late = !isNew && time < r.eventTime;
    if (!late || !r.deleted) r.lastSeen = now;
    if (late) return this.look(now);
    r.eventTime = time;
    if (said.gone) {
      for (const alert of r.firing) this.changes.push(`RESOLVED ${alert} ${said.id} deleted`);
      Object.assign(r, { deleted: true, largeSince: undefined, unpaid: NEVER, firing: new Set() });
      return;
    }
    if (r.deleted) {
      Object.assign(r, { deleted: false, state: "", illegal: false, amount: undefined, incarnation: r.incarnation + 1 });
      r.amount = said.amount ?? r.amount;
      if (said.was !== undefined && said.was !== said.status && !said.snapshot) this.#transit(r, said.was, said.status, time);
      else this.#arrive(r, said.status, time);
    } else {
      r.amount = said.amount ?? r.amount;
      this.#move(r, said, time);
    }
    if ((r.amount ?? 0) > 100) r.largeSince ??= time;
    else if (!r.firing.has("Large") || r.amount! < 50) r.largeSince = undefined;
    const before = r.unpaid.incarnation === r.incarnation ? r.unpaid : NEVER;
    const pending = r.state === "pending";
    const since = pending && !before.pending ? (before.since ?? time) : before.since;
    r.unpaid = { since: r.state === "paid" || r.state === "failed" ? undefined : since, incarnation: r.incarnation, pending };
    this.look(now);
  }

  #move(r: Resource, said: Said, time: number): void {
    if (said.status === r.state) return;
    if (r.state === "failed") r.incarnation++;
    const from = said.was ?? r.state;
    if (said.snapshot || from === said.status) return this.#arrive(r, said.status, time);
    if (from !== r.state && from === "failed") r.incarnation++;
    this.#transit(r, from, said.status, time);
  }

  #arrive(r: Resource, state: string, time: number): void {
    Object.assign(r, { state, since: time, movedAt: time, illegal: false });
  }

  #transit(r: Resource, from: string, to: string, time: number): void {
    this.#arrive(r, to, time);
    r.illegal = NEXT[from]?.includes(to) === false;
    const move = `${from}>${to}`;
    this.transitions.set(move, (this.transitions.get(move) ?? 0) + 1);
  }

  look(now: number): void {
    for (const [id, r] of this.resources) {
      const holds: Record<string, boolean> = {
        OrderStuckInPending: r.state === "pending" && now >= r.since + STUCK_MS,
        OrderFailed: r.state === "failed",
        OrderIllegalMove: r.illegal && now < r.movedAt + ILLEGAL_MS,
        Large: r.largeSince !== undefined && (r.firing.has("Large") || now >= r.largeSince + FOR_MS),
        Unpaid: r.unpaid.since !== undefined && now >= r.unpaid.since + WITHIN_MS,
        Silent: r.state !== "failed" && now >= (r.firing.has("Silent") ? r.lastSeen : Math.max(r.lastSeen, this.upSince)) + ABSENT_MS,
      };
      for (const [alert, is] of Object.entries(holds)) {
        const firing = r.firing.has(alert);
        if (r.deleted || is === firing) continue;
        if (is) r.firing.add(alert);
        else r.firing.delete(alert);
        this.changes.push(is ? `FIRING ${alert} ${id}` : `RESOLVED ${alert} ${id} ${alert === "OrderIllegalMove" && r.illegal ? "timed_out" : "recovered"}`);
      }
    }
  }
}

const said: fc.Arbitrary<Said> = fc.record({
  id: fc.constantFrom("a", "b", "c"),
  status: fc.constantFrom("pending", "pending", "paid", "shipped", "failed", "odd"),
  was: fc.option(fc.constantFrom("pending", "paid", "failed", "odd"), { nil: undefined, freq: 4 }),
  ago: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 20 })),
  amount: fc.option(fc.constantFrom(1, 75, 200), { nil: undefined }),
  gone: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, fc.constant(true)),
  snapshot: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
});

const batch = fc.array(said, { minLength: 1, maxLength: 6 });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("send" as const), said: batch, split: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("pass" as const), minutes: fc.integer({ min: 1, max: 40 }) }) },
  fc.record({ kind: fc.constant("lose" as const), said: batch }),
  fc.record({ kind: fc.constant("restart" as const), minutes: fc.integer({ min: 0, max: 40 }) }),
);

function bodyOf(one: Said, now: number): Json {
  const { id, status, was, ago, amount, gone } = one;
  return {
    id, status, at: now - ago * MINUTE, ...(was === undefined ? {} : { was }), ...(amount === undefined ? {} : { amount }), ...(gone ? { gone } : {}),
  };
}

function emit(h: Harness, list: readonly Said[]): Promise<void> {
  const now = h.clock.now();
  return h.now.agent.emit("feed", list.map((one) => observation(bodyOf(one, now), { source: "feed", time: now, snapshot: one.snapshot })));
}

async function run(h: Harness, model: Model, one: Step): Promise<void> {
  switch (one.kind) {
    case "send": {
      for (const said of one.said) model.apply(said, h.clock.now());
      const emitted: Promise<void>[] = [];
      for (let i = 0; i < one.said.length; i += one.split) emitted.push(emit(h, one.said.slice(i, i + one.split)));
      await h.advance(0);
      await Promise.all(emitted);
      return;
    }
    case "lose": {
      // Never committed: after the crash it is as if it had not been.
      const before = h.changes.length;
      h.store.hold();
      emit(h, one.said).catch(() => {});
      await h.advance(0);
      await h.restart();
      model.upSince = h.clock.now();
      h.changes.splice(before);
      return;
    }
    case "pass":
      for (let minute = 1; minute <= one.minutes; minute++) model.look(h.clock.now() + minute * MINUTE);
      return h.advance(one.minutes * MINUTE);
    case "restart":
      model.upSince = h.clock.now() + one.minutes * MINUTE;
      model.look(model.upSince);
      return h.restart(one.minutes * MINUTE);
    default:
      one satisfies never;
  }
}

test("states, transition counts and alerts are those of a simple model, in any order, batch split, loss and restart", async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
    await using h = await harness(YAML);
    const model = new Model();
    for (const one of steps) {
      await run(h, model, one);
      assert.deepEqual(h.changes.splice(0).sort(), model.changes.splice(0).sort());
    }
    const { resources, alerts } = h.now.agent.services;
    for (const [id, r] of model.resources) {
      const known = resources.get("order", id);
      assert.deepEqual(known && [known.state, known.since, known.incarnation], r.deleted ? undefined : [r.state, r.since, r.incarnation]);
    }
    for (const [move, count] of model.transitions) {
      const [from, to] = move.split(">") as [string, string];
      assert.equal(h.now.own.resourceTransitions.series("order", from, to).value, count, move);
    }
    const firing = [...model.resources].flatMap(([id, r]) => [...r.firing].map((alert) => `${alert} ${id}`));
    const open = alerts.list().filter(({ status }) => status === "firing").map(({ alert, resource }) => `${alert} ${resource.id}`);
    assert.deepEqual(open.sort(), firing.sort());
    // Whoever was told that something fires is told of its end, and of nothing twice.
    const told = new Set<string>();
    for (const { notification } of h.notifications) {
      const { status, dedup_key } = notification.alerts[0]!;
      assert.equal(told.has(dedup_key), status === "resolved");
      if (status === "firing") told.add(dedup_key);
      else told.delete(dedup_key);
    }
    assert.equal(told.size, firing.length);
  }), { numRuns: 60 });
});
