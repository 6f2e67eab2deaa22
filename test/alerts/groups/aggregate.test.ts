import assert from "node:assert/strict";
import { test } from "node:test";
import { harness, orders, type Harness } from "../../support/agent.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const BY_STATE = `[{ alert: Many, aggregate: { count: 'self.amount > 0', by: { status: self.state } }, expr: value > 2, for: 0s }]`;

/** `FIRING Many {"status":"paid"}`, as far as it is about groups. */
function lines(h: Harness): string[] {
  return h.alerts.filter(({ group }) => group !== undefined).map(({ status, alert, group, reason }) => [status.toUpperCase(), alert, JSON.stringify(group), ...(reason === undefined ? [] : [reason])].join(" "));
}

test("too many in one state fire one alert for that state, which says how many and which, and end when they have moved on", async () => {
  await using h = await harness(orders({ rules: BY_STATE }));
  await h.send("feed", ["a", "b", "c"].map((id) => ({ id, status: "pending", amount: 1 })));
  assert.deepEqual(lines(h), [`FIRING Many {"status":"pending"}`]);
  const [alert] = h.alerts;
  assert.deepEqual([alert!.value, alert!.limit, alert!.resource, alert!.details], [3, "value > 2", { type: "order", id: "" }, { value: 3, resources: 3, examples: ["a", "b", "c"] }]);
  assert.deepEqual(alert!.labels, { alertname: "Many", resource_type: "order", severity: "warning", status: "pending" });
  assert.equal(alert!.annotations["summary"], "count of self.amount > 0 is 3 (value > 2)");
  await h.send("feed", { id: "a", status: "paid" });
  assert.deepEqual(lines(h).slice(1), [`RESOLVED Many {"status":"pending"} recovered`]);
});

test("groups go on over a restart and a reload, without a word; what changed while the agent was down is said once", async () => {
  await using h = await harness(orders({ rules: BY_STATE }));
  await h.send("feed", ["a", "b", "c"].map((id) => ({ id, status: "pending", amount: 1 })));
  await h.restart(MINUTE);
  await h.reload(orders({ rules: BY_STATE, receivers: "feed: { mark: x }" }));
  await h.restart(MINUTE, orders({ rules: BY_STATE, receivers: "feed: { behind: true }" }));
  await h.send("feed", { id: "a", status: "paid" });
  assert.equal(lines(h).length, 1);
  h.receiver("feed").caughtUp();
  await h.advance(1);
  assert.deepEqual(lines(h).slice(1), [`RESOLVED Many {"status":"pending"} recovered`]);
});

test("nothing fires on half of the resources: a new rule is judged when all are known", async () => {
  const rules = "[{ alert: Few, aggregate: { count: true }, expr: value < 3 }, { alert: Share, aggregate: { share: self.amount > 1 }, expr: value < 0.5 }]";
  await using h = await harness(orders({ rules: BY_STATE }));
  await h.send("feed", [1, 2, 2, 2].map((amount, i) => ({ id: `o${i}`, status: "x", amount })));
  await h.reload(orders({ rules }));
  assert.deepEqual(lines(h).filter((line) => !line.includes("Many")), []);
  await h.restart(0);
  assert.deepEqual(lines(h).filter((line) => !line.includes("Many")), []);
});

test("a count may be too low, also of nothing at all; a group that is gone keeps its alert", async () => {
  const rules = "[{ alert: None, aggregate: { count: true }, expr: value == 0 }, { alert: Low, aggregate: { count: true, by: { s: self.state } }, expr: value < 1 }]";
  await using h = await harness(orders({ track: "delete_when: body.gone == true", rules }));
  assert.deepEqual(lines(h), ["FIRING None {}"]);
  await h.send("feed", { id: "a", status: "x" });
  assert.deepEqual(lines(h).slice(1), ["RESOLVED None {} recovered"]);
  await h.send("feed", { id: "a", status: "x", gone: true });
  assert.deepEqual(lines(h).slice(2).sort(), [`FIRING Low {"s":"x"}`, "FIRING None {}"]);
  await h.restart(MINUTE);
  assert.equal(lines(h).length, 4);
  await h.send("feed", { id: "b", status: "x" });
  assert.deepEqual(lines(h).slice(4).sort(), [`RESOLVED Low {"s":"x"} recovered`, "RESOLVED None {} recovered"]);
});

test("with clear an alert holds until that is true; with keep_firing_for it stays for a while", async () => {
  const rules = "[{ alert: Sum, aggregate: { sum: self.amount }, expr: value > 100, clear: value < 50 }, { alert: Kept, aggregate: { max: self.amount }, expr: value > 100, keep_firing_for: 1m, for: 1m }]";
  await using h = await harness(orders({ rules }));
  await h.send("feed", { id: "a", status: "x", amount: 101 });
  assert.deepEqual(lines(h), ["FIRING Sum {}"]);
  await h.advance(MINUTE);
  assert.deepEqual(lines(h).slice(1), ["FIRING Kept {}"]);
  assert.deepEqual(h.alerts.at(-1)!.details["examples"], ["a"]);
  await h.send("feed", { id: "a", status: "x", amount: 60 });
  await h.advance(MINUTE - 1);
  assert.equal(lines(h).length, 2);
  await h.advance(1);
  assert.deepEqual(lines(h).slice(2), ["RESOLVED Kept {} recovered"]);
  await h.send("feed", { id: "a", status: "x", amount: 40 });
  assert.deepEqual(lines(h).slice(3), ["RESOLVED Sum {} recovered"]);
});

test("no data is what no_data says: nothing, what was before, or an alert", async () => {
  const rule = (alert: string, policy: string): string => `{ alert: ${alert}, aggregate: { avg: self.amount, when: self.state == 'x' }, expr: value > 1, no_data: ${policy} }`;
  await using h = await harness(orders({ rules: `[${rule("Ok", "ok")}, ${rule("Keep", "keep")}, ${rule("Say", "alert")}]` }));
  assert.deepEqual(lines(h), ["FIRING Say {}"]);
  await h.send("feed", { id: "a", status: "x", amount: 0 });
  await h.send("feed", { id: "a", status: "x", amount: 2 });
  assert.deepEqual(lines(h).slice(1), ["RESOLVED Say {} recovered", "FIRING Ok {}", "FIRING Keep {}", "FIRING Say {}"]);
  await h.send("feed", { id: "a", status: "y" });
  assert.deepEqual(lines(h).slice(5), ["RESOLVED Ok {} recovered"]);
  const failures = h.now.own.conditionErrors.series("rule/Ok").value;
  assert.ok(failures > 0, "it is counted");
});

test("values that disagree are found, by flag", async () => {
  const rules = "[{ alert: Disagree, aggregate: { distinct: self.amount, by: { flag: self.state } }, expr: value > 1, for: 5m }]";
  await using h = await harness(orders({ rules }));
  await h.send("feed", [{ id: "a", status: "f", amount: true }, { id: "b", status: "f", amount: true }, { id: "c", status: "g", amount: "true" }]);
  await h.send("feed", { id: "b", status: "f", amount: "true" });
  await h.advance(5 * MINUTE);
  assert.deepEqual(lines(h), [`FIRING Disagree {"flag":"f"}`]);
  assert.deepEqual(h.alerts[0]!.details["examples"], ["a: true", 'b: "true"'], "one of each value");
  await h.send("feed", { id: "a", status: "f", amount: "true" });
  assert.deepEqual(lines(h).slice(1), [`RESOLVED Disagree {"flag":"f"} recovered`]);
});

test("for begins with the last change that a listing tells of, in whatever order it is listed", async () => {
  const rules = "[{ alert: Differ, aggregate: { distinct: self.amount }, expr: value > 1, for: 5m }]";
  const HOUR = 60 * MINUTE;
  for (const order of [[1, 2], [2, 1]]) {
    await using h = await harness(orders({ rules }));
    const now = h.clock.now();
    const rows = [{ id: "old", status: "x", amount: 1, at: now - HOUR }, { id: "new", status: "x", amount: 2, at: now - 4 * MINUTE }];
    await h.send("feed", order.map((place) => rows[place - 1]!));
    assert.deepEqual(lines(h), []);
    await h.advance(MINUTE);
    assert.deepEqual(lines(h), ["FIRING Differ {}"]);
  }
});

test("an alert names those who make the number: of a sum the largest, of a share those for which it holds and those for which it does not", async () => {
  const rules = "[{ alert: Sum, aggregate: { sum: self.amount }, expr: value > 9 }, { alert: Share, aggregate: { share: self.amount > 2 }, expr: value >= 0.5 }]";
  await using h = await harness(orders({ rules }));
  await h.send("feed", [1, 2, 0, -4, 3, 5, 4].map((amount, i) => ({ id: `o${i}`, status: "x", amount })));
  const details = (alert: string): object => h.alerts.findLast((one) => one.alert === alert)!.details;
  assert.deepEqual(details("Sum"), { value: 11, resources: 7, examples: ["o5: 5", "o3: -4", "o6: 4", "o4: 3", "o1: 2"] });
  await h.send("feed", { id: "o0", status: "x", amount: 9 });
  assert.deepEqual(details("Share"), { value: 4 / 7, resources: 7, examples: ["o0", "o4", "o5", "o6"], counterexamples: ["o1", "o2", "o3"] });
});

test("how many have been there for long changes by time alone", async () => {
  await using h = await harness(orders({ rules: "[{ alert: Old, aggregate: { count: \"now - self.since > duration('10m')\" }, expr: value >= 2 }]" }));
  await h.send("feed", [{ id: "a", status: "x" }, { id: "b", status: "x" }]);
  await h.advance(10 * MINUTE);
  assert.deepEqual(lines(h), []);
  await h.advance(15 * SECOND);
  assert.deepEqual(lines(h), ["FIRING Old {}"]);
});

test("compared with earlier: a sudden drop is said, also when the agent was restarted between", async () => {
  const rules = "[{ alert: Drop, aggregate: { count: self.state == 'online', by: { g: self.amount } }, expr: value < 0.5 * earlier }]".replace("count: self", "earlier: 10m, count: self");
  await using h = await harness(orders({ rules }));
  await h.send("feed", Array.from({ length: 10 }, (_, i) => ({ id: `d${i}`, status: "online", amount: "g" })));
  await h.advance(6 * MINUTE);
  await h.restart(0);
  await h.advance(6 * MINUTE);
  assert.deepEqual(lines(h), []);
  await h.send("feed", Array.from({ length: 6 }, (_, i) => ({ id: `d${i}`, status: "offline", amount: "g" })));
  assert.deepEqual(lines(h), [`FIRING Drop {"g":"g"}`]);
  assert.deepEqual(h.alerts[0]!.details, { value: 4, earlier: 10, resources: 4, examples: ["d6", "d7", "d8", "d9"] });
  // Ten minutes later that is what it was before, too.
  await h.advance(11 * MINUTE);
  assert.deepEqual(lines(h).slice(1), [`RESOLVED Drop {"g":"g"} recovered`]);
});

test("further groups than groups_max are one, and that is counted", async () => {
  await using h = await harness(orders({ rules: "[{ alert: Any, aggregate: { count: true, by: { id: self.id }, groups_max: 2 }, expr: value > 0 }]" }));
  await h.send("feed", ["a", "b", "c", "d"].map((id) => ({ id, status: "x" })));
  assert.deepEqual(lines(h), [`FIRING Any {"id":"a"}`, `FIRING Any {"id":"b"}`, `FIRING Any {"id":"__other__"}`]);
  assert.equal(h.now.own.conditionErrors.series("rule/Any").value, 2);
});

test("groups beyond groups_max that mean nothing together are counted, and page nobody", async () => {
  const rule = (of: string): string => `[{ alert: Two, aggregate: { ${of}, by: { id: self.id }, groups_max: 1 }, expr: value > 1 }]`;
  await using owners = await harness(orders({ rules: rule("distinct: self.amount") }));
  await owners.send("feed", [1, 2, 3].map((amount) => ({ id: `o${amount}`, status: "x", amount })));
  assert.deepEqual(lines(owners), [], "each has one amount");
  assert.equal(owners.now.own.conditionErrors.series("rule/Two").value, 2);
  await using largest = await harness(orders({ rules: rule("max: self.amount") }));
  await largest.send("feed", [1, 0, 3].map((amount) => ({ id: `o${amount}`, status: "x", amount })));
  assert.deepEqual(lines(largest), [`FIRING Two {"id":"__other__"}`], "one of them is too large");
});

test("what only a failing source feeds is not counted anew: nothing fires or resolves until it is read again", async () => {
  await using h = await harness(orders({ rules: "[{ alert: Sum, aggregate: { sum: self.amount }, expr: value > 100 }]" }));
  h.receiver("feed").failing("no route");
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  await h.advance(MINUTE);
  assert.deepEqual(lines(h), [`FIRING ReceiverFailing {"receiver":"feed"}`]);
  h.receiver("feed").failing(undefined);
  await h.advance(1);
  assert.deepEqual(lines(h).slice(1), ["FIRING Sum {}"]);
});

test("an open alert of a group says since when its source cannot be read, over a restart, until it can", async () => {
  await using h = await harness(orders({ receivers: "feed: { behind: true }", rules: "[{ alert: Sum, aggregate: { sum: self.amount }, expr: value > 100 }]" }));
  const stale = (): unknown => h.now.agent.services.alerts.list().find(({ alert }) => alert === "Sum")!.stale_since;
  h.receiver("feed").caughtUp();
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  assert.equal(stale(), undefined);
  h.receiver("feed").failing("no route");
  const from = h.clock.now();
  await h.advance(MINUTE);
  assert.equal(stale(), from);
  await h.restart(MINUTE);
  assert.equal(stale(), from);
  h.receiver("feed").caughtUp();
  assert.equal(stale(), undefined);
});

test("a rule that measures something else by now ends the alerts of groups that it has no more", async () => {
  await using h = await harness(orders({ rules: BY_STATE }));
  await h.send("feed", ["a", "b", "c"].map((id) => ({ id, status: "pending", amount: 1 })));
  await h.reload(orders({ rules: BY_STATE.replace("status: self.state", "size: self.amount") }));
  assert.deepEqual(lines(h).slice(1).sort(), [`FIRING Many {"size":"1"}`, `RESOLVED Many {"status":"pending"} rule_removed`]);
});
