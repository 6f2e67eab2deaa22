import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import type { Logger } from "../../src/sdk/log.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { hooked, type Answered, type Hook } from "./webhook_support.ts";

const NOW = Date.UTC(2026, 0, 1);
const NOW_SECONDS = NOW / 1_000;
const hmac = (key: string | Buffer, text: string | Buffer, encoding: "hex" | "base64" = "hex", algorithm = "sha256"): string =>
  createHmac(algorithm, key).update(text).digest(encoding);

function signed(signature: object, config: object = {}): Promise<Hook> {
  return hooked({ signature, ...config }, { clock: virtualClock(NOW) });
}

const statuses = async (answers: readonly Promise<Answered>[]): Promise<number[]> => (await Promise.all(answers)).map(({ status }) => status);

test("GitHub: its documented example passes, and the delivery and event headers are used", async () => {
  // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
  await using hook = await signed({ scheme: "github", secrets: ["It's a Secret to Everybody"] });
  const headers = {
    "content-type": "text/plain",
    "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    "x-github-event": "issues",
  };
  assert.equal((await hook.post("Hello, World!", headers)).status, 200);
  const [observation] = hook.observations();
  assert.equal(observation?.id, "72d3162e-cc78-11e3-81ab-4c9367dc0958");
  assert.equal(observation?.attributes["http.request.header.x-github-event"], "issues");
  assert.equal((await hook.post("Hello, World?", headers)).status, 401, "one byte changed");
});

test("Standard Webhooks: the specification's example passes", async () => {
  // https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: secret, id, time, payload and signature
  const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const key = Buffer.from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64");
  await using hook = await hooked({ signature: { scheme: "standard_webhooks", secrets: [secret] } }, { clock: virtualClock(1_614_265_330_000) });
  const body = '{"test": 2432232314}';
  const known = { "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330" };
  const signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
  assert.equal(`v1,${hmac(key, `msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.${body}`, "base64")}`, signature);
  assert.equal((await hook.post(body, { ...known, "webhook-signature": signature })).status, 200);
  assert.equal(hook.observations()[0]?.id, "msg_p5jXN8AQM9LWM0D4loKWxJek");
  assert.deepEqual(await statuses([
    hook.post(body, { ...known, "webhook-signature": `v1a,AAAA v1,AAAA ${signature}` }), // any of several
    hook.post(body, { ...known, "webhook-id": "msg_other", "webhook-signature": signature }), // the id is signed
    hook.post(body, { ...known, "webhook-timestamp": "1614265331", "webhook-signature": signature }), // so is the time
    hook.post(body, { ...known, "webhook-signature": signature.slice(3) }), // without version
    hook.post(body, { ...known, "webhook-signature": signature.replace("v1,", "v1a,") }),
    hook.post(body, { "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-signature": signature }), // no time
  ]), [200, 401, 401, 401, 401, 401]);
});

test("Standard Webhooks under another name take id and time from the headers beside the signature", async () => {
  const key = Buffer.from("0123456789abcdef");
  await using hook = await signed({ scheme: "standard_webhooks", secrets: [key.toString("base64")], header: "Svix-Signature" });
  const headers = { "svix-id": "m1", "svix-timestamp": String(NOW_SECONDS), "svix-signature": `v1,${hmac(key, `m1.${NOW_SECONDS}.{}`, "base64")}` };
  assert.equal((await hook.post("{}", headers)).status, 200);
  assert.equal(hook.observations()[0]?.id, "m1");
});

test("Stripe: any v1 signature of its header will do, and the event's id is the idempotency id", async () => {
  await using hook = await signed({ scheme: "stripe", secrets: ["whsec_stripe"] });
  const body = '{"id":"evt_1","type":"charge.failed"}';
  const good = hmac("whsec_stripe", `${NOW_SECONDS}.${body}`);
  const post = (header: string): Promise<Answered> => hook.post(body, { "stripe-signature": header });
  assert.deepEqual(await statuses([
    post(`t=${NOW_SECONDS},v1=${good}`), post(`t=${NOW_SECONDS},v1=${"0".repeat(64)},v1=${good},v0=x`),
    post(`t=${NOW_SECONDS},v0=${good}`), post(`v1=${good}`), post(`t=${NOW_SECONDS + 1},v1=${good}`), post(`t=abc,v1=${good}`), post(""),
  ]), [200, 200, 401, 401, 401, 401, 401]);
  assert.deepEqual(hook.observations().map(({ id }) => id), ["evt_1", "evt_1"]);
});

test("Slack: its documented example passes; the challenge is answered, but only when it is signed", async () => {
  // https://docs.slack.dev/authentication/verifying-requests-from-slack: signing secret, time, body and signature
  const secret = "8f742231b10e8888abcd99yyyzzz85a5";
  const body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar" +
    "&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands" +
    "%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
  await using example = await hooked({ signature: { scheme: "slack", secrets: [secret] } }, { clock: virtualClock(1_531_420_618_000) });
  assert.equal((await example.post(body, {
    "content-type": "application/x-www-form-urlencoded", "x-slack-request-timestamp": "1531420618",
    "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
  })).status, 200);

  await using hook = await signed({ scheme: "slack", secrets: ["slack-secret"] });
  const post = (text: string, key = "slack-secret"): Promise<Answered> => hook.post(text, {
    "x-slack-request-timestamp": String(NOW_SECONDS), "x-slack-signature": `v0=${hmac(key, `v0:${NOW_SECONDS}:${text}`)}`,
  });
  const challenge = JSON.stringify({ type: "url_verification", challenge: "3eZbrw1aB" });
  const answer = await post(challenge);
  assert.deepEqual([answer.status, answer.body, hook.recorded.emitted.length], [200, "3eZbrw1aB", 0]);
  assert.equal((await post(challenge, "wrong")).status, 401);
  assert.equal((await post(JSON.stringify({ type: "event_callback", event_id: "Ev1" }))).status, 200);
  assert.equal(hook.observations()[0]?.id, "Ev1");
});

test("hmac: hex or base64, with or without prefix, with the algorithm configured", async () => {
  await using plain = await signed({ scheme: "hmac", secrets: ["k"], header: "X-Sign" });
  await using shop = await signed({ scheme: "hmac", secrets: ["k"], header: "x-sign", prefix: "sha1=", algorithm: "sha1" });
  assert.deepEqual(await statuses([
    plain.post("{}", { "x-sign": hmac("k", "{}") }), plain.post("{}", { "x-sign": hmac("k", "{}").toUpperCase() }),
    plain.post("{}", { "x-sign": hmac("k", "{}", "base64") }), plain.post("{}", { "x-sign": `00, ${hmac("k", "{}")}` }),
    plain.post("{}", { "x-sign": hmac("k", "{}", "hex", "sha1") }), plain.post("{}", { "x-sign": hmac("k", "{ }") }),
    shop.post("{}", { "x-sign": `sha1=${hmac("k", "{}", "hex", "sha1")}` }), shop.post("{}", { "x-sign": hmac("k", "{}", "hex", "sha1") }),
  ]), [200, 200, 200, 200, 401, 401, 200, 401]);
});

test("an unsigned request is 401 and nothing of it is taken", async () => {
  for (const scheme of ["github", "standard_webhooks", "stripe", "slack", "hmac"]) {
    await using hook = await signed({ scheme, secrets: ["c2VjcmV0"], ...(scheme === "hmac" ? { header: "x-sign" } : {}) });
    const answer = await hook.post({ id: 1 });
    assert.equal(answer.status, 401, scheme);
    assert.match(answer.body, /^the header [a-z0-9-]+ is missing\n$/);
    assert.deepEqual(hook.recorded.emitted, []);
    assert.deepEqual(hook.recorded.refused, [{ count: 1, reason: "signature" }]);
  }
});

test("a secret is rotated: either may sign until the old one is gone", async () => {
  const post = (hook: Hook, secret: string): Promise<Answered> => hook.post("{}", { "x-hub-signature-256": `sha256=${hmac(secret, "{}")}` });
  await using both = await signed({ scheme: "github", secrets: ["new", "old"] });
  await using one = await signed({ scheme: "github", secrets: ["new"] });
  assert.deepEqual(await statuses([post(both, "new"), post(both, "old"), post(both, "none"), post(one, "new"), post(one, "old")]), [200, 200, 401, 200, 401]);
});

test("the replay window ends on both sides exactly at the tolerance", async () => {
  await using hook = await signed({ scheme: "stripe", secrets: ["k"], tolerance: "5m" });
  const at = (seconds: number): Promise<Answered> =>
    hook.post("{}", { "stripe-signature": `t=${NOW_SECONDS + seconds},v1=${hmac("k", `${NOW_SECONDS + seconds}.{}`)}` });
  assert.deepEqual(await statuses([at(-301), at(-300), at(0), at(300), at(301)]), [401, 200, 200, 200, 401]);
});

test("the signature is over the bytes as sent: compressed, if they were", async () => {
  await using hook = await signed({ scheme: "github", secrets: ["k"] });
  const bytes = gzipSync('{"a":1}');
  const post = (signedBytes: string | Buffer): Promise<Answered> =>
    hook.post(bytes, { "content-encoding": "gzip", "x-hub-signature-256": `sha256=${hmac("k", signedBytes)}` });
  assert.deepEqual(await statuses([post(bytes), post('{"a":1}')]), [200, 401]);
  assert.deepEqual(hook.bodies(), [{ a: 1 }]);
});

test("a delivery of several observations gets an id for each, the same when it comes again", async () => {
  await using hook = await signed({ scheme: "github", secrets: ["k"] }, { each: "body" });
  const body = "[1,2]";
  const headers = { "x-hub-signature-256": `sha256=${hmac("k", body)}`, "x-github-delivery": "d1" };
  await hook.post(body, headers);
  await hook.post(body, headers);
  assert.deepEqual(hook.recorded.emitted.map(({ batch }) => batch.map(({ id }) => id)), [["d1#0", "d1#1"], ["d1#0", "d1#1"]]);
});

test("a request with thousands of signatures costs no more than a few", async () => {
  await using hook = await signed({ scheme: "stripe", secrets: ["k"] });
  const many = Array.from({ length: 150 }, () => `v1=${"0".repeat(64)}`).join();
  const good = hmac("k", `${NOW_SECONDS}.{}`);
  assert.equal((await hook.post("{}", { "stripe-signature": `t=${NOW_SECONDS},${many},v1=${good}` })).status, 401);
});

test("refusals are logged once a minute for each reason, without a secret or a signature", async () => {
  const lines: string[] = [];
  const log: Logger = { debug() {}, info() {}, error() {}, warn: (fields, message) => void lines.push(JSON.stringify([fields, message])), child: () => log };
  const clock = virtualClock(NOW);
  await using hook = await hooked({ signature: { scheme: "github", secrets: ["s3cret"] } }, { clock, log });
  const bad = hmac("wrong", "{}");
  for (let i = 0; i < 5; i++) await hook.post("{}", { "x-hub-signature-256": `sha256=${bad}` });
  await hook.post("<", { "content-type": "application/xml" });
  assert.equal(lines.length, 2);
  assert.match(lines[0]!, /no signature matches/);
  assert.ok(!lines.join().includes("s3cret") && !lines.join().includes(bad) && !lines.join().includes(hmac("s3cret", "{}")));
  await clock.advance(60_000);
  await hook.post("{}");
  assert.equal(lines.length, 3);
});
