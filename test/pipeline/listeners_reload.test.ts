import assert from "node:assert/strict";
import { test } from "node:test";
import { createListeners } from "../../src/pipeline/listeners.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { silentLog } from "../../src/sdk/log.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { until } from "../support/waiting.ts";
import { ADDRESS, gate, ok, using } from "./listeners_support.ts";

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
