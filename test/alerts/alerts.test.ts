import assert from "node:assert/strict";
import { test } from "node:test";
import type { Wanted } from "../../src/config/model.ts";
import { harness, orders } from "../support/agent.ts";

const MINUTE = 60_000;
const STUCK = "states: { pending: { stuck_after: 30m } }";
const BEHIND = { receivers: "feed: { behind: true }" };
const OTHER = "[{ alert: Large, expr: self.amount > 100, for: 5m }]";

/** Without what is said of receivers themselves. */
const told = (lines: readonly string[]): string[] => lines.filter((line) => !line.includes("ReceiverFailing"));

/** The file is rejected, and its last good version does not run. */
const rejected = (wanted: Wanted): Wanted => ({
  ...wanted, components: [], pipelines: [],
  rejected: [{ file: wanted.components[0]!.file, problems: [], lastGoodRuns: false }],
});

test("pending for 30 minutes is counted from when it began, whatever stopped or reloaded meanwhile", async () => {
  await using h = await harness(orders({ track: STUCK }));
  await h.send("feed", { id: "a", status: "pending" });
  await h.advance(10 * MINUTE);
  await h.restart(5 * MINUTE);
  await h.advance(5 * MINUTE);
  await h.reload(orders({ track: STUCK, rules: OTHER }));
  await h.advance(10 * MINUTE - 1);
  assert.deepEqual(h.sent, []);
  await h.advance(1);
  assert.deepEqual(h.sent, ["recorder: FIRING OrderStuckInPending a"]);
});

test("after a start nothing fires or resolves before the receivers have caught up; then what is true is said, once", async () => {
  await using h = await harness(orders({ track: STUCK, ...BEHIND }));
  h.receiver("feed").caughtUp();
  await h.send("feed", [{ id: "a", status: "pending" }, { id: "b", status: "pending" }]);
  await h.advance(31 * MINUTE);
  assert.deepEqual(h.sent, ["recorder: FIRING OrderStuckInPending a", "recorder: FIRING OrderStuckInPending b"]);
  await h.send("feed", [{ id: "c", status: "pending" }, { id: "d", status: "pending" }]);
  await h.restart(60 * MINUTE);
  await h.send("feed", [{ id: "a", status: "paid" }, { id: "c", status: "paid" }]);
  await h.send("feed", { id: "a", status: "shipped" });
  assert.equal(h.sent.length, 2);
  h.receiver("feed").caughtUp();
  await h.advance(1);
  // `a` is over although it is two states further; `c` was stuck and over while nobody looked; `d` is stuck.
  assert.deepEqual(h.sent.slice(2).sort(), ["recorder: FIRING OrderStuckInPending d", "recorder: RESOLVED OrderStuckInPending a recovered"]);
});

test("rules do not wait for a receiver longer than catch_up_timeout", async () => {
  await using h = await harness(orders({ track: STUCK, ...BEHIND, service: "catch_up_timeout: 3m" }));
  await h.send("feed", { id: "a", status: "pending", at: h.clock.now() - 60 * MINUTE });
  await h.advance(3 * MINUTE - 1);
  assert.deepEqual(h.sent, []);
  await h.advance(2);
  assert.deepEqual(h.sent, ["recorder: FIRING OrderStuckInPending a"]);
});

test("nobody waits for a receiver that cannot read its source; what only that feeds is still not judged", async () => {
  await using h = await harness(orders({ track: STUCK, receivers: "feed: { behind: true }, feed/dead: { behind: true }" }));
  const old = h.clock.now() - 60 * MINUTE;
  await h.send("feed", { id: "a", status: "pending", at: old });
  await h.send("feed/dead", { id: "b", status: "pending", at: old });
  h.receiver("feed").caughtUp();
  await h.advance(1);
  assert.deepEqual(told(h.sent), []);
  h.receiver("feed/dead").failing("no route");
  await h.advance(1);
  assert.deepEqual(told(h.sent), ["recorder: FIRING OrderStuckInPending a"]);
  h.receiver("feed/dead").failing(undefined);
  await h.advance(1);
  assert.deepEqual(told(h.sent).slice(1), ["recorder: FIRING OrderStuckInPending b"]);
});

test("an alert of which an unacknowledged change is lost in a crash is found again", async () => {
  await using h = await harness(orders({ track: STUCK }));
  await h.send("feed", { id: "a", status: "pending" });
  h.store.hold();
  await h.advance(31 * MINUTE);
  assert.deepEqual(h.sent, [], "nothing leaves before its commit");
  await h.restart();
  await h.advance(1);
  assert.deepEqual(h.sent, ["recorder: FIRING OrderStuckInPending a"]);
});

test("what only a failing source feeds neither fires nor resolves; when it can be read again, both", async () => {
  await using h = await harness(orders({ track: STUCK }));
  await h.send("feed", [{ id: "a", status: "pending" }, { id: "b", status: "x" }]);
  await h.advance(31 * MINUTE);
  h.receiver("feed").failing("401");
  await h.send("feed", [{ id: "a", status: "paid" }, { id: "a", status: "done" }, { id: "b", status: "pending" }]);
  await h.advance(31 * MINUTE);
  assert.equal(told(h.sent).length, 1);
  h.receiver("feed").failing(undefined);
  await h.advance(1);
  assert.deepEqual(told(h.sent).slice(1).sort(), ["recorder: FIRING OrderStuckInPending b", "recorder: RESOLVED OrderStuckInPending a recovered"]);
});

test("a receiver that failed and is replaced stays failing until its successor has read", async () => {
  await using h = await harness(orders({ track: STUCK }));
  await h.send("feed", { id: "a", status: "pending" });
  h.receiver("feed").failing("no route");
  await h.reload(orders({ track: STUCK, ...BEHIND }));
  await h.advance(31 * MINUTE);
  assert.deepEqual(told(h.sent), []);
  assert.deepEqual(h.now.agent.degraded, ["feed: no route"]);
  h.receiver("feed").caughtUp();
  await h.advance(1);
  assert.deepEqual(told(h.sent), ["recorder: FIRING OrderStuckInPending a"]);
});

test("a removed rule's alerts end after five minutes, with that reason; a rule that comes back in time ends none", async () => {
  await using h = await harness(orders({ track: STUCK, rules: OTHER }));
  await h.send("feed", { id: "a", status: "pending", amount: 200 });
  await h.advance(31 * MINUTE);
  assert.equal(h.sent.length, 2);
  await h.reload(orders({ rules: OTHER }));
  await h.advance(4 * MINUTE);
  await h.reload(orders({ track: STUCK, rules: OTHER }));
  await h.advance(10 * MINUTE);
  assert.equal(h.sent.length, 2);
  await h.reload(orders({ track: STUCK }));
  await h.advance(5 * MINUTE);
  assert.deepEqual(h.sent.slice(2), ["recorder: RESOLVED Large a rule_removed"]);
});

test("a rule that is gone for a moment does not begin its `for` anew", async () => {
  await using h = await harness(orders({ rules: OTHER }));
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  await h.advance(2 * MINUTE);
  await h.send("feed", { id: "a", status: "x", amount: 201 });
  await h.reload(orders());
  await h.advance(MINUTE);
  await h.reload(orders({ rules: OTHER }));
  await h.advance(2 * MINUTE);
  assert.deepEqual(h.sent, ["recorder: FIRING Large a"]);
});

test("a file that is rejected at start freezes its alerts: firing ones stay, pending ones keep their time", async () => {
  await using h = await harness(orders({ track: STUCK, rules: OTHER }));
  await h.send("feed", [{ id: "a", status: "pending" }, { id: "b", status: "x", amount: 200 }]);
  await h.advance(MINUTE);
  await h.send("feed", { id: "b", status: "x", amount: 300 });
  await h.advance(MINUTE);
  const yaml = orders({ track: STUCK, rules: OTHER });
  await h.restart(0, yaml, rejected);
  await h.advance(60 * MINUTE);
  assert.deepEqual(h.changes, []);
  await h.reload(yaml);
  await h.advance(1);
  const changes: string[] = [...h.changes];
  assert.deepEqual(changes.sort(), ["FIRING Large b", "FIRING OrderStuckInPending a"]);
  await h.restart(0, yaml, rejected);
  await h.advance(60 * MINUTE);
  await h.reload(orders({ track: STUCK }));
  await h.advance(5 * MINUTE - 1);
  assert.equal(h.changes.length, 2, "while it was rejected nobody could say that the rule was gone");
  await h.advance(1);
  assert.deepEqual(h.changes.slice(2), ["RESOLVED Large b rule_removed"]);
});

test("a breach that began and ended in what was read at once is told to nobody", async () => {
  await using h = await harness(orders({ track: STUCK }));
  const at = h.clock.now() - 120 * MINUTE;
  await h.send("feed", [{ id: "a", status: "pending", at }, { id: "a", status: "paid", at: at + 60 * MINUTE }]);
  assert.deepEqual(h.sent, []);
  assert.deepEqual(h.now.agent.services.alerts.list().map(({ status }) => status), ["resolved"]);
});

test("deleting a resource ends its alerts, and a new resource in its place has its own", async () => {
  await using h = await harness(orders({ track: `delete_when: has(body.gone)\nexpire_terminal_after: 10m\n${STUCK}` }));
  await h.send("feed", { id: "a", status: "pending" });
  await h.advance(31 * MINUTE);
  await h.send("feed", { id: "a", gone: true });
  assert.deepEqual(h.sent, ["recorder: FIRING OrderStuckInPending a", "recorder: RESOLVED OrderStuckInPending a deleted"]);
  await h.advance(11 * MINUTE); // its row is free now
  await h.send("feed", { id: "b", status: "pending" });
  await h.advance(29 * MINUTE);
  assert.equal(h.sent.length, 2);
  await h.advance(MINUTE);
  assert.deepEqual(h.sent.slice(2), ["recorder: FIRING OrderStuckInPending b"]);
});

test("the dedup key names the episode: the same after restart and reload, different with other external labels", async () => {
  const keyOf = async (service: string): Promise<string> => {
    await using h = await harness(orders({ track: STUCK, service }));
    await h.send("feed", { id: "a", status: "pending" });
    await h.advance(31 * MINUTE);
    await h.restart();
    await h.send("feed", { id: "a", status: "paid" });
    const keys = new Set(h.notifications.map(({ notification }) => notification.alerts[0]!.dedup_key));
    assert.equal(h.notifications.length, 2);
    assert.equal(new Set(h.notifications.map(({ notification }) => notification.id)).size, 2);
    assert.equal(keys.size, 1);
    return [...keys][0]!;
  };
  const [one, again, other] = [await keyOf("external_labels: { cluster: a }"), await keyOf("external_labels: { cluster: a }"), await keyOf("external_labels: { cluster: b }")];
  assert.equal(one, again);
  assert.notEqual(one, other);
});

test("resolved alerts are shown for a quarter of an hour and then leave the store", async () => {
  await using h = await harness(orders({ track: STUCK }));
  await h.send("feed", { id: "a", status: "pending" });
  await h.advance(31 * MINUTE);
  await h.send("feed", { id: "a", status: "paid" });
  await h.restart();
  assert.deepEqual(h.now.agent.services.alerts.list().map(({ status }) => status), ["resolved"]);
  await h.advance(16 * MINUTE);
  assert.deepEqual(h.now.agent.services.alerts.list(), []);
  await h.restart();
  assert.deepEqual(h.now.agent.services.alerts.list(), []);
});
