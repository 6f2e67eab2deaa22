import assert from "node:assert/strict";
import test from "node:test";
import { testCommand } from "../../src/cli/test.ts";
import { junitXml } from "../../src/cli/test_runner/junit.ts";
import { components } from "../../src/components.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { workspace } from "../config/support.ts";
import { alerts, order, pending, ran, stuck } from "./test_runner_support.ts";

test("--junit writes a report with the place of each test, and of what failed", async () => {
  const { code, report } = await ran({ "agent.yaml": order([pending("o<1>"), alerts(stuck("o1"))]), "more.yaml": "tests:\n  - { name: 'a & b', steps: [{ expect: { alerts: [] } }] }\n" }, { junit: true });
  assert.equal(code, 1);
  assert.deepEqual(report!.split("\n"), [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites name="sojourn test" tests="2" failures="1" errors="0" skipped="0" time="0.000">',
    '  <testsuite name="agent.yaml" file="agent.yaml" tests="1" failures="1" errors="0" skipped="0" time="0.000">',
    '    <testcase name="orders" classname="agent.yaml" file="agent.yaml" line="13" time="0.000">',
    '      <failure message="agent.yaml:16:9 tests[0].steps[1]: at 2026-01-01T00:00:00Z: expected 1 change of alerts, got 0:" type="failure">'
      + "agent.yaml:16:9 tests[0].steps[1]: at 2026-01-01T00:00:00Z: expected 1 change of alerts, got 0:",
    "  - { alert: OrderStuckInPending, resource: o1, status: firing }",
    "meanwhile:",
    "  threshold/order: self.amount &gt; 100: no such field: self.amount</failure>",
    "    </testcase>",
    "  </testsuite>",
    '  <testsuite name="more.yaml" file="more.yaml" tests="1" failures="0" errors="0" skipped="0" time="0.000">',
    '    <testcase name="a &amp; b" classname="more.yaml" file="more.yaml" line="2" time="0.000"/>',
    "  </testsuite>",
    "</testsuites>",
    "",
  ]);
});

test("an invalid configuration, and having nothing to run, leave no old report behind", async () => {
  const bad = await ran(order(["advance: soon"]), { junit: true });
  assert.equal(bad.code, 78);
  assert.match(bad.report!, /<testsuites name="sojourn test" tests="1" failures="1"[^]*message="agent\.yaml:15:18 tests\[0\]\.steps\[0\]\.advance: &quot;soon&quot; is not a duration/);
  const none = await ran(order([alerts()]), { junit: true, filter: "nobody" });
  assert.equal(none.code, 1);
  assert.match(none.report!, /<testsuites name="sojourn test" tests="0" failures="0" errors="0" skipped="0" time="0\.000">\n<\/testsuites>\n$/);
});

test("a report that cannot be written is a failure: CI would take an old one for the new", async () => {
  await using place = await workspace({ "agent.yaml": order([alerts()]) });
  const err: string[] = [];
  const code = await testCommand({
    sources: [place.directory], env: {}, definitions: components, clock: virtualClock(), junit: place.path("no/such/report.xml"),
    output: { out: () => {}, error: (text) => void err.push(text) },
  });
  assert.equal(code, 1);
  assert.match(err.join("\n"), /the report .*report\.xml cannot be written: ENOENT/);
});

test("whatever a test is called and says, the report stays well-formed", () => {
  const place = { file: `a"b'<&>.yaml`, line: 1, column: 1 };
  const nasty = `]]> <x y="1"> & \u0000\u0008\u001b\ufffe\ud800 \t\r\n é 😀`;
  const xml = junitXml([{ name: nasty, place, tookMs: 1234.5, failure: { message: nasty, lines: [nasty] } }]);
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(xml, /[\u0000-\u0008\u000b-\u001f\ufffe\uffff]/);
  assert.equal(xml, xml.toWellFormed());
  // Everything between tags is text without markup, and every attribute is quoted.
  const tag = /<(?:\?xml version="1\.0" encoding="UTF-8"\?|\/[a-z]+|[a-z]+(?: [a-z]+="[^"<&]*(?:&(?:amp|lt|gt|quot|#9|#10|#13);[^"<&]*)*")*\/?)>/g;
  assert.match(xml.replace(tag, ""), /^[^<>&]*(?:&(?:amp|lt|gt|#13);[^<>&]*)*$/);
  const opened = [...xml.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)].filter(([, , , selfClosing]) => selfClosing === "").map(([, closing, name]) => `${closing}${name}`);
  assert.deepEqual(opened, ["testsuites", "testsuite", "testcase", "failure", "/failure", "/testcase", "/testsuite", "/testsuites"]);
  assert.match(xml, / time="1\.235"| time="1\.234"/);
  assert.match(xml, /é 😀/);
});

test("variables and files that nobody has set do not keep tests from running: something fitting stands in, and it is said once", async () => {
  const yaml = order([pending("o1"), "advance: 30m", alerts(stuck("o1"))])
    .replace("webhook: { listen: 127.0.0.1:0, path: /orders }", 'webhook: { listen: "${LISTEN}", path: "${env:HOOK_PATH}", in_flight_max: "${MAX}", signature: { scheme: standard_webhooks, secrets: ["${env:HOOK_SECRET}"] } }')
    .replace("    rules:", `    notify:
      - slack: { webhook_url: "\${env:SLACK_URL}" }
      - pagerduty: { routing_key: "\${file:/nowhere/key}" }
      - otlp: { endpoint: "\${env:COLLECTOR}/v1", interval: "\${INTERVAL}", headers: { authorization: "Bearer \${TOKEN}" } }
    rules:`);
  const { code, out, err } = await ran(yaml);
  assert.deepEqual([code, out, err], [0, ["ok      orders (0 ms)", "1 test: all ok"],
    ["note: placeholders stand in for what is not set: COLLECTOR, HOOK_PATH, HOOK_SECRET, INTERVAL, LISTEN, MAX, SLACK_URL, TOKEN, file:/nowhere/key"]]);
});
