import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { otlp } from "../../exporters/otlp.ts";
import { createProducer } from "../../src/metrics/producer.ts";
import { createMetrics, type MetricStore } from "../../src/metrics/store.ts";
import { realClock } from "../../src/sdk/clock.ts";
import type { Exporter } from "../../src/sdk/component.ts";
import { ConfigError } from "../../src/sdk/errors.ts";
import { virtualClock, type VirtualClock } from "../../src/sdk/virtual_clock.ts";
import { exporterContext, type Recorded } from "../support/context.ts";
import { selfSigned } from "../support/http_server.ts";
import { startCollector, type Collector, type Export } from "../support/otlp_collector.ts";
import { until } from "../support/prometheus.ts";

type Config = Parameters<typeof otlp.create>[0];

const DEFAULTS = { encoding: "proto", compression: "gzip", headers: {}, interval: "60s", timeout: "5s", resource_attributes: {},
  metrics: { enabled: true }, traces: { enabled: true, root: "early" } } as const;

function sample(clock: VirtualClock): MetricStore {
  const metrics = createMetrics(clock);
  metrics.counter({ name: "orders_total", help: "Orders.", labels: ["state"] }).series('pa"id\n漢').add(2.5);
  metrics.gauge({ name: "level", help: "Level.", labels: [] }).series().set(-7);
  const wait = metrics.histogram({ name: "wait_seconds", help: "How long.", labels: ["q"], buckets: [1, 60.5] }).series("a");
  for (const value of [0.5, 2, 3, 100]) wait.observe(value);
  return metrics;
}

interface Bench {
  readonly clock: VirtualClock;
  readonly metrics: MetricStore;
  readonly exporter: Exporter;
  readonly recorded: Recorded;
}

async function started(t: TestContext, collector: Collector, config: Partial<Config> = {}): Promise<Bench> {
  const clock = virtualClock();
  const metrics = sample(clock);
  const producer = createProducer(metrics, { version: "1.2.3", externalLabels: () => ({ cluster: "eu-1" }), clock });
  const { context, recorded } = exporterContext({ clock, metrics, producer, id: "otlp" });
  const exporter = otlp.create({ ...DEFAULTS, endpoint: collector.url, ...config }, context);
  t.after(() => exporter.stop?.());
  await exporter.start?.();
  return { clock, metrics, exporter, recorded };
}

const arrivals = (collector: Collector, n: number): Promise<true> =>
  until(`${n} requests`, async () => (collector.received.length >= n ? true : undefined), 5);

const reported = (recorded: Recorded, n: number): Promise<true> =>
  until(`${n} reports`, async () => (recorded.reports.length >= n ? true : undefined), 5);

/** What the sample looks like to a receiver. */
function wanted(startMs: number, timeMs: number): Export {
  const times = { startNs: BigInt(startMs) * 1_000_000n, timeNs: BigInt(timeMs) * 1_000_000n };
  return {
    resource: { cluster: "eu-1", "service.name": "sojourn", "service.version": "1.2.3", "deployment.environment": "test" },
    scope: "sojourn",
    metrics: [
      { name: "orders_total", description: "Orders.", unit: "", kind: "sum", cumulative: true, monotonic: true,
        points: [{ attributes: { state: 'pa"id\n漢' }, ...times, value: 2.5 }] },
      { name: "level", description: "Level.", unit: "", kind: "gauge", cumulative: false, monotonic: false,
        points: [{ attributes: {}, ...times, value: -7 }] },
      { name: "wait_seconds", description: "How long.", unit: "", kind: "histogram", cumulative: true, monotonic: false,
        points: [{ attributes: { q: "a" }, ...times, histogram: { count: 4, sum: 105.5, counts: [1, 2, 1], bounds: [1, 60.5] } }] },
    ],
  };
}

for (const encoding of ["proto", "json"] as const) {
  for (const compression of ["gzip", "none"] as const) {
    test(`a receiver understands every metric as ${encoding} with compression ${compression}`, async (t) => {
      await using collector = await startCollector();
      const headers = { "Api-Key": "s3cret", "content-type": "text/evil" };
      const { clock } = await started(t, collector, { encoding, compression, headers, resource_attributes: { "deployment.environment": "test" } });
      const startMs = clock.now();
      await clock.advance(60_000);
      await arrivals(collector, 1);
      const [{ method, path, headers: got, content }] = collector.received as [Collector["received"][number]];
      assert.deepEqual([method, path], ["POST", "/v1/metrics"]);
      assert.equal(got["content-type"], encoding === "proto" ? "application/x-protobuf" : "application/json");
      assert.equal(got["content-encoding"], compression === "gzip" ? "gzip" : undefined);
      assert.equal(got["api-key"], "s3cret");
      assert.deepEqual(content, wanted(startMs, startMs + 60_000));
    });
  }
}

test("endpoint is a base URL, metrics_endpoint is taken as it is and goes first", async (t) => {
  await using collector = await startCollector();
  for (const [config, path] of [
    [{ endpoint: `${collector.url}/` }, "/v1/metrics"],
    [{ endpoint: `${collector.url}/api/otlp` }, "/api/otlp/v1/metrics"],
    [{ endpoint: `${collector.url}/api/otlp/?k=v` }, "/api/otlp/v1/metrics?k=v"],
    [{ metrics_endpoint: `${collector.url}/in?k=v`, endpoint: "http://127.0.0.1:1" }, "/in?k=v"],
  ] as const) {
    const { exporter } = await started(t, collector, config);
    await exporter.stop?.();
    assert.equal(collector.received.at(-1)?.path, path);
  }
});

test("a configuration that cannot work is refused before anything is sent", () => {
  const { context } = exporterContext({ clock: realClock });
  for (const wrong of [{}, { endpoint: "http://" }, { endpoint: "http://x", interval: "0s" }, { endpoint: "http://x", timeout: "0" }]) {
    assert.throws(() => otlp.create({ ...DEFAULTS, ...wrong }, context), ConfigError);
  }
});

test("an export is sent each interval by the agent's clock, and none before", async (t) => {
  await using collector = await startCollector();
  const { clock, metrics } = await started(t, collector, { interval: "30s" });
  const startMs = clock.now();
  await clock.advance(29_999);
  assert.equal(collector.received.length, 0);
  await clock.advance(1);
  await arrivals(collector, 1);
  metrics.counter({ name: "orders_total", help: "Orders.", labels: ["state"] }).series("new").add(1);
  // In small steps: the first is still under way, and has its limit by the same clock.
  await until("a second request", async () => {
    await clock.advance(1_000);
    return collector.received.length > 1 ? true : undefined;
  });
  assert.ok(clock.now() >= startMs + 60_000);
  assert.equal(collector.received[1]!.content.metrics.find(({ name }) => name === "orders_total")?.points.length, 2);
});

test("a failed export is reported without any secret, the next one says it all, and that it healed", async (t) => {
  await using collector = await startCollector();
  const config = { headers: { authorization: "Bearer s3cret" }, metrics_endpoint: collector.url.replace("://", "://user:passw0rd@") + "/?token=t0ken" };
  const { clock, recorded } = await started(t, collector, config);
  collector.answer = { status: 401, body: "your s3cret is wrong" };
  await clock.advance(60_000);
  await reported(recorded, 1);
  assert.match(recorded.reports[0]!, /answered 401 Unauthorized/);
  for (const secret of ["s3cret", "passw0rd", "t0ken"]) assert.ok(!recorded.reports[0]!.includes(secret), secret);
  collector.answer = { status: 200 };
  await until("the next to be armed", async () => (clock.pending > 0 ? true : undefined));
  await clock.advance(60_000);
  await until("that it healed", async () => (recorded.healed > 0 ? true : undefined));
  assert.equal(recorded.reports.length, 1);
});

test("Retry-After puts the next export off", async (t) => {
  await using collector = await startCollector();
  const { clock, recorded } = await started(t, collector);
  collector.answer = { status: 503, headers: { "retry-after": "300" } };
  await clock.advance(60_000);
  await reported(recorded, 1);
  await until("the next to be armed", async () => (clock.pending > 0 ? true : undefined));
  await clock.advance(299_000);
  assert.equal(collector.received.length, 1);
  await clock.advance(1_000);
  await arrivals(collector, 2);
});

test("points that the receiver refused are reported, in either encoding", async (t) => {
  await using collector = await startCollector();
  // ExportMetricsServiceResponse { partial_success: { rejected_data_points: 3, error_message: "too old" } }
  const proto = Buffer.concat([Buffer.from([0x0a, 11, 0x08, 3, 0x12, 7]), Buffer.from("too old")]);
  const json = JSON.stringify({ partialSuccess: { rejectedDataPoints: "3", errorMessage: "too old" } });
  for (const [encoding, body] of [["proto", proto], ["json", json]] as const) {
    const { exporter, recorded } = await started(t, collector, { encoding });
    collector.answer = { status: 200, body };
    await exporter.stop?.();
    assert.match(recorded.reports.join(), /refused 3 data points: too old/, encoding);
  }
});

test("what a receiver says of the points that it refused shows no secret, even when it repeats one", async (t) => {
  await using collector = await startCollector();
  const errorMessage = "bad key k3y-of-ours, tried s3cret, passw0rd and t0ken; tenant 7";
  collector.answer = { status: 200, body: JSON.stringify({ partialSuccess: { rejectedDataPoints: 1, errorMessage } }) };
  const { exporter, recorded } = await started(t, collector, {
    encoding: "json",
    headers: { "api-key": "k3y-of-ours", authorization: "Bearer s3cret", "x-tenant": "7" },
    metrics_endpoint: collector.url.replace("://", "://user:passw0rd@") + "/?token=t0ken",
  });
  await exporter.stop?.();
  assert.match(recorded.reports.join(), /refused 1 data points: bad key REDACTED, tried REDACTED, REDACTED and REDACTED; tenant 7/);
});

test("a request of which points are refused keeps no other from being sent", async (t) => {
  await using collector = await startCollector();
  collector.answer = { status: 200, body: JSON.stringify({ partialSuccess: { rejectedDataPoints: 1, errorMessage: "too old" } }) };
  const { exporter, metrics, recorded } = await started(t, collector, { encoding: "json" });
  for (let j = 0; j < 12; j++) {
    const family = metrics.gauge({ name: `many_${j}`, help: "Many.", labels: ["i"] });
    for (let i = 0; i < 1_000; i++) family.series(`${i}`).set(i);
  }
  await exporter.stop?.();
  assert.equal(collector.received.length, 3);
  assert.equal(recorded.reports.length, 1);
});

test("an answer that nobody can read is as good as none", async (t) => {
  await using collector = await startCollector();
  for (const encoding of ["proto", "json"] as const) {
    for (const body of ["null", "{", "<html>", '{"partialSuccess":null}', Buffer.from([0xff, 0xff, 0xff])]) {
      const { exporter, recorded } = await started(t, collector, { encoding });
      collector.answer = { status: 200, body };
      await exporter.stop?.();
      assert.deepEqual(recorded.reports, [], `${encoding} ${String(body)}`);
    }
  }
});

test("stopping sends what was counted last, once, and leaves nothing armed", async (t) => {
  await using collector = await startCollector();
  const { exporter, clock } = await started(t, collector);
  await Promise.all([exporter.stop?.(), exporter.stop?.()]);
  assert.equal(collector.received.length, 1);
  assert.equal(clock.pending, 0);
});

test("an export under way gives way to the last one when the exporter stops", async (t) => {
  await using collector = await startCollector();
  const { exporter, clock, recorded } = await started(t, collector);
  collector.answer = undefined;
  await clock.advance(60_000);
  await arrivals(collector, 1);
  collector.answer = { status: 200 };
  await exporter.stop?.();
  assert.equal(collector.received.length, 2);
  assert.deepEqual(recorded.reports, []);
});

test("a receiver that never answers holds up neither the next export nor the end longer than timeout", async (t) => {
  await using collector = await startCollector();
  collector.answer = undefined;
  const { exporter, clock, recorded } = await started(t, collector);
  await clock.advance(60_000);
  await arrivals(collector, 1);
  await clock.advance(5_000);
  await reported(recorded, 1);
  assert.match(recorded.reports[0]!, /timed out after 5000 ms/);
  const stopping = exporter.stop?.();
  await arrivals(collector, 2);
  await clock.advance(5_000);
  await stopping;
  assert.equal(recorded.reports.length, 2);
});

test("a receiver that is not there keeps the agent neither from starting nor from stopping", async (t) => {
  await using collector = await startCollector();
  const { exporter, recorded } = await started(t, collector, { endpoint: "http://127.0.0.1:1" });
  await exporter.stop?.();
  assert.match(recorded.reports.join(), /ECONNREFUSED/);
});

test("stopping before the start sends nothing", async () => {
  const { context } = exporterContext({ clock: realClock });
  const exporter = otlp.create({ ...DEFAULTS, endpoint: "http://127.0.0.1:1" }, context);
  await exporter.stop?.();
  await exporter.stop?.();
});

test("variables meant for OpenTelemetry's own exporters change nothing", async (t) => {
  await using collector = await startCollector();
  const variables = {
    OTEL_EXPORTER_OTLP_HEADERS: "x-other=secret-of-another-service", OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1",
    OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "delta", OTEL_RESOURCE_ATTRIBUTES: "a=b", OTEL_SERVICE_NAME: "other",
  };
  Object.assign(process.env, variables);
  t.after(() => Object.keys(variables).forEach((name) => delete process.env[name]));
  const { exporter } = await started(t, collector);
  await exporter.stop?.();
  const { headers, content } = collector.received[0]!;
  assert.equal(headers["x-other"], undefined);
  assert.deepEqual(content.resource, { cluster: "eu-1", "service.name": "sojourn", "service.version": "1.2.3" });
  assert.ok(content.metrics.every(({ kind, cumulative }) => kind === "gauge" || cumulative));
});

test("a receiver with a certificate of one's own is trusted by ca_file, and not without", async (t) => {
  const certificate = selfSigned();
  t.after(() => certificate.remove());
  await using collector = await startCollector(certificate);
  const strict = await started(t, collector);
  await strict.exporter.stop?.();
  assert.match(strict.recorded.reports.join(), /self.signed/i);
  const trusting = await started(t, collector, { tls: { ca_file: join(certificate.directory, "cert.pem"), insecure_skip_verify: false } });
  await trusting.exporter.stop?.();
  assert.deepEqual(trusting.recorded.reports, []);
  assert.equal(collector.received.length, 1);
});

test("values that JSON cannot carry are left out there, and there only", async (t) => {
  await using collector = await startCollector();
  for (const [encoding, values] of [["proto", [NaN, Infinity, 1]], ["json", [1]]] as const) {
    const { metrics, exporter } = await started(t, collector, { encoding });
    const family = metrics.gauge({ name: "odd", help: "", labels: ["v"] });
    for (const value of [NaN, Infinity, 1]) family.series(String(value)).set(value);
    await exporter.stop?.();
    const odd = collector.received.at(-1)!.content.metrics.find(({ name }) => name === "odd");
    assert.deepEqual(odd?.points.map(({ value }) => value), values);
  }
});
