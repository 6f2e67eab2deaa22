import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
import { slack } from "../../exporters/slack.ts";
import { escaped, slackMessage } from "../../exporters/slack/message.ts";
import type { Alert } from "../../src/sdk/alert.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { ConfigError, messageOf, PermanentError, RetryLaterError } from "../../src/sdk/errors.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { alertOf, failureOf, FIRED_AT, notificationOf, resolvedOf } from "../support/alert.ts";
import { exporterContext } from "../support/context.ts";
import { fakeSlack, type FakeSlack } from "../support/fake_slack.ts";
import type { Failure } from "../support/scripted_server.ts";

const SECRET = "hook-secret-0123456789";
const NOW = FIRED_AT + 60_000;

async function setUp(t: TestContext, webhook_url?: string): Promise<{ fake: FakeSlack; send(...alerts: Alert[]): Promise<unknown> }> {
  const fake = await fakeSlack();
  const { context } = exporterContext({ clock: virtualClock(NOW) });
  const exporter = slack.create({ webhook_url: webhook_url ?? fake.url, alerts_max: 20 }, context);
  t.after(async () => {
    await exporter.stop!();
    await fake.close();
  });
  return { fake, send: (...alerts) => exporter.notify!(notificationOf(...alerts), AbortSignal.timeout(5_000)) };
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
  assert.equal(post.blocks[3]!.elements![0]!.text, "state=pending · team=checkout");
});

test("a resolve looks different at a glance, and says why and how long it took", async (t) => {
  const { fake, send } = await setUp(t);
  await send(resolvedOf());
  const post = fake.posts[0]!;
  assert.match(post.text, /^RESOLVED: /);
  assert.equal(post.blocks[0]!.text!.text, ":large_green_circle: RESOLVED: OrderStuckInPending");
  const fields = post.blocks[2]!.fields!.map(({ text }) => text);
  assert.ok(fields.includes("*was firing for*\n1h"), fields.join());
  assert.ok(fields.includes("*resolved*\n2026-01-01T04:02:00.000Z (recovered)"), fields.join());
});

test("of many alerts some are spelled out and the others counted", async (t) => {
  const { fake, send } = await setUp(t);
  await send(...Array.from({ length: 57 }, (_, n) => alertOf({ resource: { type: "order", id: `o${n}` } })));
  const { text, blocks } = fake.posts[0]!;
  assert.equal(blocks[0]!.text!.text, ":red_circle: 57 FIRING: OrderStuckInPending");
  assert.equal(blocks.filter(({ type }) => type === "section").length, 20);
  assert.equal(blocks.at(-1)!.elements![0]!.text, "+37 more");
  assert.match(text, /^\+37 more\n/);
});

test("no resource, summary or label can mention a channel or hide behind a link", async (t) => {
  const { fake, send } = await setUp(t);
  const evil = "<!channel> <@U1> <https://evil.example|ok> `code` & \u202e\n@here";
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
  assert.deepEqual(fake.refused, []);
  assert.equal(slackMessage(Array.from({ length: 41 }, () => alert), 40, NOW).blocks.length, 42);
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
  const exporter = slack.create({ webhook_url: fake.url, alerts_max: 20 }, exporterContext({ clock: realClock }).context);
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
    const create = (): unknown => slack.create({ webhook_url, alerts_max: 20 }, exporterContext({ clock: realClock }).context);
    assert.throws(create, (error) => error instanceof ConfigError && error.pointer === "/webhook_url" && !inspect(error).includes(SECRET));
  }
});
