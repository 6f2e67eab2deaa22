import assert from "node:assert/strict";
import { test } from "node:test";
import type { Alerts } from "../../src/alerts/alerts.ts";
import type { Alert } from "../../src/sdk/alert.ts";
import { RULE_MEMORY } from "../../src/alerts/rule_memory.ts";
import { harness, orders, type Harness } from "../support/agent.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const LARGE = "[{ alert: Large, expr: self.amount > 100 }]";

function alertsOf(h: Harness): Alerts {
  return h.now.agent.services.alerts;
}

/** Alerts on resources, without those on receivers themselves. */
function ofResources(h: Harness): Alert[] {
  return alertsOf(h).list().filter(({ group }) => group === undefined);
}

test("while all receivers of a resource fail, its open alerts say since when nothing is known", async () => {
  await using h = await harness(orders({ receivers: "feed: {}, feed/b: {}", rules: LARGE }));
  await h.send("feed", [{ id: "a", status: "x", amount: 200 }, { id: "both", status: "x", amount: 200 }]);
  await h.send("feed/b", { id: "both", status: "x", amount: 300 });
  const stale = (): unknown => ofResources(h).map(({ resource, stale_since }) => [resource.id, stale_since]);
  const from = h.clock.now();
  h.receiver("feed").failing("401");
  await h.advance(MINUTE);
  assert.deepEqual(stale(), [["a", from], ["both", undefined]]);
  h.receiver("feed/b").failing("401");
  assert.deepEqual(stale(), [["a", from], ["both", from + MINUTE]]);
  await h.advance(HOUR);
  h.receiver("feed/b").failing(undefined);
  assert.deepEqual(stale(), [["a", from], ["both", undefined]]);
  h.receiver("feed").failing(undefined);
  assert.deepEqual(stale(), [["a", undefined], ["both", undefined]]);
  await h.advance(1);
  assert.deepEqual(h.changes.filter((line) => !line.includes("ReceiverFailing")), ["FIRING Large a", "FIRING Large both"]);
});

test("since when nothing is known survives a restart, until the receiver has read", async () => {
  await using h = await harness(orders({ receivers: "feed: { behind: true }", rules: LARGE }));
  h.receiver("feed").caughtUp();
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  h.receiver("feed").failing("401");
  const from = h.clock.now();
  await h.advance(MINUTE);
  await h.restart(MINUTE);
  assert.deepEqual(ofResources(h).map(({ stale_since }) => stale_since), [from]);
  h.receiver("feed").caughtUp();
  assert.deepEqual(ofResources(h).map(({ stale_since }) => stale_since), [undefined]);
});

test("an acknowledgement belongs to the episode: it survives a restart, and is gone with the next one", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  const key = h.alerts[0]!.dedup_key;
  const seen = { by: "kim", comment: "on it", at: h.clock.now() };
  assert.deepEqual(alertsOf(h).acknowledge(key, seen)?.acknowledged, seen);
  await h.advance(1);
  await h.restart();
  assert.deepEqual(alertsOf(h).get(key)!.acknowledged, seen);
  await h.send("feed", { id: "a", status: "x", amount: 1 });
  assert.equal(alertsOf(h).acknowledge(key, seen), undefined, "it fires no more");
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  assert.equal(alertsOf(h).get(key)!.acknowledged, undefined);
  assert.equal(alertsOf(h).acknowledge("0".repeat(64), seen), undefined);
});

test("alerts are found by key, by rule and by resource, and counted as they fire and end", async () => {
  await using h = await harness(orders({ track: "delete_when: has(body.gone)", rules: "[{ alert: Large, expr: self.amount > 100 }, { alert: Huge, expr: self.amount > 1000, for: 1m }]" }));
  await h.send("feed", ["a", "b", "c"].map((id) => ({ id, status: "x", amount: 2_000 })));
  const counts = (): number[] => [alertsOf(h).firingOf("order", "Large"), alertsOf(h).firingOf("order", "Huge"), [...alertsOf(h).firing()].length];
  assert.deepEqual(counts(), [3, 0, 3]);
  await h.advance(MINUTE);
  assert.deepEqual(counts(), [3, 3, 6]);
  assert.deepEqual(alertsOf(h).firingOn("order", "a").map(({ alert }) => alert), ["Large", "Huge"]);
  await h.restart();
  assert.deepEqual(counts(), [3, 3, 6]);
  await h.send("feed", [{ id: "a", status: "x", amount: 500 }, { id: "b", gone: true }]);
  assert.deepEqual(counts(), [2, 1, 3]);
  assert.deepEqual(alertsOf(h).firingOn("order", "b"), []);
  assert.equal(alertsOf(h).get(h.alerts[0]!.dedup_key)!.resource.id, "a");
  await h.reload(orders({ rules: "[{ alert: Huge, expr: self.amount > 1000, for: 1m }]" }));
  assert.deepEqual(counts(), [2, 1, 3], "a rule that is gone has its alerts for a while");
  assert.deepEqual(alertsOf(h).firingOn("order", "c").map(({ alert }) => alert).sort(), ["Huge", "Large"]);
  await h.advance(5 * MINUTE);
  assert.deepEqual(counts(), [0, 1, 1]);
  await h.advance(HOUR);
  assert.equal(alertsOf(h).get(h.alerts[0]!.dedup_key), undefined, "nothing is kept of it");
});

test("what a rule remembers is forgotten five minutes after it is gone, and not while a rejected file may hold it", async () => {
  const track = "states: {}";
  const rules = "[{ alert: S, sequence: { after: self.state == 'x', followed_by: self.state == 'y', within: 1h } }]";
  await using h = await harness(orders({ track, rules }));
  const kept = async (): Promise<number> => (await h.store.read(RULE_MEMORY, ["order", "S"], 10)).length / 4;
  await h.send("feed", { id: "a", status: "x" });
  await h.advance(MINUTE);
  assert.equal(await kept(), 2);
  await h.restart(0, orders({ track }), (wanted) => ({ ...wanted, rejected: [{ file: "other.yaml", problems: [], lastGoodRuns: false }] }));
  await h.advance(HOUR);
  assert.equal(await kept(), 2);
  await h.reload(orders({ track }));
  await h.advance(4 * MINUTE);
  await h.reload(orders({ track, rules: LARGE }));
  await h.advance(MINUTE - 1);
  assert.equal(await kept(), 2);
  await h.advance(2 * MINUTE);
  assert.equal(await kept(), 0);
});
