import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { httpPoll } from "../../receivers/http_poll.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { ConfigError } from "../../src/sdk/errors.ts";
import { configured } from "../support/configured.ts";
import { receiverContext } from "../support/context.ts";
import { fakeServer, json, selfSigned } from "../support/http_server.ts";
import { until } from "../support/waiting.ts";
import { polling, targetsIn } from "./http_poll_support.ts";

test("an answer becomes one observation, or one for each item of the list that `each` gives", async () => {
  await using server = await fakeServer((request, response) => {
    if (request.url === "/null") return json(response, { orders: null });
    json(response, { orders: [{ id: "o1" }, { id: "o2" }, 3, "four", null] });
  });
  await using one = await polling({ url: `${server.url}/a` });
  await until("emitted", () => one.recorded.emitted.length > 0);
  assert.deepEqual(one.bodies(), [{ orders: [{ id: "o1" }, { id: "o2" }, 3, "four", null] }]);
  await using many = await polling({ url: `${server.url}/a?status=open&api_key=s3cret`, each: "body.orders" });
  await until("emitted", () => many.recorded.emitted.length > 0);
  assert.deepEqual(many.bodies(), [{ id: "o1" }, { id: "o2" }, 3, "four", null]);
  const [observation] = many.recorded.emitted[0]!.batch;
  assert.deepEqual(observation?.attributes, {
    "url.full": `${server.url}/a?status=open&api_key=REDACTED`, "http.response.status_code": 200,
  });
  assert.equal(observation?.source, "http_poll/test");
  assert.ok(Math.abs(observation!.time - realClock.now()) < 5_000);
  assert.equal(many.recorded.emitted[0]?.position, undefined);
  assert.equal(many.recorded.caughtUp, true);
  await using none = await polling({ url: `${server.url}/null`, each: "body.orders" });
  await until("reported", () => none.recorded.reports.length > 0);
  assert.match(none.recorded.reports[0]!, /each: gives no list/);
  assert.deepEqual(none.recorded.refused[0], { count: 1, reason: "each" });
  assert.equal(none.recorded.caughtUp, false);
});

test("method, headers and body go out as configured, and headers of the answer come in as attributes", async () => {
  await using server = await fakeServer((_, response) => response.writeHead(200, { "content-type": "text/plain", "x-page": "7" }).end("héllo"));
  await using it = await polling({
    url: server.url, method: "POST", headers: { "X-Key": "k" }, body: '{"q":1}', include_headers: ["X-Page", "x-none"],
  });
  await until("emitted", () => it.recorded.emitted.length > 0);
  const [request] = server.received;
  assert.deepEqual([request?.method, request?.headers["x-key"], request?.headers["content-type"], request?.body], ["POST", "k", "application/json", '{"q":1}']);
  assert.deepEqual(it.bodies(), ["héllo"]);
  const { attributes } = it.recorded.emitted[0]!.batch[0]!;
  assert.equal(attributes["http.response.header.x-page"], "7");
  assert.ok(!Object.hasOwn(attributes, "http.response.header.x-none"));
});

test("NDJSON gives an observation for each line; a broken line is counted and costs no other", async () => {
  await using server = await fakeServer((_, response) =>
    response.writeHead(200, { "content-type": "application/x-ndjson" }).end('{"id":1}\nbroken\n{"id":2}\n'));
  await using it = await polling({ url: server.url });
  await until("emitted", () => it.recorded.emitted.length > 0);
  assert.deepEqual(it.bodies(), [{ id: 1 }, { id: 2 }]);
  assert.deepEqual(it.recorded.refused, [{ count: 1, reason: "malformed" }]);
  assert.match(it.recorded.reports[0]!, /line 2: no valid JSON/);
});

test("a list longer than a batch is split", async () => {
  await using server = await fakeServer((_, response) => json(response, Array.from({ length: 25_000 }, (_, i) => i)));
  await using it = await polling({ url: server.url, each: "body" });
  await until("emitted", () => it.recorded.emitted.length >= 3);
  assert.deepEqual(it.recorded.emitted.map(({ batch }) => batch.length), [10_000, 10_000, 5_000]);
});

test("an answer that is broken, too large or a bomb is a failed poll, named without its content", async () => {
  const bomb = gzipSync(Buffer.alloc(50 * 2 ** 20));
  await using server = await fakeServer((request, response) => {
    if (request.url === "/json") response.writeHead(200, { "content-type": "application/json" }).end("<html>s3cret");
    else if (request.url === "/large") response.writeHead(200, {}).end("x".repeat(2_000));
    else response.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
  });
  for (const [path, message] of [["/json", /cannot be read: no valid JSON/], ["/large", /larger than 1000 bytes/], ["/bomb", /larger than 1000 bytes|decompressed/]] as const) {
    await using it = await polling({ url: server.url + path, max_body_size: "1kB" });
    await until(path, () => it.recorded.reports.length > 0);
    assert.match(it.recorded.reports[0]!, message);
    assert.doesNotMatch(it.recorded.reports[0]!, /s3cret/);
    assert.equal(it.recorded.emitted.length, 0);
    if (path === "/json") assert.deepEqual(it.recorded.refused[0], { count: 1, reason: "malformed" });
  }
});

test("a status that is no success is a failed poll, or data where configured", async () => {
  await using server = await fakeServer((request, response) => {
    if (request.url === "/ok") json(response, { items: [1, 2] });
    else if (request.url === "/empty") response.writeHead(204).end();
    else json(response, { error: "down" }, 503);
  });
  await using plain = await polling({ url: `${server.url}/x` });
  await until("reported", () => plain.recorded.reports.length === 1);
  assert.match(plain.recorded.reports[0]!, /answered 503 Service Unavailable/);
  await using data = await polling({ url: `${server.url}/x`, status_is_data: true, each: "body.items" });
  await until("emitted", () => data.recorded.emitted.length === 1);
  assert.deepEqual(data.bodies(), [{ error: "down" }]);
  assert.equal(data.recorded.emitted[0]?.batch[0]?.attributes["http.response.status_code"], 503);
  assert.equal(targetsIn(data.recorded)[0]?.["up"], true);
  await using ok = await polling({ url: `${server.url}/ok`, status_is_data: true, each: "body.items" });
  await until("emitted", () => ok.recorded.emitted.length === 1);
  assert.deepEqual(ok.bodies(), [1, 2]);
  await using empty = await polling({ url: `${server.url}/empty` });
  await until("caught up", () => empty.recorded.caughtUp);
  assert.deepEqual(empty.recorded.emitted, []);
});

test("a token in a file is read before each poll, and a missing one fails the poll without taking the agent down", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sojourn-poll-"));
  try {
    const file = join(directory, "token");
    writeFileSync(file, "first\n");
    await using server = await fakeServer((_, response) => json(response, 1));
    await using it = await polling({ url: server.url, interval: "10ms", auth: { bearer: { token_file: file } } });
    const seen = (token: string) => () => server.received.at(-1)?.headers.authorization === `Bearer ${token}`;
    await until("first", seen("first"));
    writeFileSync(file, "second");
    await until("second", seen("second"));
    rmSync(file);
    await until("reported", () => it.recorded.reports.length === 1);
    assert.match(it.recorded.reports[0]!, /secret's file cannot be read: ENOENT/);
    writeFileSync(file, "third");
    await until("third", seen("third"));
    writeFileSync(file, "two\nlines");
    await until("refused", () => it.recorded.reports.length === 2);
    assert.doesNotMatch(it.recorded.reports.join(), /second|third|two/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("basic authentication is sent, and no secret appears in what the receiver says", async () => {
  await using server = await fakeServer((_, response) => json(response, 1, 401));
  const url = `${server.url.replace("//", "//user:urlpass@")}/p?access_token=qsecret`;
  await using it = await polling({
    url, interval: "10ms", auth: { basic: { username: "me", password: "bpass" } }, headers: { "x-key": "hsecret" },
  });
  await until("three failures", () => Number(targetsIn(it.recorded)[0]?.["failures"]) >= 3);
  assert.equal(server.received[0]?.headers.authorization, `Basic ${Buffer.from("me:bpass").toString("base64")}`);
  const said = JSON.stringify([it.recorded, it.recorded.describe!(), it.metrics.read().map(({ series }) => [...series].map(({ labels }) => labels))]);
  assert.match(said, /401 Unauthorized/);
  assert.doesNotMatch(said, /urlpass|qsecret|bpass|hsecret/);
});

test("https is trusted by ca_file", async () => {
  const cert = selfSigned();
  try {
    await using server = await fakeServer((_, response) => json(response, "tls"), cert);
    await using it = await polling({ url: server.url, tls: { ca_file: join(cert.directory, "cert.pem") } });
    await until("emitted", () => it.recorded.emitted.length === 1);
    await using stranger = await polling({ url: server.url });
    await until("refused", () => stranger.recorded.reports.length === 1);
    assert.match(stranger.recorded.reports[0]!, /self-signed certificate/);
  } finally {
    cert.remove();
  }
});

test("redirects within the origin are followed", async () => {
  await using server = await fakeServer((request, response) => {
    if (request.url === "/old") response.writeHead(301, { location: "/new" }).end();
    else json(response, request.url);
  });
  await using it = await polling({ url: `${server.url}/old` });
  await until("emitted", () => it.recorded.emitted.length === 1);
  assert.deepEqual(it.bodies(), ["/new"]);
});

test("a configuration that cannot work is refused where it is wrong, without repeating a secret", () => {
  const { context } = receiverContext({ clock: realClock, metrics: createMetrics() });
  const refused = (config: object, pointer: string, message: RegExp): void => assert.throws(
    () => httpPoll.create(configured(httpPoll.schema, config), context),
    (error) => {
      assert.ok(error instanceof ConfigError, String(error));
      assert.equal(error.pointer, pointer);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /s3cret/);
      return true;
    },
  );
  refused({}, "", /either url or urls/);
  refused({ url: "http://a/", urls: ["http://b/"] }, "", /either url or urls/);
  refused({ url: "s3cret" }, "/url", /is no URL/);
  refused({ urls: ["http://a/", "ftp://s3cret/"] }, "/urls/1", /is no URL/);
  refused({ url: "http://a/", interval: "1ms" }, "/interval", /below 10ms/);
  refused({ url: "http://a/", auth: {} }, "/auth", /either basic or bearer/);
  refused({ url: "http://a/", auth: { basic: { username: "x" } } }, "/auth/basic", /either password or password_file/);
  refused({ url: "http://a/", auth: { bearer: { token: "s3cret", token_file: "/x" } } }, "/auth/bearer", /either token or token_file/);
  refused({ url: "http://a/", each: "body.(" }, "/each", /./);
  for (const config of [{ url: "http://a/", headers: { "a b": "x" } }, { url: "http://a/", headers: { a: "x\r\ny: z" } }, { url: "http://a/", urls: [] }]) {
    assert.throws(() => configured(httpPoll.schema, config));
  }
});
