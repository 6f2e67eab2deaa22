import assert from "node:assert/strict";
import test from "node:test";
import { component, ids, workspace } from "./support.ts";

const LONG = `version: 1
receivers:
  http_poll/orders: { url: "\${env:SHOP_URL}/api/v1/orders", interval: 10s, each: body.orders }
processors:
  track/order: { type: order, id: body.id, state: body.status }
exporters:
  prometheus: {}
  slack/ops: { webhook_url: "\${env:SLACK_WEBHOOK_URL}" }
service:
  external_labels: { cluster: eu-1 }
  pipelines:
    orders:
      receivers: [http_poll/orders]
      processors: [track/order]
      exporters: [prometheus, slack/ops]
tests:
  - name: an order is sent
    steps:
      - send: { to: http_poll/orders, body: { id: o1 } }
      - advance: 31m
      - restart: { down: 1h }
      - expect: { alerts: [{ alert: OrderStuckInPending, resource: o1, status: firing }] }
`;
const ENV = { SHOP_URL: "http://shop.test", SLACK_WEBHOOK_URL: "https://hooks.test/abc" };

test("the long form becomes components with defaults, pipelines, service and tests", async () => {
  await using place = await workspace({ "agent.yaml": LONG });
  const loaded = await place.load({ env: ENV });
  assert.deepEqual(place.said(loaded.problems), []);
  assert.deepEqual(place.said(loaded.warnings), []);
  assert.deepEqual(ids(loaded), ["prometheus", "slack/ops", "track/order", "http_poll/orders"]);
  assert.deepEqual(component(loaded, "http_poll/orders").config, {
    url: "http://shop.test/api/v1/orders",
    interval: "10s",
    each: "body.orders",
    method: "GET",
    retries: 3,
    verbose: false,
    max_body_size: "1MiB",
  });
  const [pipeline] = loaded.wanted.pipelines;
  assert.deepEqual([pipeline?.name, pipeline?.receivers, pipeline?.processors, pipeline?.exporters], ["orders", ["http_poll/orders"], ["track/order"], ["prometheus", "slack/ops"]]);
  assert.deepEqual(loaded.wanted.service, {
    external_labels: { cluster: "eu-1" },
    storage: { directory: undefined },
    api: { listen: "127.0.0.1:9465", external_url: undefined },
    health: { listen: undefined },
    log: { level: "info", format: "auto" },
    evaluation_interval: "15s",
    catch_up_timeout: "5m",
    shutdown_timeout: "30s",
    dedupe_ttl: "3d",
    dedupe_max: 100_000,
    dead_letters_max: 1000,
    receiver_failing: { enabled: true, for: "1m", severity: "warning" },
    deliveries_max: 10_000,
    silences: [],
    inhibit_rules: [],
    time_intervals: {},
  });
  assert.equal(loaded.wanted.tests[0]?.steps.length, 4);
  assert.equal(loaded.files[0]?.status, "taken");
});

test("a pointer within a component is located in its file", async () => {
  await using place = await workspace({ "agent.yaml": LONG });
  const loaded = await place.load({ env: ENV });
  const made = component(loaded, "http_poll/orders");
  assert.deepEqual(made.locate("/interval"), { place: { file: place.path("agent.yaml"), line: 3, column: LONG.split("\n")[2]!.indexOf("10s") + 1 }, path: "receivers.http_poll/orders.interval" });
  // A default is written nowhere: it is located at the component.
  assert.deepEqual(made.locate("/retries"), { place: { file: place.path("agent.yaml"), line: 3, column: 3 }, path: "receivers.http_poll/orders.retries" });
});

test("thousands of mistakes are answered in bounded time, with the first hundred of them", async () => {
  const many = (line: (i: number) => string): string => Array.from({ length: 15_000 }, (_, i) => line(i)).join("");
  const files = {
    "keys.yaml": `service:\n${many((i) => `  evaluation_intervall_${i}: 1\n`)}`,
    "top.yaml": many((i) => `receiver_${i}: 1\n`),
    "types.yaml": `receivers:\n${many((i) => `  http_poll_${i}: {}\n`)}`,
    "uses.yaml": `service:\n  pipelines:\n    p:\n      receivers:\n${many((i) => `        - http_poll/some_quite_long_name_${i}\n`)}`,
    "same.yaml": `service:\n  pipelines:\n    q:\n      receivers:\n${many(() => "        - http_poll/a\n")}`,
    "monitors.yaml": `monitors:\n${Array.from({ length: 3_000 }, (_, i) => `  m${i}: { form: x }\n`).join("")}`,
    "url.yaml": `receivers: { http_poll/a: { url: 3, interval: "${"a.".repeat(200_000)}" }, http_poll/b: { url: "http://x${"?".repeat(200_000)}" } }\n`,
  };
  await using place = await workspace(files);
  const before = performance.now();
  const loaded = await place.load();
  const tookMs = performance.now() - before;
  assert.ok(tookMs < 10_000, `took ${tookMs} ms`);
  for (const file of loaded.files) {
    assert.notEqual(file.problems.length, 0, file.file);
    assert.ok(file.problems.length <= 102, `${file.file}: ${file.problems.length}`);
  }
});

test("loads that overlap take their turns", async () => {
  await using place = await workspace({ "agent.yaml": LONG });
  const loader = place.loader({ env: ENV });
  const loads = await Promise.all([loader.load(), loader.load(), loader.load()]);
  assert.deepEqual(loads.map((loaded) => loaded.changed), [true, false, false]);
});
