import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { inspect } from "node:util";
import { pagerduty } from "../../exporters/pagerduty.ts";
import type { Alert, Notification } from "../../src/sdk/alert.ts";
import { realClock } from "../../src/sdk/clock.ts";
import type { Exporter } from "../../src/sdk/component.ts";
import { ConfigError, PermanentError, RetryLaterError } from "../../src/sdk/errors.ts";
import { alertOf, failureOf, FIRED_AT, notificationOf, resolvedOf } from "../support/alert.ts";
import { configured } from "../support/configured.ts";
import { exporterContext } from "../support/context.ts";
import { fakePagerDuty, type FakePagerDuty } from "../support/fake_pagerduty.ts";
import type { Failure } from "../support/scripted_server.ts";

const KEY = "secret0123456789abcdef0123456789";

function create(url: string): Exporter {
  const { context } = exporterContext({ clock: realClock, externalLabels: { cluster: "eu-1" } });
  return pagerduty.create(configured(pagerduty.schema, { routing_key: KEY, url }), context);
}

interface SetUp {
  readonly fake: FakePagerDuty;
  readonly exporter: Exporter;
  notify(notification: Notification): Promise<unknown>;
  send(...alerts: Alert[]): Promise<unknown>;
}

async function setUp(t: TestContext): Promise<SetUp> {
  const fake = await fakePagerDuty();
  const exporter = create(fake.url);
  t.after(async () => {
    await exporter.stop!();
    await fake.close();
  });
  const notify = (notification: Notification): Promise<unknown> => exporter.notify!(notification, AbortSignal.timeout(5_000));
  return { fake, exporter, notify, send: (...alerts) => notify(notificationOf(...alerts)) };
}

/** The details of the last event. */
const detailsOf = (fake: FakePagerDuty): Record<string, unknown> => fake.events.at(-1)!.payload!.custom_details as Record<string, unknown>;

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
        value: "pending",
        limit: "30m",
        active_at: "2026-01-01T02:32:00.000Z",
        trace: "0123456789abcdef0123456789abcdef",
        details: { state: "pending", since: "2026-01-01T02:32:00.000Z", limit: "30m" },
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

test("the whole story is told: path, others, observation, trace, links; stale, flapping and acknowledged", async (t) => {
  const { fake, send } = await setUp(t);
  await send(alertOf({
    annotations: { summary: "s", runbook_url: "https://runbooks.example/stuck" },
    story: {
      transitions: [
        { from: "new", to: "paid", at: FIRED_AT - 7_200_000, duration: 60_000 },
        { from: "paid", to: "pending", at: FIRED_AT - 1_800_000, duration: 5_400_000 },
      ],
      others: 36,
      url: "https://sojourn.example/alerts/1",
    },
    observation: { source: "log_tail/orders", time: FIRED_AT - 1_800_000, id: "evt-1", attributes: { "log.file.path": "/var/log/orders" }, body: { id: "o1" } },
    stale_since: FIRED_AT, flapping: true,
    acknowledged: { by: "ann", comment: "on it", at: FIRED_AT },
  }));
  assert.deepEqual(fake.refused, []);
  const event = fake.events[0]!;
  assert.equal(event.client_url, "https://sojourn.example/alerts/1");
  assert.deepEqual(event.links, [
    { href: "https://runbooks.example/stuck", text: "Runbook of OrderStuckInPending" },
    { href: "https://sojourn.example/alerts/1", text: "order/o1" },
  ]);
  const details = detailsOf(fake);
  assert.equal(details["path"], "new (1m) → paid (1h30m) → pending");
  assert.equal(details["others_firing"], "36");
  assert.equal(details["observed"], "log_tail/orders at 2026-01-01T02:32:00.000Z, id=evt-1, log.file.path=/var/log/orders");
  assert.equal(details["stale"], "last known 2026-01-01T03:02:00.000Z: its sources are failing");
  assert.equal(details["flapping"], true);
  assert.equal(details["acknowledged"], "by ann at 2026-01-01T03:02:00.000Z: on it");
  assert.deepEqual((details["observation"] as Record<string, unknown>)["body"], { id: "o1" });
});

test("a repeat says since when it fires, a test says that it is one, and a link that no browser should open is left out", async (t) => {
  const { fake, notify } = await setUp(t);
  await notify({ ...notificationOf(alertOf({ annotations: { runbook_url: "javascript:alert(1)" } })), cause: "repeat" });
  assert.equal(detailsOf(fake)["note"], "Still firing since 2026-01-01T03:02:00.000Z.");
  assert.equal(fake.events[0]!.links, undefined);
  await notify({ ...notificationOf(alertOf()), cause: "test" });
  assert.equal(fake.events[1]!.payload!.summary, "TEST: Order o1 has been pending for 30m");
  assert.match(String(detailsOf(fake)["note"]), /^TEST: /);
});

test("render shows the event that is sent, without the routing key", async (t) => {
  const { fake, exporter, notify } = await setUp(t);
  for (const notification of [notificationOf(alertOf()), notificationOf(alertOf(), alertOf()), notificationOf(resolvedOf())]) {
    const rendered = exporter.render!(notification);
    assert.ok(!JSON.stringify(rendered).includes(KEY));
    await notify(notification);
    assert.deepEqual({ routing_key: KEY, ...(rendered as object) }, fake.events.at(-1));
  }
});

test("severities are PagerDuty's; an unknown one is error", async (t) => {
  const { fake, send } = await setUp(t);
  const words = ["critical", "Page", "fatal", "error", "warning", "warn", "info", "none", "sev3", undefined, "constructor"];
  for (const severity of words) await send(alertOf({ labels: severity === undefined ? {} : { severity } }));
  assert.deepEqual(fake.events.map(({ payload }) => payload!.severity), [
    "critical", "critical", "critical", "error", "warning", "warning", "info", "info", "error", "error", "error",
  ]);
});

test("half a character in what was observed does not keep the page from going out", async (t) => {
  const { fake, send } = await setUp(t);
  const half = "o\ud800\0";
  const observation = { source: "http", time: FIRED_AT, id: half, attributes: { [half]: half }, body: { [half]: half } };
  await send(alertOf({ resource: { type: "order", id: half }, labels: { severity: half, a: half }, annotations: { summary: half, description: half }, details: { half }, value: half, observation }));
  assert.deepEqual(fake.refused, []);
  assert.equal(fake.events.length, 1);
});

test("whatever the alerts hold, the event is within PagerDuty's limits and goes out", async (t) => {
  const { fake, send } = await setUp(t);
  const long = "😀 pending\u0000".repeat(2_000);
  await send(alertOf({ alert: long, resource: { type: long, id: long }, annotations: { summary: long, runbook_url: `https://x.example/${long}` } }));
  await send(alertOf({ details: { body: "ö".repeat(300_000) } }));
  await send(alertOf({ annotations: {}, value: null, dedup_key: "k".repeat(255), fired_at: -7e13 }));
  await send(alertOf({ resource: { type: "", id: "" }, group: {}, annotations: {}, value: "v".repeat(600_000) }));
  await send(...Array.from({ length: 1_000 }, (_, n) => alertOf({ resource: { type: `t${n}`, id: long }, details: { long, n }, labels: { long } })));
  assert.deepEqual(fake.refused, []);
  assert.equal(fake.events.length, 5);
  const [first, second, third, fourth, many] = fake.events.map(({ payload }) => payload!) as [Payload, Payload, Payload, Payload, Payload];
  assert.match(first.summary, /…$/);
  const kept = second.custom_details as Record<string, unknown>;
  assert.deepEqual([kept["value"], kept["details"]], ["pending", undefined], "what is too large gives way, the rest stays");
  assert.equal(third.summary, "order/o1");
  assert.equal(fourth.source, "OrderStuckInPending");
  const { alerts, more } = many.custom_details as { alerts: unknown[]; more: string };
  assert.equal(alerts.length, 50, "more of them in fewer words");
  assert.equal(more, "+950 more");
});

type Payload = NonNullable<FakePagerDuty["events"][number]["payload"]>;

const answer = (status: number, body = "", headers?: Record<string, string>): Failure =>
  ({ kind: "answer", status, body, ...(headers && { headers }) });
const invalid = JSON.stringify({ status: "invalid event", message: "Event object is invalid", errors: [`routing_key ${KEY} is unknown`] });
const table: readonly (readonly [string, Failure, "permanent" | "retry" | "delivered" | number])[] = [
  ["202", answer(202, '{"status":"success"}'), "delivered"],
  ["202 without a body", answer(202), "delivered"],
  ["200 from a service that speaks the same", answer(200, '{"status":"success"}'), "delivered"],
  ["200 from a proxy", answer(200, "<html>log in</html>"), "retry"],
  ["200 from a proxy whose page is large", answer(200, `<html>${"x".repeat(100_000)}`), "retry"],
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
  const { send } = await setUp(t);
  const { message } = await failure(send(alertOf({ dedup_key: "k".repeat(256) })));
  assert.match(message, /answered 400 Bad Request: Event object is invalid; 'dedup_key' must be text of 1 to 255 characters$/);
});

test("an answer that does not come is the caller's deadline, and stop leaves nothing open", async (t) => {
  const fake = await fakePagerDuty();
  t.after(() => fake.close());
  const exporter = create(fake.url);
  fake.failNext({ kind: "silence" });
  assert.ok(!((await failure(exporter.notify!(notificationOf(alertOf()), AbortSignal.timeout(50)))) instanceof PermanentError));
  await exporter.stop!();
  await exporter.stop!();
});

test("a URL that is none is refused when the configuration is loaded", () => {
  const refused = (): unknown => create("file:///x");
  assert.throws(refused, (error) => error instanceof ConfigError && error.pointer === "/url");
});
