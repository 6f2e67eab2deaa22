import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { inspect } from "node:util";
import { alertmanager } from "../../exporters/alertmanager.ts";
import { webhook } from "../../exporters/webhook.ts";
import type { Alert, Notification } from "../../src/sdk/alert.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { ConfigError, PermanentError, RetryLaterError } from "../../src/sdk/errors.ts";
import type { Json } from "../../src/sdk/observation.ts";
import { hooked } from "../receivers/webhook_support.ts";
import { alertOf, failureOf, FIRED_AT, notificationOf, resolvedOf } from "../support/alert.ts";
import { startAlertmanager } from "../support/alertmanager.ts";
import { configured } from "../support/configured.ts";
import { exporterContext, type Recorded } from "../support/context.ts";
import { fakeServer, type FakeServer } from "../support/http_server.ts";
import { program, until } from "../support/prometheus.ts";
import { scriptedServer, type Failure } from "../support/scripted_server.ts";

const SECRET = "planted-secret-0123456789";
const SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

interface SetUp {
  readonly recorded: Recorded;
  send(notification: Notification): Promise<unknown>;
  render(notification: Notification): Json;
}

function setUp(t: TestContext, url: string, more: object = {}): SetUp {
  const { context, recorded } = exporterContext({ clock: realClock, id: "webhook/oncall" });
  const exporter = webhook.create(configured(webhook.schema, { url, ...more }), context);
  t.after(() => exporter.stop!());
  return {
    recorded,
    send: (notification) => exporter.notify!(notification, AbortSignal.timeout(5_000)),
    render: (notification) => exporter.render!(notification),
  };
}

async function receiver(t: TestContext): Promise<FakeServer> {
  const server = await fakeServer((_, response) => void response.writeHead(204).end());
  t.after(() => server[Symbol.asyncDispose]());
  return server;
}

const order = (id: string): Partial<Alert> => ({ resource: { type: "order", id } });
const two = (): Notification => notificationOf(alertOf(), resolvedOf({ ...order("o2"), annotations: { summary: "Order o2" } }));
const bodyOf = (server: FakeServer, n = 0): Record<string, unknown> => JSON.parse(server.received[n]!.body) as Record<string, unknown>;

test("a notification is one POST of Alertmanager's payload", async (t) => {
  const server = await receiver(t);
  const { send, render } = setUp(t, `${server.url}/hook?a=1`);
  const notification = { ...two(), status: "firing" as const, id: "n-1", key: "k1", group: { alertname: "OrderStuckInPending" } };
  await send(notification);
  const [{ headers, method, url }] = server.received as [FakeServer["received"][number]];
  assert.deepEqual([method, url, headers["content-type"], headers["webhook-id"]], ["POST", "/hook?a=1", "application/json", "n-1"]);
  const labels = { alertname: "OrderStuckInPending", resource_type: "order", severity: "critical", state: "pending", team: "checkout" };
  const body = bodyOf(server);
  assert.partialDeepStrictEqual(body, {
    version: "4", groupKey: "k1", truncatedAlerts: 0, status: "firing", receiver: "webhook/oncall",
    groupLabels: { alertname: "OrderStuckInPending" }, commonLabels: labels, externalURL: "",
    alerts: [
      {
        status: "firing", labels: { ...labels, resource_id: "o1" }, annotations: { summary: "Order o1 has been pending for 30m", state: "pending", limit: "30m" },
        startsAt: new Date(FIRED_AT).toISOString(), endsAt: "0001-01-01T00:00:00Z", generatorURL: "",
      },
      { status: "resolved", labels: { ...labels, resource_id: "o2" }, endsAt: new Date(FIRED_AT + 3_600_000).toISOString() },
    ],
  });
  const { alerts, commonLabels, commonAnnotations } = body as { alerts: { fingerprint: string }[]; commonLabels: object; commonAnnotations: Record<string, string> };
  assert.deepEqual(commonLabels, labels);
  assert.equal(commonAnnotations["state"], "pending");
  assert.ok(!Object.hasOwn(commonAnnotations, "summary"));
  for (const { fingerprint } of alerts) assert.match(fingerprint, /^[0-9a-f]{16}$/);
  assert.notEqual(alerts[0]!.fingerprint, alerts[1]!.fingerprint);
  assert.deepEqual(render(notification), body);
});

test("the payload has the members of a real Alertmanager's, of the same kinds", async (t) => {
  const binary = program(t, "prometheus-alertmanager", "prometheus-alertmanager");
  if (binary === undefined) return;
  const server = await receiver(t);
  await using am = await startAlertmanager(binary, { webhook: `${server.url}/real` });
  const exporter = alertmanager.create(configured(alertmanager.schema, { urls: [am.url] }), exporterContext({ clock: realClock }).context);
  t.after(() => exporter.stop!());
  const now = realClock.now();
  await exporter.notify!(notificationOf(alertOf({ fired_at: now - 1_000, active_at: now - 2_000 })), AbortSignal.timeout(5_000));
  await until("Alertmanager tells", async () => server.received[0]);
  await setUp(t, `${server.url}/ours`).send(notificationOf(alertOf({ fired_at: now - 1_000, active_at: now - 2_000 })));
  const kinds = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(kinds);
    return value !== null && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, kinds(inner)])) : typeof value;
  };
  const [theirs, ours] = [bodyOf(server, 0), bodyOf(server, 1)];
  assert.deepEqual(kinds(ours), kinds(theirs));
  for (const same of ["version", "status", "truncatedAlerts", "groupLabels", "commonLabels", "commonAnnotations"]) assert.deepEqual(ours[same], theirs[same], same);
  const endsAt = (body: typeof ours): string => (body["alerts"] as { endsAt: string }[])[0]!.endsAt;
  assert.equal(endsAt(ours), endsAt(theirs));
});

test("what is beyond alerts_max is counted, and what fires stays", async (t) => {
  const server = await receiver(t);
  const { send } = setUp(t, server.url, { alerts_max: 2 });
  await send(notificationOf(...["a", "b", "c", "d", "e"].map((id) => alertOf(order(id)))));
  const { alerts, truncatedAlerts } = bodyOf(server) as { alerts: { labels: Record<string, string> }[]; truncatedAlerts: number };
  assert.deepEqual([alerts.map(({ labels }) => labels["resource_id"]), truncatedAlerts], [["a", "b"], 3]);
  await send({ ...notificationOf(alertOf()), more: 5_000 });
  assert.equal(bodyOf(server, 1)["truncatedAlerts"], 5_000, "those that the notification itself only counts, too");
});

test("however large the alerts are, the request stays below some megabytes, with one at least", async (t) => {
  const server = await receiver(t);
  const { send } = setUp(t, server.url, { alerts_max: 10_000 });
  const annotations = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`a${n}`, "x".repeat(4_000)]));
  await send(notificationOf(...Array.from({ length: 200 }, (_, n) => alertOf({ ...order(`o${n}`), annotations }))));
  const { alerts, truncatedAlerts } = bodyOf(server) as { alerts: unknown[]; truncatedAlerts: number };
  assert.equal(alerts.length + truncatedAlerts, 200);
  assert.ok(alerts.length > 10 && server.received[0]!.body.length < 5_000_000);
});

test("a body of one's own: text is filled in, a lone {{ }} keeps its kind, what is no template stays", async (t) => {
  const server = await receiver(t);
  const body = {
    text: "{{ value.status }}: {{ value.alerts[0].annotations.summary }} ({{ group.region }})",
    count: "{{ value.alerts.size() }}", names: ["{{ value.alerts.map(a, a.resource.id) }}", 7, null, true], "x/y~z": { plain: "{ no } template" },
    odd: '{{ "a" }} and {{ "b" }}', braces: '{{ {"a": "}}"} }}', cause: "{{ value.cause }}", amount: "{{ value.alerts[0].value }}",
  };
  const { send, recorded } = setUp(t, server.url, { body, method: "PUT" });
  const first = notificationOf(alertOf({ value: 12.5 }), alertOf(order("o2")));
  await send({ ...first, group: { region: "eu" } });
  assert.deepEqual(bodyOf(server), {
    text: "firing: Order o1 has been pending for 30m (eu)",
    count: 2, names: [["o1", "o2"], 7, null, true], "x/y~z": { plain: "{ no } template" }, odd: "a and b", braces: { a: "}}" }, cause: "fired", amount: 12.5,
  });
  assert.equal(server.received[0]!.method, "PUT");
  assert.deepEqual(recorded.reports, []);
});

test("a text as body is sent as text, unless a header says what it is", async (t) => {
  const server = await receiver(t);
  const body = "{{ value.alerts[0].labels.alertname }} is {{ value.status }}";
  await setUp(t, server.url, { body }).send(notificationOf(alertOf()));
  await setUp(t, server.url, { body, headers: { "Content-Type": "text/markdown" } }).send(notificationOf(alertOf()));
  assert.deepEqual(server.received.map((got) => [got.headers["content-type"], got.body]), [
    ["text/plain; charset=utf-8", "OrderStuckInPending is firing"], ["text/markdown", "OrderStuckInPending is firing"],
  ]);
});

test("an alert goes out although an expression of its body fails; that is said, and when it is over", async (t) => {
  const server = await receiver(t);
  const { send, recorded } = setUp(t, server.url, { body: { region: "{{ group.region }}", text: "in {{ group.region }}" } });
  await send(notificationOf(alertOf()));
  assert.match(String(bodyOf(server)["region"]), /^<error: .*region/);
  assert.match(String(bodyOf(server)["text"]), /^in <error: .*region/);
  assert.equal(recorded.reports.length, 1);
  await send({ ...notificationOf(alertOf()), group: { region: "eu" } });
  await send({ ...notificationOf(alertOf()), group: { region: "eu" } });
  assert.deepEqual([bodyOf(server, 1), recorded.healed], [{ region: "eu", text: "in eu" }, 1]);
});

test("what is shown of a body of one's own has no value whose key names a secret", (t) => {
  const { render } = setUp(t, "https://chat.example/x", { body: { api_key: SECRET, list: [{ token: SECRET, text: "{{ value.status }}" }] } });
  assert.deepEqual(render(notificationOf(alertOf())), { api_key: "(redacted)", list: [{ token: "(redacted)", text: "firing" }] });
});

test("signed by Standard Webhooks: our own receiver takes it, and a repeat for the same; any other secret is refused", async (t) => {
  await using hook = await hooked({ signature: { scheme: "standard_webhooks", secrets: [SIGNING] } });
  const url = `http://127.0.0.1:${hook.listeners.port("127.0.0.1:0")}/hook`;
  const { send } = setUp(t, url, { signing_secret: SIGNING });
  const notification = notificationOf(alertOf({ annotations: { summary: "Bestellung äöü 😀" } }));
  await send({ ...notification, id: "order/ö.1" });
  await send({ ...notification, id: "order/ö.1" });
  const ids = hook.observations().map(({ id }) => id);
  assert.equal(ids.length, 2);
  assert.equal(ids[0], ids[1]);
  assert.match(ids[0]!, /^[0-9a-f]{32}$/, "no dot, nothing that a header cannot hold");
  assert.partialDeepStrictEqual(hook.bodies()[0], { version: "4", alerts: [{ annotations: { summary: "Bestellung äöü 😀" } }] });

  const other = setUp(t, url, { signing_secret: `whsec_${Buffer.from("somebody else's secret").toString("base64")}` });
  assert.match((await failureOf(other.send(notification), SIGNING)).message, /401/);
  const unsigned = setUp(t, url);
  assert.match((await failureOf(unsigned.send(notification), SIGNING)).message, /401/);
});

const answer = (status: number, body = "", headers?: Record<string, string>): Failure => ({ kind: "answer", status, body, ...(headers && { headers }) });
const table: readonly (readonly [string, Failure, "permanent" | "retry" | "delivered" | number])[] = [
  ["200", answer(200, "ok"), "delivered"],
  ["202 with a page", answer(202, "<html>", { "content-type": "text/html" }), "delivered"],
  ["200 with more than anybody reads", answer(200, "x".repeat(100_000)), "delivered"],
  ["200 in an encoding that nobody knows", answer(200, "x", { "content-encoding": "zstd" }), "delivered"],
  ["302", answer(302, "", { location: "https://elsewhere.example/" }), "permanent"],
  ["400", answer(400, `unknown key ${SECRET} at /hooks/${SECRET}`), "permanent"],
  ["410", answer(410), "permanent"],
  ["429", answer(429), "retry"],
  ["429 with Retry-After", answer(429, "", { "retry-after": "120" }), 120_000],
  ["503 with Retry-After", answer(503, "", { "retry-after": "5" }), 5_000],
  ["500", answer(500, `<html>${SECRET}`, { "content-type": "text/html" }), "retry"],
  ["a lost answer", { kind: "lost" }, "retry"],
];

for (const [name, script, outcome] of table) {
  test(`${name}: ${typeof outcome === "number" ? `again after ${outcome} ms` : outcome}, after one attempt, without the secret`, async (t) => {
    const server = await scriptedServer(() => ({ status: 200, body: "" }));
    t.after(() => server.close());
    const { send } = setUp(t, `${server.origin}/hooks/${SECRET}?token=${SECRET}`, { headers: { "x-api-key": SECRET }, auth: { bearer: { token: SECRET } } });
    server.failNext(script);
    if (outcome === "delivered") await send(notificationOf(alertOf()));
    else {
      const error = await failureOf(send(notificationOf(alertOf())), SECRET);
      assert.equal(error instanceof PermanentError, outcome === "permanent", inspect(error));
      assert.equal(error instanceof RetryLaterError ? error.retryAfterMs : undefined, typeof outcome === "number" ? outcome : undefined);
    }
    assert.equal(server.requests, 1);
  });
}

test("an answer that does not come is waited for no longer than the timeout", async (t) => {
  const server = await scriptedServer(() => ({ status: 200, body: "" }));
  t.after(() => server.close());
  server.failNext({ kind: "silence" });
  const { send } = setUp(t, server.origin, { timeout: "50ms" });
  const error = await failureOf(send(notificationOf(alertOf())), SECRET);
  assert.ok(!(error instanceof PermanentError));
});

test("what cannot work is refused when the configuration is loaded, where it is written", () => {
  const { context } = exporterContext({ clock: realClock });
  const refused = (config: object, pointer: string, message: RegExp): void => {
    assert.throws(
      () => webhook.create(configured(webhook.schema, { url: "https://a.example", ...config }), context),
      (error) => error instanceof ConfigError && error.pointer === pointer && message.test(error.message),
    );
  };
  refused({ url: "file:///x" }, "/url", /http/);
  refused({ timeout: "0s" }, "/timeout", /longer/);
  refused({ auth: {} }, "/auth", /either/);
  refused({ auth: { bearer: { token: "a\nb" } } }, "/auth/bearer/token", /ASCII on one line/);
  refused({ auth: { basic: { username: "a:b", password: "c" } } }, "/auth/basic/username", /colon/);
  refused({ signing_secret: "whsec_s3cret!" }, "/signing_secret", /no base64/);
  refused({ body: { a: ["{{ valeu.status }}"] } }, "/body/a/0", /unknown name: valeu; did you mean value\?/);
  refused({ body: "{{ value.status" }, "/body", /\{\{ without \}\}/);
  refused({ body: { "a/b": "{{ self.id }}" } }, "/body/a~1b", /self is known only after a track/);
});
