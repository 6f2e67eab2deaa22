import assert from "node:assert/strict";
import { test } from "node:test";
import { compileInterval, intervalErrors, type TimeIntervalConfig } from "../../src/sdk/time_intervals.ts";

const at = (part: TimeIntervalConfig, time: string): boolean => compileInterval([part]).contains(Date.parse(time));

test("times of day: the begin belongs to it, the end does not; 24:00 is the end of the day", () => {
  const office = { times: [{ start_time: "09:00", end_time: "17:00" }] };
  assert.deepEqual(["08:59:59", "09:00:00", "16:59:59", "17:00:00"].map((time) => at(office, `2026-03-04T${time}Z`)), [false, true, true, false]);
  assert.ok(at({ times: [{ start_time: "22:00", end_time: "24:00" }] }, "2026-03-04T23:59:59Z"));
});

test("days of the week, months and years are ranges with both ends", () => {
  const weekdays = { weekdays: ["monday:friday", "sunday"] };
  assert.deepEqual([2, 6, 7, 8].map((day) => at(weekdays, `2026-03-0${day}T12:00:00Z`)), [true, true, false, true]);
  assert.ok(at({ months: ["january:march"] }, "2026-03-31T23:00:00Z"));
  assert.ok(!at({ months: ["1:2"] }, "2026-03-31T23:00:00Z"));
  assert.ok(at({ years: ["2026:2027"] }, "2027-12-31T23:00:00Z"));
  assert.ok(!at({ years: ["2026"] }, "2027-01-01T00:00:00Z"));
});

test("negative days count from the end of the month, leap years included", () => {
  const last = { days_of_month: ["-1"] };
  assert.ok(at(last, "2028-02-29T12:00:00Z"));
  assert.ok(!at(last, "2028-02-28T12:00:00Z"));
  assert.ok(at(last, "2026-02-28T12:00:00Z"));
  const most = { days_of_month: ["2:-2"] };
  assert.deepEqual(["01", "02", "29", "30"].map((day) => at(most, `2026-04-${day}T12:00:00Z`)), [false, true, true, false]);
  assert.ok(!at({ days_of_month: ["31"] }, "2026-04-30T12:00:00Z"));
});

test("the clock is the one on the wall there, also when it is set to summer time and back", () => {
  const night = { times: [{ start_time: "02:00", end_time: "03:00" }], location: "Europe/Berlin" };
  // On 29 March 2026 there is no 02:30 in Berlin: 01:00Z is 03:00.
  assert.deepEqual(["00:59", "01:00", "01:30"].map((time) => at(night, `2026-03-29T${time}:00Z`)), [false, false, false]);
  // On 25 October there are two of them.
  assert.deepEqual(["23:59", "00:00", "00:30", "01:30", "02:00"].map((time) => at(night, `2026-10-2${time === "23:59" ? 4 : 5}T${time}:00Z`)), [false, true, true, true, false]);
  const office = { times: [{ start_time: "09:00", end_time: "17:00" }], location: "Europe/Berlin" };
  assert.ok(at(office, "2026-01-15T08:00:00Z") && !at(office, "2026-01-15T07:59:00Z"), "winter");
  assert.ok(at(office, "2026-07-15T07:00:00Z") && !at(office, "2026-07-15T06:59:00Z"), "summer");
  assert.ok(at({ weekdays: ["monday"], location: "Pacific/Auckland" }, "2026-03-01T12:00:00Z"), "there it is Monday already");
  assert.ok(at({ times: [{ start_time: "05:45", end_time: "05:46" }], location: "Asia/Kathmandu" }, "2026-03-01T00:00:00Z"));
});

test("all that an interval names must hold; of several intervals one", () => {
  const both = compileInterval([{ weekdays: ["saturday"], times: [{ start_time: "00:00", end_time: "12:00" }] }, { weekdays: ["sunday"] }]);
  assert.deepEqual(["07T06", "07T13", "08T13"].map((time) => both.contains(Date.parse(`2026-03-${time}:00:00Z`))), [true, false, true]);
});

test("everything wrong is found, at its place", () => {
  const errors = intervalErrors([{ weekdays: ["mon"], days_of_month: ["-1:1", "32", "5:3"] }, { times: [{ start_time: "9:00", end_time: "24:01" }], months: ["0", "a:b:c"], location: "Nowhere" }]);
  assert.deepEqual(errors.map(({ pointer }) => pointer), [
    "/0/weekdays/0", "/0/days_of_month/0", "/0/days_of_month/1", "/0/days_of_month/2", "/1/times/0", "/1/months/0", "/1/months/1", "/1/location",
  ]);
});
