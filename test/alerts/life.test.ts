import assert from "node:assert/strict";
import { test } from "node:test";
import { harness, orders } from "../support/agent.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const LARGE = "[{ alert: Large, expr: self.amount > 100 }]";
const large = (more: string): string => `[{ alert: Large, expr: self.amount > 100, ${more} }]`;
const five = ["a", "b", "c", "d", "e"];

test("a restart tells nothing anew of what fires already, however often", async () => {
  await using h = await harness(orders({ track: "states: { pending: { stuck_after: 30m } }", rules: LARGE }));
  await h.send("feed", five.map((id) => ({ id, status: "pending", amount: 200 })));
  await h.advance(HOUR);
  assert.equal(h.sent.length, 10);
  for (let i = 0; i < 3; i++) {
    await h.restart(HOUR);
    await h.send("feed", five.map((id) => ({ id, status: "pending", amount: 201 + i })));
    await h.advance(HOUR);
  }
  assert.equal(h.sent.length, 10);
});

test("what was over when the agent came back is told as over, whether the resource says so or is gone", async () => {
  const track = "delete_when: has(body.gone)";
  await using h = await harness(orders({ track, receivers: "feed: { behind: true }", rules: LARGE }));
  h.receiver("feed").caughtUp();
  await h.send("feed", [{ id: "a", status: "x", amount: 200 }, { id: "b", status: "x", amount: 200 }]);
  await h.restart(HOUR);
  await h.send("feed", [{ id: "a", status: "x", amount: 1 }, { id: "b", gone: true }]);
  h.receiver("feed").caughtUp();
  await h.advance(1);
  assert.deepEqual(h.sent.slice(2).sort(), ["recorder: RESOLVED Large a recovered", "recorder: RESOLVED Large b deleted"]);
});

test("editing a rule neither resets its alerts nor resolves any for which it still holds", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  await h.send("feed", five.map((id, i) => ({ id, status: "x", amount: 200 + 100 * i })));
  assert.equal(h.sent.length, 5);
  const before = h.now.agent.services.alerts.list();
  await h.reload(orders({ rules: "[{ alert: Large, expr: self.amount > 350, labels: { severity: critical } }]" }));
  assert.deepEqual(h.sent.slice(5), ["recorder: RESOLVED Large a recovered", "recorder: RESOLVED Large b recovered"]);
  const after = h.now.agent.services.alerts.list().filter(({ status }) => status === "firing");
  assert.deepEqual(after.map(({ resource, fired_at }) => [resource.id, fired_at]), before.slice(2).map(({ resource, fired_at }) => [resource.id, fired_at]));
});

test("a longer `for` holds for what fires already: what it would not have told yet is over, and fires when it is time", async () => {
  await using h = await harness(orders({ rules: large("for: 5m") }));
  await h.send("feed", { id: "old", status: "x", amount: 200 });
  await h.advance(30 * MINUTE);
  await h.send("feed", { id: "new", status: "x", amount: 200 });
  await h.advance(6 * MINUTE);
  await h.send("feed", { id: "new", status: "x", amount: 300 });
  await h.reload(orders({ rules: large("for: 20m") }));
  assert.deepEqual(h.changes, ["FIRING Large old", "FIRING Large new", "RESOLVED Large new recovered"]);
  await h.restart();
  await h.advance(14 * MINUTE - 1);
  assert.equal(h.changes.length, 3);
  await h.advance(1);
  assert.deepEqual(h.changes.slice(3), ["FIRING Large new"]);
});

test("a shorter `for` fires at once what has held for long enough", async () => {
  await using h = await harness(orders({ rules: large("for: 30m") }));
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  await h.advance(10 * MINUTE);
  await h.reload(orders({ rules: large("for: 5m") }));
  assert.deepEqual(h.changes, ["FIRING Large a"]);
});

test("a clock that is set back ends no alert", async () => {
  await using h = await harness(orders({ rules: large("for: 5m") }));
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  await h.advance(5 * MINUTE);
  h.clock.jump(-HOUR);
  await h.send("feed", { id: "a", status: "x", amount: 300 });
  await h.reload(orders({ rules: large("for: 5m, labels: { team: x }") }));
  assert.deepEqual(h.changes, ["FIRING Large a"]);
});

test("an observation that comes late reopens nothing", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  const at = h.clock.now();
  await h.send("feed", { id: "a", status: "x", amount: 200, at });
  await h.advance(MINUTE);
  await h.send("feed", { id: "a", status: "x", amount: 1, at: at + MINUTE });
  await h.send("feed", { id: "a", status: "x", amount: 200, at: at + 1 });
  await h.advance(HOUR);
  assert.deepEqual(h.changes, ["FIRING Large a", "RESOLVED Large a recovered"]);
});

test("what goes on being true is told once, however often it is said", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  for (let i = 0; i < 50; i++) {
    await h.send("feed", { id: "a", status: "x", amount: 200 + i });
    await h.advance(MINUTE);
  }
  assert.deepEqual(h.sent, ["recorder: FIRING Large a"]);
});

test("an alert that comes and goes too often stays until it has been quiet for a while, over a restart too", async () => {
  await using h = await harness(orders({ rules: large("flapping: { fires_max: 2, within: 1h }") }));
  const flap = async (): Promise<void> => {
    await h.send("feed", { id: "a", status: "x", amount: 200 });
    await h.advance(MINUTE);
    await h.send("feed", { id: "a", status: "x", amount: 1 });
    await h.advance(MINUTE);
  };
  await flap();
  await flap();
  await h.restart();
  assert.equal(h.changes.length, 4);
  for (let i = 0; i < 10; i++) await flap();
  assert.deepEqual(h.changes.slice(4), ["FIRING Large a"]);
  assert.deepEqual(h.alerts.map(({ flapping }) => flapping), [false, false, false, false, true]);
  await h.restart();
  await h.advance(HOUR - 2 * MINUTE);
  assert.equal(h.changes.length, 5);
  await h.advance(MINUTE);
  assert.deepEqual(h.changes.slice(5), ["RESOLVED Large a recovered"]);
  await h.advance(HOUR);
  await flap();
  assert.equal(h.alerts.at(-1)!.flapping, false, "it has been quiet");
});

test("an exporter to which a rule goes from now on is told of what fires already, and of its end; nobody is told twice", async () => {
  const exporters = "recorder: {}, recorder/b: {}";
  await using h = await harness(orders({ rules: LARGE }));
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  await h.reload(orders({ rules: LARGE, exporters }));
  await h.advance(1);
  assert.deepEqual(h.sent, ["recorder: FIRING Large a", "recorder/b: FIRING Large a"]);
  await h.restart();
  await h.send("feed", { id: "a", status: "x", amount: 300 });
  await h.reload(orders({ rules: LARGE, exporters: "recorder/b: {}" }));
  await h.advance(1);
  assert.equal(h.sent.length, 2);
  await h.send("feed", { id: "a", status: "x", amount: 1 });
  await h.advance(1);
  assert.deepEqual(h.sent.slice(2).sort(), ["recorder/b: RESOLVED Large a recovered", "recorder: RESOLVED Large a recovered"]);
});

test("an alert knows the observation that made it fire, without its secrets; one that a deadline made has none", async () => {
  await using h = await harness(orders({ track: "states: { x: { stuck_after: 30m } }", rules: LARGE }));
  const time = h.clock.now();
  await h.send("feed", { id: "a", status: "x", amount: 200, api_token: "hush", note: "y".repeat(5_000) }, { id: "evt-1", attributes: { "log.file.path": "/var/log/x", cookie: "hush" } });
  await h.advance(HOUR);
  const [large, stuck] = h.alerts;
  const { body, ...rest } = large!.observation!;
  assert.deepEqual(rest, { source: "feed", time, id: "evt-1", attributes: { "log.file.path": "/var/log/x" } });
  assert.equal((body as { amount: number }).amount, 200);
  assert.doesNotMatch(JSON.stringify(large), /hush/);
  assert.ok(JSON.stringify(large!.observation).length < 3_000);
  assert.equal(stuck!.observation, undefined);
  await h.restart();
  assert.deepEqual(h.now.agent.services.alerts.get(large!.dedup_key)!.observation, large!.observation);
});
