import assert from "node:assert/strict";
import { createServer as createTcpServer, connect, type AddressInfo, type Socket } from "node:net";
import { test } from "node:test";
import { createListeners, type AgentListeners } from "../../src/pipeline/listeners.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { HttpError, type HttpAnswer, type HttpHandler } from "../../src/sdk/listeners.ts";
import { silentLog, type Logger } from "../../src/sdk/log.ts";
import { settled, virtualClock } from "../../src/sdk/virtual_clock.ts";

const ADDRESS = "127.0.0.1:0";
const ok: HttpHandler = () => ({ status: 200, body: "ok" });

async function using<T>(run: (listeners: AgentListeners, url: (path: string) => string) => Promise<T>, log: Logger = silentLog): Promise<T> {
  const listeners = createListeners({ clock: realClock, log });
  try {
    return await run(listeners, (path) => `http://127.0.0.1:${listeners.port(ADDRESS)}${path}`);
  } finally {
    await listeners.close();
  }
}

/** What a peer that reads until the connection ends gets to see. */
async function raw(listeners: AgentListeners, send: (socket: Socket) => void): Promise<string> {
  const socket = connect(listeners.port(ADDRESS)!, "127.0.0.1");
  socket.setEncoding("utf8");
  socket.once("connect", () => send(socket));
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}

function gate(): { readonly opened: Promise<void>; open(): void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    assert.ok(turn < 2_000, `it did not come true: ${what}`);
    await realClock.sleep(2);
  }
}

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

test("during a reload the port stays open and requests to a closed path go to its successor", () =>
  using(async (listeners, url) => {
    const old = listeners.route(ADDRESS, "/a", "webhook/a", () => ({ status: 200, body: "old" }));
    await old.open();
    assert.equal(await (await fetch(url("/a"))).text(), "old");
    listeners.hold();
    await old.close();
    const waiting = fetch(url("/a"), { method: "POST", body: "kept" });
    let answered = false;
    void waiting.then(() => (answered = true));
    await realClock.sleep(30);
    assert.equal(answered, false);
    assert.equal((await fetch(url("/other"))).status, 404, "a path nobody had does not wait");
    const successor = listeners.route(ADDRESS, "/a", "webhook/a", async (request) => ({ status: 200, body: `new ${String(await request.bytes(10))}` }));
    await successor.open();
    assert.equal(await (await waiting).text(), "new kept");
    await listeners.release();
    assert.equal(await (await fetch(url("/a"), { method: "POST", body: "2" })).text(), "new 2");
  }));

test("when a reload ends without a successor, who waits gets 404 and the unused address closes", () =>
  using(async (listeners, url) => {
    const old = listeners.route(ADDRESS, "/a", "webhook/a", ok);
    await old.open();
    const port = listeners.port(ADDRESS)!;
    listeners.hold();
    await old.close();
    assert.equal(listeners.port(ADDRESS), port, "still bound");
    const waiting = fetch(url("/a"));
    await realClock.sleep(30);
    await listeners.release();
    assert.equal((await waiting).status, 404);
    assert.equal(listeners.port(ADDRESS), undefined);
    await assert.rejects(fetch(`http://127.0.0.1:${port}/a`));
  }));

test("a request under way at the reload is answered by the route that took it", () =>
  using(async (listeners, url) => {
    const started = gate();
    const finish = gate();
    const old = listeners.route(ADDRESS, "/a", "webhook/a", async () => {
      started.open();
      await finish.opened;
      return { status: 200, body: "old" };
    });
    await old.open();
    const underWay = fetch(url("/a"));
    await started.opened;
    listeners.hold();
    const closing = old.close();
    const next = fetch(url("/a"));
    await realClock.sleep(20);
    finish.open();
    await closing;
    await listeners.route(ADDRESS, "/a", "webhook/a", () => ({ status: 200, body: "new" })).open();
    await listeners.release();
    assert.equal(await (await underWay).text(), "old");
    assert.equal(await (await next).text(), "new");
  }));

test("who waits for a successor too long gets 503 with Retry-After", async () => {
  const clock = virtualClock();
  const listeners = createListeners({ clock, log: silentLog });
  const old = listeners.route(ADDRESS, "/a", "webhook/a", ok);
  await old.open();
  listeners.hold();
  await old.close();
  const url = `http://127.0.0.1:${listeners.port(ADDRESS)}/a`;
  const timers = clock.pending;
  const waiting = fetch(url);
  await until("parked", () => clock.pending > timers);
  await clock.advance(30_000);
  assert.equal((await waiting).status, 503);
  assert.equal((await waiting).headers.get("retry-after"), "1");
  await listeners.close();
});

test("who waits for a successor is bounded in number: the rest are told to come back", () =>
  using(async (listeners, url) => {
    const old = listeners.route(ADDRESS, "/a", "webhook/a", ok);
    await old.open();
    listeners.hold();
    await old.close();
    const statuses: number[] = [];
    const all = Array.from({ length: 510 }, () => fetch(url("/a")).then(({ status }) => statuses.push(status)));
    await until("the surplus was refused", () => statuses.length === 10);
    assert.deepEqual(new Set(statuses), new Set([503]));
    await listeners.route(ADDRESS, "/a", "webhook/a", ok).open();
    await Promise.all(all);
    assert.equal(statuses.filter((status) => status === 200).length, 500);
  }));

test("many reloads under load refuse no connection and lose no request", () =>
  using(async (listeners, url) => {
    let route = listeners.route(ADDRESS, "/a", "0", ok);
    await route.open();
    let stop = false;
    let sent = 0;
    const load = Array.from({ length: 4 }, async () => {
      while (!stop) {
        assert.equal((await fetch(url("/a"), { method: "POST", body: "x", headers: { connection: "close" } })).status, 200);
        sent++;
      }
    });
    for (let round = 1; round <= 30; round++) {
      listeners.hold();
      await route.close();
      route = listeners.route(ADDRESS, "/a", String(round), async (request) => ({ status: 200, body: await request.bytes(10) }));
      await route.open();
      await listeners.release();
      await realClock.sleep(2);
    }
    stop = true;
    await Promise.all(load);
    assert.ok(sent > 30, `only ${sent} requests`);
  }));

test("after close nothing can be opened", async () => {
  const listeners = createListeners({ clock: realClock, log: silentLog });
  await listeners.close();
  await assert.rejects(listeners.route(ADDRESS, "/", "x", ok).open(), /stopping/);
});
