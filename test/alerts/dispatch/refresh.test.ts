import assert from "node:assert/strict";
import { test } from "node:test";
import { PermanentError } from "../../../src/sdk/errors.ts";
import { HOUR, MINUTE, rig, SECOND } from "./rig.ts";

const refreshes = { everyMs: MINUTE, resolvedForMs: 15 * MINUTE };

test("an alert manager is told of all that changed in one message, and every minute of all that fires or ended of late", async () => {
  const r = await rig({ exporters: { am: { deduplicates: true, refreshes, config: { group_by: ["x"], repeat_interval: "1s" } } } });
  r.silences.add({ matchers: ["alertname=Stuck"], endsAt: r.clock.now() + HOUR, createdBy: "ann", comment: "not for you" });
  r.fire("a");
  r.fire("b");
  await r.settle();
  assert.deepEqual(r.told.splice(0), ["am fired firing a b"]);
  await r.advance(30 * SECOND);
  r.end("a");
  r.fire("c");
  await r.settle();
  assert.deepEqual(r.told.splice(0), ["am fired firing c -a"]);
  await r.advance(MINUTE);
  assert.deepEqual(r.told.splice(0), ["am repeat firing b c -a"]);
  await r.advance(20 * MINUTE);
  assert.equal(r.told.at(-1), "am repeat firing b c");
  assert.equal(r.told.length, 20);
  r.end("b");
  r.end("c");
  await r.advance(20 * MINUTE);
  assert.equal(r.told.at(-1), "am repeat resolved -b -c");
  const count = r.told.length;
  await r.advance(HOUR);
  assert.equal(r.told.length, count, "silence when there is nothing to say");
});

test("what fires is told again at once after a restart, and an end that was not told is not lost", async () => {
  let down = false;
  const r = await rig({ exporters: { am: { deduplicates: true, refreshes, notify: () => {
    if (down) throw new Error("503");
  } } } });
  r.fire("a");
  r.fire("b");
  await r.settle();
  down = true;
  r.end("a");
  await r.advance(SECOND);
  assert.equal(r.dispatcher.openOn("am"), 1);
  await r.restart(10 * MINUTE);
  r.told.splice(0);
  down = false;
  await r.advance(5 * MINUTE);
  assert.ok(r.told.includes("am resolved resolved -a"));
  assert.ok(r.told.includes("am repeat firing b"));
});

test("while it is down little waits, and what changed and changed back is told as it is", async () => {
  let down = true;
  const r = await rig({ exporters: { am: { deduplicates: true, refreshes, notify: () => {
    if (down) throw new Error("503");
  } } } });
  for (let i = 0; i < 200; i++) {
    for (const id of ["a", "b", "c"]) {
      if (r.isFiring(id)) r.end(id);
      else r.fire(id);
    }
    if (i === 50) r.fire("d");
    await r.advance(10 * SECOND);
  }
  assert.ok(r.outbox.pending("am") <= 20);
  assert.ok(r.counts["refresh failed"]! > 5);
  await r.restart();
  down = false;
  await r.advance(10 * MINUTE);
  assert.equal(r.outbox.pending("am"), 0);
  assert.equal(r.told.at(-1), "am repeat firing d");
  const last = new Map<string, string>();
  for (const { notification } of r.notifications) for (const { resource, status } of notification.alerts) last.set(resource.id, status);
  for (const id of ["a", "b", "c"]) assert.ok(last.get(id) !== "firing", id);
});

test("100,000 alerts go in batches", async () => {
  const r = await rig({ exporters: { am: { deduplicates: true, refreshes } } });
  for (let i = 0; i < 100_000; i++) r.fire(`o${i}`);
  await r.advance(10 * SECOND);
  assert.ok(r.notifications.every(({ notification }) => notification.alerts.length <= 300));
  assert.equal(new Set(r.notifications.flatMap(({ notification }) => notification.alerts.map(({ resource }) => resource.id))).size, 100_000);
});

test("match counts for it, too", async () => {
  const r = await rig({ exporters: { am: { deduplicates: true, refreshes, config: { match: ["team=db"] } } } });
  r.fire("a", { team: "db" });
  r.fire("b", { team: "web" });
  await r.advance(2 * MINUTE);
  r.end("b");
  r.end("a");
  await r.settle();
  assert.deepEqual([...new Set(r.notifications.flatMap(({ notification }) => notification.alerts.map(({ resource }) => resource.id)))], ["a"]);
});

test("a batch that is refused keeps no other from being told again, and fills no dead letters", async () => {
  const r = await rig({ exporters: { am: { deduplicates: true, refreshes, notify: ({ alerts, cause }) => {
    if (cause === "repeat" && alerts.some(({ resource }) => resource.id === "o0")) throw new PermanentError("400");
  } } } });
  for (let i = 0; i < 1_000; i++) r.fire(`o${i}`);
  await r.settle();
  r.told.splice(0);
  await r.advance(3 * MINUTE);
  assert.equal(r.told.length, 3 * 3, "all but the first of four batches, each minute");
  assert.equal(r.counts["refresh failed"], 3);
  assert.equal(r.deadLetters.list(undefined, 10).length, 0);
});

test("what ended or fired again while it was told again is not left as it was", async () => {
  let release: (() => void) | undefined;
  let hold = false;
  const r = await rig({ exporters: { am: { deduplicates: true, refreshes, notify: async ({ cause }) => {
    if (hold && cause === "repeat") await new Promise<void>((resolve) => (release = resolve));
  } } } });
  for (const id of ["a", "b", "c"]) r.fire(id);
  await r.settle();
  r.end("b");
  await r.settle();
  hold = true;
  await r.advance(MINUTE);
  r.end("a");
  r.fire("b");
  await r.advance(SECOND);
  r.told.splice(0);
  hold = false;
  release!();
  await r.advance(SECOND);
  assert.equal(r.told[0], "am repeat firing a c -b", "so it was when it was sent");
  const last = new Map<string, string>();
  for (const { notification } of r.notifications) for (const { resource, status } of notification.alerts) last.set(resource.id, status);
  assert.deepEqual([...last], [["a", "resolved"], ["b", "firing"], ["c", "firing"]]);
  const count = r.told.length;
  await r.advance(30 * SECOND);
  assert.equal(r.told.length, count);
});
