import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { cli } from "../../src/cli/cli.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { observation, type Json } from "../../src/sdk/observation.ts";
import { API, ORDERS, served, type Served } from "../api/support.ts";
import { fakeSlack } from "../support/fake_slack.ts";
import { freePorts, until } from "../support/waiting.ts";

interface Said {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

async function sojourn(...argv: string[]): Promise<Said> {
  const out: string[] = [];
  const error: string[] = [];
  const code = await cli(argv, [], { out: (text) => out.push(text), error: (text) => error.push(text) });
  return { code, out: out.join("\n"), error: error.join("\n") };
}

/** An agent in real time, told of one failed order and one that is fine; commands ask it. */
async function running(more = "", base = ORDERS): Promise<{ readonly agent: Served; ask(...argv: string[]): Promise<Said> }> {
  const agent = await served({ clock: realClock, files: { "agent.yaml": base.replace("processors: [track/order] }", `processors: [track/order] ${more === "" ? "" : ", exporters: [slack/ops]"} }`) + more } });
  const send = (body: Json): Promise<void> => agent.agent.emit("webhook/orders", [observation(body, { time: realClock.now(), source: "webhook/orders" })]);
  await send({ id: "o1", status: "pending" });
  await send({ id: "o1", status: "failed" });
  await send({ id: "o2", status: "paid" });
  const api = `http://127.0.0.1:${agent.listeners.port(API)!}`;
  return { agent, ask: (...argv) => sojourn(...argv, "--api", api) };
}

test("alerts lists what is open; explain tells the story of one by name, resource or key", async () => {
  const { agent, ask } = await running();
  await using _ = agent;
  const listed = await ask("alerts");
  assert.match(listed.out, /^[0-9a-f]{12} {2}FIRING {3}critical OrderFailed order\/o1 {2}for \d+m?s: order o1 is failed$/);
  const key = listed.out.slice(0, 12);
  for (const meant of ["OrderFailed", "OrderFailed/o1", "order/o1", "o1", key]) {
    const { code, out, error } = await ask("explain", meant);
    assert.equal(code, 0, error);
    assert.match(out, /^FIRING +critical OrderFailed order\/o1\n/);
    assert.match(out, /what +order o1 is failed/);
    assert.match(out, /path +\S+ {2}pending → failed {2}after /);
    assert.equal(out.match(/^ +details /gm)?.length, 1, "one heading, however many lines there are under it");
    assert.match(out, /because +webhook\/orders said at \S+: {"id":"o1","status":"failed"}/);
    assert.match(out, /trace +[0-9a-f]{32}/);
  }
});

test("explain says what it knows when nothing, or more than one alert, is meant", async () => {
  const { agent, ask } = await running();
  await using _ = agent;
  const none = await ask("explain", "order/o2");
  assert.deepEqual([none.code, none.error], [1, "sojourn: no alert order/o2; sojourn alerts lists them"]);
  await agent.agent.emit("webhook/orders", [observation({ id: "o9", status: "failed" }, { time: realClock.now(), source: "webhook/orders" })]);
  const many = await ask("explain", "OrderFailed");
  assert.equal(many.code, 1);
  assert.match(many.error, /2 alerts are meant; name one by its key:\n.*order\/o1\n.*order\/o9/);
});

test("silence: added for a while with a reason, listed, ended; what is missing is said", async () => {
  const { agent, ask } = await running();
  await using _ = agent;
  const added = await ask("silence", "add", "alertname=OrderFailed", "--for", "2h", "--comment", "migration", "--by", "jo");
  assert.equal(added.code, 0, added.error);
  const [, id] = /^silence (\S+) until \S+; it holds for 1 open alert$/.exec(added.out)!;
  assert.match((await ask("alerts")).out, /\(silenced\)$/);
  assert.match((await ask("silence", "add", "alertname=Nothing", "--for", "1s", "--comment", "x")).out, /; it holds for no alert that is open now/);
  assert.match((await ask("silence", "list")).out, new RegExp(`^${id} {2}active {2}until \\S+ {2}alertname=OrderFailed {2}\\(jo: migration\\)$`, "m"));
  assert.match((await ask("explain", "OrderFailed")).out, new RegExp(`silenced +by ${id}`));
  assert.equal((await ask("silence", "expire", id!)).out, `silence ${id} is over`);
  assert.match((await ask("silence", "list")).out, /expired/);
  for (const [argv, message] of [
    [["silence", "add", "a=b", "--comment", "x"], /needs --for/],
    [["silence", "add", "a=b", "--for", "2h"], /needs --comment/],
    [["silence", "add", "--for", "2h", "--comment", "x"], /needs matchers/],
    [["silence", "remove"], /silence needs one of/],
  ] as const) {
    const { code, error } = await ask(...argv);
    assert.equal(code, 2);
    assert.match(error, message);
  }
});

test("acknowledge says who is at it", async () => {
  const { agent, ask } = await running();
  await using _ = agent;
  assert.match((await ask("acknowledge", "order/o1", "--by", "jo", "--comment", "on it")).out, /^acknowledged: FIRING/);
  assert.match((await ask("explain", "order/o1")).out, /ack +by jo .*: on it/);
  assert.match((await ask("alerts")).out, /\(acknowledged by jo\)$/);
  const again = await ask("acknowledge", "order/o1");
  assert.match(again.out, /\(before: by jo at \S+\)$/);
  assert.match((await ask("explain", "order/o1")).out, /ack +by \S+ \S+ \(\S+ ago\)\n/, "no comment, no colon");
});

test("explain says how the resource is now, beside how it was when it fired", async () => {
  const { agent, ask } = await running();
  await using _ = agent;
  await agent.agent.emit("webhook/orders", [observation({ id: "o1", status: "paid" }, { time: realClock.now(), source: "webhook/orders" })]);
  assert.match((await ask("explain", "OrderFailed")).out, /now +paid since \S+ \(\S+ ago\), last seen \S+ \(\S+ ago\)\n/);
  assert.match((await ask("explain", "OrderFailed")).out, /sent +nothing that is on record/);
});

test("a group's alert is found as the listing shows it, and what keeps an alert from being told is said", async () => {
  const { agent, ask } = await running(undefined, ORDERS
    .replace("  track/device:", "  threshold: { rules: [{ alert: Many, aggregate: { count: true, by: { state: self.state } }, expr: value > 0 }] }\n  track/device:")
    .replace("processors: [track/order]", "processors: [track/order, threshold]")
    .replace("service:", "service:\n  inhibit_rules: [{ source_matchers: [alertname=OrderFailed], target_matchers: [alertname=Many, state=failed] }]"));
  await using _ = agent;
  for (const meant of ["order state=failed", "state=failed", "failed"]) {
    assert.match((await ask("explain", meant)).out, /^FIRING +warning +Many order state=failed\n[^]*\n +inhibited by another alert/, meant);
  }
  assert.match((await ask("alerts")).out, /Many order state=failed {2}for .*\(inhibited\)$/m);
});

test("redeliver without a number lists the dead letters", async () => {
  const { agent, ask } = await running();
  await using _ = agent;
  assert.equal((await ask("redeliver")).out, "there are no dead letters");
  await agent.agent.emit("webhook/orders", [observation({ status: "failed" }, { time: realClock.now(), source: "webhook/orders" })]);
  assert.match((await ask("redeliver")).out, /^ +1 {2}\S+Z {2}track\/order {2}.*\nsojourn redeliver <number>/);
});

test("a notification that was given up is listed with what it is about, and sent again", async () => {
  const slack = await fakeSlack();
  try {
    slack.failNext({ kind: "answer", status: 404, body: "no_team" });
    const { agent, ask } = await running(`\nexporters:\n  slack/ops: { webhook_url: "${slack.url}" }\n`);
    await using _ = agent;
    await until("it was given up", () => agent.agent.services.deadLetters.list(undefined, 1).length === 1);
    assert.match((await ask("redeliver")).out, /^ +1 {2}\S+Z {2}slack\/ops {2}fired: OrderFailed order\/o1: .*404/);
    assert.equal((await ask("redeliver", "1")).out, "queued");
    await until("it was sent again", () => slack.posts.length === 1);
    assert.equal((await ask("redeliver")).out, "there are no dead letters");
  } finally {
    await slack.close();
  }
});

test("notify-test sends one marked message and says what came of it; deliveries shows what was sent", async () => {
  const slack = await fakeSlack();
  try {
    const { agent, ask } = await running(`\nexporters:\n  slack/ops: { webhook_url: "${slack.url}" }\n`);
    await using _ = agent;
    const tested = await ask("notify-test", "slack/ops");
    assert.deepEqual([tested.code, tested.out], [0, "slack/ops: delivered"], tested.error);
    assert.match(slack.posts.at(-1)!.text, /test/i);
    assert.match((await ask("deliveries")).out, /delivered +slack\/ops {2}fired: OrderFailed order\/o1/);
    slack.failNext({ kind: "answer", status: 404, body: "channel_not_found" });
    const failed = await ask("notify-test", "slack/ops");
    assert.equal(failed.code, 1);
    assert.match(failed.error, /404/);
    assert.match((await ask("notify-test", "slack/none")).error, /no exporter slack\/none that takes alerts is running; did you mean slack\/ops\? \(allowed: slack\/ops\)/);
  } finally {
    await slack.close();
  }
});

test("where nobody answers, the command says where it asked and how to ask elsewhere", async () => {
  const [port] = await freePorts(1);
  const { code, error } = await sojourn("alerts", "--api", `http://127.0.0.1:${port}`);
  assert.equal(code, 1);
  assert.match(error, new RegExp(`no agent answers at http://127.0.0.1:${port} .*--api or SOJOURN_API`));
  assert.match((await sojourn("alerts", "--api", "ftp://x")).error, /no URL of an agent/);
});

test("an agent of another version is no trouble: what it does not say is left out, what it does not know is said", async () => {
  const alert = { alert: "OrderFailed", status: "firing", resource: { type: "order", id: "o1" }, labels: {}, active_at: "2026-01-01T00:00:00Z", dedup_key: "a".repeat(64) };
  const muted = { ...alert, resource: { type: "order", id: "muted" }, muted_by: ["pagerduty"], dedup_key: "b".repeat(64) };
  const answers: Readonly<Record<string, readonly [number, object]>> = {
    "/api/v1/alerts": [200, { items: [alert, muted], next: null }],
    [`/api/v1/alerts/${muted.dedup_key}`]: [200, muted],
    "/api/v1/exporters/pagerduty/test": [200, { result: "delivered", stays_open: true }],
    [`/api/v1/alerts/${alert.dedup_key}`]: [200, alert],
    "/api/v1/deliveries": [404, { detail: "there is nothing at /api/v1/deliveries; / lists what there is" }],
    "/api/v1/silences": [200, { silences: [] }],
    "/api/v1/dead_letters": [200, { items: [null], next: null }],
  };
  const server = createServer((request, response) => {
    const [status, body] = answers[request.url!.split("?")[0]!] ?? [404, "no such page"];
    response.writeHead(status, { "content-type": "application/json" }).end(typeof body === "string" ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const ask = (...argv: string[]): Promise<Said> => sojourn(...argv, "--api", api);
  try {
    assert.match((await ask("notify-test", "pagerduty")).out, /^pagerduty: delivered; an incident that it opened there stays open until somebody resolves it there$/);
    assert.match((await ask("explain", "muted")).out, /\n  muted +pagerduty tells nothing new at this time/);
    assert.match((await ask("alerts")).out, /FIRING .*OrderFailed order\/o1/);
    assert.match((await ask("explain", "o1")).out, /^FIRING .*OrderFailed order\/o1\n/);
    assert.deepEqual(await ask("deliveries"), { code: 1, out: "", error: `sojourn: ${api} does not know GET /api/v1/deliveries: the agent there is of another version than this command` });
    assert.deepEqual(await ask("silence", "list"), { code: 1, out: "", error: `sojourn: ${api} gives no list at /api/v1/silences: is it a Sojourn agent, and of this version?` });
    assert.deepEqual(await ask("notify-test", "slack/ops"), { code: 1, out: "", error: `sojourn: ${api} does not know POST /api/v1/exporters/slack%2Fops/test: is it a Sojourn agent?` });
    const odd = await ask("redeliver");
    assert.equal(odd.code, 1);
    assert.match(odd.error, /is not understood .* another version/);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
