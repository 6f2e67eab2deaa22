import assert from "node:assert/strict";
import { test } from "node:test";
import { harness, orders, type Harness } from "../../support/agent.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function lines(h: Harness): string[] {
  return h.alerts.filter(({ alert }) => alert !== "ReceiverFailing").map(({ status, alert }) => `${status.toUpperCase()} ${alert}`);
}

/** Rules behind no track. */
function untracked(rules: string): string {
  return orders({ rules }).replace("[track/order, threshold/order]", "[threshold/order]");
}

test("a clock that is set back delays no alert about many resources", async () => {
  await using h = await harness(orders({ rules: "[{ alert: Many, aggregate: { count: self.state == 'pending' }, expr: value > 1, for: 5m }]" }));
  await h.send("feed", { id: "a", status: "pending" });
  h.clock.step(-5 * HOUR);
  await h.advance(MINUTE);
  await h.send("feed", { id: "b", status: "pending" });
  await h.advance(MINUTE);
  h.clock.step(-5 * HOUR);
  await h.advance(4 * MINUTE);
  assert.deepEqual(lines(h), ["FIRING Many"]);
});

test("a clock that is set back delays nothing that is expected, in the run or after a restart", async () => {
  const within = "[{ alert: Silent, expect: { ids: [a], within: 1h } }]";
  for (const restarts of [false, true]) {
    await using h = await harness(orders({ rules: within }));
    await h.advance(1);
    await h.send("feed", { id: "a", status: "ok" });
    if (restarts) await h.restart(-5 * HOUR);
    else h.clock.step(-5 * HOUR);
    await h.advance(HOUR - MINUTE);
    assert.deepEqual(lines(h), []);
    await h.advance(2 * MINUTE);
    assert.deepEqual(lines(h), ["FIRING Silent"]);
  }
});

test("what came by a clock that ran days ahead does not meet the schedule of the days that come", async () => {
  await using h = await harness(orders({ rules: "[{ alert: Missed, expect: { ids: [a], within: 1h, schedule: { cron: '30 2 * * *' } } }]" }));
  await h.restart(10 * DAY);
  await h.send("feed", { id: "a", status: "ok" });
  const before = lines(h).length;
  await h.restart(-10 * DAY);
  await h.advance(3 * DAY);
  assert.equal(lines(h).slice(before).at(-1), "FIRING Missed");
});

test("a window holds what it held when the clock is set back, and no longer, in the run or after a restart", async () => {
  for (const restarts of [false, true]) {
    await using h = await harness(untracked("[{ alert: Many, window: { count: true, over: 5m }, expr: value > 2 }]"));
    await h.send("feed", [{}, {}]);
    await h.advance(2 * MINUTE);
    await h.send("feed", [{}, {}]);
    assert.deepEqual(lines(h), ["FIRING Many"]);
    if (restarts) await h.restart(-5 * HOUR);
    else h.clock.step(-5 * HOUR);
    await h.advance(MINUTE);
    assert.deepEqual(lines(h), ["FIRING Many"]);
    await h.advance(3 * MINUTE);
    assert.deepEqual(lines(h), ["FIRING Many", "RESOLVED Many"]);
    await h.advance(2 * MINUTE);
    await h.send("feed", [{}, {}]);
    assert.equal(lines(h).length, 2);
  }
});

test("a machine that was asleep missed nothing that was expected: it has its time anew", async () => {
  await using h = await harness(orders({ rules: "[{ alert: Silent, expect: { ids: [a], within: 1h } }]" }));
  await h.advance(1);
  await h.send("feed", { id: "a", status: "ok" });
  await h.advance(10 * MINUTE);
  h.clock.step(8 * HOUR);
  await h.advance(50 * MINUTE);
  assert.deepEqual(lines(h), []);
  await h.advance(11 * MINUTE);
  assert.deepEqual(lines(h), ["FIRING Silent"]);
});
