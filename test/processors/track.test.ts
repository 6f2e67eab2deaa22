import assert from "node:assert/strict";
import { test } from "node:test";
import { pascal } from "../../processors/track/rules.ts";
import { OTHER_STATE } from "../../src/sdk/resource.ts";
import { harness, orders, type Harness } from "../support/agent.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

function get(h: Harness, id: string) {
  return h.now.agent.services.resources.get("order", id);
}

async function moves(h: Harness, id: string): Promise<string[]> {
  return (await h.now.agent.services.resources.transitions("order", id)).map(({ from, to }) => `${from}>${to}`);
}

function counted(h: Harness, result: string): number {
  return h.now.own.resourceObservations.series("order", result).value;
}

test("a late observation touches last_seen, is counted, and changes nothing more", async () => {
  await using h = await harness(orders());
  const at = h.clock.now();
  await h.send("feed", { id: "o1", status: "paid", at, amount: 5 });
  await h.advance(MINUTE);
  await h.send("feed", { id: "o1", status: "pending", at: at - 1, amount: 9 });
  const order = get(h, "o1")!;
  assert.equal(order.state, "paid");
  assert.equal(order.attributes["amount"], 5);
  assert.equal(order.last_seen, at + MINUTE);
  assert.equal(counted(h, "late"), 1);
});

test("without an event time order is arrival: a machine whose clock is set back goes on listening", async () => {
  await using h = await harness(orders());
  await h.send("feed", { id: "o1", status: "pending" });
  await h.send("feed", { id: "o1", status: "paid" }, { time: h.clock.now() - 60 * MINUTE });
  assert.equal(get(h, "o1")!.state, "paid");
  assert.deepEqual(await moves(h, "o1"), ["pending>paid"]);
});

test("sequence decides before time does", async () => {
  await using h = await harness(orders({ track: "sequence: body.n" }));
  const at = h.clock.now();
  await h.send("feed", { id: "o1", status: "a", n: 2, at });
  await h.send("feed", { id: "o1", status: "b", n: 1, at: at + 1 });
  assert.equal(get(h, "o1")!.state, "a");
  await h.send("feed", { id: "o1", status: "c", n: 3, at: at - 1 });
  assert.equal(get(h, "o1")!.state, "c");
  await h.send("feed", { id: "o1", status: "d", n: " ", at: at + 2 });
  assert.equal(get(h, "o1")!.state, "d", "an empty sequence is none, not zero");
});

test("a deletion that comes before the creation it ends leaves the resource deleted", async () => {
  await using h = await harness(orders({ track: "delete_when: has(body.gone)", exporters: "sink: {}" }));
  const at = h.clock.now();
  await h.send("feed", [{ id: "other", status: "x", at }, { id: "o1", gone: true, at }]);
  await h.send("feed", { id: "o1", status: "pending", at: at - 1 });
  assert.equal(get(h, "o1"), undefined);
  assert.deepEqual(h.exported.map(({ observation }) => observation.self?.id), ["other", "o1", "o1"], "never another resource's self");
  await h.send("feed", { id: "o1", status: "pending", at: at + 1 });
  assert.equal(get(h, "o1")!.incarnation, 1);
});

test("a recreated resource begins anew: another incarnation, nothing of its attributes, no transition", async () => {
  await using h = await harness(orders({ track: "delete_when: has(body.gone)" }));
  const at = h.clock.now();
  await h.send("feed", [{ id: "o1", status: "pending", at, amount: 5 }, { id: "o1", status: "paid", at }, { id: "o1", gone: true, at }]);
  assert.equal(get(h, "o1"), undefined);
  await h.restart();
  assert.equal(get(h, "o1"), undefined, "deleted after a restart too");
  await h.send("feed", { id: "o1", status: "pending", at: at + 1 });
  const order = get(h, "o1")!;
  assert.deepEqual([order.incarnation, order.state, order.attributes["amount"], order.since], [2, "pending", undefined, at + 1]);
  assert.deepEqual(await moves(h, "o1"), ["pending>paid"]);
});

test("a snapshot row invents no transition, and out of a terminal state still begins an incarnation", async () => {
  await using h = await harness(orders({ track: "states: { done: { terminal: true } }" }));
  await h.send("feed", { id: "o1", status: "pending" });
  await h.send("feed", { id: "o1", status: "done" }, { snapshot: true });
  await h.send("feed", { id: "o1", status: "pending" }, { snapshot: true });
  const order = get(h, "o1")!;
  assert.deepEqual([order.state, order.incarnation], ["pending", 2]);
  assert.deepEqual(await moves(h, "o1"), []);
});

test("where the source reports another previous state it is believed, and the gap counted", async () => {
  await using h = await harness(orders({ track: "previous: body.was\nstates: { pending: { stuck_after: 30m }, done: { terminal: true } }" }));
  await h.send("feed", { id: "o1", status: "pending" });
  await h.advance(31 * MINUTE);
  await h.send("feed", { id: "o1", status: "shipped", was: "paid" });
  assert.deepEqual(await moves(h, "o1"), ["paid>shipped"]);
  assert.equal(counted(h, "gap"), 1);
  assert.deepEqual(h.changes, ["FIRING OrderStuckInPending o1", "RESOLVED OrderStuckInPending o1 recovered"]);
  await h.send("feed", { id: "o1", status: "done" });
  await h.send("feed", { id: "o1", status: "paid", was: "pending" });
  assert.equal(get(h, "o1")!.incarnation, 2, "it left a terminal state, whatever was missed");
});

test("a move that is reported twice is one move", async () => {
  await using h = await harness(orders({ track: "previous: body.was" }));
  const body = { id: "o1", status: "paid", was: "pending", at: h.clock.now() };
  await h.send("feed", [body, body]);
  await h.send("feed", body);
  assert.deepEqual(await moves(h, "o1"), ["pending>paid"]);
});

test("a restart keeps every state by name, also of more than a hundred and of those declared last", async () => {
  const yaml = orders({ track: "states_max: 200\nstates: { declared: { stuck_after: 30m } }" });
  await using h = await harness(yaml);
  await h.send("feed", Array.from({ length: 150 }, (_, i) => ({ id: `o${i}`, status: `s${i}` })));
  await h.send("feed", [{ id: "d", status: "declared" }, { id: "d2", status: "s1" }]);
  await h.restart();
  assert.equal(get(h, "o149")!.state, "s149");
  assert.equal(get(h, "d")!.state, "declared");
  await h.advance(31 * MINUTE);
  assert.deepEqual(h.changes, ["FIRING OrderStuckInDeclared d"]);
});

test("beyond states_max further states are __other__", async () => {
  await using h = await harness(orders({ track: "states_max: 2" }));
  await h.send("feed", ["a", "b", "c", "d"].map((status) => ({ id: status, status })));
  assert.deepEqual(["a", "b", "c", "d"].map((id) => get(h, id)!.state), ["a", "b", OTHER_STATE, OTHER_STATE]);
});

test("beyond resources_max further ones are refused and counted, and their observations go on without self", async () => {
  await using h = await harness(orders({ track: "resources_max: 1", exporters: "sink: {}" }));
  await h.send("feed", [{ id: "a", status: "x" }, { id: "b", status: "x" }]);
  assert.equal(get(h, "b"), undefined);
  assert.equal(counted(h, "refused"), 1);
  assert.deepEqual(h.exported.map(({ observation }) => observation.self?.id), ["a", undefined]);
});

test("an observation without a usable id or state changes nothing and goes where on_error says", async () => {
  await using h = await harness(orders({ track: "on_error: dead_letter", exporters: "sink: {}" }));
  await h.send("feed", [{ id: "", status: "x" }, { id: 1.5, status: "x" }, { id: "a" }, { id: null, status: "x" }, { id: 7, status: true }]);
  assert.equal(h.now.agent.services.deadLetters.list(undefined, 10).length, 4);
  assert.equal(get(h, "7")!.state, "true");
  assert.equal(h.exported.length, 1);
});

test("an unusable event time is the time of receipt, one far in the future is now; both counted", async () => {
  await using h = await harness(orders());
  const now = h.clock.now();
  await h.send("feed", [{ id: "a", status: "x", at: "yesterday" }, { id: "b", status: "x", at: now + 10 * MINUTE }, { id: "c", status: "x", at: now + MINUTE }]);
  assert.deepEqual(["a", "b", "c"].map((id) => get(h, id)!.since - now), [0, 0, MINUTE]);
  assert.equal(counted(h, "future_time"), 1);
  assert.equal(h.now.own.processorCounted.series("track/order", "time_unusable").value, 1);
});

test("a missing attribute keeps its value, null removes it, and a restart changes neither", async () => {
  await using h = await harness(orders());
  await h.send("feed", [{ id: "a", status: "x", amount: 1 }, { id: "b", status: "x", amount: 1 }]);
  await h.send("feed", [{ id: "a", status: "x" }, { id: "b", status: "x", amount: null }]);
  await h.restart();
  assert.equal(get(h, "a")!.attributes["amount"], 1);
  assert.equal("amount" in get(h, "b")!.attributes, false);
});

test("a type without rules forgets its resources too, after a restart as before", async () => {
  await using h = await harness(orders({ track: "expire_after: 1h" }));
  await h.send("feed", { id: "a", status: "x" });
  await h.restart();
  await h.advance(59 * MINUTE);
  assert.ok(get(h, "a"));
  await h.advance(2 * MINUTE);
  assert.equal(get(h, "a"), undefined);
  await h.restart();
  assert.equal(get(h, "a"), undefined);
});

test("what is terminal or deleted is forgotten after expire_terminal_after, whatever the agent did meanwhile", async () => {
  await using h = await harness(orders({ track: "delete_when: has(body.gone)\nstates: { done: { terminal: true } }" }));
  await h.send("feed", [{ id: "a", status: "done" }, { id: "b", status: "x" }, { id: "b", gone: true }]);
  await h.advance(6 * DAY);
  await h.restart(12 * 60 * MINUTE);
  assert.ok(get(h, "a"));
  await h.advance(DAY);
  assert.equal(get(h, "a"), undefined);
  await h.send("feed", { id: "b", status: "x" });
  assert.equal(get(h, "b")!.incarnation, 1, "the deleted one is forgotten");
});

test("nobody's silence counts while nobody listens: downtime and a failing source expire nothing", async () => {
  await using h = await harness(orders({ track: "expire_after: 10m\nstates: { pending: { stuck_after: 5m } }" }));
  await h.send("feed", { id: "a", status: "pending" });
  await h.advance(6 * MINUTE);
  await h.restart(60 * MINUTE);
  await h.advance(9 * MINUTE);
  assert.ok(get(h, "a"));
  h.receiver("feed").failing("broker unreachable");
  await h.advance(60 * MINUTE);
  assert.ok(get(h, "a"));
  h.receiver("feed").failing(undefined);
  await h.advance(9 * MINUTE);
  assert.ok(get(h, "a"));
  assert.deepEqual(h.sent.filter((line) => !line.includes("ReceiverFailing")), ["recorder: FIRING OrderStuckInPending a"]);
  await h.advance(2 * MINUTE);
  assert.equal(get(h, "a"), undefined);
  assert.deepEqual(h.changes.at(-1), "RESOLVED OrderStuckInPending a expired");
});

test("an illegal move is reported even where the source says that the state began long ago", async () => {
  await using h = await harness(orders({ track: "states: { pending: { since: body.created, next: [paid] }, paid: { next: [shipped] } }" }));
  const created = h.clock.now() - 5 * 60 * MINUTE;
  await h.send("feed", [{ id: "o1", status: "pending", created }, { id: "o1", status: "paid" }, { id: "o1", status: "pending", created }]);
  assert.deepEqual(h.sent, ["recorder: FIRING OrderIllegalMove o1"]);
  assert.match(h.alerts[0]!.annotations["summary"]!, /^order o1 moved from \w+ to \w+, which is not allowed$/);
  assert.equal(get(h, "o1")!.state, "pending", "the source is the truth: it is reported, and it moves");
  await h.advance(61 * MINUTE);
  assert.deepEqual(h.changes.at(-1), "RESOLVED OrderIllegalMove o1 timed_out");
});

test("entering a state too often is looping, until the resource is done", async () => {
  await using h = await harness(orders({ track: "states: { retry: { loop_max: 2 }, done: { terminal: true } }" }));
  for (let i = 0; i < 3; i++) await h.send("feed", [{ id: "o1", status: "retry" }, { id: "o1", status: "work" }]);
  assert.deepEqual(h.changes, ["FIRING OrderLooping o1"]);
  await h.restart();
  await h.send("feed", { id: "o1", status: "done" });
  assert.deepEqual(h.changes, ["FIRING OrderLooping o1", "RESOLVED OrderLooping o1 recovered"]);
  await h.send("feed", [{ id: "o1", status: "retry" }, { id: "o1", status: "work" }, { id: "o1", status: "retry" }]);
  assert.equal(h.changes.length, 2, "a new incarnation counts anew");
});

test("states written alike do not take each other's alerts: that is an error with a way out", async () => {
  const two = (more: string) => orders({ track: `states: { in-progress: { stuck_after: 1m${more} }, in_progress: { stuck_after: 1m } }` });
  await assert.rejects(harness(two("")), /agent\.yaml:\d+:\d+ .*two states raise OrderStuckInInProgress; give one another name with `alert`/);
  await using h = await harness(orders({ track: "states: { in-progress: { stuck_after: 1m }, in_progress: { stuck_after: 1m, stuck: { alert: Other } } }" }));
  await h.send("feed", [{ id: "a", status: "in-progress" }, { id: "b", status: "in_progress" }]);
  await h.advance(2 * MINUTE);
  assert.deepEqual(h.changes, ["FIRING OrderStuckInInProgress a", "FIRING Other b"]);
});

test("names of alerts keep letters of any script", () => {
  assert.equal(pascal("payment_failed"), "PaymentFailed");
  assert.equal(pascal("в работе"), "ВРаботе");
  assert.equal(pascal("待付款"), "待付款");
});
