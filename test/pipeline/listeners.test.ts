import assert from "node:assert/strict";
import { createServer as createTcpServer, connect, type AddressInfo } from "node:net";
import { test } from "node:test";
import { createListeners } from "../../src/pipeline/listeners.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { HttpError, type HttpHandler } from "../../src/sdk/listeners.ts";
import { silentLog, type Logger } from "../../src/sdk/log.ts";
import { settled, virtualClock } from "../../src/sdk/virtual_clock.ts";
import { ADDRESS, gate, ok, raw, using } from "./listeners_support.ts";

test("several receivers share one address, each with its own path; an unknown path is 404", () =>
  using(async (listeners, url) => {
    await listeners.route(ADDRESS, "/a", "webhook/a", () => ({ status: 200, body: "a" })).open();
    await listeners.route(ADDRESS, "/b", "webhook/b", ({ query }) => ({ status: 201, body: query.get("q") ?? "" })).open();
    assert.equal(await (await fetch(url("/a"))).text(), "a");
    const b = await fetch(url("/b?q=1"));
    assert.equal(b.status, 201);
    assert.equal(await b.text(), "1");
    for (const path of ["/", "/c", "/a/", "/A", "/a%2F"]) assert.equal((await fetch(url(path))).status, 404, path);
  }));

test("a path ending in /* takes everything below, and the most specific path wins", () =>
  using(async (listeners, url) => {
    const says = (text: string): HttpHandler => ({ path }) => ({ status: 200, body: `${text} ${path}` });
    await listeners.route(ADDRESS, "/*", "wide", says("wide")).open();
    await listeners.route(ADDRESS, "/api/*", "api", says("api")).open();
    await listeners.route(ADDRESS, "/api/v1", "exact", says("exact")).open();
    for (const [path, text] of [["/x", "wide /x"], ["/api/", "api /api/"], ["/api/v2/x", "api /api/v2/x"], ["/api/v1", "exact /api/v1"], ["/api", "wide /api"]]) {
      assert.equal(await (await fetch(url(path!))).text(), text);
    }
  }));

test("a path that is taken names its owner", () =>
  using(async (listeners) => {
    await listeners.route(ADDRESS, "/a", "webhook/orders", ok).open();
    await assert.rejects(listeners.route(ADDRESS, "/a", "webhook/other", ok).open(), /\/a on 127\.0\.0\.1:0 is already taken by webhook\/orders/);
  }));

test("a taken port is one clear line", () =>
  using(async (listeners) => {
    const other = createTcpServer();
    await new Promise<void>((resolve) => void other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    try {
      const route = listeners.route(`127.0.0.1:${port}`, "/", "x", ok);
      await assert.rejects(route.open(), new RegExp(`^Error: 127\\.0\\.0\\.1:${port} is taken by another process; stop that process or choose another port$`));
      await route.close();
    } finally {
      other.close();
    }
    // Once the port is free the same listeners can bind it: a failed start leaves nothing behind.
    const route = listeners.route(`127.0.0.1:${port}`, "/", "x", ok);
    await route.open();
    assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200);
    await assert.rejects(listeners.route(`[::ffff:127.0.0.1]:${port}`, "/", "y", ok).open(), /this agent's own 127\.0\.0\.1:/);
  }));

test("text that is no address is refused before anything is opened", () =>
  using(async (listeners) => {
    for (const address of ["", "8080", "127.0.0.1", "127.0.0.1:70000", "a b:1", "http://x:1", "::1:80"]) {
      assert.throws(() => listeners.route(address, "/", "x", ok), /is no address; write 127\.0\.0\.1:8081/, address);
    }
    await assert.rejects(listeners.route("192.0.2.1:0", "/", "x", ok).open(), /is no address of this machine/);
  }));

test("what a handler throws is answered without its details, and logged", async () => {
  const lines: string[] = [];
  const log: Logger = { ...silentLog, error: (_, message) => void lines.push(message) };
  await using(async (listeners, url) => {
    await listeners.route(ADDRESS, "/broken", "x", () => { throw new Error("password is hunter2"); }).open();
    await listeners.route(ADDRESS, "/refuses", "x", () => { throw new HttpError(405, "POST only", { allow: "POST" }); }).open();
    await listeners.route(ADDRESS, "/splits", "x", () => ({ status: 200, headers: { "x-a": "a\r\nset-cookie: b" } })).open();
    const broken = await fetch(url("/broken"));
    assert.deepEqual([broken.status, await broken.text()], [500, "internal error\n"]);
    assert.deepEqual(lines, ["request failed: password is hunter2"]);
    const refuses = await fetch(url("/refuses"));
    assert.deepEqual([refuses.status, refuses.headers.get("allow"), await refuses.text()], [405, "POST", "POST only\n"]);
    await assert.rejects(fetch(url("/splits")));
    assert.equal((await fetch(url("/refuses"))).status, 405, "the listener survives");
  }, log);
});

test("oversized headers are refused", () =>
  using(async (listeners) => {
    await listeners.route(ADDRESS, "/", "x", ok).open();
    const text = await raw(listeners, (socket) => socket.write(`GET / HTTP/1.1\r\nhost: x\r\nx-a: ${"a".repeat(20_000)}\r\n\r\n`));
    assert.match(text, /^HTTP\/1\.1 431 /);
  }));

test("no header of a request reaches a prototype", () =>
  using(async (listeners, url) => {
    await listeners.route(ADDRESS, "/", "x", ({ headers }) => ({ status: 200, body: String(headers["toString"]) })).open();
    assert.equal(await (await fetch(url("/"), { headers: { __proto__: "x", "set-cookie": "a" } })).text(), "undefined");
  }));

test("closing a route waits for its request under way, then frees the port", () =>
  using(async (listeners, url) => {
    const started = gate();
    const finish = gate();
    const route = listeners.route(ADDRESS, "/", "x", async () => {
      started.open();
      await finish.opened;
      return { status: 200, body: "done" };
    });
    await route.open();
    const port = listeners.port(ADDRESS)!;
    const answer = fetch(url("/"));
    await started.opened;
    let closed = false;
    const closing = route.close().then(() => (closed = true));
    await realClock.sleep(20);
    assert.equal(closed, false);
    finish.open();
    assert.equal(await (await answer).text(), "done");
    await closing;
    assert.equal(listeners.port(ADDRESS), undefined);
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`), "the port is free");
    await route.close();
  }));

test("a route closes in bounded time even when its handler never answers", async () => {
  const clock = virtualClock();
  const listeners = createListeners({ clock, log: silentLog });
  const started = gate();
  const route = listeners.route(ADDRESS, "/", "x", () => {
    started.open();
    return new Promise<never>(() => {});
  });
  await route.open();
  const answer = fetch(`http://127.0.0.1:${listeners.port(ADDRESS)}/`);
  await started.opened;
  const closing = route.close();
  await settled();
  await clock.advance(5_000);
  assert.equal((await answer).status, 503);
  assert.equal((await answer).headers.get("retry-after"), "1");
  await closing;
  await listeners.close();
});

test("a silent connection does not keep an address from closing", async () => {
  const listeners = createListeners({ clock: virtualClock(), log: silentLog });
  const route = listeners.route(ADDRESS, "/", "x", ok);
  await route.open();
  const silent = connect(listeners.port(ADDRESS)!, "127.0.0.1");
  const half = connect(listeners.port(ADDRESS)!, "127.0.0.1");
  half.write("GET / HT");
  await Promise.all([silent, half].map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
  await realClock.sleep(10);
  for (const socket of [silent, half]) socket.on("error", () => {}).resume();
  await route.close();
  await listeners.close();
});

test("after close nothing can be opened", async () => {
  const listeners = createListeners({ clock: realClock, log: silentLog });
  await listeners.close();
  await assert.rejects(listeners.route(ADDRESS, "/", "x", ok).open(), /stopping/);
});
