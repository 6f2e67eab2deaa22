import assert from "node:assert/strict";
import { test } from "node:test";
import { RULE_MEMORY } from "../../src/alerts/rule_memory.ts";
import { harness, orders } from "../support/agent.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const sequence = (more = ""): string =>
  `[{ alert: NotShipped, sequence: { after: self.state == 'paid', followed_by: self.state == 'shipped', unless: self.state == 'cancelled', within: 2h${more} } }]`;

test("what does not follow in time fires, counted from the event that began it; what follows, or is called off, does not", async () => {
  await using h = await harness(orders({ rules: sequence() }));
  const at = h.clock.now() - 30 * MINUTE;
  await h.send("feed", ["late", "shipped", "cancelled"].map((id) => ({ id, status: "paid", at })));
  await h.advance(HOUR);
  await h.send("feed", [{ id: "shipped", status: "shipped" }, { id: "cancelled", status: "cancelled" }, { id: "late", status: "packed" }]);
  await h.advance(30 * MINUTE - 1);
  assert.deepEqual(h.sent, []);
  await h.advance(1);
  assert.deepEqual(h.sent, ["recorder: FIRING NotShipped late"]);
  const { details, limit, value } = h.alerts[0]!;
  assert.deepEqual([limit, value, details["began"]], ["2h", "packed", new Date(at).toISOString()]);
  await h.send("feed", { id: "late", status: "shipped" });
  assert.deepEqual(h.sent.slice(1), ["recorder: RESOLVED NotShipped late recovered"]);
  await h.advance(DAY);
  assert.equal(h.sent.length, 2);
});

test("a sequence goes on over restarts, reloads and edits of its rule; the first time counts", async () => {
  await using h = await harness(orders({ rules: sequence() }));
  await h.send("feed", { id: "a", status: "paid" });
  await h.advance(30 * MINUTE);
  await h.send("feed", { id: "a", status: "packed" });
  await h.restart(15 * MINUTE);
  await h.reload(orders({ rules: sequence().replace("within: 2h", "within: 3h").replace("'shipped'", "'sent'") }));
  await h.advance(15 * MINUTE);
  await h.send("feed", { id: "a", status: "paid" });
  await h.advance(2 * HOUR - 1);
  assert.deepEqual(h.changes, []);
  await h.advance(1);
  assert.deepEqual(h.changes, ["FIRING NotShipped a"]);
});

test("a sequence is forgotten with its resource, and a new incarnation begins anew", async () => {
  const track = "delete_when: has(body.gone)\nexpire_terminal_after: 1m\nstates: { cancelled_by_us: { terminal: true } }";
  await using h = await harness(orders({ track, rules: sequence() }));
  await h.send("feed", [{ id: "a", status: "paid" }, { id: "b", status: "paid" }]);
  await h.send("feed", [{ id: "a", gone: true }, { id: "b", status: "cancelled_by_us" }]);
  await h.send("feed", { id: "b", status: "new" });
  const kept = await h.store.read(RULE_MEMORY, ["order", "NotShipped"], 10);
  assert.deepEqual(kept.filter((cell) => String(cell).startsWith("sequence:")), []);
  await h.advance(DAY);
  assert.deepEqual(h.changes, []);
});

test("a sequence may be made of moves; an observation without one is no failure", async () => {
  const rules = "[{ alert: Slow, sequence: { after: transition.to == 'paid', followed_by: transition.from == 'paid', within: 1h } }]";
  await using h = await harness(orders({ rules }));
  await h.send("feed", [{ id: "a", status: "new" }, { id: "a", status: "paid" }, { id: "a", status: "paid", amount: 3 }]);
  await h.advance(30 * MINUTE);
  await h.send("feed", { id: "a", status: "paid", amount: 4 });
  await h.advance(30 * MINUTE);
  assert.deepEqual(h.changes, ["FIRING Slow a"]);
  await h.send("feed", { id: "a", status: "shipped" });
  assert.deepEqual(h.changes, ["FIRING Slow a", "RESOLVED Slow a recovered"]);
  assert.equal(h.now.own.conditionErrors.series("rule/Slow").value, 0);
});

const change = (as: string, expr: string, more = ""): string => `[{ alert: Jump, change: { value: self.amount, over: 1h, as: ${as} }, expr: '${expr}'${more} }]`;

test("a number is compared with what it was a while ago; before it was watched for so long nothing is said", async () => {
  await using h = await harness(orders({ rules: change("delta", "value > 50") }));
  await h.send("feed", { id: "a", status: "x", amount: 100 });
  await h.advance(30 * MINUTE);
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  assert.deepEqual(h.changes, [], "half an hour is not enough to know");
  await h.advance(30 * MINUTE);
  assert.deepEqual(h.changes, ["FIRING Jump a"], "now it is: 100 more than an hour ago");
  assert.deepEqual([h.alerts[0]!.value, h.alerts[0]!.limit], [100, "value > 50"]);
  await h.advance(30 * MINUTE - 1);
  assert.equal(h.changes.length, 1);
  await h.advance(1);
  assert.deepEqual(h.changes, ["FIRING Jump a", "RESOLVED Jump a recovered"], "an hour ago it was the same");
});

test("a change is told as difference, per second, or by what it was", async () => {
  for (const [as, value] of [["delta", -90], ["rate", -90 / 3_600], ["ratio", -0.9]] as const) {
    await using h = await harness(orders({ rules: change(as, "value < 0.0") }));
    await h.send("feed", { id: "a", status: "x", amount: 100 });
    await h.advance(2 * HOUR);
    await h.send("feed", { id: "a", status: "x", amount: 10 });
    assert.deepEqual(h.changes, ["FIRING Jump a"], as);
    assert.equal(h.alerts[0]!.value, value);
    await h.restart(30 * MINUTE);
    assert.equal(h.changes.length, 1, "it knows after a restart");
    await h.advance(30 * MINUTE);
    assert.equal(h.changes.length, 2);
  }
});

test("however often a number changes, few are kept, and they are near enough", async () => {
  await using h = await harness(orders({ rules: change("delta", "value != 60.0") }));
  for (let minute = 0; minute < 600; minute++) {
    await h.send("feed", { id: "a", status: "x", amount: minute / 2 });
    await h.advance(MINUTE / 2);
  }
  const cells = await h.store.read(RULE_MEMORY, ["order", "Jump", "change:a"], 1);
  const kept = JSON.parse(cells[3] as string) as number[];
  assert.ok(kept.length > 100 && kept.length <= 120, `${kept.length} numbers`);
  // It rises by 1 a minute: over an hour by 60. What is compared is up to half a minute old, what is kept a minute coarse.
  const values = h.alerts.filter(({ status }) => status === "firing").map(({ value }) => value as number);
  assert.ok(values.length > 0);
  for (const value of values) assert.ok(value >= 59.5 && value <= 61.5, String(value));
});

test("missing and non-numeric values: the condition does not hold, stays as it was, or holds, as the rule says; they are counted", async () => {
  const of = async (noData: string): Promise<string[]> => {
    await using h = await harness(orders({ rules: `[{ alert: Large, expr: self.amount > 100, no_data: ${noData} }]` }));
    await h.send("feed", [{ id: "a", status: "x", amount: 200 }, { id: "b", status: "x", amount: 1 }]);
    await h.send("feed", [{ id: "a", status: "x", amount: "many" }, { id: "b", status: "x", amount: null }, { id: "c", status: "x" }]);
    assert.equal(h.now.own.conditionErrors.series("rule/Large").value, 3);
    return [...h.changes];
  };
  assert.deepEqual(await of("ok"), ["FIRING Large a", "RESOLVED Large a recovered"]);
  assert.deepEqual(await of("keep"), ["FIRING Large a"]);
  assert.deepEqual(await of("alert"), ["FIRING Large a", "FIRING Large b", "FIRING Large c"]);
});

test("a change of what is no number is no data", async () => {
  const of = async (noData: string): Promise<string[]> => {
    await using h = await harness(orders({ rules: change("ratio", "value > 0.5", `, no_data: ${noData}`) }));
    await h.send("feed", [{ id: "zero", status: "x", amount: 0 }, { id: "a", status: "x", amount: 10 }]);
    await h.advance(2 * HOUR);
    await h.send("feed", [{ id: "zero", status: "x", amount: 5 }, { id: "a", status: "x", amount: 20 }]);
    await h.send("feed", { id: "a", status: "x", amount: "?" });
    return [...h.changes];
  };
  assert.deepEqual(await of("ok"), ["FIRING Jump a", "RESOLVED Jump a recovered"]);
  assert.deepEqual(await of("keep"), ["FIRING Jump a"]);
  assert.deepEqual(await of("alert"), ["FIRING Jump zero", "FIRING Jump a"]);
});

test("with `clear` an alert resolves when that holds; it fires by the condition alone", async () => {
  await using h = await harness(orders({ rules: "[{ alert: Large, expr: self.amount > 100, clear: self.amount < 80 }]" }));
  const say = (amount: number) => h.send("feed", { id: "a", status: "x", amount });
  await say(90);
  assert.deepEqual(h.changes, []);
  await say(110);
  await say(90);
  await h.restart();
  await say(81);
  assert.deepEqual(h.changes, ["FIRING Large a"]);
  await say(79);
  await say(90);
  assert.deepEqual(h.changes, ["FIRING Large a", "RESOLVED Large a recovered"]);
});

test("where condition and `clear` overlap an alert does not come and go", async () => {
  await using h = await harness(orders({ rules: "[{ alert: Large, expr: self.amount > 100, clear: self.amount < 200 }]" }));
  for (const amount of [150, 151, 152]) await h.send("feed", { id: "a", status: "x", amount });
  assert.deepEqual(h.changes, ["FIRING Large a"]);
});

const ABSENT = "[{ alert: Silent, absent_for: 10m }]";

/** Without what is said of receivers themselves. */
const told = (lines: readonly string[]): string[] => lines.filter((line) => !line.includes("ReceiverFailing"));

test("a resource that has gone silent is an alert until it is heard of; one that has ended is not", async () => {
  await using h = await harness(orders({ track: "states: { done: { terminal: true } }", rules: ABSENT }));
  await h.send("feed", [{ id: "a", status: "x" }, { id: "b", status: "done" }]);
  await h.advance(10 * MINUTE - 1);
  assert.deepEqual(h.changes, []);
  await h.advance(1);
  assert.deepEqual(h.changes, ["FIRING Silent a"]);
  assert.equal(h.alerts[0]!.limit, "10m");
  assert.equal(h.alerts[0]!.details["last_seen"], new Date(h.clock.now() - 10 * MINUTE).toISOString());
  await h.send("feed", { id: "a", status: "x" });
  assert.deepEqual(h.changes, ["FIRING Silent a", "RESOLVED Silent a recovered"]);
});

test("the agent's own downtime is no silence of what it watches; what was silent before stays so", async () => {
  await using h = await harness(orders({ rules: ABSENT }));
  await h.send("feed", { id: "gone", status: "x" });
  await h.advance(9 * MINUTE);
  await h.send("feed", { id: "a", status: "x" });
  await h.advance(MINUTE);
  assert.deepEqual(h.changes, ["FIRING Silent gone"]);
  await h.restart(HOUR);
  await h.advance(9 * MINUTE);
  assert.deepEqual(h.changes, ["FIRING Silent gone"], "neither resolved nor told again");
  await h.advance(MINUTE);
  assert.deepEqual(h.changes, ["FIRING Silent gone", "FIRING Silent a"]);
});

test("silence while all receivers of a resource fail is none; of what others feed it is", async () => {
  await using h = await harness(orders({ receivers: "feed: {}, feed/b: {}", rules: ABSENT }));
  await h.send("feed", { id: "a", status: "x" });
  await h.send("feed/b", { id: "b", status: "x" });
  h.receiver("feed").failing("401");
  await h.advance(30 * MINUTE);
  assert.deepEqual(told(h.changes), ["FIRING Silent b"]);
  h.receiver("feed").failing(undefined);
  await h.advance(10 * MINUTE - 1);
  assert.deepEqual(told(h.changes), ["FIRING Silent b"]);
  await h.advance(1);
  assert.deepEqual(told(h.changes), ["FIRING Silent b", "FIRING Silent a"]);
  h.receiver("feed").failing("401");
  h.receiver("feed").failing(undefined);
  await h.advance(1);
  assert.equal(told(h.changes).length, 2, "what was silent before its receiver failed is so after");
});

test("absence goes on after a reload: which resources there are is known", async () => {
  await using h = await harness(orders());
  await h.send("feed", { id: "a", status: "x" });
  await h.advance(5 * MINUTE);
  await h.reload(orders({ rules: ABSENT }));
  await h.advance(5 * MINUTE);
  assert.deepEqual(h.changes, ["FIRING Silent a"]);
});

test("`expr` narrows absence down to some", async () => {
  await using h = await harness(orders({ rules: "[{ alert: Silent, absent_for: 10m, expr: self.amount > 5 }]" }));
  await h.send("feed", [{ id: "a", status: "x", amount: 6 }, { id: "b", status: "x", amount: 5 }, { id: "c", status: "x" }]);
  await h.advance(20 * MINUTE);
  assert.deepEqual(h.changes, ["FIRING Silent a"]);
});

test("what is due at one instant fires in the order in which the resources were first seen, after a restart too", async () => {
  await using h = await harness(orders({ track: "expire_after: 20m" }));
  // Rows of forgotten resources are used again, in another order.
  for (const id of ["w1", "w2", "w3", "w4"]) await h.send("feed", { id, status: "x" });
  await h.advance(HOUR);
  await h.reload(orders({ track: "states: { x: { stuck_after: 30m } }" }));
  const ids = ["d", "b", "a", "c", "e"];
  for (const id of ids) await h.send("feed", { id, status: "x" });
  await h.restart();
  await h.advance(30 * MINUTE);
  assert.deepEqual(h.changes, ids.map((id) => `FIRING OrderStuckInX ${id}`));
});
