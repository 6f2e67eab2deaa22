import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { observation, type Json } from "../../src/sdk/observation.ts";
import { harness, orders, type Harness } from "../support/agent.ts";

const MINUTE = 60_000;
const REMOVED_MS = 5 * MINUTE;

/** What a configuration says of each rule, in minutes; undefined: it has none. */
interface Rules {
  readonly Large: { readonly for: number; readonly keep: number } | undefined;
  readonly Unpaid: number | undefined;
  readonly OrderStuckInPending: number | undefined;
  readonly Silent: number | undefined;
}
type RuleName = keyof Rules;
const NAMES: readonly RuleName[] = ["Large", "Unpaid", "OrderStuckInPending", "Silent"];

function yamlOf({ Large, Unpaid, OrderStuckInPending, Silent }: Rules): string {
  const rules = [
    "{ alert: Never, expr: self.amount > 1e9 }",
    ...(Large === undefined ? [] : [`{ alert: Large, expr: self.amount > 100, for: ${Large.for}m, keep_firing_for: ${Large.keep}m }`]),
    ...(Unpaid === undefined ? [] : [`{ alert: Unpaid, sequence: { after: self.state == 'pending', followed_by: self.state == 'paid', unless: self.state == 'failed', within: ${Unpaid}m } }`]),
    ...(Silent === undefined ? [] : [`{ alert: Silent, absent_for: ${Silent}m }`]),
  ];
  const stuck = OrderStuckInPending === undefined ? "" : `stuck_after: ${OrderStuckInPending}m`;
  return orders({ track: `delete_when: has(body.gone)\nstates: { pending: { ${stuck} }, failed: { terminal: true } }`, rules: `[${rules.join(", ")}]` });
}

interface Said {
  readonly id: string;
  readonly status: string;
  readonly amount: number;
  readonly gone: boolean;
}

type Step =
  | { readonly kind: "send"; readonly said: readonly Said[] }
  | { readonly kind: "pass" | "restart" | "set"; readonly minutes: number }
  | { readonly kind: "reload"; readonly rules: Rules };

interface Open {
  readonly rule: RuleName;
  readonly id: string;
  activeAt: number;
  /** Undefined while it is pending. */
  firedAt: number | undefined;
  clearSince: number | undefined;
}

interface Resource {
  deleted: boolean;
  state: string;
  amount: number;
  since: number;
  eventTime: number;
  lastSeen: number;
  incarnation: number;
  unpaid: { since: number | undefined; incarnation: number; pending: boolean };
}

const NEVER = { since: undefined, incarnation: 0, pending: false };

/** What is to be said of resources: no timers, no rows, no store, no graph; all is looked at every minute. */
class Model {
  readonly resources = new Map<string, Resource>();
  readonly open = new Map<string, Open>();
  /** Rules that the configuration does not have, since when. */
  readonly gone = new Map<RuleName, number>();
  readonly changes: string[] = [];
  rules: Rules;
  /** Somebody can hear since then. */
  upSince: number;

  constructor(rules: Rules, now: number) {
    this.rules = rules;
    this.upSince = now;
  }

  apply({ id, status, amount, gone }: Said, now: number): void {
    let r = this.resources.get(id);
    if (r === undefined) this.resources.set(id, (r = { deleted: true, state: "", amount, since: now, eventTime: now, lastSeen: now, incarnation: 0, unpaid: NEVER }));
    Object.assign(r, { lastSeen: now, eventTime: Math.max(r.eventTime, now) });
    if (gone) {
      for (const [key, open] of this.open) if (open.id === id) this.#end(key, open, "deleted");
      return void Object.assign(r, { deleted: true, unpaid: NEVER });
    }
    if (r.deleted) Object.assign(r, { deleted: false, state: "", incarnation: r.incarnation + 1 });
    if (status !== r.state) {
      if (r.state === "failed") r.incarnation++;
      Object.assign(r, { state: status, since: now });
    }
    r.amount = amount;
    if (this.rules.Unpaid !== undefined) {
      const before = r.unpaid.incarnation === r.incarnation ? r.unpaid : NEVER;
      const pending = status === "pending";
      const since = pending && !before.pending ? (before.since ?? Math.min(r.eventTime, now)) : before.since;
      r.unpaid = { since: status === "paid" || status === "failed" ? undefined : since, incarnation: r.incarnation, pending };
    }
    this.look(now);
  }

  reload(rules: Rules, now: number): void {
    this.rules = rules;
    for (const name of NAMES) {
      if (rules[name] !== undefined) this.gone.delete(name);
      else if (!this.gone.has(name)) this.gone.set(name, now);
    }
    this.look(now);
  }

  restart(now: number): void {
    this.upSince = now;
    for (const name of this.gone.keys()) this.gone.set(name, now);
    this.look(now);
  }

  /** The clock was set by `by`: back, what was timed lasts as long as it would have; ahead, nobody could hear meanwhile. */
  set(by: number, now: number): void {
    if (by > 0) {
      this.upSince = now;
      return this.look(now);
    }
    const back = (at: number): number => (at > now ? Math.min(now, at + by) : at);
    this.upSince += by;
    for (const r of this.resources.values()) Object.assign(r, { lastSeen: Math.min(now, r.lastSeen + by), since: back(r.since), eventTime: back(r.eventTime) });
    for (const open of this.open.values()) {
      if (open.clearSince !== undefined) open.clearSince = Math.min(now, open.clearSince + by);
      if (open.firedAt === undefined) open.activeAt = back(open.activeAt);
    }
    this.look(now);
  }

  look(now: number): void {
    for (const [name, at] of this.gone) {
      if (now < at + REMOVED_MS) continue;
      for (const [key, open] of this.open) if (open.rule === name) this.#end(key, open, "rule_removed");
      if (name === "Unpaid") for (const r of this.resources.values()) r.unpaid = NEVER;
    }
    for (const [id, r] of this.resources) {
      if (r.deleted) continue;
      const { Large, Unpaid, OrderStuckInPending, Silent } = this.rules;
      if (Large !== undefined) this.#judge("Large", id, now, r.amount > 100, Math.min(r.eventTime, now), Large);
      if (OrderStuckInPending !== undefined) this.#from("OrderStuckInPending", id, now, r.state === "pending" ? r.since + OrderStuckInPending * MINUTE : undefined);
      if (Silent !== undefined) {
        const heard = this.#fires("Silent", id) ? r.lastSeen : Math.max(r.lastSeen, this.upSince);
        const at = heard + Silent * MINUTE;
        this.#judge("Silent", id, now, r.state !== "failed" && now >= at, at);
      }
      if (Unpaid === undefined) continue;
      if (r.state === "paid" || r.state === "failed") r.unpaid = { ...r.unpaid, since: undefined };
      const { since, incarnation } = r.unpaid;
      this.#from("Unpaid", id, now, since === undefined || incarnation !== r.incarnation ? undefined : since + Unpaid * MINUTE);
    }
  }

  #fires(rule: RuleName, id: string): Open | undefined {
    const open = this.open.get(`${rule} ${id}`);
    return open?.firedAt !== undefined && open.clearSince === undefined ? open : undefined;
  }

  /** Holds from `at` on; what fires because of that does so although the clock is set back. */
  #from(rule: RuleName, id: string, now: number, at: number | undefined): void {
    const firing = this.#fires(rule, id);
    this.#judge(rule, id, now, at !== undefined && (now >= at || (firing !== undefined && at <= firing.activeAt)), at ?? now);
  }

  #judge(rule: RuleName, id: string, now: number, holds: boolean, activeAt: number, { for: forMinutes, keep } = { for: 0, keep: 0 }): void {
    const key = `${rule} ${id}`;
    let open = this.open.get(key);
    if (holds) {
      if (open === undefined) this.open.set(key, (open = { rule, id, activeAt, firedAt: undefined, clearSince: undefined }));
      open.clearSince = undefined;
      const firesAt = open.activeAt + forMinutes * MINUTE;
      if (open.firedAt !== undefined && now < firesAt && open.firedAt < firesAt) {
        this.changes.push(`RESOLVED ${key} recovered`);
        open.firedAt = undefined;
      }
      if (open.firedAt !== undefined || now < firesAt) return;
      open.firedAt = now;
      this.changes.push(`FIRING ${key}`);
    } else if (open?.firedAt !== undefined) {
      open.clearSince ??= now;
      if (now >= open.clearSince + keep * MINUTE) this.#end(key, open, "recovered");
    } else if (open !== undefined) {
      this.open.delete(key);
    }
  }

  #end(key: string, open: Open, reason: string): void {
    this.open.delete(key);
    if (open.firedAt !== undefined) this.changes.push(`RESOLVED ${key} ${reason}`);
  }
}

const rules: fc.Arbitrary<Rules> = fc.record({
  Large: fc.option(fc.record({ for: fc.constantFrom(0, 5, 20), keep: fc.constantFrom(0, 10) }), { nil: undefined, freq: 4 }),
  Unpaid: fc.option(fc.constantFrom(12, 40), { nil: undefined, freq: 3 }),
  OrderStuckInPending: fc.option(fc.constantFrom(10, 30), { nil: undefined, freq: 3 }),
  Silent: fc.option(fc.constantFrom(25, 60), { nil: undefined, freq: 3 }),
});

const said: fc.Arbitrary<Said> = fc.record({
  id: fc.constantFrom("a", "b"),
  status: fc.constantFrom("pending", "pending", "paid", "shipped", "failed"),
  amount: fc.constantFrom(1, 200, 200),
  gone: fc.oneof({ weight: 8, arbitrary: fc.constant(false) }, fc.constant(true)),
});
const batch = fc.array(said, { minLength: 1, maxLength: 4 });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("send" as const), said: batch }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("pass" as const), minutes: fc.integer({ min: 1, max: 35 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("reload" as const), rules }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const), minutes: fc.integer({ min: 0, max: 40 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("set" as const), minutes: fc.integer({ min: -300, max: 300 }).filter((minutes) => minutes !== 0) }) },
);

/** All that is said at once, in batches of `split`, in the tick in which it comes. */
async function send(h: Harness, list: readonly Said[], split: number): Promise<void> {
  const emitted: Promise<void>[] = [];
  const time = h.clock.now();
  for (let i = 0; i < list.length; i += split) {
    const bodies = list.slice(i, i + split).map(({ gone, ...body }): Json => (gone ? { ...body, gone } : body));
    emitted.push(h.now.agent.emit("feed", bodies.map((body) => observation(body, { source: "feed", time }))));
  }
  await h.advance(0);
  await Promise.all(emitted);
}

async function pass(h: Harness, model: Model, minutes: number): Promise<void> {
  for (let minute = 1; minute <= minutes; minute++) model.look(h.clock.now() + minute * MINUTE);
  await h.advance(minutes * MINUTE);
}

async function run(h: Harness, model: Model, one: Step): Promise<void> {
  switch (one.kind) {
    case "send":
      for (const said of one.said) model.apply(said, h.clock.now());
      return send(h, one.said, one.said.length);
    case "pass":
      return pass(h, model, one.minutes);
    case "reload":
      model.reload(one.rules, h.clock.now());
      return h.reload(yamlOf(one.rules));
    case "restart":
      model.restart(h.clock.now() + one.minutes * MINUTE);
      return h.restart(one.minutes * MINUTE);
    case "set": {
      const by = one.minutes * MINUTE;
      h.clock.step(by);
      // It is seen at once that a clock went ahead; that it went back, within a minute. What that changes is committed soon.
      model.set(by, h.clock.now() + (by < 0 ? MINUTE : 0));
      return pass(h, model, 2);
    }
    default:
      one satisfies never;
  }
}

test("alerts are those of a simple model, however rules are added, edited and removed, the agent restarts and the clock is set", async () => {
  await fc.assert(fc.asyncProperty(rules, fc.array(step, { minLength: 1, maxLength: 16 }), async (first, steps) => {
    await using h = await harness(yamlOf(first));
    const model = new Model(first, h.clock.now());
    model.reload(first, h.clock.now());
    for (const one of [...steps, { kind: "pass", minutes: 15 } as const]) {
      await run(h, model, one);
      assert.deepEqual(h.changes.splice(0).sort(), model.changes.splice(0).sort(), one.kind);
    }
    const firing = [...model.open].filter(([, { firedAt }]) => firedAt !== undefined).map(([key]) => key).sort();
    const open = h.now.agent.services.alerts.list().filter(({ status }) => status === "firing").map(({ alert, resource }) => `${alert} ${resource.id}`);
    assert.deepEqual(open.sort(), firing);
    // Who was told of an end was told of the begin, and who was told of the begin of the end.
    const told = new Set<string>();
    for (const { alert, status, resource } of h.notifications.flatMap(({ notification }) => notification.alerts)) {
      const key = `${alert} ${resource.id}`;
      if (status === "resolved") assert.ok(told.delete(key), key);
      else told.add(key);
    }
    assert.deepEqual([...told].sort(), firing);
  }), { numRuns: 60 });
});

test("the same input gives the same notifications in whatever batches it comes", async () => {
  const first: Rules = { Large: { for: 0, keep: 0 }, Unpaid: 12, OrderStuckInPending: 10, Silent: 25 };
  const toldOf = async (rounds: readonly (readonly Said[])[], split: number): Promise<unknown[]> => {
    await using h = await harness(yamlOf(first));
    for (const round of rounds) {
      await send(h, round, split);
      await h.advance(7 * MINUTE);
    }
    await h.advance(60 * MINUTE);
    return h.notifications;
  };
  await fc.assert(fc.asyncProperty(fc.array(fc.array(said, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 6 }), fc.integer({ min: 2, max: 12 }), async (rounds, split) => {
    assert.deepEqual(await toldOf(rounds, split), await toldOf(rounds, 1));
  }), { numRuns: 25 });
});
