import assert from "node:assert/strict";
import { test } from "node:test";
import { PermanentError, RetryLaterError } from "../../../src/sdk/errors.ts";
import { HOUR, MINUTE, rig, SECOND } from "./rig.ts";

const limits = { messagesPerMinute: 60, burst: 10 };

test("100,000 alerts at once are handled in little time, with few messages, and so is their end", async () => {
  const r = await rig({ exporters: { pager: { deduplicates: true, limits }, mail: { limits } } });
  const begin = process.cpuUsage();
  for (let i = 0; i < 100_000; i++) r.fire(`o${i}`);
  await r.settle();
  await r.advance(3 * MINUTE);
  const cpuMs = process.cpuUsage(begin).user / 1_000;
  assert.ok(cpuMs < 8_000, `${cpuMs} ms`);
  const of = (exporter: string) => r.notifications.filter((sent) => sent.exporter === exporter).map(({ notification }) => notification);
  for (const exporter of ["pager", "mail"]) {
    assert.equal(of(exporter).length, 11);
    const last = of(exporter).at(-1)!;
    assert.equal(last.alerts.length + last.more!, 99_990);
    assert.equal(last.alerts.length, 1_000);
    assert.deepEqual([last.cause, last.status, last.group], ["fired", "firing", { alertname: "Stuck" }]);
  }
  assert.equal(r.dispatcher.openOn("pager"), 100_000);
  for (let i = 0; i < 100_000; i++) r.end(`o${i}`);
  await r.advance(3 * MINUTE);
  assert.equal(of("pager").length, 22, "each incident is resolved");
  assert.ok(of("mail").length <= 22);
  assert.equal(r.dispatcher.openOn("pager") + r.dispatcher.openOn("mail"), 0);
  assert.equal(r.counts["coalesced"], 2 * 99_989);
  assert.equal(r.clock.pending, 0);
});

test("the destination's limit is kept whatever happens, and later alerts of a storm come in one update a minute", async () => {
  const r = await rig({ exporters: { pager: { deduplicates: true, limits } } });
  for (let second = 0; second < 300; second++) {
    for (let i = 0; i < 5; i++) r.fire(`o${second}-${i}`);
    await r.advance(SECOND);
  }
  await r.advance(2 * MINUTE);
  const at = r.notifications.map((sent) => sent.at);
  for (const start of at) assert.ok(at.filter((time) => time >= start && time < start + MINUTE).length <= 70, "60 a minute and the burst");
  assert.ok(r.notifications.length < 80, `${r.notifications.length} messages`);
  const told = new Set(r.notifications.flatMap(({ notification }) => notification.alerts.map(({ resource }) => resource.id)));
  assert.equal(told.size, 1_500);
  for (let second = 0; second < 300; second++) for (let i = 0; i < 5; i++) r.end(`o${second}-${i}`);
  await r.advance(2 * MINUTE);
  assert.equal(r.dispatcher.openOn("pager"), 0);
  const open = new Set<string>();
  for (const { notification: { key, status } } of r.notifications) {
    if (status === "firing") open.add(key);
    else assert.ok(open.delete(key), "an end without a begin");
  }
  assert.equal(open.size, 0);
});

test("an alert of another rule is not held up by a storm, nor by all that is resolved after one", async () => {
  const r = await rig({ exporters: { pager: { deduplicates: true, limits } } });
  // One a second: each its own incident.
  for (let i = 0; i < 600; i++) {
    r.fire(`o${i}`);
    await r.advance(SECOND);
  }
  assert.equal(r.notifications.length, 600);
  for (let i = 0; i < 600; i++) r.end(`o${i}`);
  await r.advance(10 * SECOND);
  r.fire("urgent", {}, { rule: "Urgent" });
  await r.advance(3 * SECOND);
  assert.ok(r.told.includes("pager fired firing urgent"), "590 resolves wait for ten minutes");
  await r.advance(11 * MINUTE);
  assert.equal(r.dispatcher.openOn("pager"), 1);
  assert.equal(r.outbox.pending("pager"), 0);
});

test("while the destination is down few messages wait, and once it is back it hears of everything in one message more", async () => {
  let down = true;
  const r = await rig({ exporters: { pager: { deduplicates: true, limits, notify: () => {
    if (down) throw new Error("503");
  } } } });
  for (let i = 0; i < 500; i++) {
    r.fire(`o${i}`);
    await r.advance(SECOND);
  }
  assert.ok(r.outbox.pending("pager") <= 20, `${r.outbox.pending("pager")} wait`);
  await r.restart();
  assert.ok(r.outbox.pending("pager") <= 20);
  down = false;
  await r.advance(10 * MINUTE);
  assert.equal(new Set(r.notifications.flatMap(({ notification }) => notification.alerts.map(({ resource }) => resource.id))).size, 500);
  assert.ok(r.notifications.length < 40, `${r.notifications.length} messages`);
});

test("what a new source brings at once is one message for each rule, though there are but two; a single one is told as itself", async () => {
  const r = await rig({ exporters: { pager: { deduplicates: true, limits } } });
  r.fire("a", {}, { firstSync: true });
  r.fire("b", {}, { firstSync: true });
  r.fire("x", {}, { firstSync: true, rule: "Other" });
  await r.settle();
  assert.deepEqual(r.told.splice(0), ["pager fired firing x", "pager fired firing a b"]);
  r.fire("c");
  r.end("a");
  await r.settle();
  assert.deepEqual(r.told.splice(0), ["pager fired firing c"]);
  await r.advance(5 * MINUTE);
  assert.deepEqual(r.told.splice(0), ["pager changed firing b -a"]);
  r.end("b");
  r.end("x");
  await r.settle();
  assert.deepEqual(r.told.toSorted(), ["pager resolved resolved -b", "pager resolved resolved -x"]);
});

test("what a new source brings keeps to group_by where that puts it into one group", async () => {
  const exporters = { one: { deduplicates: true, config: { group_by: ["alertname"], group_wait: "0s" } }, many: { deduplicates: true, config: { group_by: ["region"], group_wait: "0s" } } };
  const r = await rig({ exporters });
  for (const [id, region] of [["a", "eu"], ["b", "us"], ["c", "ap"]] as const) r.fire(id, { region }, { firstSync: true });
  await r.settle();
  assert.deepEqual(r.told, ["one fired firing a b c", "many fired firing a b c"]);
  assert.deepEqual(r.notifications.map(({ notification: { group } }) => group), [{ alertname: "Stuck" }, { alertname: "Stuck" }]);
});

test("10,000 groups at once share messages by rule", async () => {
  const r = await rig({ exporters: { pager: { deduplicates: true, limits, config: { group_by: ["id"], group_wait: "0s" } } } });
  for (let i = 0; i < 10_000; i++) r.fire(`o${i}`, { id: `${i}` });
  await r.advance(5 * MINUTE);
  assert.ok(r.notifications.length < 50, `${r.notifications.length} messages`);
  assert.equal(r.dispatcher.openOn("pager"), 10_000);
  for (let i = 0; i < 10_000; i++) r.end(`o${i}`);
  await r.advance(5 * MINUTE);
  assert.equal(r.dispatcher.openOn("pager"), 0);
});

test("a destination that cannot tell messages apart gets ends together when there is no room for each", async () => {
  const r = await rig({ exporters: { mail: { limits } } });
  for (let i = 0; i < 30; i++) {
    r.fire(`o${i}`);
    await r.advance(2 * SECOND);
  }
  r.told.splice(0);
  for (let i = 0; i < 30; i++) r.end(`o${i}`);
  await r.advance(MINUTE);
  assert.equal(r.told.length, 11);
  assert.equal(r.told.at(-1)!.split(" -").length, 21);
  assert.equal(r.dispatcher.openOn("mail"), 0);
  assert.equal(r.outbox.pending("mail"), 0);
});

test("one that posted messages it can change gets each end for itself", async () => {
  const r = await rig({ exporters: { chat: { limits, notify: ({ id }) => `message ${id}` } } });
  for (let i = 0; i < 30; i++) {
    r.fire(`o${i}`);
    await r.advance(2 * SECOND);
  }
  r.told.splice(0);
  for (let i = 0; i < 30; i++) r.end(`o${i}`);
  await r.advance(MINUTE);
  assert.equal(r.told.length, 30);
  assert.ok(r.notifications.slice(-30).every(({ notification: { receipt } }) => receipt !== undefined));
});

test("an end that waited for room is told before the next episode begins, also after a crash", async () => {
  const r = await rig({ exporters: { mail: { limits: { messagesPerMinute: 1, burst: 1 } } } });
  r.fire("a");
  await r.advance(5 * MINUTE);
  r.fire("b");
  await r.advance(SECOND);
  r.end("a");
  r.end("b");
  await r.settle();
  await r.restart();
  r.fire("a");
  await r.advance(10 * MINUTE);
  const of = (id: string) => r.notifications.flatMap(({ notification }) => notification.alerts.filter(({ resource }) => resource.id === id).map(({ status }) => status));
  assert.deepEqual(of("a"), ["firing", "resolved", "firing"]);
  assert.deepEqual(of("b"), ["firing", "resolved"]);
});

test("429 in the middle of a storm holds back everything for as long as it says, and loses nothing", async () => {
  let busy = 0;
  const attempts: number[] = [];
  const r = await rig({ exporters: { pager: { deduplicates: true, limits, notify: () => {
    attempts.push(r.clock.now());
    if (busy-- > 0) throw new RetryLaterError("429", 2 * MINUTE);
  } } } });
  for (let i = 0; i < 50; i++) r.fire(`o${i}`);
  busy = 1;
  await r.advance(HOUR);
  assert.equal(r.dispatcher.openOn("pager"), 50);
  assert.equal(r.outbox.pending("pager"), 0);
  const keys = r.notifications.map(({ notification: { key } }) => key);
  assert.equal(new Set(keys).size, keys.length);
  assert.ok(attempts.every((at) => at < attempts[0]! + SECOND || at >= attempts[0]! + 2 * MINUTE));
});

test("what can never be delivered is a dead letter that can be sent again while it still holds, and only then", async () => {
  let refuses = true;
  const r = await rig({ exporters: { pager: { deduplicates: true, notify: () => {
    if (refuses) throw new PermanentError("400: no such channel");
  } } } });
  for (const id of ["fires", "over", "again"]) r.fire(id);
  await r.settle();
  r.end("over");
  r.end("again");
  await r.settle();
  const letters = () => r.deadLetters.list(undefined, 10);
  assert.equal(letters().length, 5);
  refuses = false;
  r.fire("again");
  await r.settle();
  r.told.splice(0);
  const byStatus = (id: string, status: string) => letters().find(({ content }) => JSON.stringify(content).includes(`"key of ${id}","status":"${status}"`))!.number;
  assert.equal(r.dispatcher.redeliver(999).result, "not_found");
  assert.deepEqual(r.dispatcher.redeliver(byStatus("over", "firing")), { result: "refused", reason: "what it told of does not fire any more" });
  assert.deepEqual(r.dispatcher.redeliver(byStatus("again", "resolved")), { result: "refused", reason: "it fires again: its end would close the new incident" });
  await r.restart();
  assert.equal(r.dispatcher.redeliver(byStatus("fires", "firing")).result, "queued");
  assert.equal(r.dispatcher.redeliver(byStatus("over", "resolved")).result, "queued");
  await r.settle();
  assert.deepEqual(r.told, ["pager fired firing fires", "pager resolved resolved -over"]);
  assert.equal(letters().length, 3);
  const [last] = r.deliveries.list(undefined, 1);
  assert.deepEqual([last!.exporter, last!.result, last!.cause, last!.alerts[0]!.resource.id], ["pager", "delivered", "resolved", "over"]);
  assert.deepEqual(r.deliveries.list(undefined, 10, "pager", "key of over").map(({ result, status }) => `${result} ${status}`), ["delivered resolved", "dead_letter resolved", "dead_letter firing"]);
  assert.deepEqual(r.deliveries.list(undefined, 10, "nobody"), []);
});

test("a test says where the incident that it opens stays open: where keys make incidents that do not end by themselves", async () => {
  const r = await rig({ exporters: {
    pager: { deduplicates: true }, manager: { deduplicates: true, refreshes: { everyMs: 60_000, resolvedForMs: 300_000 } }, chat: {},
  } });
  const stays = await Promise.all(["pager", "manager", "chat"].map(async (exporter) => (await r.dispatcher.sendTest(exporter)).stays_open));
  assert.deepEqual(stays, [true, undefined, undefined]);
});

test("a test notification passes everything by, is marked, and leaves nothing behind", async () => {
  let refuses = false;
  const r = await rig({ exporters: { pager: { config: { match: ["team=db"] }, notify: () => {
    if (refuses) throw new PermanentError("403");
  } } } });
  assert.deepEqual(await r.dispatcher.sendTest("pager"), { result: "delivered", error: undefined });
  assert.equal(r.notifications[0]!.notification.cause, "test");
  refuses = true;
  assert.deepEqual(await r.dispatcher.sendTest("pager"), { result: "failed", error: "403" });
  assert.equal((await r.dispatcher.sendTest("nobody")).result, "not_found");
  assert.equal(r.dispatcher.openOn("pager") + r.outbox.pending("pager") + r.deadLetters.list(undefined, 10).length, 0);
});
