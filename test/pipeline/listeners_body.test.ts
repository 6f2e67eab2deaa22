import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { createListeners } from "../../src/pipeline/listeners.ts";
import { realClock } from "../../src/sdk/clock.ts";
import type { HttpAnswer, HttpError } from "../../src/sdk/listeners.ts";
import { silentLog } from "../../src/sdk/log.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { until } from "../support/waiting.ts";
import { ADDRESS, raw, using } from "./listeners_support.ts";

test("a body beyond the limit is 413, declared or not, and the peer reads the answer while it still sends", () =>
  using(async (listeners) => {
    await listeners.route(ADDRESS, "/", "x", async (request): Promise<HttpAnswer> => {
      return { status: 200, body: String((await request.bytes(1_000)).length) };
    }).open();
    const big = Buffer.alloc(4 * 2 ** 20, 120);
    const declared = await raw(listeners, (socket) => {
      socket.write(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${big.length}\r\n\r\n`);
      socket.write(big);
    });
    assert.match(declared, /^HTTP\/1\.1 413 [^]*connection: close[^]*larger than 1000 bytes/i);
    const chunked = await raw(listeners, (socket) => {
      socket.write(`POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${big.length.toString(16)}\r\n`);
      socket.write(big);
      socket.write("\r\n0\r\n\r\n");
    });
    assert.match(chunked, /^HTTP\/1\.1 413 /);
    const exact = await raw(listeners, (socket) =>
      socket.write(`POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1000\r\n\r\n${"x".repeat(1_000)}`));
    assert.match(exact, /^HTTP\/1\.1 200 [^]*1000$/);
  }));

test("a handler that answers without reading the body keeps neither the peer nor itself waiting", () =>
  using(async (listeners) => {
    await listeners.route(ADDRESS, "/", "x", () => ({ status: 401, body: "no" })).open();
    const text = await raw(listeners, (socket) => {
      socket.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n");
      socket.write(Buffer.alloc(200_000));
    });
    assert.match(text, /^HTTP\/1\.1 401 [^]*no$/);
  }));

test("a peer that asks first is told to go on only when its body is wanted", () =>
  using(async (listeners) => {
    await listeners.route(ADDRESS, "/", "x", async (request) => ({ status: 200, body: await request.bytes(10) })).open();
    const wanted = await raw(listeners, (socket) => {
      socket.write("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
      socket.once("data", () => socket.write("hi"));
    });
    assert.match(wanted, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 [^]*hi$/);
    const refused = await raw(listeners, (socket) => {
      socket.write("POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 20\r\n\r\n");
      socket.once("data", () => socket.end());
    });
    assert.match(refused, /^HTTP\/1\.1 413 /);
  }));

test("a peer that breaks off in its body aborts the request", () =>
  using(async (listeners) => {
    const seen: string[] = [];
    await listeners.route(ADDRESS, "/", "x", async (request) => {
      request.signal.addEventListener("abort", () => seen.push("aborted"));
      await request.bytes(100).catch((error: HttpError) => seen.push(`${error.status} ${error.message}`));
      return { status: 200 };
    }).open();
    const socket = connect(listeners.port(ADDRESS)!, "127.0.0.1");
    socket.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\nhalf");
    await realClock.sleep(20);
    socket.destroy();
    await until("both seen", () => seen.length === 2);
    assert.deepEqual(seen.sort(), ["400 the peer went away", "aborted"]);
  }));

test("a body that trickles in is 408 in the end", async () => {
  const clock = virtualClock();
  const listeners = createListeners({ clock, log: silentLog });
  let reading = false;
  await listeners.route(ADDRESS, "/", "x", async (request) => {
    const bytes = request.bytes(100);
    reading = true;
    return { status: 200, body: await bytes };
  }).open();
  const answer = raw(listeners, (socket) => socket.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\nslow"));
  await until("reading", () => reading);
  await clock.advance(31_000);
  await clock.advance(3_000); // what may still come is waited for in vain
  assert.match(await answer, /^HTTP\/1\.1 408 /);
  await listeners.close();
});
