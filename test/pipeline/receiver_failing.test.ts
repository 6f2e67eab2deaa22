import assert from "node:assert/strict";
import { test } from "node:test";
import { httpPoll } from "../../receivers/http_poll.ts";
import type { Alert } from "../../src/sdk/alert.ts";
import { defineReceiver, type AnyDefinition, type ReceiverContext } from "../../src/sdk/component.ts";
import type { Transport } from "../../src/sdk/http.ts";
import { harness, orders, type Harness } from "../support/agent.ts";

const MINUTE = 60_000;
const TRACK = "states: { pending: { stuck_after: 10m } }";

const failingAlert = (it: Harness): Alert | undefined => it.now.agent.services.alerts.list().find(({ alert }) => alert === "ReceiverFailing");
const changesOf = (it: Harness): string[] => it.alerts.filter(({ alert }) => alert === "ReceiverFailing").map(({ status, reason }) => `${status} ${reason ?? ""}`.trim());

test("a source that stays dead pages once, though its reason changes; what it feeds is stale; it heals and resolves", async () => {
  await using it = await harness(orders({ track: TRACK }));
  await it.send("feed", { id: "o1", status: "pending" });
  await it.advance(11 * MINUTE);
  assert.deepEqual(it.changes, ["FIRING OrderStuckInPending o1"]);
  const feed = it.receiver("feed");
  feed.failing("GET https://u:pa55word@shop.test/orders?key=s3cr3t failed: ECONNREFUSED");
  await it.advance(MINUTE - 1);
  assert.equal(failingAlert(it)!.status, "pending");
  await it.advance(1);
  const alert = failingAlert(it)!;
  assert.equal(alert.status, "firing");
  assert.deepEqual([alert.labels["severity"], alert.labels["receiver"]], ["warning", "feed"]);
  assert.match(JSON.stringify(alert), /ECONNREFUSED/);
  assert.ok(!/pa55word|s3cr3t/.test(JSON.stringify([it.alerts, it.log, it.notifications])));
  assert.notEqual(it.now.agent.services.alerts.list().find(({ resource }) => resource.id === "o1")!.stale_since, undefined);
  feed.failing("timed out");
  await it.advance(60 * MINUTE);
  assert.deepEqual(changesOf(it), ["firing"]);
  await it.send("feed", { id: "o1", status: "paid" });
  feed.failing(undefined);
  await it.advance(5 * MINUTE);
  assert.deepEqual(changesOf(it), ["firing", "resolved recovered"]);
  assert.ok(it.changes.includes("RESOLVED OrderStuckInPending o1 recovered"));
});

test("silence beyond expect_every pages as well", async () => {
  await using it = await harness(orders({ receivers: "feed/a: { expect_every: 10m }, feed/b: {}" }));
  await it.advance(11 * MINUTE);
  assert.match(JSON.stringify(failingAlert(it)), /feed\/a.*nothing came for 10m/);
  await it.send("feed/a", { id: "o1", status: "pending" });
  await it.advance(2 * MINUTE);
  assert.deepEqual(changesOf(it), ["firing", "resolved recovered"]);
});

test("a receiver that gives up again and again pages once", async () => {
  const crasher = defineReceiver({
    type: "crasher", summary: "Gives up a while after each start.", stability: "stable",
    schema: { type: "object", additionalProperties: false, properties: {} },
    create: (_, context) => ({
      async start() {
        context.caughtUp();
        context.clock.at(context.clock.now() + 5_000, () => context.crashed(new Error("out of sockets")));
      },
    }),
  });
  await using it = await harness(orders({ receivers: "crasher: {}" }), undefined, [crasher]);
  await it.advance(120 * MINUTE);
  assert.deepEqual(changesOf(it), ["firing"]);
  assert.match(JSON.stringify(failingAlert(it)), /stopped working, is being restarted/);
});

test("severity, how long, and whether at all are as configured, and follow a reload", async () => {
  const yaml = (options: string): string => orders({ service: `receiver_failing: ${options}` });
  await using it = await harness(yaml("{ for: 5m, severity: critical }"));
  it.receiver("feed").failing("refused");
  await it.advance(5 * MINUTE - 1);
  assert.deepEqual(changesOf(it), []);
  await it.advance(1);
  assert.deepEqual(changesOf(it), ["firing"]);
  assert.equal(failingAlert(it)!.labels["severity"], "critical");
  await using off = await harness(yaml("{ enabled: false }"));
  off.receiver("feed").failing("refused");
  await off.advance(60 * MINUTE);
  assert.equal(failingAlert(off), undefined);
  assert.equal(off.now.agent.receiverStatuses()["feed"]!.failing, "refused");
  await off.reload(yaml("{ for: 1m }"));
  await off.advance(MINUTE);
  assert.equal(failingAlert(off)!.status, "firing", "it failed all the while");
});

test("a restart neither ends nor repeats the alert: it waits until the receiver says how it is", async () => {
  await using it = await harness(orders({ receivers: "feed: { expect_every: 10m }" }));
  await it.advance(12 * MINUTE);
  assert.deepEqual(changesOf(it), ["firing"]);
  await it.restart(MINUTE);
  await it.advance(9 * MINUTE);
  assert.deepEqual(changesOf(it), ["firing"], "it can read, and nothing came yet");
  await it.advance(30 * MINUTE);
  assert.deepEqual(changesOf(it), ["firing"], "the same silence");
  await it.restart(MINUTE);
  await it.send("feed", { id: "o1", status: "pending" });
  await it.advance(2 * MINUTE);
  assert.deepEqual(changesOf(it), ["firing", "resolved recovered"]);
});

/** `http_poll` against a target in memory, so that answers come in virtual time. */
function polling(answer: () => { readonly status: number; readonly body: object }): AnyDefinition {
  const transport: Transport = {
    async send() {
      const { status, body } = answer();
      const headers = { "content-type": "application/json" };
      return { status, headers, body: Buffer.from(JSON.stringify(body)), name: "shop", receivedAt: 0 };
    },
  };
  return { ...httpPoll, create: (config: never, context: never) => httpPoll.create(config, { ...(context as ReceiverContext), transport }) };
}

test("a target that dies: three failed polls, one page, its resources stale; it answers again, and all is judged anew", async () => {
  let up = true;
  let status = "pending";
  const definition = polling(() => (up ? { status: 200, body: [{ id: "o1", status }] } : { status: 503, body: {} }));
  const yaml = orders({ track: TRACK })
    .replace("receivers: { feed: {} }", "receivers: { http_poll: { url: http://shop.test/orders, interval: 1m, jitter: 0s, each: body } }")
    .replace("receivers: [feed]", "receivers: [http_poll]");
  await using it = await harness(yaml, undefined, [definition]);
  await it.advance(2 * MINUTE);
  assert.equal(it.now.agent.services.resources.get("order", "o1")?.state, "pending");
  up = false;
  // Failed polls come later and later: after 1, 2 and 4 minutes, more or less.
  await it.advance(12 * MINUTE);
  assert.match(it.now.agent.receiverStatuses()["http_poll"]!.failing ?? "", /answered 503/);
  await it.advance(MINUTE);
  assert.deepEqual(changesOf(it), ["firing"]);
  const before = it.changes.filter((line) => line.includes("OrderStuck"));
  await it.advance(60 * MINUTE);
  assert.deepEqual(changesOf(it), ["firing"]);
  assert.deepEqual(it.changes.filter((line) => line.includes("OrderStuck")), before, "stale: nobody can say whether it is still pending");
  up = true;
  status = "paid";
  await it.advance(10 * MINUTE);
  assert.deepEqual(changesOf(it), ["firing", "resolved recovered"]);
  assert.equal(it.now.agent.receiverStatuses()["http_poll"]!.failing, null);
  assert.deepEqual(it.now.agent.services.alerts.list().filter(({ status: of }) => of !== "resolved"), []);
});
