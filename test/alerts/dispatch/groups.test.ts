import assert from "node:assert/strict";
import { test } from "node:test";
import { HOUR, MINUTE, rig, SECOND } from "./rig.ts";

const grouped = { exporters: { pager: { deduplicates: true, config: { group_by: ["region"], group_wait: "30s", group_interval: "5m" } } } };

test("without group_by each alert is an incident of its own, told at once", async () => {
  const r = await rig({ exporters: { pager: { deduplicates: true } } });
  r.fire("a");
  r.fire("b");
  await r.settle();
  r.end("a");
  await r.settle();
  assert.deepEqual(r.told, ["pager fired firing a", "pager fired firing b", "pager resolved resolved -a"]);
  assert.deepEqual(r.notifications.map(({ notification: { key } }) => key), ["key of a", "key of b", "key of a"]);
});

test("a group waits for its first members, shares messages, tells of further ones after group_interval, and of its end at once", async () => {
  const r = await rig(grouped);
  r.fire("a", { region: "eu" });
  r.fire("x", { region: "us" });
  await r.advance(20 * SECOND);
  r.fire("b", { region: "eu" });
  await r.advance(9 * SECOND);
  assert.deepEqual(r.told, []);
  await r.advance(SECOND);
  assert.deepEqual(r.told.splice(0), ["pager fired firing a b", "pager fired firing x"]);
  r.fire("c", { region: "eu" });
  r.end("a");
  await r.advance(5 * MINUTE - SECOND);
  assert.deepEqual(r.told, []);
  await r.advance(SECOND);
  assert.deepEqual(r.told.splice(0), ["pager changed firing c b -a"]);
  r.end("b");
  await r.advance(SECOND);
  assert.deepEqual(r.told, []);
  r.end("c");
  await r.settle();
  assert.deepEqual(r.told, ["pager resolved resolved -b -c"]);
  const eu = r.notifications.filter(({ notification: { group } }) => group["region"] === "eu").map(({ notification: { key } }) => key);
  assert.equal(new Set(eu).size, 1);
  assert.match(eu[0]!, /^[0-9a-f]{64}$/);
  assert.equal(r.clock.pending, 0, "nothing is left to wait for");
});

test("a group keeps its key, how long it has waited, and what was told, over a restart", async () => {
  const r = await rig(grouped);
  r.fire("a", { region: "eu" });
  await r.advance(20 * SECOND);
  await r.restart();
  assert.deepEqual(r.told, []);
  await r.advance(10 * SECOND);
  assert.deepEqual(r.told, ["pager fired firing a"]);
  r.fire("b", { region: "eu" });
  r.end("a");
  await r.advance(MINUTE);
  await r.restart(10 * MINUTE);
  assert.deepEqual(r.told, ["pager fired firing a", "pager changed firing b -a"]);
  r.end("b");
  await r.restart();
  await r.settle();
  await r.advance(MINUTE);
  r.end("b");
  await r.settle();
  assert.equal(r.told.at(-1), "pager resolved resolved -b");
  assert.equal(new Set(r.notifications.map(({ notification: { key } }) => key)).size, 1);
});

test("a group of which nothing is left before its first message is never told", async () => {
  const r = await rig(grouped);
  r.fire("a", { region: "eu" });
  await r.advance(10 * SECOND);
  r.end("a");
  await r.advance(HOUR);
  assert.deepEqual(r.told, []);
  assert.equal(r.clock.pending, 0);
});

test("what fires is repeated after repeat_interval, alone or as a group, until somebody has seen it", async () => {
  const r = await rig({ exporters: {
    single: { deduplicates: true, config: { repeat_interval: "1h" } },
    group: { deduplicates: true, config: { repeat_interval: "1h", group_by: [], group_wait: "0s" } },
  } });
  r.fire("a");
  r.fire("b");
  await r.advance(HOUR);
  assert.deepEqual(r.told.splice(0), ["single fired firing a", "single fired firing b", "group fired firing a b", "single repeat firing a", "single repeat firing b", "group repeat firing a b"]);
  r.dispatcher.acknowledge({ ...r.notifications[0]!.notification.alerts[0]!, acknowledged: { by: "ann", comment: "", at: 0 } });
  await r.advance(HOUR);
  assert.deepEqual(r.told.splice(0), ["single repeat firing b", "group repeat firing a b"]);
  await r.restart(30 * MINUTE);
  await r.advance(30 * MINUTE);
  assert.deepEqual(r.told.splice(0), ["single repeat firing a", "single repeat firing b", "group repeat firing a b"], "the rig's alerts forget who saw them");
  r.end("a");
  r.end("b");
  await r.advance(3 * HOUR);
  assert.deepEqual(r.told, ["single resolved resolved -a", "single resolved resolved -b", "group resolved resolved -a -b"]);
});

test("send_resolved: false: the end is not told, and the next episode is an incident like the first", async () => {
  const r = await rig({ exporters: {
    single: { deduplicates: true, config: { send_resolved: false }, notify: ({ id }) => `receipt of ${id}` },
    group: { deduplicates: true, config: { send_resolved: false, group_by: [], group_wait: "0s" } },
  } });
  for (let i = 0; i < 2; i++) {
    r.fire("a");
    await r.advance(MINUTE);
    r.end("a");
    await r.advance(MINUTE);
  }
  assert.deepEqual(r.told, ["single fired firing a", "group fired firing a", "single fired firing a", "group fired firing a"]);
  assert.deepEqual(r.notifications.map(({ notification: { receipt } }) => receipt), [undefined, undefined, undefined, undefined]);
  assert.equal(r.dispatcher.openOn("single"), 0);
});

test("match decides who hears of what; a reload that changes it tells what is wanted now, and the end of what was told before", async () => {
  const r = await rig({ exporters: { eu: { deduplicates: true, config: { match: ["region=eu"] } }, all: { deduplicates: true } } });
  r.fire("a", { region: "eu" });
  r.fire("b", { region: "us" });
  await r.settle();
  assert.deepEqual(r.told.splice(0), ["eu fired firing a", "all fired firing a", "all fired firing b"]);
  r.configure({ exporters: { eu: { deduplicates: true, config: { match: ["region=us"] } }, all: { deduplicates: true } } });
  await r.settle();
  assert.deepEqual(r.told.splice(0), ["eu fired firing b"], "what it did not want before is told now");
  r.end("a");
  await r.settle();
  assert.deepEqual(r.told, ["eu resolved resolved -a", "all resolved resolved -a"]);
});

test("a reload changes how what still waits is told; what was told stays in its incident", async () => {
  const r = await rig(grouped);
  r.fire("a", { region: "eu" });
  await r.advance(30 * SECOND);
  r.fire("b", { region: "eu" });
  await r.advance(SECOND);
  r.configure({ exporters: { pager: { deduplicates: true } } });
  await r.settle();
  assert.deepEqual(r.told.splice(0), ["pager fired firing a", "pager fired firing b"]);
  assert.equal(r.notifications.at(-1)!.notification.key, "key of b");
  r.end("b");
  r.end("a");
  await r.settle();
  assert.deepEqual(r.told, ["pager resolved resolved -b", "pager resolved resolved -a"]);
  assert.equal(r.notifications.at(-1)!.notification.key, r.notifications[0]!.notification.key);
});

test("an update of a group that has not left does not stand in the way of a later one, and never comes after the end", async () => {
  let down = false;
  const r = await rig({ exporters: { pager: { deduplicates: true, config: { group_by: [], group_wait: "0s", group_interval: "10s" }, notify: () => {
    if (down) throw new Error("503");
  } } } });
  r.fire("a");
  await r.settle();
  down = true;
  for (const id of ["b", "c", "d"]) {
    r.fire(id);
    if (id === "d") r.end("b");
    await r.advance(11 * SECOND);
  }
  assert.equal(r.outbox.pending("pager"), 1, "one message says it all");
  down = false;
  await r.advance(10 * MINUTE);
  assert.deepEqual(r.told.splice(0), ["pager fired firing a", "pager changed firing d a c -b"]);
  down = true;
  r.fire("e");
  await r.advance(11 * SECOND);
  for (const id of ["a", "c", "d", "e"]) r.end(id);
  await r.advance(SECOND);
  down = false;
  await r.advance(10 * MINUTE);
  assert.deepEqual(r.told, ["pager resolved resolved -a -c -d -e"]);
});
