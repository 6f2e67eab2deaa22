import assert from "node:assert/strict";
import { test } from "node:test";
import type { ObservationFields, Json } from "../../src/sdk/observation.ts";
import { linkOf, spansOf, type LifecycleSpan, type RootSpan } from "../../src/sdk/span.ts";
import { traceId } from "../../src/sdk/trace_id.ts";
import { harness, orders, type Harness } from "../support/agent.ts";
import { until } from "../support/prometheus.ts";
import { startCollector } from "../support/otlp_collector.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";
const STATES = "states: { delivered: { terminal: true }, lost: { terminal: true } }";
const taking = (more = "", track = STATES): string => orders({ exporters: `sink: { lifecycles: true${more} }`, track });

/** Sends observations of orders, each at its time in seconds after the start, and gives the spans of what came of them. */
async function lived(h: Harness, told: readonly (readonly [atS: number, status: string, more?: Record<string, Json>, fields?: Partial<ObservationFields>])[]): Promise<void> {
  for (const [atS, status, more, fields] of told) {
    await h.send("feed", { id: "o1", status, at: START + atS * 1_000, ...more }, fields);
  }
}

const spans = (h: Harness, root: RootSpan = "early"): LifecycleSpan[] => h.exported.flatMap(({ observation }) => spansOf(observation, {}, root));

/** `shipped 5..20`: seconds since the start. */
const lines = (all: readonly LifecycleSpan[]): string[] =>
  all.map(({ name, startMs, endMs }) => `${name} ${(startMs - START) / 1_000}..${(endMs - START) / 1_000}`);

/** Well before the virtual clock's now, so that no event is in the future. */
const START = Date.UTC(2025, 0, 1);

test("a state is a span once it is left; all of a life are one trace, under a root that was sent first", async () => {
  await using h = await harness(taking());
  await lived(h, [[0, "new"], [5, "paid"], [20, "shipped"], [21, "shipped"], [65, "delivered"]]);
  assert.deepEqual(lines(spans(h)), ["created 0..0", "new 0..5", "paid 5..20", "shipped 20..65"]);
  const [root, ...states] = spans(h);
  assert.equal(root!.parentSpanId, undefined);
  assert.equal(root!.traceId, traceId({}, "order", "o1", 1), "what an alert on it carries");
  for (const { parentSpanId, traceId: trace } of states) assert.deepEqual([parentSpanId, trace], [root!.spanId, root!.traceId]);
  assert.equal(new Set(spans(h).map(({ spanId }) => spanId)).size, 4);
  assert.deepEqual(states[1]!.attributes, {
    "sojourn.resource.type": "order", "sojourn.resource.id": "o1", "sojourn.resource.incarnation": 1,
    "sojourn.state": "paid", "sojourn.next_state": "shipped",
  });
});

test("root final: the root is as long as the life, and comes with its end, once", async () => {
  await using h = await harness(taking("", `${STATES}\ndelete_when: body.status == 'gone'`));
  await lived(h, [[0, "new"], [5, "paid"], [65, "delivered"], [90, "gone"]]);
  assert.deepEqual(lines(spans(h, "final")), ["new 0..5", "paid 5..65", "order 0..65", "delivered 65..90"]);
  const root = spans(h, "final")[2]!;
  assert.deepEqual([root.attributes["sojourn.state"], root.attributes["sojourn.deleted"]], ["delivered", undefined]);
  assert.ok(spans(h, "final").every(({ parentSpanId, spanId }) => (parentSpanId ?? spanId) === root.spanId));
});

test("a deletion ends the state and the life", async () => {
  await using h = await harness(taking("", "delete_when: body.status == 'gone'"));
  await lived(h, [[0, "new"], [30, "gone"], [31, "gone"]]);
  assert.deepEqual(lines(spans(h, "final")), ["new 0..30", "order 0..30"]);
  for (const { attributes } of spans(h, "final")) assert.equal(attributes["sojourn.deleted"], true);
  assert.deepEqual(lines(spans(h)), ["created 0..0", "new 0..30"]);
});

test("a deletion of what was never seen tells of no life", async () => {
  await using h = await harness(taking("", "delete_when: body.status == 'gone'"));
  await lived(h, [[0, "gone"], [1, "gone"]]);
  assert.deepEqual(h.exported, []);
});

test("another incarnation is another trace, whose root points to the one before", async () => {
  await using h = await harness(taking("", `${STATES}\ndelete_when: body.status == 'gone'`));
  await lived(h, [[0, "new"], [5, "delivered"], [9, "new"], [12, "gone"], [20, "new"], [25, "paid"]]);
  const all = spans(h);
  assert.deepEqual(lines(all), ["created 0..0", "new 0..5", "created 9..9", "delivered 5..9", "new 9..12", "created 20..20", "new 20..25"]);
  assert.deepEqual(all.map(({ incarnation }) => incarnation), [1, 1, 2, 1, 2, 3, 3]);
  const roots = all.filter(({ parentSpanId }) => parentSpanId === undefined);
  assert.deepEqual(roots[0]!.links, []);
  for (const i of [1, 2]) assert.deepEqual(roots[i]!.links, [{ traceId: roots[i - 1]!.traceId, spanId: roots[i - 1]!.spanId }]);
  assert.deepEqual(lines(spans(h, "final")), ["new 0..5", "order 0..5", "delivered 5..9", "new 9..12", "order 9..12", "new 20..25"]);
});

test("the same life told again to another agent, across restarts, has the same ids", async () => {
  const told = [[0, "new"], [5, "paid"], [5, "new"], [5, "paid"], [8, "delivered"]] as const;
  await using one = await harness(taking());
  await lived(one, told);
  await using other = await harness(taking());
  for (const each of told) {
    await lived(other, [each]);
    await other.restart(1_000);
  }
  assert.deepEqual(spans(other), spans(one));
  assert.deepEqual(spans(other, "final"), spans(one, "final"));
  assert.equal(new Set(spans(one).map(({ spanId }) => spanId)).size, spans(one).length, "a state entered twice at one instant is two spans");
  const elsewhere = one.exported.flatMap(({ observation }) => spansOf(observation, { cluster: "eu" }, "early"));
  assert.ok(elsewhere.every(({ traceId: id }) => id !== spans(one)[0]!.traceId));
});

test("what caused an observation is a link of the spans that it made, and only there", async () => {
  await using h = await harness(taking());
  await lived(h, [[0, "new"], [5, "paid", {}, { traceparent: `00-${TRACE}-${SPAN}-01` }], [8, "shipped", {}, { traceparent: `00-${TRACE}-${"0".repeat(16)}-01` }]]);
  assert.deepEqual(spans(h).map(({ links }) => links), [[], [{ traceId: TRACE, spanId: SPAN }], []]);
});

test("a traceparent counts by the letter only", () => {
  const ids = `${TRACE}-${SPAN}`;
  for (const good of [`00-${ids}-01`, `00-${ids}-00`, `01-${ids}-01`, `cc-${ids}-01-what-comes-later`]) assert.deepEqual(linkOf(good), { traceId: TRACE, spanId: SPAN });
  for (const bad of [
    undefined, "", `ff-${ids}-01`, `00-${ids}-01-more`, `00-${ids}-1`, `00-${ids}`, `00-${ids.toUpperCase()}-01`, ` 00-${ids}-01`, `00-${ids}-01\n`,
    `00-${"0".repeat(32)}-${SPAN}-01`, `00-${TRACE}-${"0".repeat(16)}-01`, `01-${ids}-01x`, `00-${TRACE}${SPAN}-01`, "x".repeat(100_000),
  ]) assert.equal(linkOf(bad), undefined, bad);
});

test("a gap and a snapshot make no span of a length that nobody knows", async () => {
  await using h = await harness(taking("", `${STATES}\nprevious: body.before\non_error: pass`));
  // From `new` to `packed` it went unseen: neither the end of one nor the beginning of the other is known.
  await lived(h, [[0, "new"], [60, "shipped", { before: "packed" }], [80, "lost", { before: "shipped" }]]);
  assert.deepEqual(lines(spans(h)), ["created 0..0", "shipped 60..80"]);
  assert.deepEqual(lines(spans(h, "final")), ["shipped 60..80", "order 0..80"]);

  // That it was delivered is known only once it is new again: when, is not.
  await using again = await harness(taking("", `${STATES}\nprevious: body.before\non_error: pass`));
  await lived(again, [[0, "new"], [60, "returned", { before: "delivered" }]]);
  assert.deepEqual(lines(spans(again)), ["created 0..0", "created 60..60"]);
  const [ended] = spans(again, "final");
  assert.deepEqual([lines([ended!]), ended!.incarnation, ended!.attributes["sojourn.estimated"]], [["order 0..60"], 1, true]);

  await using rows = await harness(taking());
  const snapshot = { snapshot: true };
  await lived(rows, [[0, "new", {}, snapshot], [10, "paid"], [20, "shipped"], [70, "delivered", {}, snapshot]]);
  assert.deepEqual(lines(spans(rows)), ["created 0..0", "paid 10..20"]);
  const [, root] = spans(rows, "final");
  assert.deepEqual([lines([root!]), root!.attributes["sojourn.estimated"]], [["order 0..70"], true]);
  await lived(rows, [[80, "new", {}, snapshot]]);
  assert.deepEqual(lines(spans(rows).slice(-1)), ["created 80..80"], "the end of `delivered` was not seen");
});

test("since when a state lasts, as the source says it, is where its span begins, in a snapshot, too", async () => {
  await using h = await harness(taking("", "states: { new: { since: body.since } }"));
  await lived(h, [[100, "new", { since: START + 40_000 }, { snapshot: true }], [130, "paid"]]);
  assert.deepEqual(lines(spans(h)), ["created 40..40", "new 40..130"]);
});

test("a life that ends before it began is an instant that says so; a late observation makes none", async () => {
  await using h = await harness(taking("", "sequence: body.n"));
  await lived(h, [[50, "new", { n: 1 }], [20, "paid", { n: 3 }], [60, "shipped", { n: 2 }], [30, "packed", { n: 4 }]]);
  const all = spans(h);
  assert.deepEqual(lines(all), ["created 50..50", "new 50..50", "paid 20..30"]);
  assert.deepEqual(all.map(({ attributes }) => attributes["sojourn.clamped"]), [undefined, true, undefined]);
  const early = spansOf({ ...h.exported[0]!.observation, lifecycle: { type: "t", id: "i", left: undefined, ended: undefined, began: { incarnation: 1, at: -5, state: "" } } }, {}, "early");
  assert.deepEqual([early[0]!.startMs, early[0]!.endMs, early[0]!.attributes["sojourn.clamped"]], [0, 0, true], "before 1970 OTLP has no time");
});

test("hostile states and ids stay bounded, well-formed text, and reach no prototype", async () => {
  await using h = await harness(taking());
  const states = ["__proto__", "s".repeat(1_000), `a\u0000\n${"𝄞".repeat(400)}`, "\ud800", "x"];
  for (const [i, status] of states.entries()) await h.send("feed", { id: "i".repeat(1_000), status, at: START + i });
  const all = spans(h);
  assert.equal(all.length, states.length);
  for (const { name, attributes } of all) {
    assert.ok(name.length <= 200 && name.isWellFormed());
    for (const value of Object.values(attributes)) assert.ok(String(value).length <= 1_000 && String(value).isWellFormed());
  }
  assert.equal(all[2]!.attributes["sojourn.state"], states[1]);
});

test("what no track knows, and what changes no state, makes no span; and observations go to who takes them, not to who takes lives", async () => {
  await using h = await harness(orders({ exporters: "sink/a: { lifecycles: true }, sink/b: {}", track: "when: body.id != 'other'" }));
  await h.send("feed", [{ id: "other", status: "new" }, { id: "o1", status: "new" }, { id: "o1", status: "new" }, { status: "new" }]);
  assert.deepEqual(h.exported.filter(({ exporter }) => exporter === "sink/a").map(({ observation }) => observation.lifecycle?.id), ["o1"]);
  assert.equal(h.exported.filter(({ exporter }) => exporter === "sink/b").length, 4);
  assert.ok(h.exported.every(({ exporter, observation }) => (exporter === "sink/a") === (observation.lifecycle !== undefined)));
});

const TWO = `
version: 1
receivers: { feed/a: {}, feed/b: {} }
processors:
  track/order: { type: order, id: body.id, state: body.status }
  track/again: { type: order, id: body.id, state: body.status }
  track/payment: { type: payment, id: body.id, state: body.status }
exporters: { sink: { lifecycles: true }, sink/other: { lifecycles: true }, recorder: {} }
service:
  pipelines:
    alerting: { receivers: [feed/a, feed/b], processors: [track/order], exporters: [recorder] }
    tracing: { receivers: [feed/b], processors: [track/again, track/payment], exporters: [sink] }
    both: { receivers: [feed/b], processors: [track/payment], exporters: [sink, sink/other] }
`;

test("each change is told once to each exporter whose pipelines track the type, whichever pipeline made it", async () => {
  await using h = await harness(TWO);
  for (const status of ["new", "paid"]) for (const feed of ["feed/a", "feed/b"]) await h.send(feed, { id: "o1", status });
  const told = (exporter: string): string[] =>
    h.exported.filter((one) => one.exporter === exporter).map(({ observation: { lifecycle } }) => `${lifecycle!.type} ${lifecycle!.left?.state ?? "began"}`);
  assert.deepEqual(told("sink"), ["order began", "payment began", "order new", "payment new"]);
  assert.deepEqual(told("sink/other"), ["payment began", "payment new"]);
});

test("what was not committed when the agent died is told once, when it is read again", async () => {
  await using h = await harness(taking());
  await lived(h, [[0, "new"]]);
  h.store.fail();
  await assert.rejects(lived(h, [[5, "paid"]]), /not committed/);
  assert.deepEqual(lines(spans(h)), ["created 0..0"]);
  h.store.heal();
  await h.restart();
  await lived(h, [[5, "paid"]]);
  assert.deepEqual(lines(spans(h)), ["created 0..0", "new 0..5"]);
});

test("with storage, spans that wait survive a crash", async () => {
  await using h = await harness(taking(", sending_queue: { storage: true }"));
  h.destinations.export = () => Promise.reject(new Error("down"));
  await lived(h, [[0, "new"], [5, "paid", {}, { traceparent: `00-${TRACE}-${SPAN}-01` }]]);
  await h.restart();
  h.destinations.export = () => undefined;
  await h.advance(60_000);
  assert.deepEqual(lines(spans(h)), ["created 0..0", "new 0..5"]);
  assert.equal(spans(h)[1]!.links.length, 1);
});

test("a full queue blocks every receiver that feeds the type, where that is wanted", async () => {
  await using h = await harness(TWO.replace("sink: { lifecycles: true }", "sink: { lifecycles: true, sending_queue: { queue_size: 1, on_full: block } }"));
  h.destinations.export = () => Promise.reject(new Error("down"));
  await h.send("feed/a", { id: "o1", status: "new" });
  await assert.rejects(h.send("feed/a", { id: "o2", status: "new" }), /not committed/);
  h.destinations.export = () => undefined;
  await h.advance(60_000);
  assert.equal(h.exported.length, 2);
});

test("an agent sends the life of a resource by OTLP, and after a reload that removes the exporter nothing more", async () => {
  await using collector = await startCollector();
  await using h = await harness(orders({ exporters: `otlp: { endpoint: "${collector.url}" }`, track: STATES }));
  const sent = () => collector.received.flatMap(({ traces }) => traces.spans.map(({ name }) => name));
  await lived(h, [[0, "new"], [5, "paid"], [9, "delivered"]]);
  await until("all spans", async () => (sent().length >= 3 ? true : undefined), 5);
  assert.deepEqual(sent(), ["created", "new", "paid"]);
  assert.equal(collector.received[0]!.traces.resource["service.name"], "sojourn");
  await h.reload(orders({ track: STATES }));
  await lived(h, [[10, "new"]]);
  assert.deepEqual(sent(), ["created", "new", "paid"]);
});
