import assert from "node:assert/strict";
import { test } from "node:test";
import { DISPATCH_TABLES } from "../../../src/alerts/dispatch/members.ts";
import type { Cell } from "../../../src/sdk/store.ts";
import { HOUR, MINUTE, rig, SECOND } from "./rig.ts";

const limits = { messagesPerMinute: 60, burst: 10 };

for (const [direction, byMs] of [["back", -5 * HOUR], ["forward", 5 * HOUR]] as const) {
  test(`a clock that is set ${direction} neither delays nor hurries what a group, a repetition or the next attempt waits for`, async () => {
    let attempts = 0;
    const r = await rig({ exporters: {
      group: { deduplicates: true, config: { group_by: [], group_wait: "30s", repeat_interval: "4h" } },
      failing: { deduplicates: true, notify: () => {
        if (attempts++ < 3) throw new Error("503");
      } },
    } });
    r.fire("a");
    await r.advance(SECOND / 4);
    r.clock.step(byMs);
    await r.advance(29 * SECOND);
    assert.deepEqual(r.told.splice(0), ["failing fired firing a"]);
    await r.advance(SECOND);
    assert.deepEqual(r.told.splice(0), ["group fired firing a"]);
    await r.advance(4 * HOUR - 2 * SECOND);
    r.clock.step(byMs);
    await r.advance(SECOND);
    assert.deepEqual(r.told, []);
    await r.advance(SECOND);
    assert.deepEqual(r.told, ["group repeat firing a"]);
  });
}

test("a group that waited when the agent died is told in time although the clock was set back meanwhile", async () => {
  const r = await rig({ exporters: { pager: { deduplicates: true, config: { group_by: [], group_wait: "30s" } } } });
  r.fire("a");
  await r.settle();
  r.clock.step(-5 * HOUR);
  await r.restart();
  await r.advance(30 * SECOND);
  assert.deepEqual(r.told, ["pager fired firing a"]);
});

test("after days without power the first attempt that fails is not the last", async () => {
  let down = true;
  const r = await rig({ exporters: { pager: { deduplicates: true, notify: () => {
    if (down) throw new Error("no network yet");
  } } } });
  r.fire("a");
  await r.settle();
  await r.restart(3 * 24 * HOUR);
  await r.advance(MINUTE);
  down = false;
  await r.advance(10 * MINUTE);
  assert.deepEqual(r.told, ["pager fired firing a"]);
});

test("what is new in a message that takes the place of an old one is not given up with the old one", async () => {
  let down = true;
  const r = await rig({ exporters: { pager: { deduplicates: true, config: { group_by: [], group_wait: "0s", group_interval: "1m" }, notify: () => {
    if (down) throw new Error("503");
  } } } });
  r.fire("a");
  await r.advance(23 * HOUR + 50 * MINUTE);
  r.fire("b");
  await r.advance(HOUR);
  down = false;
  await r.advance(10 * MINUTE);
  assert.deepEqual(r.told, ["pager fired firing b a"]);
  assert.equal(r.deadLetters.list(undefined, 10).length, 0);
});

test("what an earlier version told, and did not write down, is not told again, and its end is told", async () => {
  const r = await rig({ exporters: { pager: { deduplicates: true } } });
  r.fire("a");
  r.fire("b");
  await r.settle();
  for (const table of DISPATCH_TABLES) {
    const deletes: Cell[] = [];
    await r.store.load(table, (cells) => {
      for (let i = 0; i < cells.length; i += table.columns.length) deletes.push(...cells.slice(i, i + table.keyColumns));
    });
    await r.store.commit([{ table, puts: [], deletes }]);
  }
  r.told.splice(0);
  await r.restart(MINUTE);
  await r.advance(MINUTE);
  assert.deepEqual(r.told, []);
  r.end("a");
  await r.settle();
  assert.deepEqual(r.told.splice(0), ["pager resolved resolved -a"]);
  assert.equal(r.notifications.at(-1)!.notification.key, "key of a");
  r.fire("a");
  await r.settle();
  await r.restart();
  r.end("b");
  await r.settle();
  assert.deepEqual(r.told, ["pager fired firing a", "pager resolved resolved -b"]);
});

test("an inhibition rule that comes with a reload knows a source that fires again after it was over", async () => {
  const r = await rig({ exporters: { pager: { deduplicates: true } } });
  r.fire("db", {}, { rule: "Down" });
  await r.settle();
  const over = { ...r.notifications[0]!.notification.alerts[0]!, status: "resolved" as const };
  const inhibit_rules = [{ source_matchers: ["alertname=Down"], target_matchers: ["alertname=Stuck"], equal: [] }];
  r.listedAfter.push(over);
  r.configure({ ...r.options, service: { inhibit_rules } });
  r.fire("a");
  await r.settle();
  assert.deepEqual(r.told, ["pager fired firing db"]);
});

test("what match does not accept any more is not repeated", async () => {
  const r = await rig({ exporters: { pager: { deduplicates: true, config: { repeat_interval: "1h" } } } });
  r.fire("a", { team: "db" });
  await r.settle();
  r.configure({ exporters: { pager: { deduplicates: true, config: { repeat_interval: "1h", match: ["team=web"] } } } });
  await r.advance(3 * HOUR);
  r.end("a");
  await r.settle();
  assert.deepEqual(r.told, ["pager fired firing a", "pager resolved resolved -a"]);
});

test("an exporter that is gone is told nothing more; when it is back, it hears what still fires", async () => {
  const r = await rig({ exporters: { pager: { deduplicates: true, config: { repeat_interval: "1h" } } } });
  r.fire("a");
  await r.settle();
  r.dispatcher.connect("pager", undefined);
  await r.advance(3 * HOUR);
  assert.equal(r.outbox.pending("pager"), 0);
  r.configure(r.options);
  await r.advance(1);
  assert.deepEqual(r.told, ["pager fired firing a", "pager repeat firing a"]);
});

test("while 50,000 alerts wait for a destination that is down, a change costs almost nothing", async () => {
  const r = await rig({ exporters: { pager: { deduplicates: true, limits, notify: () => {
    throw new Error("503");
  } } } });
  for (let i = 0; i < 50_000; i++) r.fire(`o${i}`);
  await r.advance(2 * MINUTE);
  const begin = process.cpuUsage();
  for (let i = 0; i < 200; i++) {
    if (i % 2 === 0) r.fire(`x${i}`);
    else r.end(`o${i * 100}`);
    await r.settle();
  }
  const cpuMs = process.cpuUsage(begin).user / 1_000;
  assert.ok(cpuMs < 1_000, `${cpuMs} ms for 200 changes`);
});
