import assert from "node:assert/strict";
import { test } from "node:test";
import { harness, orders, type Harness } from "../../support/agent.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function lines(h: Harness): string[] {
  return h.alerts.filter(({ alert }) => alert !== "ReceiverFailing").map(({ status, alert }) => `${status.toUpperCase()} ${alert}`);
}

/** Rules behind no track. */
function untracked(rules: string): string {
  return orders({ rules }).replace("[track/order, threshold/order]", "[threshold/order]");
}

const QUIET = "[{ alert: Quiet, window: { count: body.n > 1, over: 1h }, expr: value < 3 }]";
const RISING = "[{ alert: Rising, window: { count: true, over: 10m, earlier: 10m }, expr: value > 5 && value > 2 * earlier }]";

async function steady(h: Harness, minutes: number): Promise<void> {
  for (let i = 0; i < minutes; i++) {
    await h.send("feed", { n: 3 });
    await h.advance(MINUTE);
  }
}

test("too little in a window is said when the window has been listened to: not of a new rule, nor of one that counts something else now", async () => {
  await using h = await harness(untracked(QUIET));
  await steady(h, 1);
  await h.advance(58 * MINUTE);
  assert.deepEqual(lines(h), []);
  await h.advance(MINUTE);
  assert.deepEqual(lines(h), ["FIRING Quiet"]);
  await steady(h, 90);
  assert.deepEqual(lines(h), ["FIRING Quiet", "RESOLVED Quiet"]);
  await h.reload(untracked(QUIET.replace("n > 1", "n > 2")));
  await steady(h, 90);
  assert.equal(lines(h).length, 2);
});

test("too much is said at once, also of a new rule", async () => {
  await using h = await harness(untracked("[{ alert: Many, window: { count: true, over: 1h }, expr: value > 2 }]"));
  await h.send("feed", [{}, {}, {}]);
  assert.deepEqual(lines(h), ["FIRING Many"]);
});

test("while the agent was down nothing was silent; a short interruption delays nothing", async () => {
  for (const [downMs, quietAfterMs] of [[2 * HOUR, HOUR], [10_000, HOUR - MINUTE]] as const) {
    await using h = await harness(untracked(QUIET));
    await steady(h, 90);
    await h.restart(downMs);
    await h.send("feed", { n: 3 });
    // Three of an hour are enough: the last two of before, and this one.
    await h.advance(quietAfterMs - 3 * MINUTE);
    assert.deepEqual(lines(h), [], `${downMs}`);
    await h.advance(4 * MINUTE);
    assert.deepEqual(lines(h), ["FIRING Quiet"], `${downMs}`);
  }
});

test("what is compared with earlier is not compared with the agent's downtime, nor with that of its source", async () => {
  for (const interrupt of [(h: Harness) => h.restart(HOUR), async (h: Harness) => {
    h.receiver("feed").failing("unreachable");
    await h.advance(HOUR);
    h.receiver("feed").failing(undefined);
  }]) {
    await using h = await harness(untracked(RISING));
    await steady(h, 60);
    await interrupt(h);
    await steady(h, 60);
    assert.deepEqual(lines(h), []);
    await h.send("feed", Array.from({ length: 15 }, () => ({})));
    assert.deepEqual(lines(h), ["FIRING Rising"]);
  }
});

test("what a source still has of the time when the agent was down is compared with", async () => {
  await using h = await harness(orders({ rules: RISING }));
  const seen = async (agoMs: number): Promise<void> => h.send("feed", { id: "a", status: "x", at: h.clock.now() - agoMs });
  for (let i = 0; i < 60; i++) {
    await seen(0);
    await h.advance(MINUTE);
  }
  await h.restart(20 * MINUTE);
  for (let ago = 20; ago > 0; ago--) await seen(ago * MINUTE);
  for (let i = 0; i < 6; i++) await seen(0);
  assert.deepEqual(lines(h), []);
  for (let i = 0; i < 12; i++) await seen(0);
  assert.deepEqual(lines(h), ["FIRING Rising"]);
});

test("resources are compared with what they were when the receivers had caught up, not with what was there before", async () => {
  await using h = await harness(orders({ rules: "[{ alert: More, aggregate: { count: true, earlier: 1h }, expr: value > 2 * earlier }]", receivers: "feed: { behind: true }" }));
  await h.advance(3 * MINUTE);
  await h.send("feed", [{ id: "a", status: "x" }, { id: "b", status: "x" }]);
  h.receiver("feed").caughtUp();
  await h.advance(2 * HOUR);
  assert.deepEqual(lines(h), []);
});

test("what an aggregate was earlier is forgotten when nobody asks for it any more", async () => {
  const rules = (earlier: string): string => orders({ rules: `[{ alert: Many, aggregate: { count: true${earlier} }, expr: value > 100 }]` });
  await using h = await harness(rules(", earlier: 10m"));
  await h.advance(10 * MINUTE);
  await h.reload(rules(""));
  await h.advance(MINUTE);
  const names: unknown[] = [];
  await h.store.load({ name: "rule_memory", columns: [["type", "text"], ["rule", "text"], ["name", "text"], ["value", "json"]], keyColumns: 3 }, (cells) => names.push(...cells.filter((_, i) => i % 4 === 2)));
  assert.ok(names.length > 0 && !names.some((name) => String(name).startsWith("sample:")), names.join(" "));
});
