import assert from "node:assert/strict";
import { test } from "node:test";
import { createGzip, gzipSync } from "node:zlib";
import { webhook } from "../../receivers/webhook.ts";
import { createListeners } from "../../src/pipeline/listeners.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { ConfigError, NotAcceptedError } from "../../src/sdk/errors.ts";
import { silentLog, type Logger } from "../../src/sdk/log.ts";
import { settled, virtualClock } from "../../src/sdk/virtual_clock.ts";
import { configured } from "../support/configured.ts";
import { receiverContext } from "../support/context.ts";
import { until } from "../support/waiting.ts";
import { hooked } from "./webhook_support.ts";

test("a POST becomes an observation with what is known of it", async () => {
  await using hook = await hooked({ include_headers: ["X-Shop"], path: "/hooks/*" });
  assert.equal(hook.recorded.caughtUp, true, "a webhook has caught up at once");
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const { status } = await hook.post({ id: "o1" }, { "x-shop": "eu", "x-other": "no", traceparent }, { path: "/hooks/a?b=c" });
  assert.equal(status, 200);
  assert.deepEqual(hook.bodies(), [{ id: "o1" }]);
  const [observation] = hook.observations();
  assert.deepEqual(observation?.attributes, { "url.path": "/hooks/a", "http.request.header.x-shop": "eu" });
  assert.equal(observation?.traceparent, traceparent);
  assert.equal(observation?.source, "webhook/test");
  assert.equal(observation?.id, undefined);
  assert.ok(Math.abs(observation!.time - realClock.now()) < 5_000);
});

test("a malformed traceparent is ignored, one of a later version is taken as far as it is known", async () => {
  await using hook = await hooked();
  const ids = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
  for (const bad of ["", "x", `ff-${ids}-01`, `00-${"0".repeat(32)}-b7ad6b7169203331-01`, `00-0af7651916cd43dd8448eb211c80319c-${"0".repeat(16)}-01`, `00-${ids}-0`, `00-${ids.toUpperCase()}-01`, `00-${ids}-01x`]) {
    await hook.post({}, { traceparent: bad });
  }
  assert.deepEqual(new Set(hook.observations().map(({ traceparent }) => traceparent)), new Set([undefined]));
  await hook.post({}, { traceparent: `01-${ids}-01-more` });
  assert.equal(hook.observations().at(-1)?.traceparent, `01-${ids}-01`);
});

test("JSON, NDJSON, text and forms are taken by Content-Type; another type or encoding is 415", async () => {
  await using hook = await hooked();
  await hook.post("1\n{\"a\":2}\n", { "content-type": "application/x-ndjson" });
  await hook.post("plain", { "content-type": "text/plain; charset=utf-8" });
  await hook.post("a=1&b=2", { "content-type": "application/x-www-form-urlencoded" });
  await hook.post({ c: 1 }, { "content-type": "application/cloudevents+json" });
  assert.deepEqual(JSON.parse(JSON.stringify(hook.bodies())), [1, { a: 2 }, "plain", { a: "1", b: "2" }, { c: 1 }]);
  assert.equal((await hook.post("<a/>", { "content-type": "application/xml" })).status, 415);
  assert.equal((await hook.post("x", { "content-type": "" })).status, 415);
  assert.equal((await hook.post({}, { "content-encoding": "zstd" })).status, 415);
  assert.deepEqual(hook.recorded.refused, Array.from({ length: 3 }, () => ({ count: 1, reason: "media_type" })));
});

test("what is malformed is 400 with a reason that does not repeat it, and nothing of it is taken", async () => {
  await using hook = await hooked({ each: "body.items" });
  for (const [body, type, reason] of [
    ["{", "application/json", /no valid JSON/], ["", "application/json", /empty/], ["[1]\n{s3cret", "application/x-ndjson", /line 2: no valid JSON/],
    ["{}", "application/json", /each: /], ['{"items":{}}', "application/json", /each: gives no list/], ["[".repeat(10_000), "application/json", /nested/],
  ] as const) {
    const answer = await hook.post(body, { "content-type": type });
    assert.equal(answer.status, 400, body.slice(0, 20));
    assert.match(answer.body, reason);
    assert.doesNotMatch(answer.body, /s3cret/);
  }
  assert.deepEqual(hook.recorded.emitted, []);
  assert.equal(hook.recorded.refused.length, 6);
});

test("another method is 405 with Allow, another path 404", async () => {
  await using hook = await hooked();
  for (const method of ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
    const answer = await hook.post("", {}, { method });
    assert.deepEqual([answer.status, answer.headers.allow], [405, "POST"], method);
  }
  assert.equal((await hook.post({}, {}, { path: "/hook/" })).status, 404);
  assert.deepEqual(hook.recorded.emitted, []);
});

test("a body above the limit is 413, and so is one that gzip hides", async () => {
  await using hook = await hooked({ max_body_size: "1kB" });
  assert.equal((await hook.post("x".repeat(1_001), { "content-type": "text/plain" })).status, 413);
  assert.equal((await hook.post("x".repeat(1_000), { "content-type": "text/plain" })).status, 200);
  const gzip = { "content-type": "text/plain", "content-encoding": "gzip" };
  assert.equal((await hook.post(gzipSync("x".repeat(1_000)), gzip)).status, 200);
  assert.equal((await hook.post(gzipSync("x".repeat(1_001)), gzip)).status, 413);
  assert.equal((await hook.post(Buffer.from("no gzip"), gzip)).status, 400);
  assert.deepEqual(hook.bodies().map((body) => (body as string).length), [1_000, 1_000]);
});

test("a gzip bomb of a gigabyte costs little time and memory", async () => {
  const chunks: Buffer[] = [];
  const gzip = createGzip({ level: 1 });
  gzip.on("data", (chunk: Buffer) => chunks.push(chunk));
  const zeros = Buffer.alloc(16 * 2 ** 20);
  for (let i = 0; i < 64; i++) if (!gzip.write(zeros)) await new Promise((resolve) => gzip.once("drain", resolve));
  await new Promise<void>((resolve) => void gzip.on("end", resolve).end());
  const bomb = Buffer.concat(chunks);
  await using hook = await hooked({ max_body_size: "8MiB" });
  const before = process.memoryUsage().rss;
  const startedMs = realClock.monotonicMs();
  const answer = await hook.post(bomb, { "content-encoding": "gzip" });
  const tookMs = realClock.monotonicMs() - startedMs;
  assert.equal(answer.status, 413);
  assert.ok(process.memoryUsage().rss - before < 150 * 2 ** 20, `${(process.memoryUsage().rss - before) / 2 ** 20} MiB`);
  assert.ok(tookMs < 3_000, `${tookMs} ms`);
});

test("2xx is said only after the commit", async () => {
  let commit!: () => void;
  await using hook = await hooked({}, { emit: () => new Promise((resolve) => (commit = resolve)) });
  let answered = false;
  const answer = hook.post({}).finally(() => (answered = true));
  await until("emitted", () => hook.recorded.emitted.length === 1);
  await realClock.sleep(30);
  assert.equal(answered, false);
  commit();
  assert.equal((await answer).status, 200);
});

test("what was not accepted, or failed on our side, is 503 with Retry-After, and the reason stays here", async () => {
  let error: Error = new NotAcceptedError("shutting down");
  await using hook = await hooked({}, { emit: () => Promise.reject(error) });
  const refused = await hook.post({});
  assert.deepEqual([refused.status, refused.headers["retry-after"], refused.body], [503, "1", "not accepted\n"]);
  assert.deepEqual(hook.recorded.reports, []);
  error = new Error("disk s3cret");
  const failed = await hook.post({});
  assert.deepEqual([failed.status, failed.headers["retry-after"], failed.body], [503, "1", "not processed\n"]);
  assert.deepEqual(hook.recorded.reports, ["disk s3cret"]);
  assert.deepEqual(hook.recorded.refused, [], "the sender comes back: nothing is lost");
});

test("beyond in_flight_max requests get 503 with Retry-After, and a free place is taken again", async () => {
  const commits: (() => void)[] = [];
  await using hook = await hooked({ in_flight_max: 2 }, { emit: () => new Promise((resolve) => void commits.push(resolve)) });
  const waiting = [hook.post(1), hook.post(2)];
  await until("two under way", () => commits.length === 2);
  assert.equal((hook.recorded.describe!() as { in_flight: number }).in_flight, 2);
  const refused = await hook.post(3);
  assert.deepEqual([refused.status, refused.headers["retry-after"]], [503, "1"]);
  commits.splice(0).forEach((commit) => commit());
  assert.deepEqual((await Promise.all(waiting)).map(({ status }) => status), [200, 200]);
  const next = hook.post(4);
  await until("the next under way", () => commits.length === 1);
  commits[0]!();
  assert.equal((await next).status, 200);
});

test("beyond rate_limit requests get 429 with Retry-After", async () => {
  const clock = virtualClock();
  await using hook = await hooked({ rate_limit: 2 }, { clock });
  assert.deepEqual([(await hook.post(1)).status, (await hook.post(2)).status], [200, 200]);
  const refused = await hook.post(3);
  assert.deepEqual([refused.status, refused.headers["retry-after"]], [429, "1"]);
  await clock.advance(500);
  assert.equal((await hook.post(4)).status, 200);
  assert.equal((await hook.post(5)).status, 429);
});

test("stopping answers 503 to what still waits for its commit, and settles", async () => {
  const clock = virtualClock();
  await using hook = await hooked({}, { clock, emit: () => new Promise(() => {}) });
  const waiting = hook.post({});
  await until("emitted", () => hook.recorded.emitted.length === 1);
  const stopping = hook.receiver.stop!();
  await settled();
  await clock.advance(5_000);
  const answer = await waiting;
  assert.deepEqual([answer.status, answer.headers["retry-after"]], [503, "1"]);
  await stopping;
  await hook.receiver.stop!();
});

test("a reload hands the path to the successor: no connection is refused and each request is answered once", async () => {
  const listeners = createListeners({ clock: realClock, log: silentLog });
  try {
    let commit!: () => void;
    const old = await hooked({}, { emit: () => new Promise((resolve) => (commit = resolve)) }, listeners);
    const underWay = old.post({ old: true });
    await until("under way", () => old.recorded.emitted.length === 1);
    listeners.hold();
    const stopped = old.receiver.stop!();
    const meanwhile = old.post({ during: true });
    await realClock.sleep(20);
    commit();
    await stopped;
    const successor = await hooked({ include_headers: ["x-a"] }, {}, listeners);
    await listeners.release();
    assert.equal((await underWay).status, 200);
    assert.equal((await meanwhile).status, 200);
    assert.deepEqual([old.recorded.emitted.length, successor.bodies()], [1, [{ during: true }]]);
  } finally {
    await listeners.close();
  }
});

test("a webhook that believes anybody from other machines says so when it starts", async () => {
  const lines: string[] = [];
  const log: Logger = { ...silentLog, warn: (_, message) => void lines.push(message) };
  await using _open = await hooked({ listen: ":0" }, { log });
  assert.match(lines.join(), /takes unsigned requests from other machines/);
  await using _local = await hooked({}, { log });
  await using _signed = await hooked({ listen: ":0", signature: { scheme: "github", secrets: ["k"] } }, { log });
  assert.equal(lines.length, 1);
});

test("several receivers share an address; a path that is taken fails the start of the second", async () => {
  const listeners = createListeners({ clock: realClock, log: silentLog });
  try {
    const a = await hooked({ path: "/a" }, {}, listeners);
    const b = await hooked({ path: "/b" }, {}, listeners);
    await a.post("1", {}, { path: "/a" });
    await a.post("2", {}, { path: "/b" });
    assert.deepEqual([a.bodies(), b.bodies()], [[1], [2]]);
    await assert.rejects(hooked({ path: "/a" }, {}, listeners), /already taken by webhook\/test/);
  } finally {
    await listeners.close();
  }
});

test("`each` gives an observation for each item in one commit; an empty list is 200", async () => {
  await using hook = await hooked({ each: "body.orders" });
  assert.equal((await hook.post({ orders: [{ id: 1 }, { id: 2 }] })).status, 200);
  assert.deepEqual(hook.recorded.emitted.map(({ batch }) => batch.length), [2]);
  assert.equal((await hook.post({ orders: [] })).status, 200);
  assert.equal(hook.recorded.emitted.length, 1);
  const many = await hook.post(JSON.stringify({ orders: Array.from({ length: 10_001 }, () => 1) }));
  assert.equal(many.status, 413, "more than one commit can hold together");
});

test("a request with too many items is refused before anything is made of them", async () => {
  await using hook = await hooked({ each: "body", id: "body.missing" });
  assert.equal((await hook.post([{}])).status, 200);
  assert.equal(hook.recorded.reports.length, 1, "an id that fails is told");
  assert.equal((await hook.post(Array.from({ length: 10_001 }, () => ({})))).status, 413);
  assert.equal(hook.recorded.reports.length, 1, "no id was looked for");
  assert.equal(hook.recorded.emitted.length, 1);
});

test("the idempotency id comes from the `id` expression, for each item where there are several", async () => {
  await using hook = await hooked({ id: "body.event", each: "body.items" });
  await hook.post({ items: [{ event: "e1" }, { event: 7 }, { event: "x".repeat(300) }] });
  const ids = hook.observations().map(({ id }) => id);
  assert.deepEqual(ids.slice(0, 2), ["e1", "7"]);
  assert.match(ids[2]!, /^sha256:[0-9a-f]{64}$/);
  assert.equal((await hook.post({ items: [{ event: "" }, { other: 1 }, { event: "ok" }] })).status, 200);
  assert.deepEqual(hook.observations().slice(3).map(({ id }) => id), [undefined, undefined, "ok"]);
  assert.equal(hook.recorded.reports.length, 1);
  assert.match(hook.recorded.reports[0]!, /^id: .*; taken without one$/);
  await using header = await hooked({ id: "attributes['http.request.header.x-id']", include_headers: ["x-id"] });
  await header.post({}, { "x-id": "h1" });
  assert.equal(header.observations()[0]?.id, "h1");
});

test("a configuration that cannot work is refused where it is wrong", () => {
  const { context } = receiverContext({ clock: realClock, listeners: createListeners({ clock: realClock, log: silentLog }) });
  const base = { listen: "127.0.0.1:0", path: "/x" };
  const refused = (config: object, pointer: string, message: RegExp): void => assert.throws(
    () => webhook.create(configured(webhook.schema, { ...base, ...config }), context),
    (error) => error instanceof ConfigError && error.pointer === pointer && message.test(error.message) && !/s3cret/.test(error.message),
  );
  refused({ listen: "nonsense:99999" }, "/listen", /is no address/);
  refused({ each: "body.(" }, "/each", /./);
  refused({ id: "self.id" }, "/id", /./);
  refused({ signature: { scheme: "hmac", secrets: ["s3cret"] } }, "/signature/header", /is needed/);
  refused({ signature: { scheme: "github", secrets: ["s3cret"], algorithm: "sha1" } }, "/signature/algorithm", /is for the scheme hmac/);
  refused({ signature: { scheme: "github", secrets: ["s3cret", " \t"] } }, "/signature/secrets/1", /is empty/);
  refused({ signature: { scheme: "standard_webhooks", secrets: ["whsec_s3cret!"] } }, "/signature/secrets/0", /no base64/);
  for (const config of [{ path: "x" }, { signature: { scheme: "github", secrets: [] } }, { signature: { scheme: "github", secrets: [""] } }, { in_flight_max: 0 }]) {
    assert.throws(() => configured(webhook.schema, { ...base, ...config }));
  }
});
