import type { HrTime } from "@opentelemetry/api";
import type { MetricProducer } from "@opentelemetry/sdk-metrics";
import type { ExporterContext } from "../../src/sdk/component.ts";
import { PermanentError } from "../../src/sdk/errors.ts";
import { refusal, type HttpResponse } from "../../src/sdk/http.ts";
import type { Batch } from "../../src/sdk/observation.ts";
import type { LifecycleSpan } from "../../src/sdk/span.ts";
import { createPost, isTaken, type Target } from "./post.ts";
import { loadTracesSerializer, type ReadableSpan, type Serializer } from "./serializer.ts";

/** Characters of names and values in one request: at three bytes each and with all else, below the 4 MiB that receivers take. */
const REQUEST_CHARS_MAX = 500_000;
/** What a span costs beside its own names and values. */
const SPAN_CHARS = 300;
const SAMPLED = 1;
const UNSET = 0;
const INTERNAL = 0;

/** https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes: anything else must not be sent again. */
const RETRYABLE = new Set([429, 502, 503, 504]);

export interface TracesOptions {
  readonly encoding: "proto" | "json";
  readonly resourceAttributes: Readonly<Record<string, string>>;
  readonly spansOf: (batch: Batch) => readonly LifecycleSpan[];
}

/**
 * Sends the spans of batches: one attempt each, in requests of a bounded size. A batch that is tried again goes on with the
 * first request that was not taken. What a receiver refused of a request that it took is reported, and not sent again.
 */
export function createTraces(target: Target, options: TracesOptions, context: ExporterContext): (batch: Batch, signal: AbortSignal) => Promise<void> {
  const post = createPost<ReadableSpan[]>(target);
  let serializer: Serializer<ReadableSpan[]> | undefined;
  let source: Source | undefined;
  let unfinished: { readonly batch: Batch; readonly taken: number } | undefined;

  return async (batch, signal) => {
    const spans = options.spansOf(batch);
    if (spans.length === 0) return;
    const encoder = (serializer ??= await loadTracesSerializer(options.encoding));
    const from = (source ??= await sourceOf(context.producer as MetricProducer, options.resourceAttributes));
    const requests = [...requestsOf(spans)];
    let refused: PermanentError | undefined;
    for (let i = unfinished?.batch === batch ? unfinished.taken : 0; i < requests.length; i++) {
      try {
        const answer = await post(requests[i]!.map((one) => readable(one, from)), encoder, signal);
        if (!isTaken(answer.response)) throw refusalOf(answer.response);
        if (answer.refused !== undefined) context.report(new Error(answer.refused));
      } catch (error) {
        // What one request holds may be refused each time: the others must not be lost with it.
        if (!(error instanceof PermanentError)) throw error;
        refused ??= error;
      }
      unfinished = { batch, taken: i + 1 };
    }
    unfinished = undefined;
    if (refused !== undefined) throw refused;
  };
}

function refusalOf(response: HttpResponse): Error {
  const error = refusal(response);
  return RETRYABLE.has(response.status) || error instanceof PermanentError ? error : new PermanentError(error.message);
}

/** Cuts spans into requests of a bounded size. */
export function* requestsOf(spans: readonly LifecycleSpan[], charsMax = REQUEST_CHARS_MAX): Generator<LifecycleSpan[]> {
  let request: LifecycleSpan[] = [];
  let chars = 0;
  for (const one of spans) {
    const own = SPAN_CHARS + one.name.length + Object.values(one.attributes).reduce<number>((sum, value) => sum + String(value).length, 0);
    if (request.length > 0 && chars + own > charsMax) {
      yield request;
      request = [];
      chars = 0;
    }
    request.push(one);
    chars += own;
  }
  if (request.length > 0) yield request;
}

/** Who says it: the same resource as that of our metrics. */
type Source = Pick<ReadableSpan, "resource" | "instrumentationScope">;

async function sourceOf(producer: MetricProducer, attributes: Readonly<Record<string, string>>): Promise<Source> {
  const [{ resourceMetrics }, { resourceFromAttributes }] = await Promise.all([producer.collect(), import("@opentelemetry/resources")]);
  const instrumentationScope = resourceMetrics.scopeMetrics[0]?.scope ?? { name: "sojourn" };
  return { resource: resourceMetrics.resource.merge(resourceFromAttributes(attributes)), instrumentationScope };
}

function readable(span: LifecycleSpan, source: Source): ReadableSpan {
  const { traceId, spanId, parentSpanId, links } = span;
  const context = { traceId, spanId, traceFlags: SAMPLED };
  return {
    ...source,
    name: span.name,
    kind: INTERNAL,
    spanContext: () => context,
    ...(parentSpanId === undefined ? {} : { parentSpanContext: { traceId, spanId: parentSpanId, traceFlags: SAMPLED } }),
    startTime: hrTime(span.startMs),
    endTime: hrTime(span.endMs),
    duration: hrTime(span.endMs - span.startMs),
    ended: true,
    status: { code: UNSET },
    attributes: span.attributes,
    links: links.map((link) => ({ context: { ...link, traceFlags: SAMPLED, isRemote: true } })),
    events: [],
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
}
