import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { alerts, order, paid, pending, ran, stuck } from "./test_runner_support.ts";

/** The steps do what they say. */
async function passes(steps: readonly string[], rules: readonly string[] = []): Promise<void> {
  const { code, out, err } = await ran(order(steps, rules));
  assert.deepEqual([code, out, err], [0, ["ok      orders (0 ms)", "1 test: all ok"], []]);
}

/** What a failing test says, without its first and last line. */
async function complaint(steps: readonly string[], rules: readonly string[] = []): Promise<string[]> {
  const { code, out, err } = await ran(order(steps, rules));
  assert.deepEqual([code, out[0], out.at(-1), err], [1, "not ok  orders (0 ms)", "1 test: 0 ok, 1 not ok", []]);
  return out.slice(1, -1).map((line) => line.slice(8));
}

test("the long form with its test runs as it stands in the design", async () => {
  const yaml = await readFile(new URL("design.yaml", import.meta.url), "utf8");
  const env = { SHOP_URL: "http://shop.invalid", HOOK_SECRET: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SLACK_WEBHOOK_URL: "https://hooks.slack.invalid/T/B/x" };
  const { code, out, err } = await ran(yaml, { env });
  assert.deepEqual([code, out, err], [0, ["ok      a stuck order pages once and resolves (0 ms)", "1 test: all ok"], []]);
});

test("send, advance and expect: each change is told once, in order", () =>
  passes([
    pending("o1"), pending("o2"), alerts(), "advance: 29m59s", alerts(), "advance: 1s", alerts(stuck("o1"), stuck("o2")),
    "advance: 1h", alerts(), paid("o2"), paid("o1"), alerts(stuck("o2", "resolved"), stuck("o1", "resolved")),
  ]));

test("deadlines fire in the order of their times, whatever the order of their causes", () =>
  passes([
    "send: { to: order, body: { id: late, status: pending, amount: 500 } }",
    `send: { to: order, body: { id: early, status: pending, created_at: "{{ now - duration('28m') }}" } }`,
    "advance: 2d",
    alerts("{ alert: OrderStuckInPending, resource: early }", "{ alert: Large, resource: late }", "{ alert: OrderStuckInPending, resource: late }"),
  ]));

test("a test begins at its first `at`; later ones let time pass until then, and deadlines on the way fire", () =>
  passes([
    "at: 2001-02-03T04:05:06+02:00",
    "send: { to: order, body: { id: o1, status: pending, created_at: 2001-02-03T02:00:00Z } }",
    "at: 2001-02-03T02:29:59Z", alerts(), "at: 2001-02-03T02:30:00Z", alerts(stuck("o1")),
  ]));

test("time does not go back", async () => {
  assert.deepEqual(await complaint(["at: 2026-05-01T00:00:00Z", "at: 2026-04-01T00:00:00Z", alerts()]),
    ["agent.yaml:16:9 tests[0].steps[1]: at 2026-05-01T00:00:00Z: at: 2026-04-01T00:00:00Z is in the past: time only goes forward"]);
});

test("a time without an offset, and one beyond the calendar, are refused", async () => {
  assert.match((await complaint(["at: 2026-05-01T00:00:00", alerts()]))[0]!, /at: "2026-05-01T00:00:00" is not a time; allowed: RFC 3339 with Z or an offset/);
  assert.match((await complaint([pending("o1"), "advance: 9000000d", alerts()]))[0]!, /steps\[1\]: at 2026-01-01T00:00:00Z: time would pass beyond the year 9999/);
  assert.match((await complaint(["restart: { down: 9000000d }", alerts()]))[0]!, /time would pass beyond the year 9999/);
});

test("a restart keeps since when something is stuck, pending and firing alerts, and tells nobody twice", () =>
  passes([
    pending("o1"), "send: { to: order, body: { id: big, status: new, amount: 500 } }", "advance: 4m",
    "restart: { down: 30s }", alerts(), "advance: 30s", alerts("{ alert: Large, resource: big, status: firing }"),
    "restart: {}", alerts(), "restart: { down: 1h }", alerts(stuck("o1")), "restart: { down: 1h }", "advance: 1h", alerts(),
    "send: { to: order, body: { id: big, amount: 5, status: new } }", paid("o1"),
    alerts("{ alert: Large, resource: big, status: resolved, reason: recovered }", stuck("o1", "resolved")),
  ]));

test("what is due while the agent is down is told when it is back, not before", () =>
  passes([
    pending("o1"), "restart: { down: 45m }",
    "expect: { alerts: [{ alert: OrderStuckInPending, resource: { type: order, id: o1 }, status: firing }] }",
  ]));

test("a redelivery with the id of one before changes nothing, also after a restart", () =>
  passes([
    "send: { to: order, id: d1, body: { id: o1, status: pending } }", paid("o1"), "send: { to: order, id: d1, body: { id: o1, status: pending } }",
    "expect: { resources: [{ id: o1, state: paid }] }", "restart: {}", "send: { to: order, id: d1, body: { id: o1, status: pending } }",
    "expect: { resources: [{ type: order, id: o1, state: paid }] }",
  ]));

test("texts in a body may compute; a time becomes RFC 3339", () =>
  passes([
    "advance: 90m", `send: { to: order, body: { id: "o{{ 1 + 1 }}", status: pending, created_at: "{{ now - duration('35m') }}" } }`, alerts(stuck("o2")),
    `send: { to: order, body: { id: '{{ "{{" }}', status: "{{ now }}" } }`, "expect: { resources: [{ id: '{{', state: 2026-01-01T01:30:00Z }] }",
  ]));

test("resources and metrics can be expected as they are now", () =>
  passes([
    "send: { to: order, body: { id: o1, status: failed, amount: 7 } }", "advance: 1h", paid("o1"),
    "expect: { resources: [{ id: o1, state: paid, incarnation: 2, attributes: { amount: 7 } }, { id: o2, absent: true }] }",
    "expect: { metrics: [{ name: custom_resources, labels: { type: order, state: paid }, value: 1 }, " +
      "{ name: custom_resource_time_in_state_seconds_sum, labels: { state: failed }, value: 3600 }, { name: custom_resource_time_in_state_seconds_count, value: 1 }] }",
    alerts("{ status: firing }", "{ status: resolved }"),
  ]));

test("an expect without alerts leaves the changes to the next that has them", () =>
  passes([pending("o1"), "advance: 30m", "expect: { resources: [{ id: o1 }] }", alerts(stuck("o1"))]));

test("every key of an expected alert is compared, and only those given", () =>
  passes([
    "send: { to: order, body: { id: o1, status: new, amount: 500 } }", "advance: 5m",
    alerts("{ alert: Large, rule: Large, status: firing, resource: order/o1, type: order, severity: warning, labels: { resource_type: order }, " +
      "annotations: { summary: worth 500 }, summary: worth 500 }"),
    "send: { to: order, body: { id: o2, status: failed } }", alerts("{ value: failed, resource: { id: o2 } }"),
  ]));

test("what differs is written as it could be expected", async () => {
  assert.deepEqual(await complaint([
    "send: { to: order, body: { id: o1, status: failed } }", "send: { to: order, body: { id: o2, status: failed } }", pending("o3"), "advance: 30m",
    alerts("{ alert: OrderFailed, resource: o1, severity: warning, labels: { state: failed } }", "{ alert: OrderFailed, resource: o2 }"),
  ]), [
    "agent.yaml:19:9 tests[0].steps[4]: at 2026-01-01T00:30:00Z: expected 2 changes of alerts, got 3:",
    "  - { alert: OrderFailed, resource: o1, severity: warning, labels: { state: failed } }",
    "  + { alert: OrderFailed, resource: o1, severity: critical, labels: { state: failed } }   # 2026-01-01T00:00:00Z",
    "      severity: expected warning, got critical",
    "    { alert: OrderFailed, resource: o2 }",
    "  + { alert: OrderStuckInPending, resource: o3, status: firing }   # 2026-01-01T00:30:00Z",
    "meanwhile:",
    "  threshold/order: self.amount > 100: no such field: self.amount",
  ]);
});

test("a missing change, and what resources and metrics lack, are said", async () => {
  assert.deepEqual(await complaint([
    "send: { to: order, body: { id: o1, status: paid, amount: 3 } }",
    "expect: { alerts: [{ alert: Large, value: [1] }], resources: [{ id: o1, state: pending, attributes: { amount: 4, color: red } }, { id: o2 }, { id: o1, absent: true }], " +
      "metrics: [{ name: custom_resources, labels: { state: paid }, value: 2 }, { name: custom_resources, value: 1 }, { name: nope, value: 1 }] }",
  ]), [
    "agent.yaml:16:9 tests[0].steps[1]: at 2026-01-01T00:00:00Z: expected 1 change of alerts, got 0:",
    "  - { alert: Large, value: [1] }",
    "  resource o1: state: expected pending, got paid",
    "  resource o1: attributes.amount: expected 4, got 3",
    "  resource o1: attributes.color: expected red, got nothing",
    "  resource o2: there is none",
    "  resource o1: expected none, got one in state paid",
    "  metric custom_resources{ state: paid }: expected 2, got 1",
    "  metric custom_resources: 3 series have these labels, give more: { type: order, state: pending }, { type: order, state: failed }, { type: order, state: paid }",
    "  metric nope: there is no such series",
  ]);
});

test("of a storm only what differs is shown, bounded", async () => {
  const many = Array.from({ length: 200 }, (_, i) => pending(`o${i}`));
  const lines = await complaint([...many, "advance: 30m", alerts(...Array.from({ length: 199 }, (_, i) => `{ resource: o${i} }`))]);
  assert.deepEqual(lines.slice(1, 5), ["    { resource: o0 }", "    … 197 more as expected", "    { resource: o198 }", "  + { alert: OrderStuckInPending, resource: o199, status: firing }   # 2026-01-01T00:30:00Z"]);
  const none = await complaint([...many, "advance: 30m", alerts()]);
  assert.equal(none.filter((line) => line.startsWith("  + ")).length, 59);
  assert.ok(none.includes("  … and 141 lines more"), none.at(-2));
});

test("what components complain of is shown with the failure, once each", async () => {
  const lines = await complaint([
    "send: { to: order, body: { status: pending } }", "send: { to: order, body: { status: pending } }",
    "expect: { resources: [{ id: o1 }] }",
  ]);
  assert.deepEqual(lines.slice(1), ["meanwhile:", "  track/order: id: no such field: body.id"]);
});
