import assert from "node:assert/strict";
import { test } from "node:test";
import { harness, orders } from "../support/agent.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test("an alert on entry fires as the resource enters, and ends as it leaves", async () => {
  await using h = await harness(orders({ track: "states: { failed: { alert: true }, paid: {} }" }));
  await h.send("feed", [{ id: "o1", status: "paid" }, { id: "o2", status: "failed" }]);
  assert.deepEqual(h.changes, ["FIRING OrderFailed o2"]);
  await h.send("feed", [{ id: "o1", status: "failed" }, { id: "o2", status: "paid" }]);
  assert.deepEqual(h.changes.slice(1).toSorted(), ["FIRING OrderFailed o1", "RESOLVED OrderFailed o2 recovered"]);
});

test("resolve_after ends an alert on entry though nothing changes, counted from the entry, over a restart too; once", async () => {
  await using h = await harness(orders({ track: "states: { failed: { terminal: true, alert: { severity: critical, resolve_after: 24h } } }" }));
  await h.send("feed", { id: "o1", status: "failed" });
  assert.equal(h.alerts[0]!.labels["severity"], "critical");
  await h.advance(10 * HOUR);
  await h.restart(10 * HOUR);
  await h.advance(4 * HOUR - MINUTE);
  assert.deepEqual(h.changes, ["FIRING OrderFailed o1"]);
  await h.advance(2 * MINUTE);
  assert.deepEqual(h.changes, ["FIRING OrderFailed o1", "RESOLVED OrderFailed o1 timed_out"]);
  await h.send("feed", { id: "o1", status: "failed" });
  await h.advance(HOUR);
  assert.equal(h.changes.length, 2, "it is still failed, and that has been told");
});

test("with exhaustive a state that is not declared is an alert until the resource is in one that is; without it is not", async () => {
  const states = "states: { pending: {}, paid: {} }";
  await using h = await harness(orders({ track: `exhaustive: true\n${states}` }));
  await h.send("feed", [{ id: "o1", status: "pending" }, { id: "o2", status: "lost" }]);
  await h.send("feed", { id: "o2", status: "paid" });
  assert.deepEqual(h.changes, ["FIRING OrderUndeclaredState o2", "RESOLVED OrderUndeclaredState o2 recovered"]);
  for (const { labels } of h.alerts) assert.deepEqual(labels, { alertname: "OrderUndeclaredState", resource_id: "o2", resource_type: "order", severity: "warning", state: "lost" });
  await using open = await harness(orders({ track: states }));
  await open.send("feed", { id: "o2", status: "lost" });
  assert.deepEqual(open.changes, []);
});

test("each alert is renamed, relabelled and switched off where it is declared", async () => {
  const states = [
    "pending: { stuck_after: 30m, stuck: { alert: TooSlow, severity: critical, labels: { team: 't-{{ self.id }}' }, annotations: { summary: 'hurry, {{ self.id }}' } }, next: [paid] }",
    "paid: { stuck_after: 30m, stuck: { enabled: false } }",
  ];
  await using h = await harness(orders({ track: `states: { ${states.join(", ")} }\nillegal_move: { alert: Jump, resolve_after: 5m }` }));
  await h.send("feed", [{ id: "o1", status: "pending" }, { id: "o2", status: "paid" }, { id: "o3", status: "pending" }, { id: "o3", status: "shipped" }]);
  await h.advance(4 * MINUTE);
  assert.deepEqual(h.changes, ["FIRING Jump o3"]);
  assert.deepEqual(h.alerts[0]!.labels, { alertname: "Jump", resource_id: "o3", resource_type: "order", severity: "warning", state: "shipped" });
  await h.advance(27 * MINUTE);
  assert.deepEqual(h.changes, ["FIRING Jump o3", "RESOLVED Jump o3 timed_out", "FIRING TooSlow o1"]);
  const { labels, annotations } = h.alerts.at(-1)!;
  assert.deepEqual(labels, { alertname: "TooSlow", resource_id: "o1", resource_type: "order", severity: "critical", state: "pending", team: "t-o1" });
  assert.equal(annotations["summary"], "hurry, o1");
});

test("several tracks feed one type, and their attributes merge; what `when` excludes is counted as untracked and passes", async () => {
  const yaml = `
receivers: { feed/orders: {}, feed/risk: {} }
processors:
  track/order: { type: order, id: body.id, state: body.status, attributes: { amount: body.amount }, when: "has(body.id)", states: { pending: { stuck_after: 30m } } }
  track/risk: { type: order, id: body.order_id, attributes: { score: body.score } }
exporters: { recorder: {}, sink: {} }
service:
  pipelines:
    orders: { receivers: [feed/orders], processors: [track/order], exporters: [recorder, sink] }
    risk: { receivers: [feed/risk], processors: [track/risk], exporters: [recorder] }
`;
  await using h = await harness(yaml);
  await h.send("feed/orders", [{ id: "o1", status: "pending", amount: 5 }, { user: "u1" }]);
  await h.send("feed/risk", { order_id: "o1", score: 7 });
  const order = h.now.agent.services.resources.get("order", "o1")!;
  assert.deepEqual([order.state, { ...order.attributes }, [...order.sources].toSorted()], ["pending", { amount: 5, score: 7 }, ["feed/orders", "feed/risk"]]);
  assert.equal(h.now.own.processorCounted.series("track/order", "untracked").value, 1);
  assert.deepEqual(h.exported.map(({ observation }) => observation.self?.id), ["o1", undefined]);
});
