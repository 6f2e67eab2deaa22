import assert from "node:assert/strict";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { test, type TestContext } from "node:test";
import { gunzipSync } from "node:zlib";
import { prometheus } from "../../exporters/prometheus.ts";
import { createProducer } from "../../src/metrics/producer.ts";
import { createMetrics, type MetricStore } from "../../src/metrics/store.ts";
import { createListeners } from "../../src/pipeline/listeners.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { silentLog } from "../../src/sdk/log.ts";
import { exporterContext, type Recorded } from "../support/context.ts";
import { program, promtoolCheck, startPrometheus, until } from "../support/prometheus.ts";

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
}

/** A request as it is: no redirects, no decompression. */
function ask(port: number, path = "/metrics", method = "GET", headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const bytes = Buffer.concat(chunks);
        resolve({ status: response.statusCode!, headers: response.headers, bytes, text: bytes.toString() });
      });
      response.on("error", reject);
    });
    request.on("error", reject).end();
  });
}

/** An agent's worth of parts around one or more exporters; everything is stopped with the test. */
async function serve(
  t: TestContext,
  metrics: MetricStore,
  configs: readonly { listen: string; path: string }[] = [{ listen: "127.0.0.1:0", path: "/metrics" }],
  producer: unknown = createProducer(metrics, { version: "1.2.3", externalLabels: () => ({ cluster: "eu-1" }) }),
): Promise<{ port: number; recorded: Recorded; stop: () => Promise<void> }> {
  const listeners = createListeners({ clock: realClock, log: silentLog });
  const { context, recorded } = exporterContext({ clock: realClock, listeners, metrics, producer, id: "prometheus" });
  const exporters = configs.map((config) => prometheus.create(config, context));
  t.after(() => listeners.close());
  for (const exporter of exporters) await exporter.start?.();
  return {
    port: listeners.port(configs[0]!.listen)!,
    recorded,
    stop: async () => {
      for (const exporter of exporters) await exporter.stop?.();
    },
  };
}

/** Everything that an exposition could choke on. */
const HOSTILE = [
  "", " ", "plain", 'quo"te', "back\\slash", "trailing\\", "line\nbreak", "\\n", "carriage\rreturn", "tab\t", "nul\0here", "\x01\x1b[0m",
  "ünïcödé", "漢字", "🛒", "\u2028", "\uD800", "\uFEFF", '{a="b"} 1', "# HELP x", "__other__", "__proto__", "x".repeat(3_000), "a,b", "}", "=",
];

function hostileMetrics(): MetricStore {
  const metrics = createMetrics();
  const counter = metrics.counter({ name: "hostile_total", help: 'A "help"\nwith \\ everything\0\r\u2028.', labels: ["v", "constructor"] });
  const wait = metrics.histogram({ name: "wait_seconds", help: "How long.", labels: ["v"], buckets: [0.1, 1, 2.5e6] });
  for (const value of HOSTILE) {
    counter.series(value, "x").add(1);
    counter.series("x", value).add(2);
    wait.series(value).observe(0.5);
  }
  metrics.gauge({ name: "level_celsius", help: "", labels: [] }).series().set(-Infinity);
  metrics.gauge({ name: "unknown_celsius", help: "No number.", labels: [] }).series().set(NaN);
  metrics.gauge({ name: "empty_celsius", help: "No series.", labels: ["a"] });
  return metrics;
}

test("the page has each series once, with HELP and TYPE once, and nothing that is not ours", async (t) => {
  const metrics = createMetrics();
  const orders = metrics.counter({ name: "orders_total", help: "Orders.", labels: ["state"] });
  orders.series("paid").add(2);
  orders.series("failed").add(1);
  metrics.histogram({ name: "wait_seconds", help: "How long.", labels: [], buckets: [1, 60] }).series().observe(30);
  metrics.gauge({ name: "unseen", help: "No series yet.", labels: ["a"] });
  const { port } = await serve(t, metrics);
  const { status, headers, text } = await ask(port);
  assert.equal(status, 200);
  assert.equal(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(text, [
    "# HELP orders_total Orders.",
    "# TYPE orders_total counter",
    'orders_total{state="paid"} 2',
    'orders_total{state="failed"} 1',
    "# HELP wait_seconds How long.",
    "# TYPE wait_seconds histogram",
    "wait_seconds_count 1",
    "wait_seconds_sum 30",
    'wait_seconds_bucket{le="1"} 0',
    'wait_seconds_bucket{le="60"} 1',
    'wait_seconds_bucket{le="+Inf"} 1',
    "",
  ].join("\n"));
});

test("an agent without any series yet shows an empty page", async (t) => {
  const { port } = await serve(t, createMetrics());
  const { status, text } = await ask(port);
  assert.deepEqual([status, text], [200, ""]);
});

test("a removed series is gone at the next scrape", async (t) => {
  const metrics = createMetrics();
  const family = metrics.gauge({ name: "depth", help: "Depth.", labels: ["queue"] });
  family.series("a").set(1);
  const { port } = await serve(t, metrics);
  assert.match((await ask(port)).text, /depth\{queue="a"\} 1/);
  family.remove("a");
  assert.equal((await ask(port)).text, "");
});

test("only GET and HEAD are answered, and HEAD has no body", async (t) => {
  const { port } = await serve(t, hostileMetrics());
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    const { status, headers } = await ask(port, "/metrics", method);
    assert.deepEqual([method, status, headers.allow], [method, 405, "GET, HEAD"]);
  }
  const head = await ask(port, "/metrics", "HEAD");
  assert.deepEqual([head.status, head.bytes.length], [200, 0]);
  assert.equal((await ask(port, "/")).status, 404);
});

test("the page is compressed for those who accept it", async (t) => {
  const { port } = await serve(t, hostileMetrics());
  const { text } = await ask(port);
  for (const accept of ["gzip", "deflate, GZIP;q=0.5", "*"]) {
    const { headers, bytes } = await ask(port, "/metrics", "GET", { "accept-encoding": accept });
    assert.equal(headers["content-encoding"], "gzip", accept);
    assert.equal(gunzipSync(bytes).toString(), text);
  }
  for (const refuse of ["identity", "gzip;q=0, *", "br"]) {
    const { headers } = await ask(port, "/metrics", "GET", { "accept-encoding": refuse });
    assert.equal(headers["content-encoding"], undefined, refuse);
  }
});

test("what cannot be collected is 500 and reported, never an empty 200; it heals", async (t) => {
  const metrics = hostileMetrics();
  const real = createProducer(metrics, { version: "1" });
  let fail = true;
  const { port, recorded } = await serve(t, metrics, undefined, {
    collect: () => (fail ? Promise.reject(new Error("out of order")) : real.collect()),
  });
  const { status, text } = await ask(port);
  assert.equal(status, 500);
  assert.ok(!text.includes("out of order"));
  assert.deepEqual(recorded.reports, ["out of order"]);
  fail = false;
  assert.equal((await ask(port)).status, 200);
  assert.equal(recorded.healed, 1);
});

test("an observable that throws costs its own series only, and is reported", async (t) => {
  const metrics = createMetrics();
  metrics.counter({ name: "fine_total", help: "Fine.", labels: [] }).series().add(1);
  metrics.observable("gauge", { name: "broken", help: "", labels: [] }, () => {
    throw new Error("its source is gone");
  });
  const { port, recorded } = await serve(t, metrics);
  const { status, text } = await ask(port);
  assert.equal(status, 200);
  assert.match(text, /^fine_total 1$/m);
  assert.deepEqual(recorded.reports, ['the metric "broken" cannot be computed: its source is gone']);
});

test("many scrapes at once share two pages, and each sees what was counted before it asked", async (t) => {
  const metrics = createMetrics();
  const counter = metrics.counter({ name: "seen_total", help: "Seen.", labels: [] }).series();
  const real = createProducer(metrics, { version: "1" });
  const arrivals: string[] = [];
  const gate = Promise.withResolvers<void>();
  let collected = 0;
  const { port } = await serve(t, metrics, undefined, {
    async collect() {
      collected++;
      const result = await real.collect();
      await gate.promise;
      return result;
    },
  });
  const first = ask(port);
  await until("the first page to be begun", async () => (collected > 0 ? true : undefined));
  counter.add(1);
  const later = Array.from({ length: 50 }, () => ask(port).then(({ text }) => arrivals.push(text)));
  // All are connected and read before this one, which needs no page, is answered.
  await ask(port, "/metrics", "POST");
  gate.resolve();
  await Promise.all(later);
  assert.match((await first).text, /^seen_total 0$/m, "the first page was begun before");
  for (const text of arrivals) assert.match(text, /^seen_total 1$/m);
  assert.ok(collected < 25, `${collected} pages were made for 51 scrapes`);
});

test("two exporters on different addresses and paths both answer, and stopping leaves nothing open", async (t) => {
  const metrics = hostileMetrics();
  const { port, stop } = await serve(t, metrics, [
    { listen: "127.0.0.1:0", path: "/metrics" },
    { listen: "localhost:0", path: "/other" },
  ]);
  assert.equal((await ask(port)).status, 200);
  await stop();
  await stop();
  await assert.rejects(ask(port), /ECONNREFUSED/);
});

test("stopping an exporter that never started is harmless", async () => {
  const listeners = createListeners({ clock: realClock, log: silentLog });
  const { context } = exporterContext({ clock: realClock, listeners });
  await prometheus.create({ listen: "127.0.0.1:0", path: "/metrics" }, context).stop?.();
});

test("a page longer than one slice has its headers once and every series", async (t) => {
  const metrics = createMetrics();
  const counter = metrics.counter({ name: "many_total", help: "Many.", labels: ["i"], seriesMax: 5_000 });
  const wait = metrics.histogram({ name: "wait_seconds", help: "Wait.", labels: ["i"], buckets: [1, 2, 3], seriesMax: 5_000 });
  for (let i = 0; i < 2_500; i++) {
    counter.series(`${i}`).add(i);
    wait.series(`${i}`).observe(i);
  }
  const { port } = await serve(t, metrics);
  const lines = (await ask(port)).text.split("\n");
  assert.equal(lines.filter((line) => line.startsWith("#")).length, 4);
  assert.equal(new Set(lines).size, lines.length);
  assert.equal(lines.length, 2 * 2 + 2_500 + 2_500 * 6 + 1);
});

test("promtool accepts the page, whatever the labels hold", async (t) => {
  const promtool = program(t, "promtool");
  if (promtool === undefined) return;
  const metrics = hostileMetrics();
  const { port } = await serve(t, metrics);
  const { text } = await ask(port);
  // Its only remark is about the family whose help is empty on purpose.
  assert.equal(promtoolCheck(promtool, text.replace("description missing", "Level.")), "");
  assert.match(promtoolCheck(promtool, `${text}${text}`), /exit 1/, "the check can fail");
});

test("a real Prometheus scrapes the page without an error and has every series", async (t) => {
  const binary = program(t, "prometheus");
  if (binary === undefined) return;
  const metrics = hostileMetrics();
  const { port } = await serve(t, metrics);
  await using server = await startPrometheus(binary, `127.0.0.1:${port}`);
  const target = await until("a first scrape", async () => (await server.targets()).find(({ health }) => health !== "unknown"));
  assert.deepEqual([target.health, target.lastError], ["up", ""]);
  const found = await until("the counter", async () => {
    const results = await server.query("hostile_total");
    return results.length > 0 ? results : undefined;
  });
  const exposed = [...metrics.read().find(({ name }) => name === "hostile_total")!.series];
  // For Prometheus an empty label is an absent one.
  const label = (metric: object, name: string): string => new Map<string, string>(Object.entries(metric)).get(name) ?? "";
  assert.deepEqual(
    found.map(({ metric }) => JSON.stringify([label(metric, "v"), label(metric, "constructor")])).sort(),
    exposed.map(({ labels }) => JSON.stringify(labels)).sort(),
  );
  const [buckets] = await server.query('wait_seconds_bucket{v="plain", le="1"}');
  assert.equal(buckets?.value[1], "1");
});
