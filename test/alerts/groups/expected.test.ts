import assert from "node:assert/strict";
import { test } from "node:test";
import { harness, orders, type Harness } from "../../support/agent.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WITHIN = "[{ alert: Silent, expr: self.state == 'ok', expect: { ids: [a, b], within: 1h } }]";
const NIGHTLY = "[{ alert: Missed, expr: self.state == 'ok', expect: { ids: [job], within: 30m, schedule: { cron: '30 2 * * *', timezone: Europe/Berlin } } }]";

function lines(h: Harness): string[] {
  return h.alerts.filter(({ alert }) => alert !== "ReceiverFailing").map(({ status, alert, group, reason }) => [status.toUpperCase(), alert, group!["id"] ?? "any", ...(reason === undefined ? [] : [reason])].join(" "));
}

/** Moves to a time of 2026, in UTC. */
async function until(h: Harness, time: string): Promise<void> {
  await h.clock.advanceTo(Date.parse(`2026-${time}:00Z`));
}

async function ok(h: Harness, id = "job"): Promise<void> {
  await h.send("feed", { id, status: "ok" });
}

test("each of those expected is an alert of its own when it does not come, also one that never came, and ends when it comes", async () => {
  await using h = await harness(orders({ rules: WITHIN }));
  await h.advance(30 * MINUTE);
  await ok(h, "a");
  await h.send("feed", { id: "b", status: "broken" });
  await h.advance(30 * MINUTE - 1);
  assert.deepEqual(lines(h), []);
  await h.advance(1);
  assert.deepEqual(lines(h), ["FIRING Silent b"]);
  assert.deepEqual(h.alerts[0]!.details, { id: "b", expected_by: "2026-01-01T01:00:00.000Z", last_came: null, within: "1h" });
  assert.equal(h.alerts[0]!.annotations["summary"], "b did not come in 1h");
  await ok(h, "b");
  assert.deepEqual(lines(h).slice(1), ["RESOLVED Silent b recovered"]);
  await h.advance(30 * MINUTE);
  assert.deepEqual(lines(h).slice(2), ["FIRING Silent a"]);
});

test("a reload does not begin a silence anew; nor does a restart end an alert or tell of it again", async () => {
  await using h = await harness(orders({ rules: WITHIN }));
  await ok(h, "a");
  await ok(h, "b");
  for (let i = 0; i < 4; i++) {
    await h.advance(14 * MINUTE);
    await h.reload(orders({ rules: WITHIN, receivers: `feed: { mark: m${i} }` }));
  }
  await h.advance(4 * MINUTE);
  assert.deepEqual(lines(h), ["FIRING Silent a", "FIRING Silent b"]);
  await h.restart(10 * MINUTE);
  await h.advance(2 * HOUR);
  assert.equal(lines(h).length, 2);
});

test("downtime is no silence, once: what was silent in the whole run before is not given time again", async () => {
  await using h = await harness(orders({ rules: WITHIN }));
  await h.advance(1);
  await ok(h, "a");
  await ok(h, "b");
  await h.restart(3 * HOUR);
  assert.deepEqual(lines(h), [], "nobody listened");
  await h.advance(40 * MINUTE);
  await ok(h, "a");
  await h.restart(MINUTE);
  await h.advance(19 * MINUTE);
  assert.deepEqual(lines(h), ["FIRING Silent b"]);
  await h.advance(41 * MINUTE);
  assert.deepEqual(lines(h).slice(1), ["FIRING Silent a"]);
});

test("what came while the agent was down and is read on catch-up counts by the time at which it happened", async () => {
  await using h = await harness(orders({ rules: NIGHTLY, receivers: "feed: { behind: true }" }));
  h.receiver("feed").caughtUp();
  await until(h, "01-02T01:20");
  await ok(h);
  await until(h, "01-03T01:00");
  await h.restart(10 * HOUR);
  await h.advance(MINUTE);
  assert.deepEqual(lines(h), [], "held until it has caught up");
  await h.send("feed", { id: "job", status: "ok", at: "2026-01-03T01:20:00Z" });
  h.receiver("feed").caughtUp();
  await h.advance(MINUTE);
  assert.deepEqual(lines(h), []);
  await until(h, "01-04T01:59");
  assert.deepEqual(lines(h), []);
  await h.advance(MINUTE);
  assert.deepEqual(lines(h), ["FIRING Missed job"]);
});

test("a job that must come by a time of the day in its time zone: in time, late, and not at all", async () => {
  await using h = await harness(orders({ rules: NIGHTLY }));
  await until(h, "01-02T01:20");
  await ok(h);
  await until(h, "01-03T02:00");
  assert.deepEqual(lines(h), ["FIRING Missed job"], "at 03:00 in Berlin, half an hour after 02:30");
  assert.deepEqual(h.alerts[0]!.details, { id: "job", expected_by: "2026-01-03T02:00:00.000Z", last_came: "2026-01-02T01:20:00.000Z", schedule: "30 2 * * * Europe/Berlin, 30m late at most" });
  assert.equal(h.alerts[0]!.annotations["summary"], "job did not come by the schedule (30 2 * * *)");
  await until(h, "01-03T10:00");
  await ok(h);
  assert.deepEqual(lines(h).slice(1), ["RESOLVED Missed job recovered"]);
  await until(h, "01-04T02:01");
  assert.deepEqual(lines(h).slice(2), ["FIRING Missed job"], "what came too late on one day is none for the next");
  await h.advance(3 * DAY);
  assert.equal(lines(h).length, 3, "missed again while it fires: it goes on firing");
  await until(h, "01-08T01:25");
  await ok(h);
  assert.deepEqual(lines(h).slice(3), ["RESOLVED Missed job recovered"]);
  await until(h, "01-09T01:59");
  assert.equal(lines(h).length, 4);
});

test("in the nights when clocks change the job is expected once, at the hour that is there", async () => {
  await using h = await harness(orders({ rules: NIGHTLY }));
  await until(h, "03-28T01:29");
  await ok(h);
  // 02:30 is not there: it is expected when the hour after begins, and half an hour later at the latest.
  await until(h, "03-29T01:29");
  assert.deepEqual(lines(h), ["FIRING Missed job", "RESOLVED Missed job recovered"], "it had not come since the rule is there");
  await until(h, "03-29T01:30");
  assert.deepEqual(lines(h).slice(2), ["FIRING Missed job"]);
  await ok(h);
  await until(h, "03-30T00:29");
  await ok(h);
  await until(h, "03-30T23:00");
  assert.deepEqual(lines(h).slice(3), ["RESOLVED Missed job recovered"]);
  await h.restart(0);
  await until(h, "10-24T00:29");
  await ok(h);
  const before = lines(h).length;
  await until(h, "10-25T00:29");
  await ok(h);
  await until(h, "10-26T01:59");
  assert.equal(lines(h).length, before, "the second 02:30 of the night asks for nothing");
  await h.advance(MINUTE);
  assert.deepEqual(lines(h).slice(before), ["FIRING Missed job"]);
});

test("a rule that appears in the middle of a period does not page for what it could not see, nor does a changed schedule", async () => {
  await using h = await harness(orders());
  await until(h, "01-02T01:29");
  await h.reload(orders({ rules: NIGHTLY }));
  await until(h, "01-03T01:00");
  assert.deepEqual(lines(h), []);
  await h.reload(orders({ rules: NIGHTLY.replace("30 2", "10 2") }));
  await until(h, "01-04T01:39");
  assert.deepEqual(lines(h), []);
  await h.advance(MINUTE);
  assert.deepEqual(lines(h), ["FIRING Missed job"]);
  await h.reload(orders({ rules: NIGHTLY.replace("30 2", "0 12") }));
  await h.advance(HOUR);
  assert.equal(lines(h).length, 1, "another schedule is no news of the job");
  await ok(h);
  assert.deepEqual(lines(h).slice(1), ["RESOLVED Missed job recovered"]);
});

test("without ids any resource of the type will do", async () => {
  await using h = await harness(orders({ rules: "[{ alert: Nothing, expect: { within: 10m } }]" }));
  for (const id of ["a", "b", "c"]) {
    await h.advance(9 * MINUTE);
    await ok(h, id);
  }
  assert.deepEqual(lines(h), []);
  await h.advance(10 * MINUTE);
  assert.deepEqual(lines(h), ["FIRING Nothing any"]);
  assert.equal(h.alerts[0]!.annotations["summary"], "Nothing came in 10m");
});

test("while its source cannot be read nothing is missed; read again, it has its time anew", async () => {
  await using h = await harness(orders({ rules: WITHIN.replace("[a, b]", "[a]") }));
  await h.advance(1);
  await ok(h, "a");
  h.receiver("feed").failing("no route");
  await h.advance(5 * HOUR);
  assert.deepEqual(lines(h), []);
  h.receiver("feed").failing(undefined);
  await h.advance(HOUR - 1);
  assert.deepEqual(lines(h), []);
  await h.advance(1);
  assert.deepEqual(lines(h), ["FIRING Silent a"]);
});

test("one that is expected no more ends its alert; the others go on as they were", async () => {
  await using h = await harness(orders({ rules: WITHIN }));
  await h.advance(HOUR);
  assert.equal(lines(h).length, 2);
  await h.reload(orders({ rules: WITHIN.replace("[a, b]", "[b, c]") }));
  assert.deepEqual(lines(h).slice(2), ["RESOLVED Silent a rule_removed"]);
  await h.advance(HOUR);
  assert.deepEqual(lines(h).slice(3), ["FIRING Silent c"]);
});

test("a move may be what is expected; that there was none is no failure", async () => {
  await using h = await harness(orders({ rules: "[{ alert: Idle, expr: transition.to == 'done', expect: { within: 10m } }]" }));
  await h.send("feed", [{ id: "a", status: "x" }, { id: "a", status: "x" }]);
  await h.advance(9 * MINUTE);
  await h.send("feed", { id: "a", status: "done" });
  await h.send("feed", { id: "a", status: "done" });
  await h.advance(9 * MINUTE);
  assert.deepEqual(lines(h), []);
  assert.equal(h.now.own.conditionErrors.series("rule/Idle").value, 0);
});

test("what comes often costs no more because it is expected by a schedule", async () => {
  const yaml = (schedule: string): string => orders({ rules: `[{ alert: Missed, expect: { within: 30m${schedule} } }]` });
  const tookMs = async (of: string): Promise<number> => {
    await using h = await harness(of);
    const batch = Array.from({ length: 2_000 }, (_, i) => ({ id: "a", status: "x", at: h.clock.now() + i }));
    await h.advance(10_000);
    const began = performance.now();
    await h.send("feed", batch);
    return performance.now() - began;
  };
  await tookMs(yaml(""));
  const without = await tookMs(yaml(""));
  const took = await tookMs(yaml(", schedule: { cron: '30 2 * * *', timezone: Europe/Berlin }"));
  assert.ok(took < 3 * without + 100, `${took} ms, ${without} ms without`);
});
