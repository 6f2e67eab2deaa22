import assert from "node:assert/strict";
import { test } from "node:test";
import { httpPoll } from "../../receivers/http_poll.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { NotAcceptedError } from "../../src/sdk/errors.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { configured } from "../support/configured.ts";
import { receiverContext } from "../support/context.ts";
import { fakeServer, json } from "../support/http_server.ts";
import { until } from "../support/waiting.ts";
import { polling, targetsIn } from "./http_poll_support.ts";

test("a slow target and a dead one delay no other, and no target is asked twice at once", async () => {
  let underWay = 0;
  let most = 0;
  await using server = await fakeServer((request, response) => {
    if (request.url === "/fast") return json(response, "fast");
    most = Math.max(most, ++underWay);
    response.once("close", () => underWay--);
  });
  await using it = await polling({ urls: [`${server.url}/slow`, "http://127.0.0.1:1/dead", `${server.url}/fast`], interval: "20ms", timeout: "10s" });
  await until("the fast one was polled 6 times", () => it.recorded.emitted.length >= 6);
  assert.ok(it.bodies().every((body) => body === "fast"));
  assert.equal(most, 1);
  const [slow, dead, fast] = targetsIn(it.recorded);
  assert.equal(slow?.["up"], null, "not known yet");
  assert.deepEqual([dead?.["up"], fast?.["up"], fast?.["failures"]], [false, true, 0]);
  assert.equal(it.metric("sojourn_http_poll_up", `${server.url}/fast`), 1);
  assert.equal(it.metric("sojourn_http_poll_up", "http://127.0.0.1:1/dead"), 0);
  assert.ok(it.metric("sojourn_http_poll_duration_seconds", `${server.url}/fast`)! >= 0);
  assert.equal(it.recorded.caughtUp, false, "not every target has answered");
  assert.equal(it.recorded.failing, undefined, "one answers");
  await it.stop();
  assert.equal(it.metric("sojourn_http_poll_up"), undefined, "a stopped receiver leaves no gauge behind");
});

test("polls of one target wait for their commit: nothing piles up", async () => {
  let commit!: () => void;
  await using server = await fakeServer((_, response) => json(response, 1));
  await using it = await polling({ url: server.url, interval: "10ms" }, { emit: () => new Promise((resolve) => (commit = resolve)) });
  await until("emitted", () => it.recorded.emitted.length === 1);
  await realClock.sleep(60);
  assert.equal(server.received.length, 1);
  commit();
  await until("polled again", () => server.received.length === 2);
});

test("stopping ends a poll under way and an emit that never settles, and leaves no connection; also before start and twice", async () => {
  await using server = await fakeServer((request, response) => void (request.url === "/quick" && json(response, 1)));
  const it = await polling({ urls: [`${server.url}/hangs`, `${server.url}/quick`], interval: "10ms" }, { emit: () => new Promise(() => {}) });
  await until("both under way", () => server.received.length === 2 && it.recorded.emitted.length === 1);
  await it.stop();
  await it.stop();
  await until("connections closed", () => server.connections === 0);
  assert.deepEqual(it.recorded.reports, []);
  const { context } = receiverContext({ clock: realClock, metrics: createMetrics() });
  await httpPoll.create(configured(httpPoll.schema, { url: server.url }), context).stop!();
});

test("an emit that is not accepted is no fault of the target", async () => {
  await using server = await fakeServer((_, response) => json(response, 1));
  await using it = await polling({ url: server.url, interval: "10ms" }, { emit: () => Promise.reject(new NotAcceptedError("shutting down")) });
  await until("polled again", () => it.recorded.emitted.length >= 2);
  assert.equal(targetsIn(it.recorded)[0]?.["up"], true);
  assert.equal(it.recorded.reports[0], "shutting down");
  assert.equal(it.recorded.caughtUp, false);
});

/** Moves virtual time in steps, giving real sockets the time they need. */
async function pass(clock: ReturnType<typeof virtualClock>, ms: number): Promise<void> {
  // A real request must come and go before virtual time moves on; a busy machine takes longer for that.
  await clock.advance(ms, async () => {
    const begin = performance.now();
    await realClock.sleep(20);
    const lateMs = performance.now() - begin - 20;
    if (lateMs > 2) await realClock.sleep(20 + 5 * lateMs);
  });
}

test("failures back off exponentially to a bound, are reported once, and heal once; three in a row make the receiver failing", async () => {
  const clock = virtualClock();
  let status = 500;
  const polledAt: number[] = [];
  await using server = await fakeServer((_, response) => {
    polledAt.push(clock.now());
    json(response, 1, status);
  });
  await using it = await polling({ url: server.url, interval: "1m" }, { clock });
  await pass(clock, 0);
  assert.equal(it.recorded.failing, undefined);
  await pass(clock, 3 * 60_000 + 1);
  assert.ok(polledAt.length >= 3, String(polledAt.length));
  assert.match(it.recorded.failing!, /^http:\/\/127\.0\.0\.1:\d+\/ answered 500 Internal Server Error$/);
  await pass(clock, 30 * 60_000);
  const waits = polledAt.slice(1).map((at, i) => (at - polledAt[i]!) / 60_000);
  assert.equal(waits[0], 1, "the first repetition keeps the interval");
  assert.ok(waits[1]! >= 1 && waits[1]! <= 2 && waits[2]! >= 2 && waits[2]! <= 4, String(waits));
  assert.ok(waits.slice(3).every((wait) => wait >= 2.5 && wait <= 5), String(waits));
  assert.ok(new Set(waits.slice(3)).size > 1, "with jitter");
  assert.equal(it.recorded.reports.length, 1, "the same failure is said once");
  assert.equal(targetsIn(it.recorded)[0]?.["failures"], polledAt.length);
  assert.equal(it.recorded.caughtUp, false);
  status = 200;
  await pass(clock, 5 * 60_000);
  assert.equal(it.recorded.failing, undefined);
  assert.equal(it.recorded.healed, 1);
  assert.equal(it.recorded.caughtUp, true);
  const before = polledAt.length;
  await pass(clock, 3 * 60_000);
  assert.equal(polledAt.length - before, 3, "after a success the interval is as configured");
});

test("a dead target beside a good one puts off what is known of all only until it has failed three times", async () => {
  const clock = virtualClock();
  await using server = await fakeServer((request, response) => json(response, 1, request.url === "/dead" ? 500 : 200));
  await using it = await polling({ urls: [`${server.url}/good`, `${server.url}/dead`], interval: "1m" }, { clock });
  const failures = (): unknown => targetsIn(it.recorded)[1]!["failures"];
  await pass(clock, 60_001);
  assert.equal(failures(), 2);
  assert.equal(it.recorded.caughtUp, false);
  await pass(clock, 120_000);
  assert.equal(failures(), 3);
  assert.equal(it.recorded.caughtUp, true);
  assert.equal(it.recorded.failing, undefined, "one of them answers");
});

test("Retry-After is honoured", async () => {
  const clock = virtualClock();
  await using server = await fakeServer((_, response) => response.writeHead(429, { "retry-after": "600" }).end());
  await using it = await polling({ url: server.url, interval: "10s" }, { clock });
  await pass(clock, 0);
  await until("polled", () => it.recorded.reports.length === 1);
  assert.match(it.recorded.failing!, /answered 429/, "for longer than three polls nothing is known of the source");
  await pass(clock, 599_000);
  assert.equal(server.received.length, 1);
  await pass(clock, 1_000);
  assert.equal(server.received.length, 2);
});

test("a target is polled on the grid of its interval, later by no more than the jitter; the first at once", async () => {
  const clock = virtualClock();
  const start = clock.now();
  const polledAt = new Map<string, number[]>();
  await using server = await fakeServer((request, response) => {
    polledAt.set(request.url, [...polledAt.get(request.url) ?? [], clock.now() - start]);
    json(response, 1);
  });
  await using _ = await polling({ urls: ["/0", "/1", "/2", "/3"].map((path) => server.url + path), interval: "1m", jitter: "10s" }, { clock });
  await pass(clock, 5 * 60_000 + 10_000);
  assert.equal(polledAt.get("/0")?.[0], 0);
  const firsts = [...polledAt.values()].map(([first]) => first!);
  assert.ok(firsts.every((first) => first <= 1_000) && new Set(firsts).size === 4, `spread within a second: ${firsts.join()}`);
  for (const [path, times] of polledAt) {
    for (const [i, at] of times.entries()) {
      if (i > 0) assert.ok(at >= i * 60_000 && at <= i * 60_000 + 11_000, `${path} ${at}`);
    }
    assert.equal(times.length, 6, path);
  }
});

test("two dead targets are reported once each, not in turn for ever", async () => {
  await using it = await polling({ urls: ["http://127.0.0.1:1/a", "http://127.0.0.1:1/b"], interval: "10ms" });
  await until("three failures each", () => targetsIn(it.recorded).every((target) => Number(target["failures"]) >= 3));
  assert.equal(it.recorded.reports.length, 2);
  assert.match(it.recorded.failing!, /no target answers \(2\): .*ECONNREFUSED/);
});
