import assert from "node:assert/strict";
import test from "node:test";
import { problemsOf, workspace } from "./support.ts";

const service = (text: string): string => `service:\n  ${text}\n`;

test("what is wrong with silences, inhibition and times is told at its place", async () => {
  assert.deepEqual(
    await problemsOf(`service:
  api: { external_url: "ftp://x" }
  silences:
    - { matchers: ["severity = page", "team=~(a"], starts_at: "2026-01-02T00:00:00Z", ends_at: "2026-01-01T00:00:00Z", created_by: ann, comment: maintenance }
    - { matchers: ["team!=db"], ends_at: tomorrow, created_by: ann }
  inhibit_rules:
    - { source_matchers: [alertname], target_matchers: [] }
  time_intervals:
    night: [{ times: [{ start_time: "22:00", end_time: "06:00" }], weekdays: [munday], location: Europe/Berlni }]
    odd: [{ days_of_month: ["0", "5:-1"], months: ["march:january"], years: ["26"] }, {}]
`),
    [
      'a.yaml:2:24 service.api.external_url: "ftp://x" has the wrong form; allowed: text that matches ^https?://[^\\s/?#@]+(?:/[^\\s?#@]*)?$ (Where people reach the API (a proxy in front of it, say): http or https, without credentials and query. With it, messages link to their alerts)',
      'a.yaml:4:39 service.silences[0].matchers[1]: "team=~(a" holds no regular expression: missing closing ): `(a`; allowed: RE2 syntax',
      "a.yaml:4:96 service.silences[0].ends_at: is not after starts_at",
      "a.yaml:5:7 service.silences[1]: comment is missing (Why)",
      "a.yaml:5:9 service.silences[1].matchers: hold for an alert without any labels, so for all; at least one must need a label",
      'a.yaml:5:42 service.silences[1].ends_at: "tomorrow" is not a time; allowed: RFC 3339, such as 2026-01-31T12:00:00Z',
      'a.yaml:7:27 service.inhibit_rules[0].source_matchers[0]: "alertname" is not a matcher; allowed: name=value, name!=value, name=~regex or name!~regex',
      "a.yaml:7:39 service.inhibit_rules[0].target_matchers: must not be empty",
      "a.yaml:9:23 service.time_intervals.night[0].times[0]: 22:00 is not before 06:00; write two intervals for one that spans midnight",
      "a.yaml:9:79 service.time_intervals.night[0].weekdays[0]: munday is not a day of the week; allowed: monday, or monday:friday",
      "a.yaml:9:98 service.time_intervals.night[0].location: Europe/Berlni is not a time zone; allowed: UTC or an IANA name, such as Europe/Berlin",
      "a.yaml:10:29 service.time_intervals.odd[0].days_of_month[0]: 0 is not a day of the month; allowed: 1 to 31, -1 for the last, or 1:5",
      "a.yaml:10:52 service.time_intervals.odd[0].months[0]: march:january ends before it begins; write two entries",
      "a.yaml:10:78 service.time_intervals.odd[0].years[0]: 26 is not a year; allowed: 2026, or 2026:2028",
      "a.yaml:10:87 service.time_intervals.odd[1]: must not be empty; allowed: times, weekdays, days_of_month, months, years, location",
    ],
  );
});

test("two silences of one id are an error", async () => {
  const silence = (id: string): string => `{ id: ${id}, matchers: [a=b], ends_at: "2030-01-01T00:00:00Z", created_by: ann, comment: why }`;
  assert.deepEqual(await problemsOf(service(`silences: [${silence("x")}, ${silence("x")}]`)), [
    "a.yaml:2:112 service.silences[1].id: x is the id of another silence, too",
  ]);
});

test("hostile shapes give errors, not crashes", async () => {
  for (const value of ["3", "[3]", "{ a: 3 }", "{ a: [3] }", "{ a: [{ times: 3 }] }", "{ a: [{ times: [3] }] }", "{ a: [{ location: 3 }] }", "{ a: [{ weekdays: [[]] }] }"]) {
    assert.ok((await problemsOf(service(`time_intervals: ${value}`))).length > 0, value);
  }
  for (const value of ["{}", "[3]", "[{ matchers: 3 }]", "[{ matchers: [3, []] }]", "[{ id: [], ends_at: 3 }]"]) {
    assert.ok((await problemsOf(service(`silences: ${value}`))).length > 0, value);
  }
});

test("what is right is taken, with defaults", async () => {
  await using place = await workspace({ "a.yaml": service(`inhibit_rules: [{ source_matchers: [severity=critical], target_matchers: ['severity=~"warning|info"'] }]
  time_intervals: { night: [{ days_of_month: ["-3:-1"], months: [dec, "1"] }] }`).replace("dec,", "december,") });
  const { wanted, problems } = await place.load({ env: {} });
  assert.deepEqual(problems, []);
  assert.deepEqual(wanted.service.inhibit_rules, [{ source_matchers: ["severity=critical"], target_matchers: ['severity=~"warning|info"'], equal: [] }]);
  assert.deepEqual(wanted.service.time_intervals, { night: [{ days_of_month: ["-3:-1"], months: ["december", "1"], location: "UTC" }] });
});
