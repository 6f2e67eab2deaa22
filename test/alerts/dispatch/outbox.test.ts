import assert from "node:assert/strict";
import { test } from "node:test";
import { PermanentError, RetryLaterError } from "../../../src/sdk/errors.ts";
import { harness, orders, type Harness } from "../../support/agent.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const LARGE = "[{ alert: Large, expr: self.amount > 100 }]";

function setLarge(h: Harness, id: string, large: boolean): Promise<void> {
  return h.send("feed", { id, status: "x", amount: large ? 200 : 1 });
}

test("every change goes to every exporter, once, in the order of its key", async () => {
  await using h = await harness(orders({ rules: LARGE, exporters: "recorder/a: {}, recorder/b: { deduplicates: false }" }));
  for (const large of [true, false, true]) {
    await setLarge(h, "o", large);
    await h.advance(1);
  }
  const of = (exporter: string) => h.sent.filter((sent) => sent.startsWith(exporter)).map((sent) => sent.split(": ")[1]);
  assert.deepEqual(of("recorder/a"), ["FIRING Large o", "RESOLVED Large o recovered", "FIRING Large o"]);
  assert.deepEqual(of("recorder/b"), of("recorder/a"));
});

test("a destination that fails is tried again, ever more rarely, and hears everything in order once it is back", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  let attempts = 0;
  h.destinations.notify = () => {
    attempts++;
    throw new Error("503");
  };
  await setLarge(h, "a", true);
  await h.advance(10 * MINUTE);
  assert.ok(attempts > 4 && attempts < 20, `${attempts} attempts`);
  h.destinations.notify = () => undefined;
  await h.advance(6 * MINUTE);
  assert.deepEqual(h.sent, ["recorder: FIRING Large a"]);
  assert.equal(h.log.filter((line) => line.includes("503")).length, 1, "one line when it breaks");
  assert.equal(h.log.filter((line) => line.includes("works again")).length, 1, "one when it heals");
});

test("one message that the destination cannot stomach does not keep back the others", async () => {
  await using h = await harness(orders({ rules: LARGE, exporters: "recorder: { deduplicates: false }" }));
  h.destinations.notify = (_, { alerts }) => {
    if (alerts[0]!.resource.id === "poison") throw new Error("500");
  };
  await setLarge(h, "poison", true);
  for (let i = 0; i < 20; i++) await setLarge(h, `o${i}`, true);
  await h.advance(MINUTE);
  assert.equal(h.sent.length, 20);
  await h.advance(25 * HOUR);
  assert.equal(h.now.agent.services.outbox.pending("recorder"), 0);
  assert.equal(h.now.agent.services.deadLetters.list(undefined, 10).length, 1, "given up after a day");
});

test("Retry-After is respected", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  const attempts: number[] = [];
  h.destinations.notify = () => {
    attempts.push(h.clock.now());
    if (attempts.length === 1) throw new RetryLaterError("429", 10 * MINUTE);
  };
  await setLarge(h, "a", true);
  await h.advance(MINUTE);
  await setLarge(h, "b", true);
  await h.advance(8 * MINUTE);
  assert.equal(attempts.length, 1);
  await h.advance(2 * MINUTE);
  assert.equal(h.sent.length, 2);
  assert.ok(attempts[1]! - attempts[0]! >= 10 * MINUTE);
});

test("what can never be delivered goes to the dead letters at once, and the next of its key goes out", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  h.destinations.notify = (_, { status }) => {
    if (status === "firing") throw new PermanentError("400: no such channel");
  };
  await setLarge(h, "a", true);
  const [letter] = h.now.agent.services.deadLetters.list(undefined, 10);
  assert.match(letter!.reason, /no such channel/);
  await setLarge(h, "a", false);
  assert.deepEqual(h.sent, ["recorder: RESOLVED Large a recovered"]);
  await h.restart();
  assert.equal(h.now.agent.services.deadLetters.list(undefined, 10).length, 1);
});

test("an attempt that hangs, and does not heed its signal, is broken off and tried again", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  let hang = true;
  h.destinations.notify = () => (hang ? new Promise(() => {}) : undefined);
  await setLarge(h, "a", true);
  hang = false;
  await h.advance(MINUTE);
  assert.deepEqual(h.sent, ["recorder: FIRING Large a"]);
});

test("an alert that nobody was told of is not resolved either; one that somebody may have seen is", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  h.destinations.notify = () => {
    throw new Error("timed out");
  };
  await setLarge(h, "seen", true); // the attempt may have arrived
  await h.send("feed", [{ id: "unseen", status: "x", amount: 200 }, { id: "unseen", status: "x", amount: 1 }]);
  await setLarge(h, "seen", false);
  h.destinations.notify = () => undefined;
  await h.advance(MINUTE);
  assert.deepEqual(h.sent, ["recorder: RESOLVED Large seen recovered"]);
});

test("a delivery under way at a crash may come again, what was recorded does not, and nothing is lost", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  await setLarge(h, "done", true);
  h.destinations.notify = () => new Promise(() => {});
  await setLarge(h, "under_way", true);
  h.destinations.notify = () => undefined;
  await h.restart();
  await setLarge(h, "under_way", false);
  await h.advance(1);
  assert.deepEqual(h.sent, ["recorder: FIRING Large done", "recorder: FIRING Large under_way", "recorder: RESOLVED Large under_way recovered"]);
});

test("while nothing can be committed nothing is told; afterwards everything is", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  h.store.fail();
  const sending = h.send("feed", { id: "a", status: "x", amount: 200 });
  await assert.rejects(sending, /not committed/);
  await h.advance(MINUTE);
  assert.deepEqual(h.sent, []);
  assert.deepEqual(h.now.agent.degraded, ["nothing can be committed to the store"]);
  h.store.heal();
  await h.advance(10_000);
  assert.deepEqual(h.sent, ["recorder: FIRING Large a"]);
  assert.deepEqual(h.now.agent.degraded, []);
});

test("the receipt of a firing comes back with its resolve, also after a restart, and not with the next episode", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  await setLarge(h, "a", true);
  await h.restart();
  await setLarge(h, "a", false);
  await setLarge(h, "a", true);
  const [first, resolved, second] = h.notifications.map(({ notification }) => notification);
  assert.equal(resolved!.receipt, `receipt of ${first!.id}`);
  assert.equal(second!.receipt, undefined);
});

test("a removed exporter lives until the incidents that it opened are over", async () => {
  await using h = await harness(orders({ rules: LARGE, exporters: "recorder/old: {}" }));
  await setLarge(h, "a", true);
  await h.reload(orders({ rules: LARGE, exporters: "recorder/new: {}" }));
  assert.ok(!h.lifecycle.includes("stop recorder/old"));
  await h.advance(30 * MINUTE);
  await setLarge(h, "a", false);
  await setLarge(h, "b", true);
  // The new one hears of what fires already.
  assert.deepEqual(h.sent, [
    "recorder/old: FIRING Large a", "recorder/new: FIRING Large a",
    "recorder/old: RESOLVED Large a recovered", "recorder/new: RESOLVED Large a recovered", "recorder/new: FIRING Large b",
  ]);
  await h.advance(MINUTE);
  assert.ok(h.lifecycle.includes("stop recorder/old"));
});

test("a removed exporter does not live for ever: what it would still have to say goes to the dead letters", async () => {
  await using h = await harness(orders({ rules: LARGE, exporters: "recorder/old: {}" }));
  await setLarge(h, "a", true);
  await h.reload(orders({ rules: LARGE }));
  await h.advance(2 * HOUR);
  assert.ok(h.lifecycle.includes("stop recorder/old"));
  await setLarge(h, "a", false);
  await h.advance(2 * HOUR);
  assert.equal(h.now.agent.services.outbox.pending("recorder/old"), 0);
  assert.equal(h.now.agent.services.deadLetters.list(undefined, 10).length, 1);
});

test("an exporter of a file that is rejected at start keeps its messages until the file is mended", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  h.destinations.notify = () => {
    throw new Error("503");
  };
  await setLarge(h, "a", true);
  h.destinations.notify = () => undefined;
  const yaml = orders({ rules: LARGE });
  await h.restart(0, yaml, (wanted) => ({ ...wanted, components: [], pipelines: [], rejected: [{ file: wanted.components[0]!.file, problems: [], lastGoodRuns: false }] }));
  await h.advance(3 * HOUR);
  assert.deepEqual(h.sent, []);
  await h.reload(yaml);
  await h.advance(1);
  assert.deepEqual(h.sent, ["recorder: FIRING Large a"]);
});

test("stopping sends what is ready to leave, records it, and leaves no timer", async () => {
  await using h = await harness(orders({ rules: LARGE, exporters: "recorder: { deduplicates: false }" }));
  h.store.hold();
  void h.send("feed", { id: "a", status: "x", amount: 200 }).catch(() => {});
  h.store.release();
  await h.stop();
  assert.deepEqual(h.sent, ["recorder: FIRING Large a"]);
  assert.equal(h.clock.pending, 0);
  await h.restart();
  await h.advance(MINUTE);
  assert.equal(h.sent.length, 1);
});
