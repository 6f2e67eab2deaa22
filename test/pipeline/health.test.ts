import assert from "node:assert/strict";
import { test } from "node:test";
import { Health } from "../../src/pipeline/health.ts";
import { silentLog } from "../../src/sdk/log.ts";
import { harness, orders } from "../support/agent.ts";

function watched(awaited: (receiver: string) => boolean = () => false) {
  const told: string[] = [];
  const health = new Health({
    logOf: () => silentLog,
    onFailing: (receiver, reason) => void told.push(`${receiver}: ${reason ?? "works"}`),
    onTold: () => {},
    awaited,
  });
  return { health, told };
}

test("what a receiver says, its silence and its crash come and go each on their own; it fails while there is one", () => {
  const { health, told } = watched();
  health.setFailing("a", "refused");
  health.setQuiet("a", "nothing came for 10m");
  health.setFailing("a", undefined);
  health.setQuiet("a", undefined);
  health.setQuiet("a", undefined);
  assert.deepEqual(told, ["a: refused", "a: nothing came for 10m", "a: works"]);
});

test("a reason is told without credentials, and is bounded", () => {
  const { health, told } = watched();
  health.setFailing("a", "GET https://user:pass1234@shop.test/x?key=s3cr3t failed");
  health.setFailing("b", "x".repeat(10_000));
  assert.ok(!/pass1234|s3cr3t/.test(told.join()), told[0]);
  assert.match(told[0]!, /shop\.test/);
  assert.ok(told[1]!.length <= 510);
  assert.ok(!/pass1234|s3cr3t/.test(health.of("a").failing!));
});

test("what a predecessor said stands until its successor says otherwise", () => {
  const { health, told } = watched();
  health.setFailing("a", "refused");
  health.left("a");
  assert.equal(health.of("a").failing, "refused");
  health.caughtUp("a");
  assert.equal(health.of("a").failing, null);
  health.caughtUp("a");
  assert.deepEqual(told, ["a: refused", "a: works"]);
});

test("to have caught up does not end what the receiver itself says, nor a silence", () => {
  const { health } = watched();
  health.setFailing("a", "refused");
  health.setQuiet("b", "nothing came for 10m");
  health.caughtUp("a");
  health.caughtUp("b");
  assert.deepEqual([...health.failing], [["a", "refused"], ["b", "nothing came for 10m"]]);
});

test("that a receiver works is told once it says so, since an alert from before a restart waits for it; and then only on change", () => {
  const { health, told } = watched();
  health.setQuiet("a", undefined);
  assert.deepEqual(told, []);
  health.caughtUp("a");
  health.caughtUp("a");
  health.setFailing("a", undefined);
  assert.deepEqual(told, ["a: works"]);
});

test("a receiver of which something is expected works once something came, not already when it can read", () => {
  let awaited = true;
  const { health, told } = watched(() => awaited);
  health.caughtUp("a");
  assert.deepEqual(told, []);
  awaited = false;
  health.setQuiet("a", undefined);
  assert.deepEqual(told, ["a: works"]);
});

test("of a receiver that is not configured any more nothing is said", () => {
  const { health, told } = watched();
  health.setQuiet("a", "nothing came for 10m");
  health.crashed("b");
  health.keepOnly(new Set(["b"]));
  assert.deepEqual(told.at(-1), "a: works");
  health.keepOnly(new Set());
  assert.equal(health.failing.size, 0);
});

test("a receiver that crashed fails until its successor can read: what only it feeds is stale, and heals", async () => {
  await using it = await harness(orders({ track: "states: { pending: { stuck_after: 10m } }" }));
  await it.send("feed", { id: "o1", status: "pending" });
  it.receiver("feed").crashed(new Error("boom"));
  assert.equal(it.now.agent.receiverStatuses()["feed"]!.failing, "stopped working, is being restarted");
  assert.deepEqual(it.now.agent.degraded, ["feed: stopped working, is being restarted"]);
  assert.ok(it.now.agent.services.alerts.isStale(["feed"]));
  await it.advance(5_000);
  assert.deepEqual(it.lifecycle.slice(-2), ["stop feed", "start feed"]);
  assert.equal(it.now.agent.receiverStatuses()["feed"]!.failing, null);
  assert.deepEqual(it.now.agent.degraded, []);
  await it.advance(600_000);
  assert.deepEqual(it.changes, ["FIRING OrderStuckInPending o1"]);
});

test("while a crashed receiver cannot be restarted it goes on failing, whatever it said before", async () => {
  const yaml = orders({ track: "states: { pending: { stuck_after: 1m } }" });
  await using it = await harness(yaml);
  await it.send("feed", { id: "o1", status: "pending" });
  const feed = it.receiver("feed");
  feed.failing("refused");
  feed.crashed(new Error("boom"));
  feed.failing(undefined);
  assert.equal(it.now.agent.receiverStatuses()["feed"]!.failing, "stopped working, is being restarted");
  // The successor gives up as well, each time while it starts.
  const listened = it.now.agent.applyParts.definitions.find(({ type }) => type === "feed")! as { create: (config: never, context: never) => object };
  const real = listened.create;
  let dying = true;
  listened.create = (config, context) => (dying
    ? { start: async () => (context as { crashed(error: Error): void }).crashed(new Error("again")), stop: async () => {} }
    : real(config, context));
  await it.advance(120_000);
  assert.equal(it.now.agent.receiverStatuses()["feed"]!.failing, "stopped working, is being restarted");
  const changes = (): string[] => it.changes.filter((line) => !line.includes("ReceiverFailing"));
  assert.deepEqual(changes(), [], "stale: nobody can say");
  dying = false;
  await it.advance(600_000);
  assert.equal(it.now.agent.receiverStatuses()["feed"]!.failing, null);
  assert.deepEqual(changes(), ["FIRING OrderStuckInPending o1"]);
});
