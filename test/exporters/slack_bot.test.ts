import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { inspect } from "node:util";
import { slack } from "../../exporters/slack.ts";
import type { Alert, Notification } from "../../src/sdk/alert.ts";
import { realClock } from "../../src/sdk/clock.ts";
import type { Exporter } from "../../src/sdk/component.ts";
import { ConfigError, PermanentError, RetryLaterError } from "../../src/sdk/errors.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { alertOf, failureOf, FIRED_AT, notificationOf, resolvedOf } from "../support/alert.ts";
import { configured } from "../support/configured.ts";
import { exporterContext } from "../support/context.ts";
import { BOT_TOKEN, fakeSlack, type FakeSlack } from "../support/fake_slack.ts";
import type { Failure } from "../support/scripted_server.ts";

interface SetUp {
  readonly fake: FakeSlack;
  readonly exporter: Exporter;
  notify(notification: Notification): Promise<Notification["receipt"]>;
}

async function setUp(t: TestContext, config: object = {}): Promise<SetUp> {
  const fake = await fakeSlack();
  const { context } = exporterContext({ clock: virtualClock(FIRED_AT + 60_000) });
  const exporter = slack.create(configured(slack.schema, { bot_token: BOT_TOKEN, channel: "#ops", api_url: `${fake.apiUrl}/`, ...config }), context);
  t.after(async () => {
    await exporter.stop!();
    await fake.close();
  });
  return { fake, exporter, notify: async (notification) => await exporter.notify!(notification, AbortSignal.timeout(5_000)) };
}

const order = (id: string, parts: Partial<Alert> = {}): Alert =>
  alertOf({ resource: { type: "order", id }, dedup_key: `k/${id}`, annotations: { summary: `Order ${id} is stuck` }, ...parts });
const over = (id: string): Alert => resolvedOf({ resource: { type: "order", id }, dedup_key: `k/${id}`, annotations: { summary: `Order ${id} is stuck` } });
const grouped = (alerts: Alert[], parts: Partial<Notification> = {}): Notification =>
  ({ ...notificationOf(...alerts), key: "group/eu", group: { region: "eu" }, ...parts });
const header = ({ blocks }: FakeSlack["messages"][number]): string => blocks[0]!.text!.text;
const no = (error: string, more: object = {}, headers?: Record<string, string>): Failure =>
  ({ kind: "answer", status: 200, body: JSON.stringify({ ok: false, error, ...more }), ...(headers && { headers }) });

test("an incident is one message: posted, changed in place when it is over, and that told in its thread", async (t) => {
  const { fake, notify } = await setUp(t);
  const receipt = await notify(notificationOf(alertOf()));
  assert.equal(header(fake.messages[0]!), ":red_circle: FIRING: OrderStuckInPending");
  await notify({ ...notificationOf(resolvedOf()), receipt });
  assert.deepEqual(fake.refused, []);
  assert.deepEqual(fake.calls, ["chat.postMessage", "chat.update", "chat.postMessage"]);
  const [message, reply] = fake.messages as [FakeSlack["messages"][number], FakeSlack["messages"][number]];
  assert.deepEqual([message.channel, message.edits, header(message)], ["C0OPS", 1, ":large_green_circle: RESOLVED after 1h: OrderStuckInPending"]);
  assert.equal(reply.thread_ts, message.ts);
  assert.equal(reply.text, "*RESOLVED after 1h*\n:large_green_circle: *over* OrderStuckInPending order/o1: Order o1 has been pending for 30m (recovered)");
});

test("a repeat only answers in the thread", async (t) => {
  const { fake, notify } = await setUp(t);
  const receipt = await notify(notificationOf(alertOf()));
  assert.deepEqual(await notify({ ...notificationOf(alertOf()), cause: "repeat", receipt }), receipt);
  assert.deepEqual([fake.messages.length, fake.messages[0]!.edits], [2, 0]);
  assert.equal(fake.messages[1]!.text, "Still firing since 2026-01-01T03:02:00.000Z.\n*STILL FIRING*");
});

test("when a group changes, its message shows who fires now, and its thread says who is new and who is over", async (t) => {
  const { fake, notify } = await setUp(t);
  let receipt = await notify(grouped([order("a"), order("b")]));
  receipt = await notify(grouped([order("b"), order("c"), over("a")], { cause: "changed", receipt }));
  assert.equal(header(fake.messages[0]!), ":red_circle: 2 FIRING, 1 RESOLVED: OrderStuckInPending (region=eu)");
  assert.deepEqual(fake.messages[1]!.text.split("\n"), [
    ":red_circle: *new* OrderStuckInPending order/c: Order c is stuck",
    ":large_green_circle: *over* OrderStuckInPending order/a: Order a is stuck (recovered)",
  ]);
  await notify(grouped([order("b"), order("c")], { cause: "changed", receipt }));
  assert.deepEqual([fake.messages.length, fake.messages[0]!.edits], [2, 2], "where nothing is news, nothing is said");
});

test("whatever the alerts hold, message, change and reply are within Slack's limits, and so is what is remembered", async (t) => {
  const { fake, notify } = await setUp(t);
  const evil = "😀<!channel> <@U1> & \u202e".repeat(2_000);
  const many = Array.from({ length: 1_500 }, (_, n) => order(`${n}${evil}`, { annotations: { summary: evil } }));
  const receipt = await notify(grouped(many.slice(0, 2)));
  const after = await notify(grouped(many, { cause: "changed", receipt, group: { [evil]: evil } }));
  await notify(grouped(many.map((alert) => ({ ...alert, ...over("x"), annotations: alert.annotations })), { receipt: after }));
  assert.deepEqual(fake.refused, []);
  assert.deepEqual(fake.messages.map(({ edits }) => edits), [2, 0, 0]);
  assert.ok(JSON.stringify(after).length < 8_200);
});

for (const code of ["message_not_found", "cant_update_message", "edit_window_closed", "is_archived"]) {
  test(`a message that can be changed no more (${code}) gives way to a new one`, async (t) => {
    const { fake, notify } = await setUp(t);
    const receipt = await notify(notificationOf(alertOf()));
    fake.failNext(no(code));
    const next = await notify({ ...notificationOf(resolvedOf()), receipt });
    assert.deepEqual(fake.messages.map((message) => [header(message), message.edits]), [
      [":red_circle: FIRING: OrderStuckInPending", 0], [":large_green_circle: RESOLVED after 1h: OrderStuckInPending", 0],
    ]);
    assert.equal((next as { ts: string }).ts, fake.messages[1]!.ts);
  });
}

test("a repeat finds its message deleted, and says everything anew", async (t) => {
  const { fake, notify } = await setUp(t);
  const receipt = await notify(notificationOf(alertOf()));
  fake.remove(fake.messages[0]!.ts);
  await notify({ ...notificationOf(alertOf()), cause: "repeat", receipt });
  assert.equal(header(fake.messages[0]!), ":red_circle: STILL FIRING: OrderStuckInPending");
});

test("an incident goes on in the channel where it began, whatever is configured meanwhile", async (t) => {
  const { fake, exporter, notify } = await setUp(t);
  const receipt = await exporter.notify!(notificationOf(alertOf()), AbortSignal.timeout(5_000));
  const { context } = exporterContext({ clock: realClock });
  const moved = slack.create(configured(slack.schema, { bot_token: BOT_TOKEN, channel: "C0DEV", api_url: fake.apiUrl }), context);
  t.after(() => moved.stop!());
  await moved.notify!({ ...notificationOf(resolvedOf()), receipt }, AbortSignal.timeout(5_000));
  assert.deepEqual(fake.messages.map(({ channel }) => channel), ["C0OPS", "C0OPS"]);
  await notify(notificationOf(alertOf()));
});

test("when the reply fails after the change, the next attempt shows the change once and the reply once", async (t) => {
  const { fake, notify } = await setUp(t);
  const receipt = await notify(notificationOf(alertOf()));
  const resolved = { ...notificationOf(resolvedOf()), receipt };
  const heal = fake.calls.length;
  // The first of the two calls succeeds.
  const lost: Failure = { kind: "lost" };
  fake.failNext(lost);
  await failureOf(notify(resolved), BOT_TOKEN);
  assert.deepEqual(fake.calls.slice(heal), ["chat.update"], "done, though nobody heard of it");
  await notify(resolved);
  assert.deepEqual([fake.messages.length, fake.messages[0]!.edits], [2, 2]);
  assert.equal(fake.messages.filter(({ thread_ts }) => thread_ts !== undefined).length, 1);
});

test("a test is a message of its own that nothing refers to", async (t) => {
  const { fake, notify } = await setUp(t);
  const receipt = await notify(notificationOf(alertOf()));
  assert.equal(await notify({ ...notificationOf(alertOf()), cause: "test", receipt }), undefined);
  assert.deepEqual([fake.messages.length, fake.messages[1]!.thread_ts, header(fake.messages[1]!)], [2, undefined, ":red_circle: TEST FIRING: OrderStuckInPending"]);
});

const table: readonly (readonly [string, Failure, "permanent" | "retry" | number])[] = [
  ...["invalid_auth", "account_inactive", "channel_not_found", "not_in_channel", "is_archived", "invalid_blocks", "msg_too_long", "msg_blocks_too_long", "no_text"]
    .map((code) => [code, no(code), "permanent"] as const),
  ["ratelimited by status", { kind: "answer", status: 429, body: '{"ok":false,"error":"ratelimited"}', headers: { "retry-after": "30" } }, 30_000],
  ["ratelimited with status 200", no("ratelimited", {}, { "retry-after": "7" }), 7_000],
  ["rate_limited with the time in the body", no("rate_limited", { retry_after: 3 }), 3_000],
  ["message_limit_exceeded", no("message_limit_exceeded"), "retry"],
  ["internal_error", no("internal_error"), "retry"],
  ["fatal_error", no("fatal_error"), "retry"],
  ["service_unavailable", no("service_unavailable"), "retry"],
  ["request_timeout", no("request_timeout"), "retry"],
  ["a word that nobody knows", no("brand_new_error"), "retry"],
  ["a proxy's page", { kind: "answer", status: 200, body: `<html>${BOT_TOKEN}</html>` }, "retry"],
  ["a proxy's large page", { kind: "answer", status: 200, body: `<html>${"x".repeat(2_000_000)}` }, "retry"],
  ["ok without a message", { kind: "answer", status: 200, body: '{"ok":true}' }, "retry"],
  ["an error that repeats the token", no(BOT_TOKEN), "retry"],
  ["500", { kind: "answer", status: 500, body: "oops" }, "retry"],
  ["403", { kind: "answer", status: 403, body: BOT_TOKEN }, "permanent"],
  ["a lost answer", { kind: "lost" }, "retry"],
];

for (const [name, script, outcome] of table) {
  test(`${name}: ${typeof outcome === "number" ? `again after ${outcome} ms` : outcome}, after one attempt, without the token`, async (t) => {
    const { fake, notify } = await setUp(t);
    fake.failNext(script);
    const error = await failureOf(notify(notificationOf(alertOf())), BOT_TOKEN);
    assert.equal(fake.requests, 1);
    assert.equal(error instanceof PermanentError, outcome === "permanent", inspect(error));
    assert.equal(error instanceof RetryLaterError ? error.retryAfterMs : undefined, typeof outcome === "number" ? outcome : undefined);
  });
}

test("Slack's word for what is wrong is in the error, and what to do about it", async (t) => {
  const { notify } = await setUp(t, { channel: "C0ALONE" });
  const { message } = await failureOf(notify(notificationOf(alertOf())), BOT_TOKEN);
  assert.equal(message, "Slack's chat.postMessage answered not_in_channel: invite the app to the channel");
});

test("render shows what is sent, without the token", async (t) => {
  const { fake, exporter, notify } = await setUp(t);
  const first = notificationOf(alertOf());
  const { channel, text, blocks } = exporter.render!(first) as unknown as FakeSlack["messages"][number];
  const receipt = await notify(first);
  assert.deepEqual([channel, text, blocks], ["#ops", fake.messages[0]!.text, fake.messages[0]!.blocks]);
  const resolved = { ...notificationOf(resolvedOf()), receipt };
  const { update, reply } = exporter.render!(resolved) as unknown as Record<string, FakeSlack["messages"][number]>;
  await notify(resolved);
  assert.deepEqual([update!.ts, update!.text, reply!.thread_ts, reply!.text], [fake.messages[0]!.ts, fake.messages[0]!.text, fake.messages[0]!.ts, fake.messages[1]!.text]);
});

test("a receipt that is none is not believed", async (t) => {
  const { fake, notify } = await setUp(t);
  for (const receipt of ["x", null, [], { channel: "C0OPS" }, { channel: 1, ts: 2, members: 3 }]) await notify({ ...notificationOf(alertOf()), receipt });
  assert.deepEqual(fake.calls, Array.from({ length: 5 }, () => "chat.postMessage"));
});

test("it is either a webhook or a bot, and a bot needs a channel", () => {
  const { context } = exporterContext({ clock: realClock });
  const both = { webhook_url: "https://hooks.example/x", bot_token: BOT_TOKEN, channel: "C1" };
  for (const config of [{}, both]) {
    assert.throws(() => slack.create(configured(slack.schema, config), context), (error) => error instanceof ConfigError && !inspect(error).includes(BOT_TOKEN));
  }
  assert.throws(() => configured(slack.schema, { bot_token: BOT_TOKEN }), /channel/);
});
