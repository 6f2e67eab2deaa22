import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
import { slack } from "../../exporters/slack.ts";
import { slackMessage } from "../../exporters/slack/message.ts";
import { escaped } from "../../exporters/slack/text.ts";
import type { Alert, Notification } from "../../src/sdk/alert.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { ConfigError, messageOf, PermanentError, RetryLaterError } from "../../src/sdk/errors.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { alertOf, failureOf, FIRED_AT, notificationOf, resolvedOf } from "../support/alert.ts";
import { configured } from "../support/configured.ts";
import { exporterContext } from "../support/context.ts";
import { fakeSlack, type FakeSlack } from "../support/fake_slack.ts";
import type { Failure } from "../support/scripted_server.ts";

const SECRET = "hook-secret-0123456789";
const NOW = FIRED_AT + 60_000;

interface SetUp {
  readonly fake: FakeSlack;
  notify(notification: Notification): Promise<unknown>;
  send(...alerts: Alert[]): Promise<unknown>;
}

async function setUp(t: TestContext, webhook_url?: string): Promise<SetUp> {
  const fake = await fakeSlack();
  const { context } = exporterContext({ clock: virtualClock(NOW) });
  const exporter = slack.create(configured(slack.schema, { webhook_url: webhook_url ?? fake.url }), context);
  t.after(async () => {
    await exporter.stop!();
    await fake.close();
  });
  const notify = async (notification: Notification): Promise<unknown> => {
    assert.deepEqual(exporter.render!(notification), JSON.parse(JSON.stringify(slackMessage(notification, 20, NOW))));
    return await exporter.notify!(notification, AbortSignal.timeout(5_000));
  };
  return { fake, notify, send: (...alerts) => notify(notificationOf(...alerts)) };
}

const failure = (send: Promise<unknown>): Promise<Error> => failureOf(send, SECRET);

test("a message says what is wrong with which resource, how badly, and since when", async (t) => {
  const { fake, send } = await setUp(t);
  await send(alertOf({ annotations: { summary: "Order o1 has been pending for 30m", runbook_url: "https://runbooks.example/stuck?a=1&b=2" } }));
  assert.deepEqual(fake.refused, []);
  const post = fake.posts[0]!;
  assert.equal(post.text, "FIRING: OrderStuckInPending order/o1: Order o1 has been pending for 30m");
  assert.equal(post.blocks[0]!.text!.text, ":red_circle: FIRING: OrderStuckInPending");
  assert.equal(
    post.blocks[1]!.text!.text,
    "`order/o1` Order o1 has been pending for 30m\n<https://runbooks.example/stuck?a=1&amp;b=2|Runbook>",
  );
  assert.deepEqual(post.blocks[2]!.fields!.map(({ text }) => text), [
    "*severity*\ncritical", "*true for*\n31m", "*state*\npending", "*since*\n2026-01-01T02:32:00.000Z", "*limit*\n30m",
  ]);
  assert.equal(post.blocks[3]!.text!.text, "*trace* 0123456789abcdef0123456789abcdef");
  assert.equal(post.blocks[4]!.elements![0]!.text, "state=pending · team=checkout");
});

test("a resolve looks different at a glance, and says why and how long it took", async (t) => {
  const { fake, send } = await setUp(t);
  await send(resolvedOf());
  const post = fake.posts[0]!;
  assert.match(post.text, /^RESOLVED after 1h: /);
  assert.equal(post.blocks[0]!.text!.text, ":large_green_circle: RESOLVED after 1h: OrderStuckInPending");
  const fields = post.blocks[2]!.fields!.map(({ text }) => text);
  assert.ok(fields.includes("*was firing for*\n1h"), fields.join());
  assert.ok(fields.includes("*resolved*\n2026-01-01T04:02:00.000Z (recovered)"), fields.join());
});

test("of many alerts some are spelled out and the others counted", async (t) => {
  const { fake, send } = await setUp(t);
  await send(...Array.from({ length: 57 }, (_, n) => alertOf({ resource: { type: "order", id: `o${n}` } })));
  const { text, blocks } = fake.posts[0]!;
  assert.equal(blocks[0]!.text!.text, ":red_circle: 57 FIRING: OrderStuckInPending");
  assert.equal(blocks.filter(({ type }) => type === "section").length, 1 + 20);
  assert.equal(blocks.at(-1)!.elements![0]!.text, "+37 more");
  assert.match(text, /^57 FIRING: OrderStuckInPending\n\+37 more\n/);
});

test("a message about several says how bad it is, since when, and where to read on", async (t) => {
  const { fake, send } = await setUp(t);
  const runbook = (name: string): Partial<Alert> => ({ annotations: { summary: "s", runbook_url: `https://runbooks.example/${name}` } });
  const story = { transitions: [], others: 0, url: "https://sojourn.example/alerts/1" };
  await send(
    alertOf({ ...runbook("a"), story }), alertOf(runbook("a")), alertOf({ ...runbook("b"), alert: "OrderLost", labels: { severity: "warning" }, fired_at: FIRED_AT - 60_000 }),
    resolvedOf({ ...runbook("c"), fired_at: 0 }),
  );
  await send(resolvedOf(), resolvedOf());
  assert.deepEqual(fake.posts.map(({ blocks }) => blocks[1]!.text!.text), [
    "*severity* critical, warning · *firing since* 2026-01-01T03:01:00.000Z · <https://runbooks.example/a|Runbook of OrderStuckInPending>"
      + " · <https://runbooks.example/b|Runbook of OrderLost> · <https://sojourn.example/alerts/1|Details of order/o1>",
    "*severity* critical · *fired* 2026-01-01T03:02:00.000Z",
  ]);
});

test("the whole story is told: path, others, what was observed, acknowledged, links; stale and flapping before the details", async (t) => {
  const { fake, send } = await setUp(t);
  await send(alertOf({
    annotations: { summary: "s", description: "Payments wait.", runbook_url: "https://runbooks.example/stuck" },
    story: {
      transitions: [{ from: "new", to: "paid", at: 1, duration: 60_000 }, { from: "paid", to: "pending", at: 2, duration: 5_400_000 }],
      others: 36, url: "https://sojourn.example/alerts/1",
    },
    observation: { source: "log_tail/orders", time: FIRED_AT, id: undefined, attributes: { "log.file.path": "/var/log/orders" }, body: { id: "o1" } },
    stale_since: FIRED_AT, flapping: true, acknowledged: { by: "ann", comment: "on it", at: FIRED_AT },
  }));
  assert.deepEqual(fake.refused, []);
  const { blocks } = fake.posts[0]!;
  assert.equal(blocks[1]!.text!.text, "`order/o1` s\nPayments wait.\n<https://runbooks.example/stuck|Runbook> · <https://sojourn.example/alerts/1|Details>");
  assert.deepEqual(blocks[2]!.fields!.slice(2, 4).map(({ text }) => text), [
    "*stale*\nlast known 2026-01-01T03:02:00.000Z: its sources are failing",
    "*flapping*\nit came and went too often, and stays until it has been quiet",
  ]);
  assert.deepEqual(blocks[3]!.text!.text.split("\n"), [
    "*path* new (1m) → paid (1h30m) → pending",
    "*others firing* 36",
    "*acknowledged* by ann at 2026-01-01T03:02:00.000Z: on it",
    "*observed* log_tail/orders at 2026-01-01T03:02:00.000Z, log.file.path=/var/log/orders",
    "*trace* 0123456789abcdef0123456789abcdef",
  ]);
});

test("a repeat says since when it fires, and a test that it is one", async (t) => {
  const { fake, notify } = await setUp(t);
  await notify({ ...notificationOf(alertOf()), cause: "repeat" });
  await notify({ ...notificationOf(alertOf()), cause: "test" });
  const [repeat, trial] = fake.posts.map(({ blocks }) => blocks.slice(0, 2).map(({ text }) => text!.text));
  assert.deepEqual(repeat, [":red_circle: STILL FIRING: OrderStuckInPending", "*Still firing since 2026-01-01T03:02:00.000Z.*"]);
  assert.deepEqual(trial, [":red_circle: TEST FIRING: OrderStuckInPending", "*TEST: somebody tried whether this gets through; nothing is wrong.*"]);
});

test("alerts that the notification itself only counts are counted", async (t) => {
  const { fake, notify } = await setUp(t);
  await notify({ ...notificationOf(...Array.from({ length: 21 }, () => alertOf())), more: 36 });
  const { text, blocks } = fake.posts[0]!;
  assert.equal(blocks[0]!.text!.text, ":red_circle: 57 FIRING: OrderStuckInPending");
  assert.match(text, /^57 FIRING: OrderStuckInPending\n\+37 more\n/);
});

test("no resource, summary or label can mention a channel or hide behind a link", async (t) => {
  const { fake, send } = await setUp(t);
  const evil = "<!channel> <@U1> <https://evil.example|ok> `code` & \u202e\u001b[2J\n@here";
  const alert = alertOf({
    resource: { type: "order", id: evil }, annotations: { summary: evil, description: evil, runbook_url: "javascript:alert(1)" },
    labels: { severity: evil, team: evil }, details: { [evil]: evil }, value: evil,
  });
  await send(alert);
  await send(alert, alert);
  assert.deepEqual(fake.refused, []);
  assert.equal(fake.posts.length, 2);
  for (const block of fake.posts.flatMap(({ blocks }) => blocks)) {
    for (const text of [block.text ?? [], block.fields ?? [], block.elements ?? []].flat()) {
      assert.doesNotMatch(text.text, /[^\P{Cc}\n]|\u202e/u, "nothing turns the text around");
      assert.ok(text.type === "plain_text" || text.verbatim === true, "Slack would look for mentions by itself");
    }
  }
});

test("whatever the alerts hold, the message is within Slack's limits", async (t) => {
  const { fake, send } = await setUp(t);
  const huge = "😀<&>".repeat(5_000);
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`k${n}${huge}`, huge]));
  const alert = alertOf({ alert: huge, resource: { type: huge, id: huge }, annotations: { summary: huge, description: huge }, labels: many, details: many });
  await send(alert);
  await send(...Array.from({ length: 100 }, () => alert));
  const links = (n: number): Partial<Alert> => ({ annotations: { ...alert.annotations, runbook_url: `https://x.example/${n}${"x".repeat(700)}` }, story: { transitions: [], others: 0, url: `https://y.example/${"y".repeat(700)}` } });
  await send(...Array.from({ length: 40 }, (_, n) => ({ ...alert, ...links(n) })));
  assert.deepEqual(fake.refused, []);
  assert.equal(slackMessage(notificationOf(...Array.from({ length: 41 }, () => alert)), 40, NOW).blocks.length, 43);
});

test("escaped text is cut before an entity or a surrogate pair, never within", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 1, max: 40 }), (text, max) => {
    const result = escaped(text, max);
    assert.ok(result.length <= max && result.isWellFormed());
    assert.ok(!/&(?!amp;|lt;|gt;)|[<>]/.test(result), result);
  }));
});

const answer = (status: number, body: string, headers?: Record<string, string>): Failure =>
  ({ kind: "answer", status, body, ...(headers && { headers }) });
const slow = JSON.stringify({ retry_after: 7, ok: false, error: "rate_limited" });
const table: readonly (readonly [string, Failure, "permanent" | "retry" | number])[] = [
  ["400 invalid_payload", answer(400, "invalid_payload"), "permanent"],
  ["400 no_text", answer(400, "no_text"), "permanent"],
  ["403 action_prohibited", answer(403, "action_prohibited"), "permanent"],
  ["403 invalid_token", answer(403, "invalid_token"), "permanent"],
  ["404 no_service", answer(404, "no_service"), "permanent"],
  ["404 channel_not_found", answer(404, "channel_not_found"), "permanent"],
  ["410 channel_is_archived", answer(410, "channel_is_archived"), "permanent"],
  ["302 a redirect", answer(302, "", { location: "https://elsewhere.example/" }), "permanent"],
  ["408", answer(408, ""), "retry"],
  ["429 with a header", answer(429, "", { "retry-after": "3" }), 3_000],
  ["429 with a body", answer(429, slow), 7_000],
  ["429 with both", answer(429, slow, { "retry-after": "3" }), 3_000],
  ["429 with neither", answer(429, "slow down"), "retry"],
  ["500 rollup_error", answer(500, "rollup_error"), "retry"],
  ["503 with a header", answer(503, "", { "retry-after": "30" }), 30_000],
  ["200 but a proxy's page", answer(200, `<html>${SECRET}</html>`), "retry"],
  ["200 but a large page", answer(200, `<html>${"x".repeat(100_000)}</html>`), "retry"],
  ["200 but not ok", answer(200, "not_ok"), "retry"],
  ["a lost answer", { kind: "lost" }, "retry"],
];

for (const [name, script, outcome] of table) {
  test(`${name}: ${typeof outcome === "number" ? `again after ${outcome} ms` : outcome}, after one attempt, without the secret`, async (t) => {
    const { fake, send } = await setUp(t);
    fake.failNext(script);
    const error = await failure(send(alertOf()));
    assert.equal(fake.requests, 1);
    assert.equal(error instanceof PermanentError, outcome === "permanent", inspect(error));
    assert.equal(error instanceof RetryLaterError ? error.retryAfterMs : undefined, typeof outcome === "number" ? outcome : undefined);
  });
}

test("Slack's own word for what is wrong is in the error", async (t) => {
  const { fake, send } = await setUp(t);
  fake.failNext(answer(410, "channel_is_archived"));
  assert.match((await failure(send(alertOf()))).message, /^Slack answered 410 Gone: channel_is_archived$/);
});

test("an answer that does not come is the caller's deadline, and stop leaves nothing open", async (t) => {
  const fake = await fakeSlack();
  t.after(() => fake.close());
  const exporter = slack.create(configured(slack.schema, { webhook_url: fake.url }), exporterContext({ clock: realClock }).context);
  fake.failNext({ kind: "silence" });
  const error = await failure(exporter.notify!(notificationOf(alertOf()), AbortSignal.timeout(50)));
  assert.ok(!(error instanceof PermanentError));
  await exporter.stop!();
  await exporter.stop!();
});

test("a server that cannot be reached is worth another attempt", async (t) => {
  const gone = await fakeSlack();
  await gone.close();
  const { send } = await setUp(t, gone.url);
  const error = await failure(send(alertOf()));
  assert.ok(!(error instanceof PermanentError));
  assert.match(messageOf(error), /ECONNREFUSED/);
});

test("a URL that is none is refused when the configuration is loaded, without repeating it", () => {
  for (const webhook_url of [`ftp://x/${SECRET}`, SECRET]) {
    const create = (): unknown => slack.create(configured(slack.schema, { webhook_url }), exporterContext({ clock: realClock }).context);
    assert.throws(create, (error) => error instanceof ConfigError && error.pointer === "/webhook_url" && !inspect(error).includes(SECRET));
  }
});
