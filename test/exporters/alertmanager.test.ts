import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { inspect } from "node:util";
import { alertmanager } from "../../exporters/alertmanager.ts";
import type { Alert, Notification } from "../../src/sdk/alert.ts";
import { realClock, type Clock } from "../../src/sdk/clock.ts";
import { ConfigError, PermanentError, RetryLaterError } from "../../src/sdk/errors.ts";
import type { Json } from "../../src/sdk/observation.ts";
import { alertOf, failureOf, notificationOf, resolvedOf } from "../support/alert.ts";
import { startAlertmanager, type Alertmanager, type StoredAlert } from "../support/alertmanager.ts";
import { configured } from "../support/configured.ts";
import { exporterContext, type Recorded } from "../support/context.ts";
import { fakeServer, json, type Answer, type FakeServer } from "../support/http_server.ts";
import { program, until } from "../support/prometheus.ts";
import { scriptedServer, type Failure, type ScriptedServer } from "../support/scripted_server.ts";

const SECRET = "planted-secret-0123456789";
const MINUTE = 60_000;
const now = (): number => realClock.now();

interface SetUp {
  readonly recorded: Recorded;
  send(...alerts: Alert[]): Promise<unknown>;
  render(notification: Notification): Json;
  readonly exporter: ReturnType<typeof alertmanager.create>;
}

function setUp(t: TestContext, urls: readonly string[], more: object = {}, clock: Clock = realClock): SetUp {
  const { context, recorded } = exporterContext({ clock });
  const exporter = alertmanager.create(configured(alertmanager.schema, { urls, ...more }), context);
  t.after(() => exporter.stop!());
  return {
    recorded, exporter,
    send: (...alerts) => exporter.notify!(notificationOf(...alerts), AbortSignal.timeout(8_000)),
    render: (notification) => exporter.render!(notification),
  };
}

/** Firing for ten minutes. */
const firing = (parts: Partial<Alert> = {}): Alert => alertOf({ active_at: now() - 40 * MINUTE, fired_at: now() - 10 * MINUTE, ...parts });
/** Over since a second ago. */
const over = (parts: Partial<Alert> = {}): Alert => resolvedOf({ active_at: now() - 40 * MINUTE, fired_at: now() - 10 * MINUTE, resolved_at: now() - 1_000, ...parts });
const order = (id: string): Partial<Alert> => ({ resource: { type: "order", id } });

/** Real Alertmanagers, or undefined where there is none on this machine. */
async function real(t: TestContext, ...options: Parameters<typeof startAlertmanager>[1][]): Promise<Alertmanager[] | undefined> {
  const binary = program(t, "prometheus-alertmanager", "prometheus-alertmanager");
  if (binary === undefined) return undefined;
  const started = await Promise.all((options.length === 0 ? [{}] : options).map((one) => startAlertmanager(binary, one)));
  t.after(() => Promise.all(started.map((one) => one[Symbol.asyncDispose]())));
  return started;
}

const ids = (alerts: readonly StoredAlert[]): string[] => alerts.map(({ labels }) => labels["resource_id"]!).toSorted();

test("Alertmanager: what fires appears once, however often it is sent, with all its labels; and goes when it is over", async (t) => {
  const [am] = await real(t) ?? [];
  if (am === undefined) return;
  const { send } = setUp(t, [am.url]);
  const story = { transitions: [{ from: "new", to: "pending", at: now(), duration: 60_000 }], others: 3, url: "https://sojourn.example/api/v1/alerts/k1" };
  const alert = firing({ annotations: { summary: "Order o1 has been pending for 30m", runbook_url: "https://runbooks.example/stuck" }, story });
  for (const _ of [1, 2, 3]) await send(alert);
  const [stored, ...others] = await am.alerts();
  assert.deepEqual(others, []);
  assert.deepEqual(stored!.labels, {
    alertname: "OrderStuckInPending", resource_id: "o1", resource_type: "order", severity: "critical", state: "pending", team: "checkout",
  });
  assert.partialDeepStrictEqual(stored!.annotations, {
    summary: "Order o1 has been pending for 30m", runbook_url: "https://runbooks.example/stuck", value: "pending", limit: "30m", state: "pending",
    resource: "order/o1", path: "new (1m) → pending", others_firing: "3", trace_id: alert.trace_id,
  });
  assert.equal(Date.parse(stored!.startsAt), Math.round(alert.fired_at!));
  assert.ok(Math.abs(Date.parse(stored!.endsAt) - now() - 4 * MINUTE) < 30_000, stored!.endsAt);
  assert.equal(stored!.generatorURL, story.url);

  await send(over());
  assert.deepEqual(await am.alerts(), []);
});

test("Alertmanager: alerts about different resources, or of different rules of one name, are different alerts", async (t) => {
  const [am] = await real(t) ?? [];
  if (am === undefined) return;
  const { send } = setUp(t, [am.url]);
  await send(firing(order("o1")), firing(order("o2")), firing({ ...order("o2"), rule: "second" }));
  assert.deepEqual(ids(await am.alerts()), ["o1", "o2", "o2"]);
  await send(over({ ...order("o2"), rule: "second" }), firing(order("o1")));
  assert.deepEqual(ids(await am.alerts()), ["o1", "o2"]);
});

test("Alertmanager: an alert that nobody tells of any more ends by itself after four intervals", async (t) => {
  const [am] = await real(t) ?? [];
  if (am === undefined) return;
  // As if it had been told 2.5 s ago.
  const past: Clock = { ...realClock, now: () => realClock.now() - 2_500 };
  const { send } = setUp(t, [am.url], { resend_interval: "1s" }, past);
  await send(firing());
  assert.equal((await am.alerts()).length, 1);
  await until("it ends", async () => ((await am.alerts()).length === 0 ? true : undefined), 5);
});

test("Alertmanager: what a machine's clock makes of the times, hundreds of alerts, odd names and values are taken whole", async (t) => {
  const [am] = await real(t) ?? [];
  if (am === undefined) return;
  const { send, recorded } = setUp(t, [am.url]);
  const odd = { "a.b": "1", a_b: "2", "9lives": "cat", empty: "", "ä": "\ud800 lone", long: "😀".repeat(2_000) };
  const alerts = [
    firing({ labels: { ...alertOf().labels, ...odd }, annotations: { "run book": "here", "": "x" }, details: { "last seen": "today", nothing: null } }),
    firing({ ...order("future"), fired_at: now() + MINUTE }),
    over({ ...order("later"), fired_at: now() + MINUTE, resolved_at: now() + 2 * MINUTE }),
    firing({ resource: { type: "", id: "" }, group: { region: "eu" }, labels: { alertname: "ManyPending", region: "eu" } }),
    ...Array.from({ length: 600 }, (_, n) => firing(order(`many-${n}`))),
  ];
  await send(...alerts);
  const stored = await am.alerts();
  assert.equal(stored.length, 603);
  const told = stored.find(({ labels }) => labels["_9lives"] !== undefined)!;
  assert.equal(told.labels["a_b"], "1;2");
  assert.equal(told.labels["_"], "\ufffd lone");
  assert.ok(!Object.hasOwn(told.labels, "empty"));
  assert.equal(told.annotations["run_book"], "here");
  assert.deepEqual(recorded.reports, []);
});

test("Alertmanager: every replica is told; of a dead one is said once, and once that it is back; one is enough", async (t) => {
  const binary = program(t, "prometheus-alertmanager", "prometheus-alertmanager");
  if (binary === undefined) return;
  await using one = await startAlertmanager(binary);
  const answers: Answer[] = [(_, response) => json(response, "no leader", 503)];
  await using other = await fakeServer((request, response, index) => (answers[0] ?? ((_, r) => void r.end()))(request, response, index));
  const { send, recorded } = setUp(t, [one.url, other.url]);
  for (const _ of [1, 2, 3]) await send(firing());
  assert.equal((await one.alerts()).length, 1);
  assert.deepEqual(recorded.reports, [`${other.url}/api/v2/alerts answered 503 Service Unavailable: no leader`]);
  assert.equal(recorded.healed, 0);
  answers.length = 0;
  await send(firing());
  await send(firing());
  assert.deepEqual([recorded.reports.length, recorded.healed], [1, 1]);
  assert.equal(other.received.length, 5, "it was told each time");
});

test("Alertmanager: two replicas that live hold the same", async (t) => {
  const both = await real(t, {}, { prefix: "/alertmanager" });
  if (both === undefined) return;
  const { send } = setUp(t, both.map(({ url }) => url));
  await send(firing());
  const held = await Promise.all(both.map((one) => one.alerts()));
  assert.deepEqual(held.map(ids), [["o1"], ["o1"]]);
  assert.equal(held[0]![0]!.fingerprint, held[1]![0]!.fingerprint);
});

test("Alertmanager: its webhook tells of the beginning and of the end, each once", async (t) => {
  await using hook = await fakeServer((_, response) => void response.end());
  const [am] = await real(t, { webhook: hook.url }) ?? [];
  if (am === undefined) return;
  const { send } = setUp(t, [am.url]);
  await send(firing());
  await until("it fires", async () => hook.received[0]);
  await send(firing());
  await send(over());
  await until("it is over", async () => hook.received[1]);
  await send(over());
  const statuses = hook.received.map(({ body }) => (JSON.parse(body) as { status: string }).status);
  assert.deepEqual(statuses, ["firing", "resolved"]);
});

const scripted = async (t: TestContext): Promise<ScriptedServer> => {
  const server = await scriptedServer(() => ({ status: 200, body: "" }));
  t.after(() => server.close());
  return server;
};

const answer = (status: number, body = "", headers?: Record<string, string>): Failure => ({ kind: "answer", status, body, ...(headers && { headers }) });
const table: readonly (readonly [string, Failure, "permanent" | "retry" | "delivered" | number])[] = [
  ["200", answer(200), "delivered"],
  ["200 with a page", answer(200, "<html>log in</html>", { "content-type": "text/html; charset=utf-8" }), "retry"],
  ["400", answer(400, '"bad labels"'), "permanent"],
  ["401", answer(401, `who is ${SECRET}?`), "permanent"],
  ["404", answer(404), "permanent"],
  ["422", answer(422, '{"code":601,"message":"endsAt in body must be of type date-time"}'), "permanent"],
  ["429 with Retry-After", answer(429, "", { "retry-after": "120" }), 120_000],
  ["500", answer(500, '"oops"'), "retry"],
  ["503 with Retry-After", answer(503, "", { "retry-after": "5" }), 5_000],
  ["a lost answer", { kind: "lost" }, "retry"],
];

for (const [name, script, outcome] of table) {
  test(`${name} of the only replica: ${typeof outcome === "number" ? `again after ${outcome} ms` : outcome}, after one attempt, without the secret`, async (t) => {
    const server = await scripted(t);
    const { send, recorded } = setUp(t, [server.origin.replace("//", `//u:${SECRET}@`)], { headers: { "x-scope-orgid": SECRET } });
    server.failNext(script);
    if (outcome === "delivered") await send(firing());
    else {
      const error = await failureOf(send(firing()), SECRET);
      assert.equal(error instanceof PermanentError, outcome === "permanent", inspect(error));
      assert.equal(error instanceof RetryLaterError ? error.retryAfterMs : undefined, typeof outcome === "number" ? outcome : undefined);
    }
    assert.equal(server.requests, 1);
    assert.deepEqual(recorded.reports, [], "what fails altogether is the pipeline's to say");
  });
}

test("one batch that is refused keeps no other from being sent, and what is wrong is said", async (t) => {
  const server = await scripted(t);
  const { send } = setUp(t, [server.origin]);
  server.failNext(answer(400, '"invalid label set: invalid name"'));
  const error = await failureOf(send(...Array.from({ length: 600 }, (_, n) => firing(order(`o${n}`)))), SECRET);
  assert.ok(error instanceof PermanentError);
  assert.match(error.message, /answered 400 Bad Request: invalid label set: invalid name$/);
  assert.equal(server.requests, 3);
});

test("of two alerts that are one to Alertmanager, the one that fires is told", async (t) => {
  const { render } = setUp(t, ["http://127.0.0.1:9"]);
  for (const alerts of [[firing(), over({ dedup_key: "other" })], [over({ dedup_key: "other" }), firing()]]) {
    const sent = render(notificationOf(...alerts)) as readonly { endsAt: string }[];
    assert.equal(sent.length, 1);
    assert.ok(Date.parse(sent[0]!.endsAt) > now());
  }
});

test("what requests carry: prefix, headers, authentication", async (t) => {
  await using server: FakeServer = await fakeServer((_, response) => void response.end());
  const { send } = setUp(t, [`${server.url}/base/`], { path_prefix: "/am/", headers: { "X-Scope-OrgID": "shop" }, auth: { bearer: { token: "t0ken" } } });
  await send(firing());
  const [{ headers, method, url }] = server.received as [FakeServer["received"][number]];
  assert.deepEqual([method, url], ["POST", "/base/am/api/v2/alerts"]);
  assert.partialDeepStrictEqual(headers, { "content-type": "application/json", "x-scope-orgid": "shop", authorization: "Bearer t0ken" });
});

test("it wants to be told again at its interval, and of what is over for 15 minutes", (t) => {
  const { exporter } = setUp(t, ["http://127.0.0.1:9"], { resend_interval: "30s" });
  assert.deepEqual(exporter.refreshes, { everyMs: 30_000, resolvedForMs: 900_000 });
});

test("a password file that is being renewed gives no alert up", async (t) => {
  const server = await scripted(t);
  const { send } = setUp(t, [server.origin], { auth: { basic: { username: "u", password_file: "/dev/null" } } });
  const error = await failureOf(send(firing()), SECRET);
  assert.ok(!(error instanceof PermanentError));
  assert.equal(server.requests, 0);
});

test("what cannot work is refused when the configuration is loaded", () => {
  const { context } = exporterContext({ clock: realClock });
  const refused = (config: object, pointer: string): void => {
    assert.throws(() => alertmanager.create(configured(alertmanager.schema, config), context), (error) => error instanceof ConfigError && error.pointer === pointer);
  };
  refused({ urls: ["http://"] }, "/urls/0");
  refused({ urls: ["http://a"], resend_interval: "10ms" }, "/resend_interval");
  refused({ urls: ["http://a"], timeout: "0s" }, "/timeout");
  refused({ urls: ["http://a"], auth: {} }, "/auth");
});
