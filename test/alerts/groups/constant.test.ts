import assert from "node:assert/strict";
import { test } from "node:test";
import { harness, orders } from "../../support/agent.ts";

const MINUTE = 60_000;
const WATCHDOG = orders({ rules: "[{ alert: Watchdog, always: true, labels: { severity: none } }]" });

test("a rule without a condition fires at once and never resolves; restarts and reloads do not repeat it", async () => {
  await using h = await harness(WATCHDOG);
  assert.deepEqual(h.changes, ["FIRING Watchdog "]);
  await h.restart(10 * MINUTE);
  await h.reload(WATCHDOG.replace("feed: {}", "feed: { mark: x }"));
  await h.advance(60 * MINUTE);
  assert.deepEqual(h.changes, ["FIRING Watchdog "]);
  assert.deepEqual([h.alerts[0]!.group, h.alerts[0]!.labels], [{}, { alertname: "Watchdog", resource_type: "order", severity: "none" }]);
  await h.reload(orders());
  await h.advance(6 * MINUTE);
  assert.deepEqual(h.changes.slice(1), ["RESOLVED Watchdog  rule_removed"]);
});

test("it does not wait for receivers", async () => {
  await using h = await harness(WATCHDOG.replace("feed: {}", "feed: { behind: true }"));
  assert.deepEqual(h.changes, ["FIRING Watchdog "]);
});

test("a receiver that fails is an alert of its own, with the reason; one that fails for a moment is none", async () => {
  await using h = await harness(orders());
  h.receiver("feed").failing("not yet");
  await h.advance(30_000);
  h.receiver("feed").failing(undefined);
  await h.advance(MINUTE);
  h.receiver("feed").failing("no route");
  await h.advance(MINUTE);
  assert.deepEqual(h.changes, ["FIRING ReceiverFailing "]);
  const [alert] = h.alerts;
  assert.deepEqual([alert!.alert, alert!.labels["receiver"], alert!.labels["severity"], alert!.resource.type], ["ReceiverFailing", "feed", "warning", ""]);
  assert.equal(alert!.annotations["summary"], "feed cannot be read: no route; what it feeds is stale");
  h.receiver("feed").failing(undefined);
  await h.advance(30_000);
  h.receiver("feed").failing("no route");
  await h.advance(2 * MINUTE);
  assert.equal(h.changes.length, 1, "for a moment it could be read: that is no end");
  h.receiver("feed").failing(undefined);
  await h.advance(MINUTE);
  assert.deepEqual(h.changes.slice(1), ["RESOLVED ReceiverFailing  recovered"]);
});

test("a receiver that failed before a restart and fails after it is one episode; one that has recovered meanwhile is said to have", async () => {
  await using h = await harness(orders({ receivers: "feed: { behind: true }" }));
  h.receiver("feed").failing("no route");
  await h.advance(MINUTE);
  await h.restart(MINUTE);
  await h.advance(10 * MINUTE);
  assert.deepEqual(h.changes, ["FIRING ReceiverFailing "], "nobody can say yet how it is");
  h.receiver("feed").failing("still no route");
  await h.advance(10 * MINUTE);
  assert.equal(h.changes.length, 1);
  await h.restart(MINUTE);
  h.receiver("feed").caughtUp();
  await h.advance(MINUTE);
  assert.deepEqual(h.changes, ["FIRING ReceiverFailing ", "RESOLVED ReceiverFailing  recovered"]);
});
