import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { otlp } from "../../exporters/otlp.ts";
import { requestsOf } from "../../exporters/otlp/traces.ts";
import { createProducer } from "../../src/metrics/producer.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import { realClock } from "../../src/sdk/clock.ts";
import type { Exporter } from "../../src/sdk/component.ts";
import { ConfigError, PermanentError, RetryLaterError } from "../../src/sdk/errors.ts";
import { observation, type Observation } from "../../src/sdk/observation.ts";
import type { LifecycleChange } from "../../src/sdk/resource.ts";
import { traceId } from "../../src/sdk/trace_id.ts";
import { exporterContext, type Recorded } from "../support/context.ts";
import { startCollector, type Collector, type Span } from "../support/otlp_collector.ts";

type Config = Parameters<typeof otlp.create>[0];

const DEFAULTS = {
  encoding: "proto", compression: "gzip", headers: {}, interval: "60s", timeout: "5s", resource_attributes: {},
  metrics: { enabled: false }, traces: { enabled: true, root: "early" },
} as const;
const LABELS = { cluster: "eu-1" };
const AT = Date.UTC(2026, 0, 1, 12, 0, 0, 250);
const CAUSE = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
const signal = AbortSignal.timeout(20_000);

function started(t: TestContext, config: Partial<Config>): { exporter: Exporter; recorded: Recorded } {
  const producer = createProducer(createMetrics(), { version: "1.2.3", externalLabels: () => LABELS });
  const { context, recorded } = exporterContext({ clock: realClock, producer, externalLabels: LABELS });
  const exporter = otlp.create({ ...DEFAULTS, ...config }, context);
  t.after(() => exporter.stop?.());
  return { exporter, recorded };
}

function told(change: Partial<LifecycleChange>, id = "o1"): Observation {
  const traceparent = `00-${CAUSE.traceId}-${CAUSE.spanId}-01`;
  return { ...observation(null, { time: AT, source: "webhook", traceparent }), lifecycle: { type: "order", id, left: undefined, ended: undefined, began: undefined, ...change } };
}

const left = (id = "o1", state = "paid", incarnation = 1): Observation =>
  told({ left: { incarnation, state, since: AT - 1_500, at: AT, to: "shipped" } }, id);

const spansOf = (collector: Collector): Span[] => collector.received.flatMap(({ traces }) => [...traces.spans]);

for (const encoding of ["proto", "json"] as const) {
  test(`a receiver understands a life as ${encoding}: ids, times to the millisecond, links and attributes`, async (t) => {
    await using collector = await startCollector();
    const { exporter } = started(t, { endpoint: collector.url, encoding, headers: { "api-key": "s3cret" }, resource_attributes: { team: "shop" } });
    await exporter.export!([told({ began: { incarnation: 2, at: AT - 1_500, state: "paid" } }), left("o1", "paid", 2)], signal);
    const [{ method, path, headers, traces }] = collector.received as [Collector["received"][number]];
    assert.deepEqual([method, path, headers["api-key"]], ["POST", "/v1/traces", "s3cret"]);
    assert.equal(headers["content-type"], encoding === "proto" ? "application/x-protobuf" : "application/json");
    assert.deepEqual(traces.resource, { cluster: "eu-1", team: "shop", "service.name": "sojourn", "service.version": "1.2.3" });
    assert.equal(traces.scope, "sojourn");
    const [root, paid] = traces.spans;
    const trace = traceId(LABELS, "order", "o1", 2);
    const about = { "sojourn.resource.type": "order", "sojourn.resource.id": "o1", "sojourn.resource.incarnation": 2, "sojourn.state": "paid" };
    const ns = (ms: number): bigint => BigInt(ms) * 1_000_000n;
    assert.deepEqual(paid, {
      traceId: trace, spanId: paid!.spanId, parentSpanId: root!.spanId, name: "paid", kind: 1,
      startNs: ns(AT - 1_500), endNs: ns(AT), attributes: { ...about, "sojourn.next_state": "shipped" }, links: [CAUSE],
    });
    assert.match(paid!.spanId, /^[0-9a-f]{16}$/);
    const before = traceId(LABELS, "order", "o1", 1);
    assert.deepEqual(root, {
      traceId: trace, spanId: root!.spanId, parentSpanId: "", name: "created", kind: 1,
      startNs: ns(AT - 1_500), endNs: ns(AT - 1_500), attributes: about, links: [CAUSE, { traceId: before, spanId: root!.links[1]!.spanId }],
    });
  });
}

test("traces go to endpoint/v1/traces, or to traces_endpoint as it is; without either, or switched off, there are none", async (t) => {
  await using collector = await startCollector();
  for (const [config, path] of [
    [{ endpoint: `${collector.url}/api/otlp/?k=v` }, "/api/otlp/v1/traces?k=v"],
    [{ traces_endpoint: `${collector.url}/in/traces?k=v`, endpoint: "http://127.0.0.1:1" }, "/in/traces?k=v"],
  ] as const) {
    const { exporter } = started(t, config);
    await exporter.export!([left()], signal);
    assert.equal(collector.received.at(-1)?.path, path);
  }
  for (const config of [
    { metrics_endpoint: collector.url, metrics: { enabled: true } },
    { endpoint: collector.url, metrics: { enabled: true }, traces: { enabled: false, root: "early" } },
  ] as const) {
    const { exporter } = started(t, config);
    assert.deepEqual([exporter.export, exporter.takesLifecycles, exporter.renderSpans], [undefined, undefined, undefined]);
  }
});

test("metrics can be switched off, and what sends nothing at all is refused", async (t) => {
  await using collector = await startCollector();
  const { exporter } = started(t, { endpoint: collector.url });
  await exporter.start?.();
  await exporter.stop?.();
  assert.deepEqual(collector.received, []);
  const { context } = exporterContext({ clock: realClock });
  for (const nothing of [
    { endpoint: "http://x", traces: { enabled: false, root: "early" } }, { metrics_endpoint: "http://x" }, { traces_endpoint: "http://" },
  ] as const) assert.throws(() => otlp.create({ ...DEFAULTS, ...nothing }, context), ConfigError);
});

test("root final sends the root at the end, and nothing at first sight", async (t) => {
  await using collector = await startCollector();
  const { exporter } = started(t, { endpoint: collector.url, traces: { enabled: true, root: "final" } });
  await exporter.export!([told({ began: { incarnation: 1, at: AT, state: "new" } })], signal);
  assert.equal(collector.received.length, 0);
  await exporter.export!([told({ ended: { incarnation: 1, began: AT - 60_000, at: AT, state: "shipped", deleted: false, estimated: false } })], signal);
  assert.deepEqual(spansOf(collector).map(({ name, startNs, endNs }) => [name, endNs - startNs]), [["order", 60_000_000_000n]]);
});

test("observations that tell of no life make no request, and what is rendered is what is sent", async (t) => {
  await using collector = await startCollector();
  const { exporter } = started(t, { endpoint: collector.url });
  const batch = [observation({ id: 1 }, { time: AT, source: "webhook" }), left("a"), left("b", "new")];
  await exporter.export!(batch.slice(0, 1), signal);
  assert.equal(collector.received.length, 0);
  await exporter.export!(batch, signal);
  assert.deepEqual(exporter.renderSpans!(batch).map(({ spanId }) => spanId), spansOf(collector).map(({ spanId }) => spanId));
});

test("the same batch sent again has the same ids", async (t) => {
  await using collector = await startCollector();
  for (let i = 0; i < 2; i++) await started(t, { endpoint: collector.url }).exporter.export!([left()], signal);
  const [first, second] = spansOf(collector);
  assert.deepEqual(first, second);
});

test("what the specification calls retryable is tried again, anything else is not", async (t) => {
  await using collector = await startCollector();
  const { exporter } = started(t, { endpoint: collector.url });
  for (const status of [429, 502, 503, 504]) {
    collector.answer = { status };
    await assert.rejects(exporter.export!([left()], signal), (error) => !(error instanceof PermanentError), String(status));
  }
  for (const status of [301, 400, 401, 404, 408, 413, 425, 500, 501]) {
    collector.answer = { status };
    await assert.rejects(exporter.export!([left()], signal), PermanentError, String(status));
  }
  collector.answer = { status: 503, headers: { "retry-after": "7" } };
  await assert.rejects(exporter.export!([left()], signal), (error) => error instanceof RetryLaterError && error.retryAfterMs === 7_000);
});

test("spans that the receiver refused of a request that it took are reported without secrets, and not sent again", async (t) => {
  await using collector = await startCollector();
  // ExportTraceServiceResponse { partial_success: { rejected_spans: 2, error_message: "bad s3cret" } }
  const proto = Buffer.concat([Buffer.from([0x0a, 14, 0x08, 2, 0x12, 10]), Buffer.from("bad s3cret")]);
  const json = JSON.stringify({ partialSuccess: { rejectedSpans: "2", errorMessage: "bad s3cret" } });
  for (const [encoding, body] of [["proto", proto], ["json", json]] as const) {
    collector.answer = { status: 200, body };
    const { exporter, recorded } = started(t, { endpoint: collector.url, encoding, headers: { "api-key": "s3cret" } });
    await exporter.export!([left()], signal);
    assert.match(recorded.reports.join(), /refused 2 spans: bad REDACTED$/, encoding);
  }
});

test("a large batch is several requests; one that is refused keeps no other from being sent", async (t) => {
  await using collector = await startCollector();
  const { exporter } = started(t, { endpoint: collector.url });
  const batch = Array.from({ length: 1_000 }, (_, i) => left(`${i}`.padStart(1_000, "漢")));
  collector.answer = { status: 400 };
  await assert.rejects(exporter.export!(batch, signal), PermanentError);
  assert.ok(collector.received.length > 1);
  assert.equal(new Set(spansOf(collector).map(({ spanId }) => spanId)).size, 1_000);
});

test("a batch that is tried again goes on where it was not taken", async (t) => {
  await using collector = await startCollector();
  const { exporter } = started(t, { endpoint: collector.url });
  const batch = Array.from({ length: 1_000 }, (_, i) => left(`${i}`.padStart(1_000, "x")));
  const parts = [...requestsOf(exporter.renderSpans!(batch))].length;
  assert.ok(parts > 2);
  let asked = 0;
  Object.defineProperty(collector, "answer", { get: () => ({ status: asked++ === 1 ? 503 : 200 }) });
  await assert.rejects(exporter.export!(batch, signal), /503/);
  assert.equal(collector.received.length, 2);
  await exporter.export!(batch, signal);
  assert.equal(collector.received.length, parts + 1, "only the request that was refused is sent twice");
});

test("an attempt ends when the pipeline gives it up, and after the exporter has stopped", async (t) => {
  await using collector = await startCollector();
  collector.answer = undefined;
  const { exporter } = started(t, { endpoint: collector.url });
  await assert.rejects(exporter.export!([left()], AbortSignal.timeout(20)));
  const waiting = exporter.export!([left()], signal);
  waiting.catch(() => {});
  await exporter.stop?.();
  await assert.rejects(waiting);
});

test("requests are bounded by what they hold, each span in one of them", () => {
  const { context } = exporterContext({ clock: realClock, externalLabels: {} });
  const { renderSpans } = otlp.create({ ...DEFAULTS, endpoint: "http://127.0.0.1:1" }, context);
  const all = renderSpans!([...Array(10).keys()].map((i) => left(`o${i}`, "s".repeat(i * 90))));
  const requests = [...requestsOf(all, 2_000)];
  assert.deepEqual(requests.flat(), all);
  assert.ok(requests.length > 2 && requests.every((request) => request.length === 1 || request.reduce((sum, { name }) => sum + name.length, 0) < 2_000));
  assert.deepEqual([...requestsOf([])], []);
});
