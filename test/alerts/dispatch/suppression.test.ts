import assert from "node:assert/strict";
import { test } from "node:test";
import { SilenceError } from "../../../src/alerts/dispatch/silences.ts";
import { HOUR, MINUTE, rig, SECOND, type Rig } from "./rig.ts";

const pager = { exporters: { pager: { deduplicates: true } } };

function silence(r: Rig, matcher: string, forMs: number): string {
  return r.silences.add({ matchers: [matcher], endsAt: r.clock.now() + forMs, createdBy: "ann", comment: "maintenance" });
}

test("what is silenced is not told; when the silence ends and it still fires, it is", async () => {
  const r = await rig(pager);
  silence(r, "team=db", HOUR);
  r.fire("a", { team: "db" });
  r.fire("b", { team: "web" });
  r.fire("short", { team: "db" });
  await r.advance(30 * MINUTE);
  r.end("short");
  await r.advance(30 * MINUTE - SECOND);
  assert.deepEqual(r.told.splice(0), ["pager fired firing b"]);
  await r.advance(SECOND);
  assert.deepEqual(r.told.splice(0), ["pager fired firing a"]);
  assert.equal(r.counts["silenced"], 2);
  r.end("a");
  await r.settle();
  assert.deepEqual(r.told, ["pager resolved resolved -a"]);
});

test("the end of what was told is told although it is silenced meanwhile", async () => {
  const r = await rig(pager);
  r.fire("a", { team: "db" });
  await r.settle();
  silence(r, "team=db", HOUR);
  r.end("a");
  await r.settle();
  assert.deepEqual(r.told, ["pager fired firing a", "pager resolved resolved -a"]);
  r.fire("a", { team: "db" });
  r.end("a");
  await r.advance(2 * HOUR);
  assert.equal(r.told.length, 2, "another episode, whole within the silence, is not told");
});

test("a silence survives a crash, what it holds back too, and expiring it tells at once", async () => {
  const r = await rig(pager);
  const id = silence(r, "team=db", HOUR);
  r.fire("a", { team: "db" });
  await r.settle();
  await r.restart(MINUTE);
  await r.advance(MINUTE);
  assert.deepEqual(r.told, []);
  assert.deepEqual(r.silences.list().map(({ id: of, state, createdBy, comment, origin, matchers }) => [of, state, createdBy, comment, origin, matchers]), [[id, "active", "ann", "maintenance", "api", ["team=db"]]]);
  r.silences.expire(id);
  await r.settle();
  assert.deepEqual(r.told, ["pager fired firing a"]);
  assert.equal(r.silences.get(id)?.state, "expired");
  await r.advance(6 * 24 * HOUR);
  assert.deepEqual(r.silences.list(), []);
  await r.settle();
  await r.restart();
  assert.deepEqual(r.silences.list(), []);
});

test("a silence that begins later holds from then on", async () => {
  const r = await rig(pager);
  r.silences.add({ matchers: ["team=db"], startsAt: r.clock.now() + HOUR, endsAt: r.clock.now() + 2 * HOUR, createdBy: "ann", comment: "window" });
  assert.equal(r.silences.list()[0]!.state, "pending");
  r.fire("before", { team: "db" });
  await r.advance(HOUR);
  r.fire("within", { team: "db" });
  await r.advance(MINUTE);
  assert.deepEqual(r.told, ["pager fired firing before"]);
  await r.advance(HOUR);
  assert.equal(r.told[1], "pager fired firing within");
});

test("what is no silence is refused with a reason", async () => {
  const r = await rig(pager);
  const endsAt = r.clock.now() + HOUR;
  const base = { matchers: ["a=b"], endsAt, createdBy: "ann", comment: "why" };
  const refused = (change: Partial<typeof base> & { startsAt?: number }, message: RegExp): void =>
    assert.throws(() => r.silences.add({ ...base, ...change }), (error) => error instanceof SilenceError && error.kind === "invalid" && message.test(error.message));
  refused({ matchers: [] }, /1 to 50/);
  refused({ matchers: ["a"] }, /matchers\[0\] "a" is not a matcher/);
  refused({ matchers: ["a=~.*"] }, /for all/);
  refused({ endsAt: r.clock.now() }, /future/);
  refused({ endsAt: NaN }, /future/);
  refused({ startsAt: endsAt }, /before ends_at/);
  refused({ createdBy: " " }, /created_by/);
  refused({ comment: "x".repeat(1_001) }, /too long/);
  for (let i = 0; i < 1_000; i++) r.silences.add({ ...base, comment: `${i}` });
  assert.throws(() => r.silences.add(base), /1000 silences already/);
  assert.throws(() => r.silences.expire("nope"), (error) => error instanceof SilenceError && error.kind === "unknown");
  const { id } = r.silences.list()[0]!;
  r.silences.expire(id);
  assert.throws(() => r.silences.expire(id), /over already/);
  r.silences.configure([{ ...base, id: "from-file" }]);
  assert.throws(() => r.silences.expire("from-file"), /in the configuration/);
});

test("while its source fires, a target is not told, whichever of them came first in their tick; afterwards it is", async () => {
  const service = { inhibit_rules: [{ source_matchers: ["alertname=DatabaseDown"], target_matchers: ["severity=~warning|page"], equal: ["region"] }] };
  const r = await rig({ ...pager, service });
  r.fire("a", { severity: "page", region: "eu" });
  r.fire("db", { severity: "page", region: "eu" }, { rule: "DatabaseDown" });
  r.fire("elsewhere", { severity: "page", region: "us" });
  r.fire("nowhere", { severity: "page" });
  await r.settle();
  assert.deepEqual(r.told.splice(0), ["pager fired firing db", "pager fired firing elsewhere", "pager fired firing nowhere"]);
  await r.restart();
  await r.advance(MINUTE);
  assert.deepEqual(r.told, []);
  r.end("db");
  await r.settle();
  assert.deepEqual(r.told, ["pager resolved resolved -db", "pager fired firing a"]);
  assert.equal(r.counts["inhibited"], 2, "counted anew after the restart");
});

test("an alert that is source and target of a rule does not inhibit itself", async () => {
  const service = { inhibit_rules: [{ source_matchers: ["severity=page"], target_matchers: ["severity=~page|warning"], equal: [] }] };
  const r = await rig({ ...pager, service });
  r.fire("a", { severity: "page" });
  r.fire("b", { severity: "page" });
  r.fire("c", { severity: "warning" });
  await r.settle();
  assert.deepEqual(r.told.splice(0), ["pager fired firing a", "pager fired firing b"]);
  r.end("a");
  await r.settle();
  assert.deepEqual(r.told.splice(0), ["pager resolved resolved -a"]);
  await r.restart();
  await r.advance(MINUTE);
  assert.deepEqual(r.told, [], "b still fires, after a restart, too");
  r.end("b");
  await r.settle();
  assert.deepEqual(r.told, ["pager resolved resolved -b", "pager fired firing c"]);
});

test("nothing new is told in muted times; it is when they end; ends are told always", async () => {
  const service = { time_intervals: { night: [{ times: [{ start_time: "22:00", end_time: "24:00" }, { start_time: "00:00", end_time: "06:00" }], location: "Europe/Berlin" }] } };
  const startMs = Date.parse("2026-03-28T20:30:00Z"); // 21:30 there; summer time begins that night.
  const r = await rig({ exporters: { pager: { deduplicates: true, config: { mute_time_intervals: ["night"] } }, day: { deduplicates: true, config: { active_time_intervals: ["night"] } } }, service, startMs });
  r.fire("evening");
  await r.settle();
  assert.deepEqual(r.told.splice(0), ["pager fired firing evening"]);
  await r.advance(HOUR);
  assert.deepEqual(r.told.splice(0), ["day fired firing evening"]);
  r.fire("night");
  r.end("evening");
  await r.settle();
  assert.deepEqual(r.told.splice(0), ["pager resolved resolved -evening", "day resolved resolved -evening", "day fired firing night"]);
  const night = r.notifications.at(-1)!.notification.alerts[0]!;
  assert.deepEqual(r.dispatcher.suppressionOf(night), { silences: [], inhibited: false, mutedBy: ["pager"] }, "who asks is told who is muted, not who was told");
  await r.advance(6 * HOUR);
  assert.deepEqual(r.told, []);
  await r.advance(29 * MINUTE);
  assert.deepEqual(r.told, [], "03:59Z is 05:59 there");
  await r.advance(MINUTE);
  assert.deepEqual(r.told, ["pager fired firing night"]);
  assert.deepEqual(r.dispatcher.suppressionOf(night).mutedBy, []);
  assert.equal(r.clock.pending, 0);
});

test("a group of which all is silenced while it waits is not told; its members join anew when the silence ends", async () => {
  const r = await rig({ exporters: { pager: { deduplicates: true, config: { group_by: [], group_wait: "30s" } } } });
  r.fire("a", { team: "db" });
  await r.advance(10 * SECOND);
  silence(r, "team=db", HOUR);
  await r.advance(30 * MINUTE);
  assert.deepEqual(r.told, []);
  r.fire("b", { team: "web" });
  await r.advance(30 * SECOND);
  assert.deepEqual(r.told.splice(0), ["pager fired firing b"]);
  await r.advance(HOUR);
  assert.deepEqual(r.told, ["pager changed firing a b"]);
});

test("a repetition is held back by a silence", async () => {
  const r = await rig({ exporters: { pager: { deduplicates: true, config: { repeat_interval: "1h" } } } });
  r.fire("a", { team: "db" });
  await r.advance(30 * MINUTE);
  silence(r, "team=db", 90 * MINUTE);
  await r.advance(89 * MINUTE);
  assert.deepEqual(r.told, ["pager fired firing a"]);
  await r.advance(6 * MINUTE);
  assert.deepEqual(r.told, ["pager fired firing a", "pager repeat firing a"]);
});

test("a stored silence that this version cannot read holds nothing back, and does not keep the agent from starting", async () => {
  const r = await rig(pager);
  silence(r, "team=db", HOUR);
  await r.settle();
  const [table] = r.silences.tables;
  await r.store.commit([{ table: table!, puts: ["old", '["team==web"]', 0, r.clock.now() + HOUR, "ann", "x", 0], deletes: [] }]);
  await r.restart();
  assert.deepEqual(r.silences.list().map(({ matchers }) => matchers), [["team=db"]]);
});

test("each further alert of a muted night costs almost nothing", async () => {
  const service = { time_intervals: { night: [{ times: [{ start_time: "00:00", end_time: "24:00" }], location: "Europe/Berlin" }] } };
  const r = await rig({ exporters: { pager: { deduplicates: true, config: { mute_time_intervals: ["night"] } } }, service });
  const begin = process.cpuUsage();
  for (let i = 0; i < 300; i++) {
    r.fire(`o${i}`);
    await r.settle();
  }
  const cpuMs = process.cpuUsage(begin).user / 1_000;
  assert.ok(cpuMs < 700, `${cpuMs} ms for 300 alerts`);
  assert.deepEqual(r.told, []);
});
