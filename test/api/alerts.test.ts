import assert from "node:assert/strict";
import { test } from "node:test";
import { detailOf, finished, orders, send, type Served } from "./support.ts";

interface AlertShown {
  readonly alert: string;
  readonly status: string;
  readonly resource: { readonly type: string; readonly id: string };
  readonly active_at: string;
}

interface Page {
  readonly items: readonly AlertShown[];
  readonly next: string | null;
}

async function listed(served: Served, query = ""): Promise<string[]> {
  const { items } = (await served.get(`/api/v1/alerts${query}`)).body as Page;
  return items.map(({ alert, status, resource }) => `${alert} ${resource.id} ${status}`);
}

test("an alert is shown through its life, in the documented shape", async () => {
  const { clock, served } = await orders();
  await using _ = served;
  await send(served.agent, clock, { id: "o1", status: "pending" });
  await clock.advance(31 * 60_000);
  const { items, next } = (await served.get("/api/v1/alerts")).body as Page;
  assert.equal(next, null);
  assert.equal(items.length, 1);
  const { annotations, labels, value, details, dedup_key, trace_id, observation, ...rest } = items[0]! as AlertShown & {
    annotations: Record<string, string>; labels: object; value: unknown; details: { state: string }; dedup_key: string; trace_id: string; observation: unknown;
  };
  assert.deepEqual(Object.keys(items[0]!), [
    "alert", "rule", "status", "resource", "group", "labels", "annotations", "value", "limit", "active_at", "fired_at", "resolved_at", "reason",
    "dedup_key", "details", "stale_since", "flapping", "trace_id", "observation", "acknowledged", "silenced_by", "inhibited", "muted_by",
  ]);
  assert.deepEqual(rest, {
    alert: "OrderStuckInPending", rule: "OrderStuckInPending", status: "firing", resource: { type: "order", id: "o1" }, group: null,
    active_at: "2026-11-03T10:45:00Z", fired_at: "2026-11-03T10:45:00Z", resolved_at: null, reason: null,
    limit: "30m", stale_since: null, flapping: false, acknowledged: null, silenced_by: [], inhibited: false, muted_by: [],
  });
  assert.match(dedup_key, /^[0-9a-f]{64}$/);
  assert.match(trace_id, /^[0-9a-f]{32}$/);
  assert.equal(details.state, "pending");
  assert.equal(observation, null, "time made it fire, no observation");
  assert.deepEqual(labels, { alertname: "OrderStuckInPending", resource_id: "o1", resource_type: "order", severity: "warning", state: "pending" });
  assert.ok(annotations["summary"]!.includes("o1"));
  assert.equal(value, "pending");

  await send(served.agent, clock, { id: "o1", status: "paid" });
  const resolved = ((await served.get("/api/v1/alerts")).body as Page).items[0]! as AlertShown & { resolved_at: string; reason: string };
  assert.equal(resolved.status, "resolved");
  assert.equal(resolved.resolved_at, "2026-11-03T10:46:00Z");
  assert.equal(resolved.reason, "recovered");
});

test("alerts are filtered by status, type and name", async () => {
  const { clock, served } = await orders();
  await using _ = served;
  await send(served.agent, clock, { id: "o1", status: "pending" });
  await clock.advance(31 * 60_000);
  await send(served.agent, clock, { id: "o2", status: "failed" }, { id: "o3", status: "failed" });
  await send(served.agent, clock, { id: "o3", status: "paid" });
  assert.deepEqual(await listed(served), ["OrderStuckInPending o1 firing", "OrderFailed o2 firing", "OrderFailed o3 resolved"]);
  assert.deepEqual(await listed(served, "?status=resolved"), ["OrderFailed o3 resolved"]);
  assert.deepEqual(await listed(served, "?alert=OrderFailed&status=firing"), ["OrderFailed o2 firing"]);
  assert.deepEqual(await listed(served, "?type=device"), []);
  assert.match(detailOf(await served.get("/api/v1/alerts?status=open"), 400), /status is open; allowed: pending, firing, resolved/);
  assert.match(detailOf(await served.get("/api/v1/alerts?cursor=WyJvcmRlciIsIm8xIl0"), 400), /cursor is none of this listing/);
});

test("pages of alerts miss none that stays, also when one resolves between two pages", async () => {
  const { clock, served } = await orders();
  await using _ = served;
  const all = Array.from({ length: 12 }, (_, i) => `o${i}`);
  for (const id of all) await send(served.agent, clock, { id, status: "failed" }); // all at the same instant
  const seen: string[] = [];
  let cursor: string | null = "";
  for (let turn = 0; cursor !== null; turn++) {
    assert.ok(turn < 12, "the pages come to an end");
    const page: Page = (await served.get(`/api/v1/alerts?limit=5${cursor === "" ? "" : `&cursor=${cursor}`}`)).body;
    seen.push(...page.items.map(({ resource }) => resource.id));
    cursor = page.next;
    if (turn === 0) await send(served.agent, clock, { id: seen[0]!, status: "paid" }, { id: "o9", status: "paid" });
  }
  assert.deepEqual([...new Set(seen)].sort(), all.toSorted(), "none is missed");
  assert.deepEqual(seen.filter((id, i) => seen.indexOf(id) !== i), [seen[0]], "only what moved behind the cursor comes again");
});

interface Explained extends AlertShown {
  readonly dedup_key: string;
  readonly transitions: readonly { from: string; to: string; at: string; duration_seconds: number }[];
  readonly others: number;
  readonly observation: { source: string; body: { status: string } } | null;
  readonly silenced_by: readonly string[];
  readonly deliveries: readonly unknown[];
  readonly acknowledged: { by: string; comment: string; at: string } | null;
  readonly url: string | null;
}

test("one alert tells its whole story: the path, the observation behind it, how many others, its silences", async () => {
  const { clock, served } = await orders();
  await using _ = served;
  await send(served.agent, clock, { id: "o1", status: "pending" });
  await clock.advance(60_000);
  await send(served.agent, clock, { id: "o1", status: "failed" }, { id: "o2", status: "failed" });
  const [first] = ((await served.get("/api/v1/alerts?alert=OrderFailed")).body as { items: Explained[] }).items;
  await finished(served.post("/api/v1/silences", { matchers: ["alertname=OrderFailed"], ends_at: "2027-01-01T00:00:00Z", created_by: "jo", comment: "c" }), clock);
  const told = (await served.get(`/api/v1/alerts/${first!.dedup_key}`)).body as Explained;
  assert.deepEqual(told.transitions, [{ from: "pending", to: "failed", at: "2026-11-03T10:16:00Z", duration_seconds: 60 }]);
  assert.equal(told.others, 1);
  assert.equal(told.observation?.source, "webhook/orders");
  assert.equal(told.observation.body.status, "failed");
  assert.equal(told.silenced_by.length, 1);
  assert.equal(told.url, null, "only with service.api.external_url");
  assert.match(detailOf(await served.get("/api/v1/alerts/nonsense"), 404), /no alert with the key nonsense/);
});

test("a firing alert is acknowledged by somebody, with a word; one that is over cannot be", async () => {
  const { clock, served } = await orders();
  await using _ = served;
  await send(served.agent, clock, { id: "o1", status: "failed" });
  const [alert] = ((await served.get("/api/v1/alerts")).body as { items: Explained[] }).items;
  const path = `/api/v1/alerts/${alert!.dedup_key}/acknowledge`;
  assert.equal((await served.post(path, { by: "" })).status, 400);
  assert.equal((await served.post(path, { by: "jo", comment: "x".repeat(2_000) })).status, 400);
  const answer = await finished(served.post(path, { by: "jo", comment: "on it" }), clock);
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual((answer.body as Explained).acknowledged, { by: "jo", comment: "on it", at: "2026-11-03T10:15:00Z" });
  await send(served.agent, clock, { id: "o1", status: "pending" });
  assert.match(detailOf(await served.post(path, { by: "jo" }), 409), /only a firing one/);
});
