import assert from "node:assert/strict";
import test from "node:test";
import { components } from "../../src/components.ts";
import { defineExporter, type AnyDefinition } from "../../src/sdk/component.ts";
import { notificationOptions } from "../../src/sdk/notification_options.ts";
import { alerts, order, paid, pending, ran, stuck, type Ran } from "./test_runner_support.ts";

/** An exporter that says what it would send. */
const pager = defineExporter({
  type: "pager",
  summary: "A pager.",
  stability: "alpha",
  schema: { type: "object", additionalProperties: false, properties: { team: { type: "string" }, ...notificationOptions } },
  create: ({ team = "ops" }) => ({
    deduplicates: true,
    notify: async () => assert.fail("reaches the outside"),
    render: ({ key, alerts: told, status }) => ({
      team, incident: { key, status }, links: [{ href: "https://runbooks.invalid/stuck" }], lines: told.map(({ alert, resource }) => `${alert} of ${resource.id}`), nothing: undefined,
    }) as never,
  }),
});
const definitions: readonly AnyDefinition[] = [...components, pager as unknown as AnyDefinition];

const ORDER = (steps: readonly string[]): string =>
  `${order(steps).replace("    rules:", "    notify: [{ pager: { group_wait: 0s } }]\n    rules:")}\nservice: { receiver_failing: { enabled: false } }\n`;
const POLLED = (steps: readonly string[], more = ""): string => ORDER(steps).replace("webhook: { listen: 127.0.0.1:0, path: /orders }", `http_poll: { url: "http://shop.invalid/orders", each: body.orders, interval: 10s, jitter: 0s${more} }`);

async function run(yaml: string): Promise<Ran> {
  return await ran(yaml, { definitions });
}

async function passes(yaml: string): Promise<void> {
  const { code, out, err } = await run(yaml);
  assert.deepEqual([code, out, err], [0, ["ok      orders (0 ms)", "1 test: all ok"], []]);
}

async function complaint(yaml: string): Promise<string[]> {
  const { code, out, err } = await run(yaml);
  assert.deepEqual([code, out[0], err], [1, "not ok  orders (0 ms)", []]);
  return out.slice(1, -1).map((line) => line.slice(8));
}

const sent = (...list: readonly string[]): string => `expect: { notifications: [${list.join(", ")}] }`;
const polled = (...responses: readonly string[]): string => `mock: { receiver: order, responses: [${responses.join(", ")}] }`;
const body = (...orders: readonly string[]): string => `{ body: { orders: [${orders.map((id) => `{ id: ${id}, status: pending }`).join(", ")}] } }`;
const resource = (id: string, absent = false): string => `expect: { resources: [{ id: ${id}${absent ? ", absent: true" : ""} }] }`;

test("what exporters were sent can be expected, with what the real one would have sent", () =>
  passes(ORDER([
    sent(), pending("o1"), "advance: 30m",
    sent("{ to: pager, status: firing, cause: fired, alerts: [OrderStuckInPending], text: OrderStuckInPending of o1, body: { team: ops, incident: { status: firing }, links: [{ href: 'https://runbooks.invalid/stuck' }] } }"),
    sent(), paid("o1"), "advance: 10m",
    sent("{ to: order, status: resolved, cause: resolved, alerts: [{ alert: OrderStuckInPending, resource: order/o1, reason: recovered }] }"),
  ])));

test("a notification that differs is told as it could be expected", async () => {
  const lines = await complaint(ORDER([
    pending("o1"), "advance: 30m",
    sent("{ to: pager, cause: repeat, alerts: [OrderPaid], body: { team: dev, links: [] }, text: nobody }"),
  ]));
  assert.deepEqual(lines.slice(1, 8), [
    "  - { to: pager/order, cause: repeat, alerts: [OrderPaid], body: { team: dev, links: [] }, text: nobody }",
    `  + { to: pager/order, cause: fired, alerts: [OrderStuckInPending], body: { team: ops, links: [{ href: "https://runbooks.invalid/stuck" }] }, text: ${lines[2]!.split("text: ")[1]}`,
    "      cause: expected repeat, got fired",
    "      alerts[0]: expected OrderPaid, got OrderStuckInPending",
    "      body.team: expected dev, got ops",
    '      body.links: expected [], got [{ href: "https://runbooks.invalid/stuck" }]',
    lines[7]!,
  ]);
});

test("a destination that fails is tried again until it is well; nothing is forgotten, nothing told twice", () =>
  passes(ORDER([
    "fail: { exporter: pager, status: 503 }", pending("o1"), "advance: 1h", sent(), alerts(stuck("o1")),
    "restart: {}", "heal: { exporter: pager }", "advance: 10m", sent("{ status: firing, alerts: [{ resource: o1 }] }"), "advance: 10m", sent(),
  ])));

test("a destination that asks to come back later is not asked before", () =>
  passes(ORDER([
    "fail: { exporter: pager, status: 429, retry_after: 30m }", pending("o1"), "advance: 30m", "heal: { exporter: pager }",
    "advance: 29m", sent(), "advance: 10m", sent("{ to: pager }"),
  ])));

test("what a destination refuses for good goes to the dead letters", () =>
  passes(ORDER([
    "fail: { exporter: pager, permanent: true, error: no such incident }", pending("o1"), "advance: 30m", "heal: { exporter: pager }", "advance: 1d", sent(),
    "expect: { metrics: [{ name: sojourn_dead_letters_total, labels: { component: 'pager/order' }, value: 1 }, { name: sojourn_dead_letters_total, labels: { component: nobody }, absent: true }] }",
  ])));

test("while a receiver fails what it feeds is stale: nothing fires; when it is well, what holds by then does", () =>
  passes(ORDER([
    pending("o1"), "advance: 10m", "fail: { receiver: order, reason: the cable is cut }", "advance: 1h", alerts(),
    "restart: { down: 1m }", "advance: 1h", alerts(), "heal: { receiver: order }", "advance: 1m", pending("o1"), "advance: 1m", alerts(stuck("o1")),
  ])));

test("healing what does not fail, or twice, is a mistake of the test", async () => {
  assert.match((await complaint(ORDER(["heal: { exporter: pager }", alerts()])))[0]!, /^agent\.yaml:16:9 tests\[0\]\.steps\[0\]: .*pager\/order does not fail$/);
  assert.match((await complaint(ORDER(["heal: { receiver: order }", alerts()])))[0]!, /webhook\/order does not fail$/);
});

test("a mocked receiver is the real one: it polls at its interval, reads `each`, and the last answer stays", () =>
  passes(POLLED([
    polled(body("o1"), body("o1", "o2")), resource("o1"), "advance: 9s", resource("o2", true), "advance: 1s", resource("o2"),
    "advance: 20s", "expect: { metrics: [{ name: sojourn_http_polls_total, labels: { result: success }, value: 4 }] }",
    "advance: 30m", alerts(stuck("o1"), stuck("o2")),
  ])));

test("three bad polls make a mocked receiver fail, a good one heals it; the alerts wait meanwhile", () =>
  passes(POLLED([
    polled(body("o1")), "advance: 29m", polled("{ error: connection refused }", "{ status: 500 }", "{ body: '{', headers: { Content-Type: application/json } }"), "advance: 2m", alerts(),
    polled(body("o1")), "advance: 10m", alerts(stuck("o1")),
  ])));

test("the delay of an answer passes on the test's clock; one that takes longer than the timeout is no answer", () =>
  passes(POLLED([
    polled("{ delay: 3s, body: { orders: [{ id: o1, status: pending }] } }"), resource("o1", true), "advance: 3s", resource("o1"),
    polled("{ delay: 1h, body: { orders: [{ id: o2 }] } }"), "advance: 2h", resource("o2", true),
    "expect: { metrics: [{ name: sojourn_http_polls_total, labels: { result: success }, value: 1 }] }",
  ], ", timeout: 5s")));

test("a mock before anything else is there when the agent starts: rules wait for its first answer", () =>
  passes(POLLED([
    polled("{ error: connection refused }", "{ error: connection refused }", "{ body: { orders: [{ id: o1, status: pending, created_at: \"{{ now - duration('2h') }}\" }] } }"),
    alerts(), "advance: 20m", alerts(stuck("o1")), "restart: { down: 1h }", "advance: 1m", alerts(),
  ])));

test("a mocked receiver can fail, and be well again", () =>
  passes(POLLED([
    polled(body("o1")), resource("o1"), "fail: { receiver: http_poll }", "advance: 1h", alerts(), "heal: { receiver: http_poll }", "advance: 10m", alerts(stuck("o1")),
  ])));

test("credentials that lie in files are not needed for mocked answers", () =>
  passes(POLLED([polled(body("o1")), resource("o1")], ", auth: { bearer: { token_file: /nowhere/token } }")));

test("a receiver that asks nobody cannot be mocked, whether the agent runs already or not", async () => {
  const place = (step: number): RegExp => new RegExp(`steps\\[${step}\\]: at 2026-01-01T00:00:00Z: webhook/order asks nobody: there is no answer to mock; use send, or fail$`);
  assert.match((await complaint(ORDER([pending("o1"), polled("{}"), alerts()])))[0]!, place(1));
  assert.match((await complaint(ORDER(["fail: { exporter: pager }", polled("{}"), alerts()])))[0]!, place(1));
});

test("names that nobody has, and templates that are none, are told before anything runs", async () => {
  const shape = await run(ORDER(["fail: { receiver: order, exporter: pager }", "fail: { reason: x }", "heal: { exporter: pager, reason: x }", "heal: {}"]));
  assert.match(shape.err.join("\n"), /heal\.reason: is not known here; allowed: receiver, exporter\n.*heal: must not be empty/);
  const ends = await run(ORDER(["fail: { receiver: order, exporter: pager }", "fail: { reason: x }"]));
  assert.deepEqual([ends.code, ends.err.map((line) => line.replace(/^agent\.yaml:/, ""))], [78, [
    "16:9 tests[0].steps[0].fail: receiver and exporter exclude each other; give one",
    "17:9 tests[0].steps[1].fail: receiver or exporter is missing",
    "2 problems: no test was run",
  ]]);
  const names = await run(ORDER(["fail: { exporter: pagr }", "heal: { receiver: webhok }", "mock: { receiver: order, responses: [{ body: ['{{ now'] }] }", sent("{ to: slack }"), "fail: { receiver: order, status: 503 }"]));
  assert.deepEqual([names.code, names.err.map((line) => line.replace(/^agent\.yaml:/, ""))], [78, [
    "16:27 tests[0].steps[0].fail.exporter: there is no exporter pagr in a pipeline; did you mean pager? (allowed: pager/order)",
    "17:27 tests[0].steps[1].heal.receiver: there is no receiver webhok in a pipeline; did you mean webhook? (allowed: webhook/order)",
    "18:55 tests[0].steps[2].mock.responses[0].body[0]: {{ without }} (text between {{ and }} is an expression; write {{ \"{{\" }} for the characters)",
    "19:41 tests[0].steps[3].expect.notifications[0].to: there is no exporter slack in a pipeline; allowed: pager/order",
    "20:42 tests[0].steps[4].fail.status: belongs to exporter, not to receiver",
    "5 problems: no test was run",
  ]]);
});

test("a poll of mocked answers takes what a poll takes: a simulated day of them no second", async () => {
  const cpu = async (hours: number): Promise<number> => {
    const begin = process.cpuUsage();
    await passes(POLLED([polled(body("o1")), `advance: ${hours}h`, alerts(stuck("o1")), `expect: { metrics: [{ name: sojourn_http_polls_total, value: ${hours * 360 + 1} }] }`]));
    const { user, system } = process.cpuUsage(begin);
    return (user + system) / 1_000;
  };
  // The first warms up; a real timer for each of 8,640 polls would take 10 s at least.
  await cpu(1);
  const ms = await cpu(24);
  assert.ok(ms < 5_000, `${ms} ms of processor time`);
});

test("what is missing stands beside what it was meant for, also among many; what is told every minute is news once", async () => {
  const yaml = ORDER([pending("o1"), "advance: 40m", sent("{ to: pager, cause: changed }", "{ to: slack, text: nobody }")])
    .replace("[{ pager: { group_wait: 0s } }]", "[{ pager: {} }, { alertmanager: { urls: ['http://am.invalid'] } }]");
  const { out } = await run(yaml.replace("to: slack", "to: order/none"));
  assert.deepEqual(out, []);
  const lines = await complaint(yaml.replace(", { to: slack, text: nobody }", ", { to: alertmanager, status: resolved }"));
  assert.deepEqual(lines.slice(1, 7), [
    "  - { to: alertmanager/order, status: resolved }",
    "  + { to: alertmanager/order, status: firing }   # 2026-01-01T00:30:00Z",
    "      status: expected resolved, got firing",
    "  - { to: pager/order, cause: changed }",
    "  + { to: pager/order, cause: fired }   # 2026-01-01T00:30:00Z",
    "      cause: expected changed, got fired",
  ]);
});
