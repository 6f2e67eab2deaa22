import assert from "node:assert/strict";
import { test } from "node:test";
import { harness, orders, type Harness } from "../../support/agent.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

function lines(h: Harness): string[] {
  return h.alerts.filter(({ alert }) => alert !== "ReceiverFailing").map(({ status, alert, group, reason }) => [status.toUpperCase(), alert, JSON.stringify(group), ...(reason === undefined ? [] : [reason])].join(" "));
}

/** Names under which rules remember something. */
async function kept(h: Harness): Promise<string[]> {
  const cells: unknown[] = [];
  await h.store.load({ name: "rule_memory", columns: [["type", "text"], ["rule", "text"], ["name", "text"], ["value", "json"]], keyColumns: 3 }, (rows) => cells.push(...rows));
  return cells.filter((_, i) => i % 4 === 2).map(String);
}

/** Rules behind no track. */
function untracked(rules: string, more: { receivers?: string } = {}): string {
  return orders({ rules, ...more }).replace("[track/order, threshold/order]", "[threshold/order]");
}

const FAILED = "[{ alert: Failures, window: { count: 'body.status == \"failed\"', over: 5m, by: { reason: body.reason } }, expr: value >= 3 }]";

test("too many in a while fire once for their group, and resolve as time passes", async () => {
  await using h = await harness(untracked(FAILED));
  for (let i = 0; i < 3; i++) {
    await h.send("feed", [{ status: "failed", reason: "card" }, { status: "ok", reason: "card" }, { status: "failed" }]);
    await h.advance(10 * SECOND);
  }
  assert.deepEqual(lines(h), [`FIRING Failures {"reason":"card"}`]);
  const [alert] = h.alerts;
  assert.deepEqual(alert!.details, { value: 3, observations: 3, over: "5m" });
  assert.deepEqual([alert!.labels["reason"], alert!.labels["resource_type"], alert!.resource, alert!.limit], ["card", undefined, { type: "", id: "" }, "value >= 3"]);
  assert.deepEqual(alert!.observation?.body, { status: "failed", reason: "card" });
  assert.equal(h.now.own.conditionErrors.series("rule/Failures").value, 3, "a group that cannot be named is counted");
  await h.advance(4 * MINUTE + 29 * SECOND);
  assert.equal(lines(h).length, 1, "an observation counts for five minutes, not less");
  await h.advance(6 * SECOND);
  assert.deepEqual(lines(h).slice(1), [`RESOLVED Failures {"reason":"card"} recovered`]);
});

test("one observation that matches is an alert for a while; a burst is one, and each resource has its own", async () => {
  const rules = "[{ alert: Broken, on: observation, expr: body.level == 'error', resolve_after: 2m }]";
  await using h = await harness(orders({ rules }));
  await h.send("feed", [{ id: "a", status: "x", level: "error" }, { id: "b", status: "x", level: "info" }, { id: "a", status: "x", level: "error", password: "hunter2" }]);
  assert.deepEqual(lines(h), [`FIRING Broken {"resource_id":"a"}`]);
  assert.deepEqual([h.alerts[0]!.labels["resource_id"], h.alerts[0]!.limit, h.alerts[0]!.annotations["summary"]], ["a", "body.level == 'error'", "Observed: body.level == 'error'"]);
  assert.ok(!JSON.stringify(h.alerts).includes("hunter2"));
  await h.advance(MINUTE);
  await h.send("feed", { id: "a", status: "x", level: "error" });
  await h.advance(2 * MINUTE - 1);
  assert.equal(lines(h).length, 1);
  await h.advance(1);
  assert.deepEqual(lines(h).slice(1), [`RESOLVED Broken {"resource_id":"a"} recovered`]);
  await using plain = await harness(untracked(rules));
  await plain.send("feed", { level: "error" });
  assert.deepEqual(lines(plain), ["FIRING Broken {}"]);
});

test("the contents of a window survive a restart, and count once whatever was not committed", async () => {
  await using h = await harness(untracked(FAILED));
  await h.send("feed", [{ status: "failed", reason: "card" }, { status: "failed", reason: "card" }]);
  h.store.hold();
  await h.send("feed", { status: "failed", reason: "card" }).catch(() => {});
  assert.equal(h.changes.length, 1);
  await h.restart(MINUTE);
  assert.deepEqual(h.sent, [], "nothing of it left the agent");
  await h.send("feed", { status: "failed", reason: "card" });
  assert.deepEqual(h.sent, ["recorder: FIRING Failures "]);
  await h.restart(10 * MINUTE);
  await h.advance(SECOND);
  assert.deepEqual(h.sent.slice(1), ["recorder: RESOLVED Failures  recovered"]);
});

test("the share of one kind among all is a ratio of two windows; nothing divided by nothing is no data", async () => {
  const rules = "[{ alert: Ratio, window: { count: body.failed, over: 10m, divided_by: { count: true } }, expr: value > 0.5 }]";
  await using h = await harness(untracked(rules));
  await h.send("feed", [{ failed: true }, { failed: false }]);
  assert.deepEqual(lines(h), ["FIRING Ratio {}", "RESOLVED Ratio {} recovered"]);
  await h.send("feed", { failed: true });
  assert.deepEqual(lines(h).slice(2), ["FIRING Ratio {}"]);
  assert.deepEqual(h.alerts.at(-1)!.details, { value: 2 / 3, observations: 2, divided_by: 3, over: "10m" });
  await h.advance(11 * MINUTE);
  assert.deepEqual(lines(h).slice(3), ["RESOLVED Ratio {} recovered"]);
});

test("each statistic says what it means", async () => {
  const rule = (alert: string, measure: string, is: string): string => `{ alert: ${alert}, window: { ${measure}, over: 10m }, expr: '${is}' }`;
  const wanted: [string, string, string][] = [
    ["Count", "count: true", "value == 5"], ["Rate", "rate: true", "value == 5.0 / 600.0"], ["Sum", "sum: body.n", "value == 110"], ["Avg", "avg: body.n", "value == 22"],
    ["Min", "min: body.n", "value == -10"], ["Max", "max: body.n", "value == 100"], ["P50", "p50: body.n", "value == 10"], ["P99", "p99: body.n", "value == 100"],
    ["Distinct", "distinct: body.n", "value == 4"], ["When", "count: true, when: body.n > 0", "value == 3"],
  ];
  await using h = await harness(untracked(`[${wanted.map((one) => rule(...one)).join(", ")}]`));
  await h.send("feed", [-10, 0, 10, 10, 100].map((n) => ({ n })));
  const open = h.now.agent.services.alerts.list().filter(({ status }) => status === "firing").map(({ alert }) => alert);
  assert.deepEqual(open.sort(), wanted.map(([alert]) => alert).sort());
  await h.restart(MINUTE);
  assert.deepEqual(h.now.agent.services.alerts.list().filter(({ status }) => status === "firing").length, wanted.length);
});

test("silence of an empty window is a count of zero; for the other statistics it is no data", async () => {
  const rules = "[{ alert: Quiet, window: { count: true, over: 5m }, expr: value == 0, for: 1m }, { alert: Avg, window: { avg: body.n, over: 5m }, expr: value > 1, no_data: keep }]";
  await using h = await harness(untracked(rules));
  await h.send("feed", { n: 2 });
  await h.advance(5 * MINUTE);
  await h.advance(MINUTE);
  assert.deepEqual(lines(h), ["FIRING Avg {}", "FIRING Quiet {}"]);
  await h.send("feed", { n: 1 });
  assert.deepEqual(lines(h).slice(2).sort(), ["RESOLVED Avg {} recovered", "RESOLVED Quiet {} recovered"]);
});

test("compared with the same window earlier, once so much has been seen", async () => {
  const rules = "[{ alert: Doubled, window: { count: true, over: 10m, earlier: 1h }, expr: value > 2 * earlier }]";
  await using h = await harness(untracked(rules));
  for (let minute = 0; minute < 100; minute++) {
    if (minute === 40) await h.restart(0);
    await h.send("feed", [{}, {}]);
    await h.advance(MINUTE);
  }
  assert.deepEqual(lines(h), [], "at first nothing is known of earlier; then it is the same");
  await h.send("feed", Array.from({ length: 25 }, () => ({})));
  assert.deepEqual(lines(h), ["FIRING Doubled {}"]);
  assert.equal(h.alerts[0]!.details["earlier"], 20);
  await h.advance(11 * MINUTE);
  assert.deepEqual(lines(h).slice(1), ["RESOLVED Doubled {} recovered"]);
});

test("observations count by their event times: what is old is not in the window, what is ahead of the clock is now", async () => {
  const rules = "[{ alert: Many, window: { count: true, over: 10m }, expr: value >= 2 }]";
  await using h = await harness(orders({ rules }));
  const now = h.clock.now();
  await h.send("feed", [{ id: "a", status: "x", at: now - HOUR }, { id: "b", status: "x", at: now - 11 * MINUTE }, { id: "c", status: "x", at: now - 9 * MINUTE }]);
  assert.deepEqual(lines(h), []);
  await h.send("feed", { id: "d", status: "x", at: now + 4 * MINUTE });
  assert.deepEqual(lines(h), ["FIRING Many {}"]);
  await h.advance(MINUTE);
  assert.deepEqual(lines(h).slice(1), ["RESOLVED Many {} recovered"]);
});

test("windows wait for their receivers, too: what is read on catch-up is judged as a whole", async () => {
  const rules = "[{ alert: Low, window: { count: true, over: 10m }, expr: value < 3 }]";
  await using h = await harness(untracked(rules, { receivers: "feed: { behind: true }" }));
  await h.send("feed", [{}, {}]);
  assert.deepEqual(lines(h), []);
  await h.send("feed", {});
  h.receiver("feed").caughtUp();
  await h.advance(MINUTE);
  assert.deepEqual(lines(h), []);
  await h.advance(10 * MINUTE);
  assert.deepEqual(lines(h), ["FIRING Low {}"]);
});

test("a rule that measures something else by now begins anew; its alert is not over only for that", async () => {
  await using h = await harness(untracked(FAILED));
  await h.send("feed", Array.from({ length: 3 }, () => ({ status: "failed", reason: "card", n: 1 })));
  await h.reload(untracked(FAILED.replace("value >= 3", "value >= 2")));
  await h.advance(MINUTE);
  await h.reload(untracked(FAILED.replace("count: 'body.status == \"failed\"'", "sum: body.n")));
  await h.advance(4 * MINUTE);
  assert.equal(lines(h).length, 1);
  await h.advance(MINUTE);
  assert.deepEqual(lines(h).slice(1), [`RESOLVED Failures {"reason":"card"} recovered`]);
});

test("what is forgotten is deleted from the store: buckets, groups, and all of a rule that is gone", async () => {
  await using h = await harness(untracked(FAILED));
  const names = async (): Promise<unknown[]> => {
    await h.advance(5 * SECOND);
    return (await kept(h)).filter((name) => /^(?:bucket|group|began)/.test(name)).map((name) => name.replace(/\d+/, "N"));
  };
  for (let i = 0; i < 3; i++) {
    await h.send("feed", { status: "failed", reason: `r${i}` });
    await h.advance(10 * SECOND);
  }
  assert.equal((await names()).length, 7);
  await h.advance(5 * MINUTE + 10 * SECOND);
  assert.deepEqual(await names(), ["began"]);
  await h.reload(orders());
  await h.advance(6 * MINUTE);
  assert.deepEqual(await names(), []);
});

test("a comparison too far back for its window is refused", async () => {
  await assert.rejects(async () => {
    await using _ = await harness(untracked("[{ alert: A, window: { count: true, over: 5m, earlier: 7d }, expr: value > earlier }]"));
  }, /window\.earlier: is more than 300 times `over`/);
});

test("one processor in two pipelines counts each type for itself", async () => {
  const yaml = orders({ rules: "[{ alert: Many, window: { count: true, over: 5m }, expr: value >= 2 }]" })
    .replace("  threshold/order:", "  track/b: { type: item, id: body.item, when: has(body.item) }\n  threshold/order:")
    + "    other: { receivers: [feed], processors: [track/b, threshold/order], exporters: [recorder] }\n";
  await using h = await harness(yaml);
  await h.send("feed", { id: "a", status: "x", item: "i" });
  assert.deepEqual(lines(h), []);
  await h.send("feed", { id: "a", status: "x", item: "i" });
  assert.deepEqual(h.alerts.map(({ resource, value }) => `${resource.type} ${JSON.stringify(value)}`).sort(), ["item 2", "order 2"]);
});

test("what comes late and changes nothing now still leaves at its time", async () => {
  await using h = await harness(untracked("[{ alert: Median, window: { p50: body.n, over: 60s }, expr: value >= 6 }]"));
  await h.send("feed", [{ n: 4 }, { n: 6 }]);
  await h.send("feed", { n: 4 }, { time: h.clock.now() - 10 * SECOND });
  await h.send("feed", { n: 9 });
  await h.advance(50 * SECOND - 1);
  assert.deepEqual(lines(h), []);
  await h.advance(1);
  assert.deepEqual(lines(h), ["FIRING Median {}"]);
});

test("`for` begins no sooner than the newest observation that makes the condition true, however late another one comes", async () => {
  await using h = await harness(orders({ rules: "[{ alert: Many, window: { count: true, over: 1h }, expr: value > 2, for: 10m }]" }));
  await h.advance(2 * HOUR);
  const now = h.clock.now();
  await h.send("feed", [{ id: "a", status: "x", at: now }, { id: "b", status: "x", at: now }]);
  await h.send("feed", { id: "c", status: "x", at: now - 30 * MINUTE });
  await h.advance(10 * MINUTE - 1);
  assert.deepEqual(lines(h), []);
  await h.advance(1);
  assert.deepEqual(lines(h), ["FIRING Many {}"]);
});

test("a group that shares its name with a label of all alerts keeps what it says", async () => {
  await using h = await harness(untracked("[{ alert: Logged, window: { count: true, over: 1h, by: { severity: body.level } }, expr: value > 0 }]"));
  await h.send("feed", [{ level: "critical" }, { level: "info" }]);
  assert.deepEqual(h.alerts.map(({ labels }) => labels["severity"]), ["critical", "info"]);
});

test("groups beyond groups_max whose number says nothing together page nobody after a restart either, and nothing of them is kept", async () => {
  for (const measure of ["avg: body.n", "count: body.n > 5, divided_by: { count: true }"]) {
    await using h = await harness(untracked(`[{ alert: Large, window: { ${measure}, over: 1h, by: { g: body.g }, groups_max: 2 }, expr: value > 0.5 }]`));
    await h.send("feed", [{ g: "a", n: 0 }, { g: "b", n: 0 }, { g: "c", n: 10 }]);
    await h.restart(0);
    assert.deepEqual(lines(h), []);
    const rows = await kept(h);
    assert.ok(rows.length > 2 && rows.every((name) => !name.includes("__other__")), rows.join("; "));
  }
});
