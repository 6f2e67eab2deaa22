import assert from "node:assert/strict";
import test from "node:test";
import { testSchema } from "../../src/config/tests_schema.ts";
import { alerts, order, paid, pending, ran, stuck } from "./test_runner_support.ts";

const notifying = (steps: readonly string[], exporter: string): string => order(steps).replace("    rules:", `    notify: [${exporter}]\n    rules:`);
const TRACES = "{ otlp: { endpoint: 'http://collector.invalid:4318', metrics: { enabled: false } } }";
const spans = (...list: readonly string[]): string => `expect: { spans: [${list.join(", ")}] }`;

async function passes(yaml: string): Promise<void> {
  const { code, out, err } = await ran(yaml);
  assert.deepEqual([code, out, err], [0, ["ok      orders (0 ms)", "1 test: all ok"], []]);
}

async function complaint(yaml: string): Promise<string[]> {
  const { code, out, err } = await ran(yaml);
  assert.deepEqual([code, out[0], err], [1, "not ok  orders (0 ms)", []]);
  return out.slice(1, -1).map((line) => line.slice(8));
}

test("the example of the reference does what it says", () =>
  passesAs(`
receivers: { http_poll/orders: { url: "\${env:SHOP_URL}/orders", each: body.orders } }
processors: { track/order: { type: order, id: body.id, state: body.status, states: { pending: { stuck_after: 30m } } } }
exporters: { pagerduty: { routing_key: "\${env:PAGERDUTY_KEY}" } }
service: { pipelines: { orders: { receivers: [http_poll/orders], processors: [track/order], exporters: [pagerduty] } } }
tests: ${JSON.stringify(testSchema["examples"])}
`));

async function passesAs(yaml: string): Promise<void> {
  const { code, out, err } = await ran(yaml);
  assert.deepEqual([code, out.length, err], [0, 2, ["note: placeholders stand in for what is not set: PAGERDUTY_KEY, SHOP_URL"]], out.join("\n"));
}

test("the spans of a resource's life can be expected as exporters are sent them", () =>
  passes(notifying([
    pending("o1"), spans("{ to: otlp, name: created, resource: order/o1, duration_seconds: 0 }"),
    "advance: 30m", spans(), paid("o1"),
    spans("{ name: pending, resource: { type: order, id: o1 }, incarnation: 1, start: 2026-01-01T01:00:00+01:00, duration_seconds: 1800, attributes: {} }"),
    "restart: {}", spans(), "fail: { exporter: otlp, status: 503 }", "send: { to: order, body: { id: o1, status: sent } }", spans(),
    "heal: { exporter: otlp }", "advance: 10m", spans("{ name: paid }"),
  ], TRACES)));

test("a span that differs is told as it could be expected", async () => {
  const lines = await complaint(notifying([pending("o1"), paid("o1"), spans("{ name: created, resource: o1 }", "{ name: pending, resource: o1, duration_seconds: 5 }")], TRACES));
  assert.deepEqual(lines.slice(0, 5), [
    "agent.yaml:18:9 tests[0].steps[2]: at 2026-01-01T00:00:00Z: expected 2 spans, got 2, but not these:",
    "    { name: created, resource: o1 }",
    "  - { name: pending, resource: o1, duration_seconds: 5 }",
    "  + { name: pending, resource: o1, duration_seconds: 0 }   # 2026-01-01T00:00:00Z",
    "      duration_seconds: expected 5, got 0",
  ]);
});

test("an alert that fires can be acknowledged; one that does not, or several, cannot", async () => {
  await passes(order([pending("o1"), pending("o2"), "advance: 30m", "acknowledge: { resource: o1 }", alerts(stuck("o1"), stuck("o2")), paid("o1"), alerts(stuck("o1", "resolved"))]));
  assert.match((await complaint(order([pending("o1"), pending("o2"), "advance: 30m", "acknowledge: { alert: OrderStuckInPending }", alerts()])))[0]!,
    /steps\[3\]: at 2026-01-01T00:30:00Z: acknowledge: several alerts are like this; there is OrderStuckInPending of order\/o1, OrderStuckInPending of order\/o2$/);
  assert.match((await complaint(order(["acknowledge: { alert: OrderStuckInPending }", alerts()])))[0]!, /acknowledge: no alert that fires is like this; there is none$/);
});

test("what is silenced fires, and nobody is told; matchers are checked where they are written", async () => {
  await passes(notifying([
    "silence: { matchers: [alertname=OrderStuckInPending], for: 2h }", pending("o1"), "advance: 30m", alerts(stuck("o1")), "expect: { notifications: [] }",
    "advance: 1h", paid("o1"), alerts(stuck("o1", "resolved")), "advance: 1d", "expect: { notifications: [] }",
  ], "{ slack: { webhook_url: 'https://hooks.slack.invalid/T/B/x' } }"));
  const { code, err } = await ran(order(["silence: { matchers: [alertname], for: 2h }", alerts()]));
  assert.equal(code, 78);
  assert.match(err[0]!, /^agent\.yaml:15:\d+ tests\[0\]\.steps\[0\]\.silence\.matchers\[0\]: "?alertname"? is not a matcher/);
});
