import assert from "node:assert/strict";
import { test } from "node:test";
import { PermanentError } from "../../src/sdk/errors.ts";
import { observation, type Json } from "../../src/sdk/observation.ts";
import { harness, orders, type Harness } from "../support/agent.ts";

const MINUTE = 60_000;
const LARGE = "[{ alert: Large, expr: self.amount > 100 }]";

/** Emits without waiting; tells whether it is done. */
function emit(h: Harness, body: Json, position?: Json): { state: string; promise: Promise<void> } {
  const promise = h.now.agent.emit("feed", [observation(body, { source: "feed", time: h.clock.now(), id: (body as { event?: string }).event })], position);
  const emitted = { state: "waits", promise };
  promise.then(() => (emitted.state = "committed"), (error: Error) => (emitted.state = error.message));
  return emitted;
}

test("emit resolves only with the commit, and a redelivery of one that is pending joins it", async () => {
  await using h = await harness(orders());
  h.store.hold();
  const first = emit(h, { id: "a", status: "x", event: "e1" });
  await h.advance(1_000);
  const again = emit(h, { id: "a", status: "x", event: "e1" });
  await h.advance(1_000);
  assert.deepEqual([first.state, again.state], ["waits", "waits"]);
  h.store.release();
  await h.advance(1);
  assert.deepEqual([first.state, again.state], ["committed", "committed"]);
  assert.equal(h.now.own.receiverDuplicate.series("feed").value, 1);
  await h.restart();
  const late = emit(h, { id: "a", status: "y", event: "e1" });
  await h.advance(1_000);
  assert.equal(late.state, "committed");
  assert.equal(h.now.agent.services.resources.get("order", "a")!.state, "x", "an id is remembered across a restart");
});

test("a crash loses position, state and counts together, so what is read again counts once", async () => {
  await using h = await harness(orders());
  await h.send("feed", { id: "a", status: "x" });
  emit(h, { id: "a", status: "y" }, { offset: 1 });
  await h.restart();
  assert.equal(h.receiver("feed").position, undefined);
  emit(h, { id: "a", status: "y" }, { offset: 1 });
  await h.advance(3_000);
  await h.restart();
  assert.deepEqual(h.receiver("feed").position, { offset: 1 });
  assert.equal(h.now.own.resourceTransitions.series("order", "x", "y").value, 1);
});

test("an alert that a replayable source causes is committed at once, not when others share the commit", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  const quiet = emit(h, { id: "a", status: "x", amount: 1 }, 1);
  await h.advance(10);
  assert.equal(quiet.state, "waits");
  emit(h, { id: "a", status: "x", amount: 200 }, 2);
  await h.advance(0);
  assert.deepEqual(h.sent, ["recorder: FIRING Large a"]);
  assert.equal(quiet.state, "committed");
});

test("a stuck exporter that may block holds up the receivers of its own pipelines, and no others", async () => {
  const yaml = orders({ receivers: "feed: {}", exporters: "sink: { sending_queue: { queue_size: 1, on_full: block } }" })
    .replace("receivers: { feed: {} }", "receivers: { feed: {}, feed/b: {} }")
    + "    other: { receivers: [feed/b], processors: [track/order], exporters: [] }\n";
  await using h = await harness(yaml);
  let free = (): void => {};
  h.destinations.export = () => new Promise<void>((resolve) => (free = resolve));
  await h.send("feed", { id: "a", status: "1" });
  const waiting = [emit(h, { id: "a", status: "2" }), emit(h, { id: "a", status: "3" })];
  await h.advance(1_000);
  assert.deepEqual(waiting.map(({ state }) => state), ["waits", "waits"]);
  await h.send("feed/b", { id: "b", status: "x" });
  h.destinations.export = () => undefined;
  free();
  await h.advance(1_000);
  assert.deepEqual(waiting.map(({ state }) => state), ["committed", "committed"]);
  assert.deepEqual(h.exported.map(({ observation: { self } }) => self?.state), ["1", "2", "3"]);
});

test("a reload and a stop do not wait for a stuck exporter: what waited for room was not taken, and is rejected", async () => {
  const blocked = (mark: string, size = 1) => orders({ receivers: `feed: { mark: ${mark} }`, exporters: `sink: { sending_queue: { queue_size: ${size}, on_full: block } }` });
  await using h = await harness(blocked("a"));
  h.destinations.export = () => new Promise(() => {});
  await h.send("feed", { id: "a", status: "1" });
  const waiting = emit(h, { id: "a", status: "2" });
  await h.reload(blocked("b"));
  assert.match(waiting.state, /stopping/);
  const next = emit(h, { id: "a", status: "3" });
  await h.reload(blocked("b", 10));
  assert.equal(next.state, "committed", "a larger queue has room");
  await h.stop();
});

test("emit never waits for an exporter that may drop: what does not fit is dropped, and counted", async () => {
  await using h = await harness(orders({ exporters: "sink: { sending_queue: { queue_size: 2 } }" }));
  h.destinations.export = () => new Promise(() => {});
  for (let i = 0; i < 5; i++) await h.send("feed", { id: `o${i}`, status: "x" });
  assert.equal(h.now.own.exporterDroppedObservations.series("sink", "queue_full").value, 3);
});

test("a changed exporter takes over what waits for the one before", async () => {
  await using h = await harness(orders({ exporters: "sink: { mark: a }" }));
  h.destinations.export = () => { throw new Error("503"); };
  await h.send("feed", { id: "a", status: "x" });
  h.destinations.export = () => undefined;
  await h.reload(orders({ exporters: "sink: { mark: b }" }));
  await h.advance(MINUTE);
  assert.equal(h.exported.length, 1);
});

test("what a reload does not change keeps running, and no batch meets a processor that has stopped", async () => {
  const yaml = (mark: string) => orders({ processors: `pass: { mark: ${mark} }`, exporters: "sink: {}" });
  await using h = await harness(yaml("a"));
  const reloading = h.reload(yaml("b"));
  for (let i = 0; i < 20; i++) {
    emit(h, { id: `o${i}`, status: "x" });
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  await reloading;
  await h.advance(MINUTE);
  assert.equal(h.exported.length, 20);
  assert.equal(h.now.agent.services.deadLetters.list(undefined, 1).length, 0);
  assert.deepEqual(h.lifecycle, ["start sink", "start pass", "start feed", "start pass", "stop pass"]);
});

test("a failing start puts the old graph back, with the instances that still run", async () => {
  const yaml = (more: { pass: string; feed: string; recorder: string }) =>
    orders({ processors: `pass: { ${more.pass} }`, receivers: `feed: { ${more.feed} }`, exporters: `recorder: {}, recorder/b: { ${more.recorder} }`, rules: LARGE });
  await using h = await harness(yaml({ pass: "mark: a", feed: "mark: a", recorder: "mark: a" }));
  for (const broken of [
    { pass: "mark: b", feed: "mark: b, fail_start: true", recorder: "mark: b" },
    { pass: "mark: b, fail_start: true", feed: "mark: b", recorder: "mark: b" },
    { pass: "mark: b", feed: "mark: b", recorder: "mark: b, fail_start: true" },
  ]) {
    await assert.rejects(h.reload(yaml(broken)), /agent\.yaml:\d+:\d+ .*cannot start/);
    assert.equal(h.now.agent.reloadStatus!.result, "failure");
    const runs = new Map<string, number>();
    for (const entry of h.lifecycle) runs.set(entry.split(" ")[1]!, (runs.get(entry.split(" ")[1]!) ?? 0) + (entry.startsWith("start") ? 1 : -1));
    assert.deepEqual([...runs.values()], [1, 1, 1, 1], h.lifecycle.join(", "));
  }
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  assert.deepEqual(h.sent.slice().sort(), ["recorder/b: FIRING Large a", "recorder: FIRING Large a"]);
});

test("a failing start does not end a notifier that it was to remove", async () => {
  await using h = await harness(orders({ rules: LARGE, exporters: "recorder/old: {}" }));
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  await assert.rejects(h.reload(orders({ rules: LARGE, exporters: "recorder/new: { fail_start: true }" })));
  await h.advance(MINUTE);
  assert.ok(!h.lifecycle.includes("stop recorder/old"));
  await h.send("feed", { id: "a", status: "x", amount: 1 });
  assert.deepEqual(h.sent.at(-1), "recorder/old: RESOLVED Large a recovered");
});

test("a first configuration that cannot run leaves nothing running, and another may be tried", async () => {
  await using h = await harness(orders());
  h.lifecycle.length = 0;
  await assert.rejects(h.restart(0, orders({ receivers: "feed: { fail_start: true }" })), /cannot start/);
  assert.equal(h.now.agent.ready, false);
  await h.now.agent.start(await h.load(orders()));
  assert.equal(h.now.agent.ready, true);
  await h.send("feed", { id: "a", status: "x" });
});

test("a component that crashes is made anew alone, later and later while it keeps crashing", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  const starts: number[] = [];
  for (let i = 0; i < 6; i++) {
    const before = h.lifecycle.length;
    h.receiver("feed").crashed(new Error("out of luck"));
    assert.equal(h.now.agent.degraded.length, 1);
    const begin = h.clock.now();
    while (h.lifecycle.length < before + 2) await h.advance(500);
    starts.push(h.clock.now() - begin);
  }
  assert.ok(starts[5]! > 4 * starts[0]!, starts.join(", "));
  assert.deepEqual(new Set(h.lifecycle.slice(2)), new Set(["stop feed", "start feed"]));
  assert.deepEqual(h.now.agent.degraded, []);
  assert.equal(h.now.own.configReloads.series("success").value, 1, "a restart is no reload");
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  assert.equal(h.sent.length, 1);
});

test("an instance that was replaced has nothing to say any more", async () => {
  await using h = await harness(orders({ receivers: "feed: { mark: a }" }));
  const before = h.receiver("feed");
  await h.reload(orders({ receivers: "feed: { mark: b }" }));
  before.crashed(new Error("too late"));
  assert.deepEqual(h.now.agent.degraded, []);
});

test("exporters are told of the external labels that they run under", async () => {
  await using h = await harness(orders({ service: "external_labels: { cluster: a }" }));
  await h.reload(orders({ service: "external_labels: { cluster: b }" }));
  assert.deepEqual((h.component("recorder") as unknown as { externalLabels: object }).externalLabels, { cluster: "b" });
});

test("a row that can never be written costs itself alone", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  const commit = h.store.commit.bind(h.store);
  h.store.commit = async (changes) => {
    if (changes.some(({ table, puts }) => table.name === "resources" && puts.includes("poison"))) throw new PermanentError("a cell is wrong");
    return commit(changes);
  };
  await h.send("feed", [{ id: "a", status: "x", amount: 200 }, { id: "poison", status: "x" }, { id: "b", status: "x" }]);
  h.store.commit = commit;
  assert.deepEqual(h.sent, ["recorder: FIRING Large a"]);
  assert.equal(h.now.agent.services.committer.failing, false);
  await h.restart();
  const known = ["a", "b", "poison"].map((id) => h.now.agent.services.resources.get("order", id) !== undefined);
  assert.deepEqual(known, [true, true, false]);
});

test("stopping is bounded by shutdown_timeout, whatever hangs, and leaves no timer", async () => {
  for (const hang of ["disk", "destination"] as const) {
    await using h = await harness(orders({ rules: LARGE, service: "shutdown_timeout: 10s" }));
    if (hang === "disk") h.store.commit = () => new Promise(() => {});
    else h.destinations.notify = () => new Promise(() => {});
    const emitted = emit(h, { id: "a", status: "x", amount: 200 });
    await h.advance(1);
    const begin = h.clock.now();
    await h.stop();
    assert.ok(h.clock.now() - begin <= 15_000);
    assert.equal(h.clock.pending, 0);
    assert.equal(emitted.state, hang === "disk" ? "the agent is stopping" : "committed");
    await h.now.agent.stop();
    await assert.rejects(h.now.agent.emit("feed", []), /stopping/);
  }
});
