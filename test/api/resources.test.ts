import assert from "node:assert/strict";
import { test } from "node:test";
import { StoreError } from "../../src/sdk/store.ts";
import { detailOf, orders, send, type Served } from "./support.ts";

interface Page {
  readonly items: readonly { readonly type: string; readonly id: string; readonly state: string | null }[];
  readonly next: string | null;
}

async function idsOf(served: Served, query: string): Promise<string[]> {
  const { items } = (await served.get(`/api/v1/resources${query}`)).body as Page;
  return items.map(({ type, id }) => `${type}/${id}`);
}

test("a resource is shown whole, with its transitions; times are RFC 3339, durations seconds", async () => {
  const { clock, served } = await orders();
  await using _ = served;
  await send(served.agent, clock, { id: "o1", status: "pending", amount: 12.5 });
  await clock.advance(90_500);
  await send(served.agent, clock, { id: "o1", status: "paid", amount: 13 });
  await clock.advance(10_000);
  const answer = await served.get("/api/v1/resources/order/o1");
  assert.equal(answer.status, 200);
  assert.equal(answer.headers["content-type"], "application/json; charset=utf-8");
  assert.equal(answer.headers["cache-control"], "no-store");
  assert.deepEqual(answer.body, {
    type: "order", id: "o1", state: "paid", since: "2026-11-03T10:16:30.5Z", first_seen: "2026-11-03T10:15:00Z",
    last_seen: "2026-11-03T10:16:30.5Z", incarnation: 1, stale: false, attributes: { amount: 13 }, sources: ["webhook/orders"],
    transitions: [{ from: "pending", to: "paid", at: "2026-11-03T10:16:30.5Z", duration_seconds: 90.5 }],
  });
  const { items } = (await served.get("/api/v1/resources")).body as Page;
  assert.deepEqual(Object.keys(items[0]!), ["type", "id", "state", "since", "first_seen", "last_seen", "incarnation", "stale", "attributes", "sources"]);
});

test("a resource whose type has no states has the state null", async () => {
  const { clock, served } = await orders("    devices: { receivers: [webhook/orders], processors: [track/device] }\n");
  await using _ = served;
  await send(served.agent, clock, { id: "d1", device: true, status: "x" });
  assert.equal(((await served.get("/api/v1/resources/device/d1")).body as { state: null }).state, null);
  assert.equal(((await served.get("/api/v1/resources/device/d1/status")).body as { state: null }).state, null);
});

test("the status of one says how long it is there, and what fires on it", async () => {
  const { clock, served } = await orders();
  await using _ = served;
  await send(served.agent, clock, { id: "o1", status: "pending" }, { id: "o2", status: "pending" });
  await clock.advance(31 * 60_000);
  await send(served.agent, clock, { id: "o2", status: "paid" });
  assert.deepEqual((await served.get("/api/v1/resources/order/o1/status")).body, {
    type: "order", id: "o1", state: "pending", since: "2026-11-03T10:15:00Z", seconds_in_state: 1860, stale: false,
    alerts: ["OrderStuckInPending"],
  });
  const { alerts } = (await served.get("/api/v1/resources/order/o2/status")).body as { alerts: string[] };
  assert.deepEqual(alerts, []);
});

test("an id may hold slashes, spaces, percent signs and any script; `status` is an id too", async () => {
  const { clock, served } = await orders();
  await using _ = served;
  for (const id of ["a/b", "a%2Fb", "ü ñ/☃", "status", "a?b#c", "100%"]) {
    await send(served.agent, clock, { id, status: "paid" });
    const answer = await served.get(`/api/v1/resources/order/${encodeURIComponent(id)}`);
    assert.equal((answer.body as { id: string }).id, id);
    assert.equal(((await served.get(`/api/v1/resources/order/${encodeURIComponent(id)}/status`)).body as { id: string }).id, id);
  }
});

test("what is not there is 404, and says what is", async () => {
  const { clock, served } = await orders();
  await using _ = served;
  await send(served.agent, clock, { id: "o1", status: "paid" });
  for (const end of ["", "/status"]) {
    assert.equal(detailOf(await served.get(`/api/v1/resources/order/o9${end}`), 404), "no order with id o9");
    assert.equal(detailOf(await served.get(`/api/v1/resources/ordr/o1${end}`), 404), "no type ordr; known: order");
  }
  assert.match(detailOf(await served.get("/api/v1/resources/order/%ff"), 400), /%ff in the path is no percent-encoded UTF-8/);
  const long = detailOf(await served.get(`/api/v1/resources/order/${"x".repeat(5_000)}`), 404);
  assert.ok(long.length < 300, "what was asked for is not repeated without bound");
  for (const path of ["/api/v1/resources/order", "/api/v1/resources/order/", "/api/v1/resources//o1", "/api/v1/resources/"]) {
    detailOf(await served.get(path), 404);
  }
});

test("resources are filtered by type and state, and come in pages that miss none and repeat none", async () => {
  const { clock, served } = await orders("    devices: { receivers: [webhook/orders], processors: [track/device] }\n");
  await using _ = served;
  const ids = Array.from({ length: 23 }, (_, i) => `o${(i * 7) % 23}`);
  await send(served.agent, clock, ...ids.map((id, i) => ({ id, status: i % 3 === 0 ? "paid" : "pending" })), { id: "d1", device: true, status: "paid" }); // an order and a device
  assert.deepEqual(await idsOf(served, "?type=device"), ["device/d1"]);
  assert.deepEqual(await idsOf(served, "?state=paid&type=order"), ["order/d1", ...ids.filter((_, i) => i % 3 === 0).sort().map((id) => `order/${id}`)]);
  assert.deepEqual(await idsOf(served, "?state=nowhere"), []);
  assert.deepEqual(await idsOf(served, "?type=nothing"), []);

  const all = await idsOf(served, "");
  assert.equal(all.length, 25);
  for (const limit of [1, 7, 24, 25, 1_000]) {
    const seen: string[] = [];
    let cursor: string | null = "";
    for (let pages = 0; cursor !== null; pages++) {
      assert.ok(pages <= 25, "the pages come to an end");
      const answer: Page = (await served.get(`/api/v1/resources?limit=${limit}${cursor === "" ? "" : `&cursor=${cursor}`}`)).body;
      assert.ok(answer.items.length > 0 && answer.items.length <= limit);
      seen.push(...answer.items.map(({ type, id }) => `${type}/${id}`));
      cursor = answer.next;
    }
    assert.deepEqual(seen, all, `limit ${limit}`);
  }
});

test("a page of large resources is cut short, and the next one goes on there", async () => {
  const { clock, served } = await orders();
  await using _ = served;
  for (let i = 0; i < 10; i++) await send(served.agent, clock, { id: `o${i}`, status: "paid", amount: "x".repeat(2 ** 20) });
  const seen: string[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const answer = await served.get(`/api/v1/resources${cursor === "" ? "" : `?cursor=${cursor}`}`);
    assert.ok(answer.text.length < 5 * 2 ** 20);
    const page: Page = answer.body;
    seen.push(...page.items.map(({ id }) => id));
    cursor = page.next;
  }
  assert.deepEqual(seen, Array.from({ length: 10 }, (_, i) => `o${i}`));
});

test("nonsense in a query is 400 and says what is allowed", async () => {
  const { served } = await orders();
  await using _ = served;
  const cursor = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const cases: [string, RegExp][] = [
    ["limit=0", /limit is 0; allowed: 1 to 1000/],
    ["limit=1001", /allowed: 1 to 1000/],
    ["limit=-1", /allowed: 1 to 1000/],
    ["limit=1e2", /allowed: 1 to 1000/],
    ["limit=", /limit is empty/],
    ["type=", /type is empty/],
    ["states=paid", /no parameter states; allowed: type, state, limit, cursor/],
    ["__proto__=1", /no parameter __proto__/],
    ["type=a&type=b", /type is given twice/],
    ["cursor=!!!", /cursor is none of this listing/],
    ["cursor=abc", /cursor is none of this listing/],
    [`cursor=${cursor(["order"])}`, /cursor is none of this listing/],
    [`cursor=${cursor(["order", 1])}`, /cursor is none of this listing/],
    [`cursor=${cursor({ 0: "order", 1: "o1", length: 2 })}`, /cursor is none of this listing/],
  ];
  for (const [query, says] of cases) assert.match(detailOf(await served.get(`/api/v1/resources?${query}`), 400), says, query);
  assert.match(detailOf(await served.get("/api/v1/resources/order/o1?limit=1"), 400), /none is allowed here/);
});

test("when the store cannot be read, only what needs it is refused", async () => {
  const { clock, served } = await orders();
  await using _ = served;
  // A move that was committed before the last commit is only in the store.
  for (const [id, status] of [["o1", "pending"], ["o1", "paid"], ["o2", "pending"], ["o2", "paid"]] as const) await send(served.agent, clock, { id, status });
  served.store.read = () => Promise.reject(new StoreError("unusable", "gone: /secret/place"));
  const detail = detailOf(await served.get("/api/v1/resources/order/o1"), 503);
  assert.match(detail, /history cannot be read/);
  assert.doesNotMatch(detail, /secret/);
  assert.equal((await served.get("/api/v1/resources/order/o1/status")).status, 200);
});
