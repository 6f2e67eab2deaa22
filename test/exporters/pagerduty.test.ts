import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { inspect } from "node:util";
import { pagerduty } from "../../exporters/pagerduty.ts";
import type { Alert } from "../../src/sdk/alert.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { ConfigError, PermanentError, RetryLaterError } from "../../src/sdk/errors.ts";
import { alertOf, failureOf, notificationOf, resolvedOf } from "../support/alert.ts";
import { exporterContext } from "../support/context.ts";
import { fakePagerDuty, type FakePagerDuty } from "../support/fake_pagerduty.ts";
import type { Failure } from "../support/scripted_server.ts";

const KEY = "secret0123456789abcdef0123456789";

async function setUp(t: TestContext, routing_key = KEY): Promise<{ fake: FakePagerDuty; send(...alerts: Alert[]): Promise<unknown> }> {
  const fake = await fakePagerDuty();
  const { context } = exporterContext({ clock: realClock, externalLabels: { cluster: "eu-1" } });
  const exporter = pagerduty.create({ routing_key, url: fake.url }, context);
  t.after(async () => {
    await exporter.stop!();
    await fake.close();
  });
  return { fake, send: (...alerts) => exporter.notify!(notificationOf(...alerts), AbortSignal.timeout(5_000)) };
}

const failure = (send: Promise<unknown>): Promise<Error> => failureOf(send, KEY);

test("a firing alert is a trigger with everything that whoever is paged needs", async (t) => {
  const { fake, send } = await setUp(t);
  await send(alertOf());
  assert.deepEqual(fake.refused, []);
  assert.deepEqual(fake.events, [{
    routing_key: KEY,
    event_action: "trigger",
    dedup_key: "sojourn/eu-1/OrderStuckInPending/order/o1",
    client: "Sojourn",
    payload: {
      summary: "Order o1 has been pending for 30m",
      source: "order/o1",
      severity: "critical",
      timestamp: "2026-01-01T03:02:00.000Z",
      component: "order",
      group: "eu-1",
      class: "OrderStuckInPending",
      custom_details: {
        details: { state: "pending", since: "2026-01-01T02:32:00.000Z", limit: "30m" },
        value: "pending",
        active_at: "2026-01-01T02:32:00.000Z",
        labels: { alertname: "OrderStuckInPending", resource_type: "order", severity: "critical", state: "pending", team: "checkout" },
        annotations: { summary: "Order o1 has been pending for 30m" },
      },
    },
  }]);
});

test("one episode is one incident, however often it is sent; the next episode is another", async (t) => {
  const { fake, send } = await setUp(t);
  for (const alert of [alertOf(), alertOf(), resolvedOf(), resolvedOf(), alertOf()]) await send(alert);
  assert.deepEqual(fake.incidents.map(({ status, events }) => ({ status, events })), [
    { status: "resolved", events: 3 },
    { status: "triggered", events: 1 },
  ]);
  assert.deepEqual(fake.refused, []);
});

test("an event whose answer got lost opens no second incident when it is sent again", async (t) => {
  const { fake, send } = await setUp(t);
  fake.failNext({ kind: "lost" });
  assert.ok(!((await failure(send(alertOf()))) instanceof PermanentError));
  await send(alertOf());
  assert.deepEqual(fake.incidents.map(({ events }) => events), [2]);
});

test("several alerts are as many events, in order; the first that fails fails the whole", async (t) => {
  const { fake, send } = await setUp(t);
  const alerts = ["a", "b", "c"].map((id) => alertOf({ dedup_key: id }));
  await send(...alerts);
  assert.deepEqual(fake.events.map(({ dedup_key }) => dedup_key), ["a", "b", "c"]);
  fake.failNext({ kind: "answer", status: 500 });
  await failure(send(...alerts));
  assert.equal(fake.requests, 4);
});

test("severities are PagerDuty's; an unknown one is error", async (t) => {
  const { fake, send } = await setUp(t);
  const words = ["critical", "Page", "fatal", "error", "warning", "warn", "info", "none", "sev3", undefined, "constructor"];
  for (const severity of words) await send(alertOf({ labels: severity === undefined ? {} : { severity } }));
  assert.deepEqual(fake.events.map(({ payload }) => payload!.severity), [
    "critical", "critical", "critical", "error", "warning", "warning", "info", "info", "error", "error", "error",
  ]);
});

test("whatever the alert holds, the event is within PagerDuty's limits and goes out", async (t) => {
  const { fake, send } = await setUp(t);
  const long = "😀 pending\u0000".repeat(2_000);
  await send(alertOf({ alert: long, resource: { type: long, id: long }, annotations: { summary: long } }));
  await send(alertOf({ details: { body: "ö".repeat(300_000) } }));
  await send(alertOf({ annotations: {}, value: null, dedup_key: "k".repeat(255) }));
  assert.deepEqual(fake.refused, []);
  assert.equal(fake.events.length, 3);
  assert.match(fake.events[0]!.payload!.summary, /…$/);
  assert.match(inspect(fake.events[1]!.payload!.custom_details), /details are left out: with them the event has 600\d{3} bytes/);
  assert.equal(fake.events[2]!.payload!.summary, "order/o1");
});

const answer = (status: number, body = "", headers?: Record<string, string>): Failure =>
  ({ kind: "answer", status, body, ...(headers && { headers }) });
const invalid = JSON.stringify({ status: "invalid event", message: "Event object is invalid", errors: [`routing_key ${KEY} is unknown`] });
const table: readonly (readonly [string, Failure, "permanent" | "retry" | "delivered" | number])[] = [
  ["202", answer(202, '{"status":"success"}'), "delivered"],
  ["202 without a body", answer(202), "delivered"],
  ["200 from a service that speaks the same", answer(200, '{"status":"success"}'), "delivered"],
  ["200 from a proxy", answer(200, "<html>log in</html>"), "retry"],
  ["302", answer(302, "", { location: "https://elsewhere.example/" }), "permanent"],
  ["400", answer(400, invalid), "permanent"],
  ["403", answer(403, "forbidden"), "permanent"],
  ["413", answer(413), "permanent"],
  ["408", answer(408), "retry"],
  ["429", answer(429), "retry"],
  ["429 with Retry-After", answer(429, "", { "retry-after": "120" }), 120_000],
  ["500", answer(500, "oops"), "retry"],
  ["503 with Retry-After", answer(503, "", { "retry-after": "5" }), 5_000],
  ["a lost answer", { kind: "lost" }, "retry"],
];

for (const [name, script, outcome] of table) {
  test(`${name}: ${typeof outcome === "number" ? `again after ${outcome} ms` : outcome}, after one attempt, without the secret`, async (t) => {
    const { fake, send } = await setUp(t);
    fake.failNext(script);
    if (outcome === "delivered") await send(alertOf());
    else {
      const error = await failure(send(alertOf()));
      assert.equal(error instanceof PermanentError, outcome === "permanent", inspect(error));
      assert.equal(error instanceof RetryLaterError ? error.retryAfterMs : undefined, typeof outcome === "number" ? outcome : undefined);
    }
    assert.equal(fake.requests, 1);
  });
}

test("what PagerDuty says is wrong with an event is in the error", async (t) => {
  const { send } = await setUp(t, "short");
  const { message } = await failure(send(alertOf()));
  assert.match(message, /answered 400 Bad Request: Event object is invalid; 'routing_key' is incorrect \(should be 32 characters\)$/);
});

test("an answer that does not come is the caller's deadline, and stop leaves nothing open", async (t) => {
  const fake = await fakePagerDuty();
  t.after(() => fake.close());
  const exporter = pagerduty.create({ routing_key: KEY, url: fake.url }, exporterContext({ clock: realClock }).context);
  fake.failNext({ kind: "silence" });
  assert.ok(!((await failure(exporter.notify!(notificationOf(alertOf()), AbortSignal.timeout(50)))) instanceof PermanentError));
  await exporter.stop!();
  await exporter.stop!();
});

test("a URL that is none is refused when the configuration is loaded", () => {
  const create = (): unknown => pagerduty.create({ routing_key: KEY, url: "file:///x" }, exporterContext({ clock: realClock }).context);
  assert.throws(create, (error) => error instanceof ConfigError && error.pointer === "/url");
});
