import assert from "node:assert/strict";
import { test } from "node:test";
import { components } from "../../src/components.ts";
import { expectEverySchema } from "../../src/sdk/expect_every.ts";
import { observation } from "../../src/sdk/observation.ts";
import { harness, orders, type Harness } from "../support/agent.ts";

const MINUTE = 60_000;
const QUIET = "nothing came for 10m (expect_every 10m)";

const yaml = (every = "expect_every: 10m", more: Parameters<typeof orders>[0] = {}): string =>
  orders({ receivers: `feed: { ${every} }`, track: "states: { pending: { stuck_after: 15m } }", ...more });

const failing = (it: Harness): string | null => it.now.agent.receiverStatuses()["feed"]!.failing;

test("every receiver takes expect_every, as the pipeline enforces it", () => {
  const receivers = components.filter(({ kind }) => kind === "receiver");
  assert.ok(receivers.length >= 3);
  for (const { type, schema } of receivers) {
    assert.deepEqual((schema as { properties?: Record<string, unknown> }).properties?.["expect_every"], expectEverySchema.expect_every, type);
  }
});

test("a receiver from which nothing came for expect_every is failing, until something comes", async () => {
  await using it = await harness(yaml());
  await it.advance(10 * MINUTE - 1);
  assert.equal(failing(it), null);
  await it.advance(1);
  assert.equal(failing(it), QUIET);
  assert.deepEqual(it.now.agent.degraded, [`feed: ${QUIET}`]);
  await it.send("feed", { id: "o1", status: "pending" });
  assert.equal(failing(it), null);
  await it.advance(9 * MINUTE);
  await it.send("feed", { id: "o2", status: "pending" });
  await it.advance(9 * MINUTE);
  assert.equal(failing(it), null, "each batch begins the time anew");
  await it.advance(MINUTE);
  assert.equal(failing(it), QUIET);
});

test("a position without observations is no news", async () => {
  await using it = await harness(yaml());
  await it.advance(9 * MINUTE);
  void it.receiver("feed").emit([], { offset: 1 });
  await it.advance(MINUTE);
  assert.equal(failing(it), QUIET);
});

test("a redelivery is: the source is there", async () => {
  await using it = await harness(yaml());
  await it.send("feed", { id: "o1", status: "pending" }, { id: "x" });
  await it.advance(9 * MINUTE);
  await it.send("feed", { id: "o1", status: "pending" }, { id: "x" });
  await it.advance(9 * MINUTE);
  assert.equal(failing(it), null);
});

test("what only a silent receiver feeds is stale: it is judged by the news that ends the silence", async () => {
  await using it = await harness(yaml());
  await it.send("feed", [{ id: "o1", status: "pending" }, { id: "o2", status: "pending" }]);
  await it.advance(60 * MINUTE);
  const changes = (): string[] => it.changes.filter((line) => !line.includes("ReceiverFailing"));
  assert.deepEqual(changes(), [], "nobody knows whether they are still pending");
  await it.send("feed", [{ id: "o1", status: "paid" }]);
  assert.deepEqual(changes(), ["FIRING OrderStuckInPending o2"]);
});

test("silence and what the receiver says are independent, and both heal", async () => {
  await using it = await harness(yaml());
  await it.advance(10 * MINUTE);
  const feed = it.receiver("feed");
  feed.failing("connection refused");
  assert.equal(failing(it), "connection refused");
  feed.failing(undefined);
  assert.equal(failing(it), QUIET, "it can read, and there is still nothing");
  feed.failing("connection refused");
  await it.send("feed", { id: "o1", status: "pending" });
  assert.equal(failing(it), "connection refused");
  feed.failing(undefined);
  assert.equal(failing(it), null);
});

test("rules do not wait for a silent receiver to catch up", async () => {
  await using it = await harness(yaml("behind: true, expect_every: 1m"));
  await it.advance(MINUTE);
  assert.equal(it.now.agent.waiting.size, 0);
});

test("a reload does not end a silence; another duration counts from the same moment; without it nothing is expected", async () => {
  await using it = await harness(yaml());
  await it.advance(10 * MINUTE);
  await it.reload(yaml("mark: changed, expect_every: 10m"));
  assert.equal(failing(it), QUIET);
  await it.reload(yaml("expect_every: 15m"));
  assert.equal(failing(it), null);
  await it.advance(5 * MINUTE);
  assert.equal(failing(it), "nothing came for 15m (expect_every 15m)");
  await it.reload(yaml("mark: changed"));
  assert.equal(failing(it), null);
  await it.advance(60 * MINUTE);
  assert.equal(failing(it), null);
});

test("after a restart of the agent it counts from the start", async () => {
  await using it = await harness(yaml());
  await it.send("feed", { id: "o1", status: "pending" });
  await it.restart(60 * MINUTE);
  assert.equal(failing(it), null);
  await it.advance(10 * MINUTE);
  assert.equal(failing(it), QUIET);
});

test("while it is we who take nothing, because a queue is full, a receiver is not silent", async () => {
  const exporters = "sink: { sending_queue: { queue_size: 1, on_full: block } }";
  await using it = await harness(yaml("expect_every: 10m", { exporters }), ({ destinations }) => {
    destinations.export = () => new Promise(() => {});
  });
  const emits = Array.from({ length: 200 }, (_, i) => it.receiver("feed").emit([observation({ id: `o${i}`, status: "new" }, { source: "feed", time: it.clock.now() })]));
  for (const emit of emits) emit.catch(() => {});
  await it.advance(25 * MINUTE);
  assert.equal(failing(it), null);
});

test("while nothing can be committed, a receiver is not silent: it waits for us", async () => {
  await using it = await harness(yaml());
  const real = it.store.commit.bind(it.store);
  it.store.commit = async () => { throw new Error("disk full"); };
  void it.receiver("feed").emit([observation({ id: "o1", status: "new" }, { source: "feed", time: it.clock.now() })]).catch(() => {});
  await it.advance(30 * MINUTE);
  assert.equal(failing(it), null);
  it.store.commit = real;
  await it.advance(20 * MINUTE);
  assert.equal(failing(it), QUIET);
});

test("a duration that cannot be kept is refused where it is written", async () => {
  for (const every of ["0s", "10ms"]) await assert.rejects(harness(yaml(`expect_every: ${every}`)), /expect_every.*allowed: at least 1s/s);
});

test("no timer is armed for each emit, and none is left after the end", async () => {
  const it = await harness(yaml("expect_every: 10m", { track: "" }));
  await it.send("feed", { id: "o1", status: "new" });
  await it.advance(5_000);
  const before = it.clock.pending;
  for (let i = 0; i < 50; i++) await it.send("feed", { id: "o1", status: "new" });
  await it.advance(5_000);
  assert.ok(it.clock.pending <= before, `${it.clock.pending} timers, ${before} before`);
  await it[Symbol.asyncDispose]();
  assert.equal(it.clock.pending, 0);
});
