import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { deadline, realClock } from "../../src/sdk/clock.ts";
import { messageOf, PermanentError, type RetryLaterError } from "../../src/sdk/errors.ts";
import { createHttpClient, refusal, retryAfterMs, type HttpClient, type OutboundRequest } from "../../src/sdk/http.ts";
import { safeUrl, urlFull } from "../../src/sdk/safe_url.ts";
import { withSignal } from "../../src/sdk/signal.ts";
import type { TlsConfig } from "../../src/sdk/tls.ts";
import { fakeServer, json, selfSigned } from "../support/http_server.ts";

const NOW = Date.UTC(2026, 0, 1);
const never = new AbortController().signal;

function client(tls?: TlsConfig): HttpClient & AsyncDisposable {
  const made = createHttpClient({ clock: realClock, tls });
  return { ...made, [Symbol.asyncDispose]: () => made.close() };
}

function to(url: string, more: Partial<OutboundRequest> = {}): OutboundRequest {
  return { url, signal: never, bodyBytesMax: 1_000, ...more };
}

async function failure(attempt: Promise<unknown>): Promise<Error> {
  try {
    await attempt;
  } catch (error) {
    assert.ok(error instanceof Error);
    return error;
  }
  throw new Error("it succeeded");
}

test("a request carries method, headers, body; the answer comes whole, whatever its status", async () => {
  await using server = await fakeServer((request, response) => json(response, { got: request.body }, 418));
  await using http = client();
  const response = await http.send(to(`${server.url}/a?b=c`, { method: "POST", headers: { "X-Key": "k" }, body: "hello" }));
  assert.equal(response.status, 418);
  assert.equal(response.headers["content-type"], "application/json");
  assert.deepEqual(JSON.parse(String(response.body)), { got: "hello" });
  const [request] = server.received;
  assert.deepEqual([request?.method, request?.url, request?.headers["x-key"], request?.headers["user-agent"]], ["POST", "/a?b=c", "k", "sojourn"]);
});

test("credentials in the URL become basic authentication and appear in no message", async () => {
  await using server = await fakeServer((_, response) => response.destroy());
  await using http = client();
  const url = server.url.replace("//", "//me:s%40cret@");
  const error = await failure(http.send(to(`${url}/x?token=tt0ken#frag`)));
  assert.equal(server.received[0]?.headers.authorization, `Basic ${Buffer.from("me:s@cret").toString("base64")}`);
  assert.match(messageOf(error), /^GET http:\/\/127\.0\.0\.1:\d+\/x failed: /);
  assert.doesNotMatch(messageOf(error), /cret|tt0ken|frag/);
});

test("compressed answers are decompressed; a bomb costs no more than the limit", async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 2 ** 20));
  await using server = await fakeServer((request, response) => {
    if (request.url === "/gzip") response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("small"));
    else if (request.url === "/br") response.writeHead(200, { "content-encoding": "br" }).end(brotliCompressSync("small"));
    else if (request.url === "/bomb") response.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
    else if (request.url === "/odd") response.writeHead(200, { "content-encoding": "zstd" }).end("x");
    else response.writeHead(200, { "content-encoding": "gzip" }).end("this is no gzip");
  });
  await using http = client();
  for (const path of ["/gzip", "/br"]) assert.equal(String((await http.send(to(server.url + path))).body), "small");
  const error = await failure(http.send(to(`${server.url}/bomb`, { bodyBytesMax: 100_000 })));
  assert.ok(error instanceof PermanentError);
  assert.match(error.message, /the decompressed body is larger than 100000 bytes/);
  assert.match((await failure(http.send(to(`${server.url}/odd`)))).message, /unsupported content encoding/);
  assert.match((await failure(http.send(to(`${server.url}/broken`)))).message, /no valid gzip/);
});

test("an endless answer is an error, and its connection ends", async () => {
  await using server = await fakeServer((_, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(10_000, 120)));
    };
    response.on("drain", more);
    more();
  });
  await using http = client();
  const error = await failure(http.send(to(server.url)));
  assert.ok(error instanceof PermanentError);
  assert.match(error.message, /larger than 1000 bytes/);
  for (let turn = 0; server.connections > 0; turn++) {
    assert.ok(turn < 500, "the connection stays open");
    await realClock.sleep(2);
  }
});

test("an error page that cannot be read does not hide that the destination asks to come back", async () => {
  await using server = await fakeServer((request, response) => {
    const headers = { "retry-after": "7", ...(request.url === "/odd" ? { "content-encoding": "zstd" } : {}) };
    response.writeHead(503, headers).end("x".repeat(5_000));
  });
  await using http = client();
  for (const path of ["/large", "/odd"]) {
    const response = await http.send(to(server.url + path));
    assert.equal(response.body.length, 0);
    assert.equal((refusal(response) as RetryLaterError).retryAfterMs, 7_000, path);
  }
});

test("where the status says all that matters, a body that cannot be had counts as empty, whatever the status", async () => {
  await using server = await fakeServer((request, response) => {
    const [, status = "", way = ""] = request.url.split("/");
    response.writeHead(Number(status), { "retry-after": "7", ...(way === "odd" ? { "content-encoding": "zstd" } : {}) });
    if (way !== "cut" && way !== "hang") return void response.end("x".repeat(5_000));
    response.write("x");
    if (way === "cut") setImmediate(() => void response.destroy());
  });
  await using http = client();
  for (const status of [200, 404, 503]) {
    for (const way of ["large", "odd", "cut", "hang"]) {
      const limit = deadline(realClock, way === "hang" ? 50 : 5_000);
      const response = await http.send(to(`${server.url}/${status}/${way}`, { bodyOptional: true, signal: limit.signal }));
      limit.clear();
      assert.deepEqual([response.status, response.body.length], [status, 0], `${status} ${way}`);
    }
  }
  assert.ok(!((await failure(http.send(to(`${server.url}/200/cut`)))) instanceof PermanentError), "not unless asked to");
  assert.equal((refusal(await http.send(to(`${server.url}/503/cut`))) as RetryLaterError).retryAfterMs, 7_000);
});

test("redirects are followed to a bound, and never take credentials to another origin", async () => {
  await using other = await fakeServer((_, response) => json(response, "other"));
  await using server = await fakeServer((request, response) => {
    const location = ({ "/same": "/end", "/loop": "/loop", "/other": `${other.url}/x`, "/bad": "javascript:1" } as Record<string, string>)[request.url];
    if (location === undefined) json(response, "end");
    else response.writeHead(302, { location }).end();
  });
  await using http = client();
  assert.equal(String((await http.send(to(`${server.url}/same`, { redirectsMax: 5, headers: { "x-key": "k" } }))).body), '"end"');
  assert.equal(server.received.at(-1)?.headers["x-key"], "k");
  assert.equal((await http.send(to(`${server.url}/same`))).status, 302, "not followed unless asked to");
  assert.equal((await http.send(to(`${server.url}/same`, { method: "POST", redirectsMax: 5 }))).status, 302, "a POST is not repeated");
  assert.match((await failure(http.send(to(`${server.url}/loop`, { redirectsMax: 5 })))).message, /more than 5 redirects/);
  assert.match((await failure(http.send(to(`${server.url}/bad`, { redirectsMax: 5 })))).message, /no valid URL/);
  assert.equal(String((await http.send(to(`${server.url}/other`, { redirectsMax: 5 }))).body), '"other"');
  const seen = other.received.length;
  for (const secret of [{ authorization: "Bearer t" }, { cookie: "a" }, { "x-api-key": "k" }]) {
    const error = await failure(http.send(to(`${server.url}/other`, { redirectsMax: 5, headers: secret })));
    assert.ok(error instanceof PermanentError);
    assert.match(error.message, /must not see the credentials/);
  }
  assert.equal(other.received.length, seen);
});

test("a signal ends a request, and the message says why", async () => {
  await using server = await fakeServer(() => {});
  await using http = client();
  const limit = deadline(realClock, 30);
  const error = await failure(http.send(to(server.url, { signal: limit.signal })));
  limit.clear();
  assert.match(messageOf(error), /^GET http:\/\/127\.0\.0\.1:\d+\/: timed out after 30 ms$/);
});

test("closing ends what is under way and leaves no connection; afterwards nothing is sent", async () => {
  await using server = await fakeServer((request, response) => void (request.url === "/quick" && json(response, 1)));
  const http = createHttpClient({ clock: realClock });
  await http.send(to(`${server.url}/quick`));
  const hanging = failure(http.send(to(`${server.url}/slow`)));
  while (server.received.length < 2) await realClock.sleep(1);
  await http.close();
  assert.match((await hanging).message, /failed/);
  for (let turn = 0; server.connections > 0; turn++) {
    assert.ok(turn < 500, "a connection stays open");
    await realClock.sleep(2);
  }
  await http.close();
  await assert.rejects(http.send(to(server.url)), (error) => messageOf(error).includes("closed"));
});

test("closing ends what is under way on connections that another request's failure made old", async () => {
  const cert = selfSigned();
  try {
    await using server = await fakeServer((request, response) => void (request.url === "/broken" && response.destroy()), cert);
    const http = createHttpClient({ clock: realClock, tls: { ca_file: join(cert.directory, "cert.pem") } });
    const hanging = failure(http.send(to(`${server.url}/slow`)));
    while (server.received.length < 1) await realClock.sleep(1);
    await failure(http.send(to(`${server.url}/broken`)));
    const late = deadline(realClock, 2_000);
    await withSignal(http.close(), late.signal);
    late.clear();
    assert.match((await hanging).message, /failed/);
  } finally {
    cert.remove();
  }
});

test("a text that is no http URL is refused without repeating it", async () => {
  await using http = client();
  for (const url of ["secret://x", "s3cret", "", "ftp://h/secret"]) {
    const error = await failure(http.send(to(url)));
    assert.ok(error instanceof PermanentError);
    assert.doesNotMatch(messageOf(error), /s3?cret:?/);
  }
});

test("a server is trusted by ca_file, by server_name, or not at all", async () => {
  const cert = selfSigned("shop.test");
  try {
    await using server = await fakeServer((_, response) => json(response, "tls"), cert);
    const caFile = join(cert.directory, "cert.pem");
    await using stranger = client();
    assert.match(messageOf(await failure(stranger.send(to(server.url)))), /self-signed certificate/);
    await using trusting = client({ ca_file: caFile, server_name: "shop.test" });
    assert.equal(String((await trusting.send(to(server.url))).body), '"tls"');
    await using wrong = client({ ca_file: caFile, server_name: "other.test" });
    assert.match(messageOf(await failure(wrong.send(to(server.url)))), /other\.test/);
    await using careless = client({ insecure_skip_verify: true });
    assert.equal((await careless.send(to(server.url))).status, 200);
    await using missing = client({ ca_file: join(cert.directory, "none.pem") });
    assert.match(messageOf(await failure(missing.send(to(server.url)))), /tls\.ca_file cannot be read: ENOENT/);
  } finally {
    cert.remove();
  }
});

test("a certificate that was renewed is read again after a failed connection", async () => {
  const [old, renewed] = [selfSigned(), selfSigned()];
  try {
    await using server = await fakeServer((_, response) => json(response, 1), renewed);
    const caFile = join(old.directory, "ca.pem");
    writeFileSync(caFile, old.cert);
    await using http = client({ ca_file: caFile });
    await failure(http.send(to(server.url)));
    writeFileSync(caFile, renewed.cert);
    assert.equal((await http.send(to(server.url))).status, 200);
  } finally {
    old.remove();
    renewed.remove();
  }
});

test("a client proves who it is with cert_file and key_file", async () => {
  const cert = selfSigned();
  try {
    await using server = await fakeServer((_, response) => json(response, 1), { ...cert, ca: cert.cert });
    const path = (name: string): string => join(cert.directory, name);
    await using anonymous = client({ ca_file: path("cert.pem") });
    await failure(anonymous.send(to(server.url)));
    await using known = client({ ca_file: path("cert.pem"), cert_file: path("cert.pem"), key_file: path("key.pem") });
    assert.equal((await known.send(to(server.url))).status, 200);
  } finally {
    cert.remove();
  }
});

test("a refusal is permanent for 4xx, to be retried for 408, 425, 429 and 5xx, not before Retry-After", () => {
  const answered = (status: number, retryAfter?: string): Error =>
    refusal({ status, headers: { "retry-after": retryAfter }, name: "http://x/", receivedAt: NOW }, "why");
  for (const status of [300, 302, 400, 401, 403, 404, 410, 413, 422]) assert.ok(answered(status, "5") instanceof PermanentError, String(status));
  for (const status of [408, 425, 429, 500, 502, 503, 504]) {
    assert.equal(answered(status).constructor, Error, String(status));
    assert.equal((answered(status, "7") as RetryLaterError).retryAfterMs, 7_000);
  }
  assert.equal(answered(429).message, "http://x/ answered 429 Too Many Requests: why");
});

test("Retry-After is seconds or a date, between zero and an hour; anything else is ignored", () => {
  for (const [value, ms] of [
    ["0", 0], ["120", 120_000], ["999999999", 3_600_000], ["Thu, 01 Jan 2026 00:01:00 GMT", 60_000],
    ["Wed, 31 Dec 2025 00:00:00 GMT", 0], ["soon", undefined], ["", undefined], [undefined, undefined], ["-5", undefined], ["1e9", undefined],
  ] as const) assert.equal(retryAfterMs(value, NOW), ms, String(value));
});

test("a URL in a message has no credentials and no query; as attribute, no secret-looking query value", () => {
  assert.equal(safeUrl("https://u:p@h.example:444/a/b?token=x#y"), "https://h.example:444/a/b");
  assert.equal(safeUrl("not a url with s3cret"), "(no valid URL)");
  assert.equal(
    urlFull("https://u:p@h/a?status=pending&api_key=x&X-Amz-Signature=y&q=a%20b#z"),
    "https://h/a?status=pending&api_key=REDACTED&X-Amz-Signature=REDACTED&q=a%20b",
  );
  assert.equal(urlFull("https://h/a"), "https://h/a");
});
