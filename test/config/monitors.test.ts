import assert from "node:assert/strict";
import test from "node:test";
import { component, ids, problemsOf, workspace } from "./support.ts";

const MONITOR = `monitors:
  order:
    from:
      http_poll: { url: http://shop, each: body.orders }
    id: body.id
    state: body.status
    states: { pending: { since: body.created_at, stuck_after: 30m, alert: { severity: page } } }
    rules: [{ alert: Large, expr: self.amount > 10 }]
    notify:
      slack: { webhook_url: https://hooks.test/x }
`;

test("a monitor is one pipeline, and everything in it is named after it", async () => {
  await using place = await workspace({ "a.yaml": MONITOR });
  const loaded = await place.load();
  assert.deepEqual([place.said(loaded.problems), place.said(loaded.warnings)], [[], []]);
  assert.deepEqual(ids(loaded), ["slack/order", "threshold/order", "track/order", "http_poll/order"]);
  const [pipeline] = loaded.wanted.pipelines;
  assert.deepEqual(
    [pipeline?.name, pipeline?.receivers, pipeline?.processors, pipeline?.exporters],
    ["order", ["http_poll/order"], ["track/order", "threshold/order"], ["slack/order"]],
  );
  assert.deepEqual(component(loaded, "track/order").config, {
    type: "order",
    id: "body.id",
    state: "body.status",
    // Defaults reach into the branch of an alternative that is taken.
    states: { pending: { since: "body.created_at", stuck_after: "30m", alert: { severity: "page", resolve_after: "24h" }, terminal: false } },
  });
  assert.deepEqual(component(loaded, "threshold/order").config, { rules: [{ alert: "Large", expr: "self.amount > 10", for: "0s" }] });
});

test("a pointer into what a monitor stands for is located at the monitor's lines", async () => {
  await using place = await workspace({ "a.yaml": MONITOR });
  const loaded = await place.load();
  const at = (id: string, pointer: string): string => {
    const { place: where, path } = component(loaded, id).locate(pointer);
    return `${where.line}:${where.column} ${path}`;
  };
  assert.equal(at("track/order", "/states/pending/stuck_after"), "7:63 monitors.order.states.pending.stuck_after");
  assert.equal(at("track/order", ""), "2:3 monitors.order");
  assert.equal(at("threshold/order", "/rules/0/expr"), "8:35 monitors.order.rules[0].expr");
  assert.equal(at("http_poll/order", "/url"), "4:25 monitors.order.from.http_poll.url");
});

test("from, processors and notify take ids, maps and lists of both", async () => {
  await using place = await workspace({
    "a.yaml": `receivers: { webhook/in: { listen: ":8081", path: /x } }
exporters: { prometheus: {} }
monitors:
  order:
    from: [webhook/in, { http_poll: { url: http://a } }, { http_poll: { url: http://b } }, { http_poll/eu: { url: http://c } }]
    processors: [{ filter: { keep: body.a == 1.0 } }, { filter: { keep: body.b == 1.0 } }]
    id: body.id
    notify: [prometheus, { slack: { webhook_url: x }, slack/second: { webhook_url: y } }]
  payment: { from: webhook/in, id: body.id, notify: prometheus }
`,
  });
  const loaded = await place.load();
  assert.deepEqual(place.said(loaded.problems), []);
  const [order, payment] = loaded.wanted.pipelines;
  assert.deepEqual(order?.receivers, ["webhook/in", "http_poll/order", "http_poll/order#2", "http_poll/eu"]);
  assert.deepEqual(order?.processors, ["filter/order#1", "filter/order#2", "track/order"]);
  assert.deepEqual(order?.exporters, ["prometheus", "slack/order", "slack/second"]);
  assert.deepEqual([payment?.receivers, payment?.exporters], [["webhook/in"], ["prometheus"]]);
});

test("an inline component keeps its id when others beside it come and go", async () => {
  const text = (processors: string): string => `receivers: { http_poll: { url: x } }
processors: { track: { type: a, id: body.id } }
service: { pipelines: { p: { receivers: [http_poll], processors: [${processors}] } } }
`;
  const last = "{ filter: { keep: body.a } }";
  for (const before of ["", "track, ", "{ track: { type: b, id: body.id } }, "]) {
    await using place = await workspace({ "a.yaml": text(before + last) });
    const loaded = await place.load();
    assert.deepEqual(place.said(loaded.problems), []);
    assert.equal(component(loaded, "filter/p#1").config["keep"], "body.a");
  }
});

test("the same exporter inline in two monitors is two components", async () => {
  const notify = "notify: { slack: { webhook_url: x } }";
  await using place = await workspace({ "a.yaml": `monitors:
  a: { from: { http_poll: { url: x } }, id: body.id, ${notify} }
  b: { from: { http_poll: { url: x } }, id: body.id, ${notify} }
` });
  const loaded = await place.load();
  assert.deepEqual([loaded.problems, ids(loaded).filter((id) => id.startsWith("slack"))], [[], ["slack/a", "slack/b"]]);
});

test("what a monitor stands for may not clash with what is written: both are named", async () => {
  assert.deepEqual(
    await problemsOf(`${MONITOR}receivers: { http_poll/order: { url: x } }
service: { pipelines: { order: { receivers: [http_poll/order] } } }
`),
    [
      "a.yaml:2:3 monitors.order: there is a pipeline order already at a.yaml:12:25 (service.pipelines.order); rename one",
      "a.yaml:4:7 monitors.order.from.http_poll: receiver http_poll/order is defined differently at a.yaml:11:14 (receivers.http_poll/order); rename one",
    ],
  );
});

test("mistakes in a monitor are told in its own words", async () => {
  assert.deepEqual(
    await problemsOf(`monitors:
  order:
    from: { http_poll: { url: x, intervall: 3s } }
    staet: body.x
    type: x
    states: { paid: { stuck_after: 3 }, y: { alert: { severty: a } } }
    rules: [{ alert: A }]
    notify: slack/ops
  "a b": { from: x, id: body.id }
`),
    [
      "a.yaml:2:3 monitors.order: id is missing (What identifies it)",
      "a.yaml:3:34 monitors.order.from.http_poll.intervall: is not known here; did you mean interval? (allowed: url, urls, method, interval, retries, verbose, each, headers, max_body_size, auth)",
      "a.yaml:4:5 monitors.order.staet: is not known here; did you mean state? (allowed: from, processors, rules, notify, id, state, time, states)",
      "a.yaml:5:5 monitors.order.type: is not known here; the monitor's name is the type",
      "a.yaml:6:36 monitors.order.states.paid.stuck_after: 3 is not a duration; allowed: a number with a unit, such as 500ms, 30s, 30m, 1h30m or 7d",
      "a.yaml:6:55 monitors.order.states.y.alert.severty: is not known here; did you mean severity? (allowed: severity, resolve_after)",
      "a.yaml:7:13 monitors.order.rules[0]: expr is missing",
      "a.yaml:8:13 monitors.order.notify: references exporter slack/ops which is not defined; define it under exporters",
      "a.yaml:9:3 monitors.a b: a monitor's name is the type of its resources; allowed: letters, digits, _ - and . (at most 100)",
      "a.yaml:9:18 monitors.a b.from: references receiver x which is not defined; allowed: http_poll/order",
    ],
  );
});
