import { createServer, type IncomingHttpHeaders, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";

/** A data point, whichever way it came. */
export interface Point {
  readonly attributes: Readonly<Record<string, string>>;
  readonly startNs: bigint;
  readonly timeNs: bigint;
  readonly value?: number;
  readonly histogram?: { readonly count: number; readonly sum: number; readonly counts: readonly number[]; readonly bounds: readonly number[] };
}

export interface Metric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly kind: "gauge" | "sum" | "histogram";
  readonly cumulative: boolean;
  readonly monotonic: boolean;
  readonly points: readonly Point[];
}

/** A request for one resource and one scope, as ours are. */
export interface Export {
  readonly resource: Readonly<Record<string, string>>;
  readonly scope: string;
  readonly metrics: readonly Metric[];
}

/** A span, whichever way it came. Ids as hex digits. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentSpanId: string;
  readonly name: string;
  /** 1: internal. */
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
}

/** A request for spans, likewise. */
export interface SpanExport {
  readonly resource: Readonly<Record<string, string>>;
  readonly scope: string;
  readonly spans: readonly Span[];
}

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Of a request for metrics. */
  readonly content: Export;
  /** Of a request for traces: one to a path that ends in /traces. */
  readonly traces: SpanExport;
}

export interface Collector extends AsyncDisposable {
  readonly url: string;
  readonly received: Received[];
  /** What is answered from now on; `undefined` leaves the request without an answer. */
  answer: { status: number; headers?: Record<string, string>; body?: string | Uint8Array } | undefined;
}

/** A receiver of OTLP metrics and traces over HTTP that decodes both encodings without OpenTelemetry's code. */
export async function startCollector(tls?: { readonly key: Buffer; readonly cert: Buffer }): Promise<Collector> {
  const take: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      const plain = request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
      const isJson = request.headers["content-type"] === "application/json";
      const received = { method: request.method!, path: request.url!, headers: request.headers };
      if (/\/traces(?:\?|$)/.test(received.path)) {
        const traces = isJson ? spansFromJson(JSON.parse(plain.toString())) : spansFromProtobuf(plain);
        collector.received.push({ ...received, traces, content: { ...traces, metrics: [] } });
      } else {
        const content = isJson ? fromJson(JSON.parse(plain.toString())) : fromProtobuf(plain);
        collector.received.push({ ...received, content, traces: { ...content, spans: [] } });
      }
      const { answer } = collector;
      if (answer !== undefined) response.writeHead(answer.status, answer.headers).end(answer.body);
    });
  };
  const server = tls === undefined ? createServer(take) : createTlsServer(tls, take);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const collector: Collector = {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: [],
    answer: { status: 200 },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
  return collector;
}

// https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
interface JsonAttribute { key: string; value: { stringValue: string } }
interface JsonPoint {
  attributes: JsonAttribute[]; startTimeUnixNano: string; timeUnixNano: string;
  asDouble?: number; count?: number; sum?: number; bucketCounts?: number[]; explicitBounds?: number[];
}
interface JsonData { dataPoints: JsonPoint[]; aggregationTemporality?: number; isMonotonic?: boolean }
interface JsonMetric { name: string; description: string; unit: string; gauge?: JsonData; sum?: JsonData; histogram?: JsonData }
interface JsonRequest {
  resourceMetrics: [{ resource: { attributes: JsonAttribute[] }; scopeMetrics: [{ scope: { name: string }; metrics: JsonMetric[] }] }];
}

function fromJson({ resourceMetrics: [{ resource, scopeMetrics: [{ scope, metrics }] }] }: JsonRequest): Export {
  const record = (list: JsonAttribute[]): Record<string, string> => Object.fromEntries(list.map(({ key, value }) => [key, value.stringValue]));
  const point = (p: JsonPoint): Point => ({
    attributes: record(p.attributes),
    startNs: BigInt(p.startTimeUnixNano),
    timeNs: BigInt(p.timeUnixNano),
    ...(p.bucketCounts === undefined
      ? { value: p.asDouble! }
      : { histogram: { count: p.count!, sum: p.sum!, counts: p.bucketCounts, bounds: p.explicitBounds! } }),
  });
  const metric = (m: JsonMetric): Metric => {
    const kind = m.gauge !== undefined ? "gauge" : m.sum !== undefined ? "sum" : "histogram";
    const data = m[kind]!;
    return {
      name: m.name, description: m.description, unit: m.unit, kind,
      cumulative: data.aggregationTemporality === 2, monotonic: data.isMonotonic ?? false, points: data.dataPoints.map(point),
    };
  };
  return { resource: record(resource.attributes), scope: scope.name, metrics: metrics.map(metric) };
}

interface JsonValue { stringValue?: string; intValue?: number | string; boolValue?: boolean; doubleValue?: number }
interface JsonSpan {
  traceId: string; spanId: string; parentSpanId?: string; name: string; kind: number; startTimeUnixNano: string; endTimeUnixNano: string;
  attributes: { key: string; value: JsonValue }[]; links: { traceId: string; spanId: string }[];
}
interface JsonTraces {
  resourceSpans: [{ resource: { attributes: JsonAttribute[] }; scopeSpans: [{ scope: { name: string }; spans: JsonSpan[] }] }];
}

function spansFromJson({ resourceSpans: [{ resource, scopeSpans: [{ scope, spans }] }] }: JsonTraces): SpanExport {
  const value = ({ stringValue, intValue, boolValue, doubleValue }: JsonValue): string | number | boolean =>
    stringValue ?? boolValue ?? doubleValue ?? Number(intValue);
  return {
    resource: Object.fromEntries(resource.attributes.map((one) => [one.key, one.value.stringValue])),
    scope: scope.name,
    spans: spans.map((one) => ({
      traceId: one.traceId, spanId: one.spanId, parentSpanId: one.parentSpanId ?? "", name: one.name, kind: one.kind,
      startNs: BigInt(one.startTimeUnixNano), endNs: BigInt(one.endTimeUnixNano),
      attributes: Object.fromEntries(one.attributes.map((pair) => [pair.key, value(pair.value)])),
      links: one.links.map(({ traceId, spanId }) => ({ traceId, spanId })),
    })),
  };
}

/** The fields of a protobuf message by number: varints and fixed numbers as bigint, the rest as bytes. */
function fieldsOf(bytes: Uint8Array): Map<number, (bigint | Uint8Array)[]> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields = new Map<number, (bigint | Uint8Array)[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = view.getUint8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const skip = (length: number): number => {
    if (at + length > bytes.length) throw new RangeError("the message ends early");
    return (at += length) - length;
  };
  const read = (wire: number): bigint | Uint8Array => {
    if (wire === 0) return varint();
    if (wire === 1) return view.getBigUint64(skip(8), true);
    if (wire === 5) return BigInt(view.getUint32(skip(4), true));
    if (wire !== 2) throw new Error(`wire type ${wire} occurs nowhere in OTLP`);
    const length = Number(varint());
    const from = skip(length);
    return bytes.subarray(from, from + length);
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const list = fields.get(tag >> 3) ?? [];
    fields.set(tag >> 3, list);
    list.push(read(tag & 7));
  }
  return fields;
}

class Message {
  private readonly fields: Map<number, (bigint | Uint8Array)[]>;
  constructor(bytes: Uint8Array) {
    this.fields = fieldsOf(bytes);
  }
  messages(field: number): Message[] {
    return (this.fields.get(field) ?? []).map((bytes) => new Message(bytes as Uint8Array));
  }
  has(field: number): boolean {
    return this.fields.has(field);
  }
  hex(field: number): string {
    return Buffer.from((this.fields.get(field)?.[0] as Uint8Array | undefined) ?? []).toString("hex");
  }
  text(field: number): string {
    return Buffer.from((this.fields.get(field)?.[0] as Uint8Array | undefined) ?? []).toString();
  }
  integer(field: number): bigint {
    return (this.fields.get(field)?.[0] as bigint | undefined) ?? 0n;
  }
  double(field: number): number {
    return new Float64Array(BigUint64Array.of(this.integer(field)).buffer)[0]!;
  }
  /** A packed field of 8-byte numbers. */
  packed(field: number, read: (view: DataView, at: number) => number): number[] {
    const bytes = (this.fields.get(field)?.[0] as Uint8Array | undefined) ?? new Uint8Array();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: bytes.length / 8 }, (_, i) => read(view, i * 8));
  }
}

// Field numbers: https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/metrics/v1/metrics.proto
function fromProtobuf(bytes: Uint8Array): Export {
  const [resourceMetrics] = new Message(bytes).messages(1);
  const [scopeMetrics] = resourceMetrics!.messages(2);
  const record = (list: Message[]): Record<string, string> =>
    Object.fromEntries(list.map((pair) => [pair.text(1), pair.messages(2)[0]!.text(1)]));
  const number = (p: Message): Point => ({
    attributes: record(p.messages(7)), startNs: p.integer(2), timeNs: p.integer(3), value: p.double(4),
  });
  const histogram = (p: Message): Point => ({
    attributes: record(p.messages(9)),
    startNs: p.integer(2),
    timeNs: p.integer(3),
    histogram: {
      count: Number(p.integer(4)),
      sum: p.double(5),
      counts: p.packed(6, (view, at) => Number(view.getBigUint64(at, true))),
      bounds: p.packed(7, (view, at) => view.getFloat64(at, true)),
    },
  });
  const metric = (m: Message): Metric => {
    const [kind, field] = m.messages(5).length > 0 ? (["gauge", 5] as const) : m.messages(7).length > 0 ? (["sum", 7] as const) : (["histogram", 9] as const);
    const data = m.messages(field)[0]!;
    return {
      name: m.text(1), description: m.text(2), unit: m.text(3), kind,
      cumulative: kind !== "gauge" && data.integer(2) === 2n, monotonic: kind === "sum" && data.integer(3) === 1n,
      points: data.messages(1).map(kind === "histogram" ? histogram : number),
    };
  };
  return {
    resource: record(resourceMetrics!.messages(1)[0]!.messages(1)),
    scope: scopeMetrics!.messages(1)[0]!.text(1),
    metrics: scopeMetrics!.messages(2).map(metric),
  };
}

// https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
function spansFromProtobuf(bytes: Uint8Array): SpanExport {
  const [resourceSpans] = new Message(bytes).messages(1);
  const [scopeSpans] = resourceSpans!.messages(2);
  const value = (any: Message): string | number | boolean =>
    any.has(1) ? any.text(1) : any.has(2) ? any.integer(2) === 1n : any.has(3) ? Number(any.integer(3)) : any.double(4);
  const record = (list: Message[]): Record<string, string | number | boolean> =>
    Object.fromEntries(list.map((pair) => [pair.text(1), value(pair.messages(2)[0]!)]));
  return {
    resource: record(resourceSpans!.messages(1)[0]!.messages(1)) as Record<string, string>,
    scope: scopeSpans!.messages(1)[0]!.text(1),
    spans: scopeSpans!.messages(2).map((one) => ({
      traceId: one.hex(1), spanId: one.hex(2), parentSpanId: one.hex(4), name: one.text(5), kind: Number(one.integer(6)),
      startNs: one.integer(7), endNs: one.integer(8), attributes: record(one.messages(9)),
      links: one.messages(13).map((link) => ({ traceId: link.hex(1), spanId: link.hex(2) })),
    })),
  };
}
