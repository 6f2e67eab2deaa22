import assert from "node:assert/strict";
import { test } from "node:test";
import { harness, orders } from "../support/agent.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const STUCK = "states: { pending: { stuck_after: 30m } }";
const SILENT = "[{ alert: Silent, absent_for: 25m }]";
const UNPAID = "[{ alert: Unpaid, sequence: { after: self.state == 'pending', followed_by: self.state == 'paid', within: 12m } }]";
const large = (more: string): string => `[{ alert: Large, expr: self.amount > 100, ${more} }]`;

test("a clock that is set back ends no alert that a deadline made, and tells none twice", async () => {
  await using h = await harness(orders({ track: STUCK, rules: UNPAID }));
  await h.send("feed", { id: "a", status: "pending", at: h.clock.now() });
  await h.advance(31 * MINUTE);
  const fired = ["FIRING Unpaid a", "FIRING OrderStuckInPending a"];
  assert.deepEqual(h.changes, fired);
  h.clock.step(-HOUR);
  await h.advance(2 * MINUTE);
  await h.send("feed", { id: "a", status: "pending", at: h.clock.now() });
  await h.restart();
  await h.advance(3 * HOUR);
  assert.deepEqual(h.changes, fired);
  await h.send("feed", { id: "a", status: "paid", at: h.clock.now() });
  assert.deepEqual(h.changes.slice(2).sort(), ["RESOLVED OrderStuckInPending a recovered", "RESOLVED Unpaid a recovered"]);
});

test("when our clock is behind the sources', their news is in the order in which it comes, and not late", async () => {
  await using h = await harness(orders({ track: STUCK }));
  const right = h.clock.now();
  await h.send("feed", { id: "a", status: "pending", at: right });
  await h.advance(20 * MINUTE);
  h.clock.step(-6 * HOUR);
  await h.send("feed", { id: "a", status: "paid", at: right + 20 * MINUTE });
  assert.equal(h.now.agent.services.resources.get("order", "a")!.state, "paid");
  await h.advance(7 * HOUR);
  assert.deepEqual(h.changes, []);
});

test("a clock that is set back by hours delays nobody's silence", async () => {
  await using h = await harness(orders({ rules: SILENT }));
  await h.send("feed", [{ id: "a", status: "x" }, { id: "b", status: "x" }]);
  await h.advance(10 * MINUTE);
  h.clock.step(-5 * HOUR);
  await h.advance(2 * MINUTE);
  await h.send("feed", { id: "b", status: "x" });
  await h.advance(13 * MINUTE - 1);
  assert.deepEqual(h.changes, []);
  await h.advance(1);
  assert.deepEqual(h.changes, ["FIRING Silent a"]);
  await h.advance(12 * MINUTE);
  assert.deepEqual(h.changes, ["FIRING Silent a", "FIRING Silent b"]);
  h.clock.step(-5 * HOUR);
  await h.send("feed", { id: "a", status: "x" });
  await h.advance(MINUTE);
  assert.deepEqual(h.changes.slice(2), ["RESOLVED Silent a recovered"]);
});

test("what a clock that ran ahead noted, delays nothing after a restart that set it right", async () => {
  await using h = await harness(orders({ track: STUCK, rules: SILENT }));
  h.clock.step(365 * 24 * HOUR);
  await h.send("feed", { id: "a", status: "pending" });
  await h.advance(10 * MINUTE);
  await h.restart(-365 * 24 * HOUR);
  await h.advance(31 * MINUTE);
  assert.deepEqual(h.changes, ["FIRING Silent a", "FIRING OrderStuckInPending a"]);
});

test("a machine that was asleep, or had its clock set ahead, missed nobody's silence", async () => {
  await using h = await harness(orders({ rules: SILENT }));
  await h.send("feed", { id: "a", status: "x" });
  await h.advance(10 * MINUTE);
  h.clock.step(8 * HOUR);
  await h.advance(24 * MINUTE);
  assert.deepEqual(h.changes, []);
  await h.advance(2 * MINUTE);
  assert.deepEqual(h.changes, ["FIRING Silent a"]);
});

test("`for` and `keep_firing_for` last no longer because the clock is set back", async () => {
  await using h = await harness(orders({ rules: large("for: 5m, keep_firing_for: 5m") }));
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  await h.advance(2 * MINUTE);
  h.clock.step(-2 * HOUR);
  await h.advance(3 * MINUTE - 1);
  assert.deepEqual(h.changes, []);
  await h.advance(1);
  assert.deepEqual(h.changes, ["FIRING Large a"]);
  await h.send("feed", { id: "a", status: "x", amount: 1 });
  await h.advance(2 * MINUTE);
  h.clock.step(-2 * HOUR);
  await h.advance(3 * MINUTE);
  assert.deepEqual(h.changes.slice(1), ["RESOLVED Large a recovered"]);
});
