import assert from "node:assert/strict";
import { test } from "node:test";
import { harness, orders } from "../support/agent.ts";

const MINUTE = 60_000;
const LARGE = "[{ alert: Large, expr: self.amount > 100, for: 5m, keep_firing_for: 10m, labels: { team: '{{ self.id }}' }, annotations: { summary: 'worth {{ self.amount }}' } }]";

test("`for` starts at the time of the observation that made the condition true", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  await h.send("feed", { id: "a", status: "x", amount: 200, at: h.clock.now() - 4 * MINUTE });
  assert.deepEqual(h.sent, []);
  await h.advance(MINUTE);
  assert.deepEqual(h.sent, ["recorder: FIRING Large a"]);
  assert.equal(h.alerts[0]!.labels["team"], "a");
  assert.equal(h.alerts[0]!.labels["severity"], "warning");
  assert.equal(h.alerts[0]!.annotations["summary"], "worth 200");
  assert.equal(h.alerts[0]!.value, 200);
});

test("neither downtime nor a reload begins `for` anew, nor keep_firing_for", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  await h.advance(3 * MINUTE);
  await h.send("feed", { id: "a", status: "x", amount: 300 });
  await h.restart(MINUTE);
  await h.reload(orders({ rules: LARGE.replace("100", "99") }));
  await h.advance(MINUTE);
  assert.deepEqual(h.changes, ["FIRING Large a"]);
  await h.send("feed", { id: "a", status: "x", amount: 1 });
  await h.advance(8 * MINUTE);
  await h.restart(MINUTE);
  assert.equal(h.changes.length, 1);
  await h.advance(MINUTE);
  assert.deepEqual(h.changes, ["FIRING Large a", "RESOLVED Large a recovered"]);
});

test("a condition that is true again within keep_firing_for is one episode", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  await h.advance(5 * MINUTE);
  for (let i = 0; i < 5; i++) {
    await h.send("feed", { id: "a", status: "x", amount: i % 2 === 0 ? 1 : 200 });
    await h.advance(6 * MINUTE);
  }
  assert.deepEqual(h.sent, ["recorder: FIRING Large a"]);
  await h.advance(5 * MINUTE);
  assert.deepEqual(h.sent, ["recorder: FIRING Large a", "recorder: RESOLVED Large a recovered"]);
});

test("what the clock alone makes true is true from then on, not since the last observation", async () => {
  const rules = "[{ alert: Quiet, expr: 'now - self.last_seen > duration(\"10m\")', for: 5m }]";
  await using h = await harness(orders({ rules }));
  await h.send("feed", { id: "a", status: "x" });
  await h.advance(14 * MINUTE);
  assert.deepEqual(h.changes, []);
  await h.advance(MINUTE + 20_000);
  assert.deepEqual(h.changes, ["FIRING Quiet a"]);
});

test("a condition that errs is false, and counted", async () => {
  await using h = await harness(orders({ rules: "[{ alert: Large, expr: self.amount > 100 }]" }));
  await h.send("feed", { id: "a", status: "x" });
  assert.deepEqual(h.changes, []);
  assert.equal(h.now.own.conditionErrors.series("rule/Large").value, 1);
});

test("a rule is judged on every change of its type, whichever pipeline brought it", async () => {
  const yaml = orders({ rules: "[{ alert: Large, expr: self.amount > 100 }]", receivers: "feed: {}" })
    .replace("receivers: { feed: {} }", "receivers: { feed: {}, feed/b: {} }")
    .replace("exporters: { recorder: {} }", "  track/b: { type: order, id: body.ref, attributes: { amount: body.worth } }\nexporters: { recorder: {} }")
    + "    other: { receivers: [feed/b], processors: [track/b], exporters: [] }\n";
  await using h = await harness(yaml);
  await h.send("feed", { id: "a", status: "x" });
  await h.send("feed/b", { ref: "a", worth: 500 });
  assert.deepEqual(h.sent, ["recorder: FIRING Large a"]);
  assert.equal(h.now.agent.services.resources.get("order", "a")!.state, "x");
});
