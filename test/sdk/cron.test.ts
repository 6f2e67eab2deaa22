import assert from "node:assert/strict";
import { test } from "node:test";
import { checkSchedule, lastBefore, nextAfter, type Schedule } from "../../src/sdk/cron.ts";

const NIGHTLY: Schedule = { cron: "30 2 * * *", timezone: "Europe/Berlin" };
const HALF_HOURLY: Schedule = { cron: "*/30 * * * *", timezone: "Europe/Berlin" };

/** The next times after `from`, in UTC to the minute. */
function following(schedule: Schedule, from: string, count: number): string[] {
  const times: string[] = [];
  for (let at = Date.parse(from); times.length < count;) {
    at = nextAfter(schedule, at)!;
    times.push(new Date(at).toISOString().slice(0, 16));
  }
  return times;
}

test("every day at 02:30 in Berlin is one hour earlier in UTC from spring on, and comes once on each day of both changes", () => {
  // 02:30 is left out on 29 March: it comes at 03:00 local time. On 25 October it is there twice: the first one counts.
  assert.deepEqual(following(NIGHTLY, "2026-03-27T12:00:00Z", 4), ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30", "2026-03-31T00:30"]);
  assert.deepEqual(following(NIGHTLY, "2026-10-23T12:00:00Z", 4), ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30", "2026-10-27T01:30"]);
});

test("every half hour goes on through the hour that is there twice, and past the one that is not", () => {
  assert.deepEqual(following(HALF_HOURLY, "2026-10-24T23:45:00Z", 5), ["2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30", "2026-10-25T02:00"]);
  assert.deepEqual(following(HALF_HOURLY, "2026-03-29T00:15:00Z", 3), ["2026-03-29T00:30", "2026-03-29T01:00", "2026-03-29T01:30"]);
});

test("the last time before and the next one after are neighbours, to the millisecond, in both directions", () => {
  for (const schedule of [NIGHTLY, HALF_HOURLY, { cron: "0 9 * * 1", timezone: "America/New_York" }]) {
    let at = Date.parse("2026-03-01T00:00:00Z");
    let before: number | undefined;
    for (let i = 0; i < 60; i++) {
      at = nextAfter(schedule, at)!;
      assert.equal(lastBefore(schedule, at), at);
      assert.equal(lastBefore(schedule, at + 1), at);
      if (before !== undefined) assert.equal(lastBefore(schedule, at - 1), before);
      assert.equal(nextAfter(schedule, at - 1), at);
      before = at;
    }
  }
});

test("what is no schedule, or never comes, is said with the key that is wrong", () => {
  for (const [schedule, key] of [
    [{ cron: "30 2 * *", timezone: "UTC" }, "cron"], [{ cron: "61 2 * * *", timezone: "UTC" }, "cron"], [{ cron: "0 0 30 2 *", timezone: "UTC" }, "cron"],
    [{ cron: "* * * * * *", timezone: "UTC" }, "cron"], [{ cron: "30 2 * * *", timezone: "Europe/Berlyn" }, "timezone"],
  ] as const) assert.equal(checkSchedule(schedule)?.key, key, schedule.cron);
  assert.equal(checkSchedule(NIGHTLY), undefined);
});
