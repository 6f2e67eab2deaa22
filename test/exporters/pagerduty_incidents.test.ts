import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { inspect } from "node:util";
import { pagerduty } from "../../exporters/pagerduty.ts";
import type { Alert, Notification } from "../../src/sdk/alert.ts";
import { realClock } from "../../src/sdk/clock.ts";
import type { Exporter } from "../../src/sdk/component.ts";
import { PermanentError } from "../../src/sdk/errors.ts";
import { alertOf, failureOf, notificationOf, resolvedOf } from "../support/alert.ts";
import { configured } from "../support/configured.ts";
import { exporterContext } from "../support/context.ts";
import { fakePagerDuty, type FakePagerDuty } from "../support/fake_pagerduty.ts";
import type { Failure } from "../support/scripted_server.ts";

const KEY = "secret0123456789abcdef0123456789";

function create(url: string, routing_key = KEY): Exporter {
  return pagerduty.create(configured(pagerduty.schema, { routing_key, url }), exporterContext({ clock: realClock }).context);
}

interface SetUp {
  readonly fake: FakePagerDuty;
  readonly exporter: Exporter;
  notify(notification: Notification): Promise<unknown>;
}

async function setUp(t: TestContext): Promise<SetUp> {
  const fake = await fakePagerDuty();
  const exporter = create(fake.url);
  t.after(async () => {
    await exporter.stop!();
    await fake.close();
  });
  return { fake, exporter, notify: (notification) => exporter.notify!(notification, AbortSignal.timeout(5_000)) };
}

/** The details of the last event. */
const detailsOf = (fake: FakePagerDuty): Record<string, unknown> => fake.events.at(-1)!.payload!.custom_details as Record<string, unknown>;
const answer = (status: number, body: string): Failure => ({ kind: "answer", status, body });

const orders = (count: number): Alert[] => Array.from({ length: count }, (_, n) =>
  alertOf({ resource: { type: "order", id: `o${n}` }, dedup_key: `k${n}`, annotations: { summary: `Order o${n} is stuck` } }));
const grouped = (alerts: Alert[], parts: Partial<Notification> = {}): Notification =>
  ({ ...notificationOf(...alerts), key: "group/eu", group: { region: "eu" }, ...parts });

test("a group is one event and one incident, however many alerts it holds: counted, the first named, the worst severity", async (t) => {
  const { fake, notify } = await setUp(t);
  const alerts = orders(59);
  alerts[40] = alertOf({ labels: { severity: "critical" }, resource: { type: "order", id: "worst" } });
  await notify(grouped(alerts.map((a, n) => (n === 40 ? a : { ...a, labels: { ...a.labels, severity: "warning" } }))));
  assert.deepEqual([fake.refused, fake.events.length], [[], 1]);
  const { payload, dedup_key } = fake.events[0]!;
  assert.equal(dedup_key, "group/eu");
  assert.deepEqual([payload!.summary, payload!.severity, payload!.source], ["59 orders stuck in pending (region=eu)", "critical", "region=eu"]);
  const { alerts: named, more, group, status } = detailsOf(fake) as { alerts: { resource: string; summary: string }[]; more: string; group: object; status: string };
  assert.deepEqual([named.length, more, group, status], [50, "+9 more", { region: "eu" }, "59 FIRING"]);
  assert.deepEqual([named[0]!.resource, named[0]!.summary], ["order/o0", "Order o0 is stuck"]);
});

test("a group that still fires in part updates its incident and says who is over; with the last one it is resolved", async (t) => {
  const { fake, notify } = await setUp(t);
  const [a, b] = orders(2) as [Alert, Alert];
  await notify(grouped([a, b]));
  await notify(grouped([b, { ...a, ...resolvedOf({ resource: a.resource }) }], { status: "firing", cause: "changed" }));
  assert.deepEqual(fake.incidents.map(({ status, events }) => ({ status, events })), [{ status: "triggered", events: 2 }]);
  assert.equal(fake.events[1]!.payload!.summary, "Order o1 is stuck");
  assert.deepEqual(detailsOf(fake)["resolved"], ["order/o0 (recovered)"]);
  await notify(grouped([resolvedOf()], { status: "resolved", cause: "resolved" }));
  assert.deepEqual(fake.incidents.map(({ status }) => status), ["resolved"]);
});

test("alerts that the notification itself only counts are counted", async (t) => {
  const { fake, notify } = await setUp(t);
  await notify(grouped(orders(2), { more: 5_000 }));
  assert.equal(fake.events[0]!.payload!.summary, "5002 orders stuck in pending (region=eu)");
  assert.deepEqual([detailsOf(fake)["more"], detailsOf(fake)["status"]], ["+5000 more", "5002 FIRING"]);
});

test("when thousands are over and one still fires, one is said to fire", async (t) => {
  const { fake, notify } = await setUp(t);
  const over = orders(60).map((order) => ({ ...order, ...resolvedOf({ resource: order.resource }) }));
  await notify(grouped([alertOf(), ...over], { cause: "changed", more: 4_000, more_resolved: 4_000 }));
  assert.equal(fake.events[0]!.payload!.summary, "Order o1 has been pending for 30m");
  const { value, resolved } = detailsOf(fake) as { value: unknown; resolved: string[] };
  assert.deepEqual([value, resolved.length, resolved.at(-1)], ["pending", 51, "+4010 more"]);
});

test("alerts of several rules are counted by name", async (t) => {
  const { fake, notify } = await setUp(t);
  await notify(grouped([alertOf(), alertOf({ alert: "OrderTooLarge" }), alertOf({ alert: "DiskFull", resource: { type: "", id: "" } })], { group: {} }));
  assert.equal(fake.events[0]!.payload!.summary, "3 alerts: OrderStuckInPending, OrderTooLarge, DiskFull");
});

test("an incident is resolved under the key that opened it, though another is configured by then", async (t) => {
  const { fake, notify } = await setUp(t);
  const receipt = await notify(notificationOf(alertOf())) as Notification["receipt"];
  const NEW = "new-key-0123456789abcdef01234567";
  const after = create(fake.url, NEW);
  t.after(() => after.stop!());
  const signal = AbortSignal.timeout(5_000);
  assert.deepEqual(await after.notify!({ ...notificationOf(alertOf()), cause: "repeat", receipt }, signal), receipt);
  await after.notify!({ ...notificationOf(resolvedOf()), receipt }, signal);
  assert.deepEqual(fake.incidents.map(({ routing_key, status, events }) => ({ routing_key, status, events })), [{ routing_key: KEY, status: "resolved", events: 3 }]);
  await after.notify!(notificationOf(alertOf()), signal);
  assert.equal(fake.incidents[1]!.routing_key, NEW);
});

test("what still fires opens an incident under the new key when PagerDuty knows the old one no more; a resolve does not", async (t) => {
  const { fake, exporter } = await setUp(t);
  const old = "old-key-0123456789abcdef01234567";
  const signal = AbortSignal.timeout(5_000);
  fake.failNext(answer(400, JSON.stringify({ errors: [`${old} is unknown`] })));
  assert.deepEqual(await exporter.notify!({ ...notificationOf(alertOf()), cause: "repeat", receipt: { routing_key: old } }, signal), { routing_key: KEY });
  assert.deepEqual(fake.incidents.map(({ routing_key }) => routing_key), [KEY]);
  fake.failNext(answer(400, JSON.stringify({ errors: [`${old} is unknown`] })));
  const error = await failureOf(exporter.notify!({ ...notificationOf(resolvedOf()), receipt: { routing_key: old } }, signal), old);
  assert.ok(error instanceof PermanentError);
  assert.match(error.message, /REDACTED is unknown/);
});

test("a receipt that is none is not believed", async (t) => {
  const { fake, notify } = await setUp(t);
  for (const receipt of ["x", null, [], { routing_key: 7 }, { routing_key: "short" }]) await notify({ ...notificationOf(alertOf()), receipt });
  assert.deepEqual(fake.events.map(({ routing_key }) => routing_key), Array.from({ length: 5 }, () => KEY));
});

test("an alert that does not fit in any wording pages without details", async (t) => {
  const { fake, notify } = await setUp(t);
  const group = Object.fromEntries(Array.from({ length: 3 }, (_, n) => [`l${n}`, "x".repeat(200_000)]));
  await notify(grouped(orders(3), { group }));
  assert.deepEqual(fake.refused, []);
  assert.match(inspect(detailsOf(fake)), /details are left out: with them the event has 60\d{4} bytes/);
});
