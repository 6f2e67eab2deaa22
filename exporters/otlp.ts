import type { MetricProducer, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import { deadline, type Timer } from "../src/sdk/clock.ts";
import { defineExporter } from "../src/sdk/component.ts";
import { durationMs } from "../src/sdk/duration.ts";
import { ConfigError, PermanentError, RetryLaterError } from "../src/sdk/errors.ts";
import { createHttpClient, refusal } from "../src/sdk/http.ts";
import type { Batch } from "../src/sdk/observation.ts";
import { spansOf, type LifecycleSpan } from "../src/sdk/span.ts";
import { createPost, isTaken, type Target } from "./otlp/post.ts";
import { finiteOnly, requestsOf } from "./otlp/requests.ts";
import { otlpSchema } from "./otlp/schema.ts";
import { loadMetricsSerializer, type Serializer } from "./otlp/serializer.ts";
import { createTraces } from "./otlp/traces.ts";

/**
 * Sends all metrics to an OpenTelemetry receiver, over OTLP/HTTP, every `interval` and once more when it stops; and the lives
 * of resources as traces, a span for each state that was left.
 *
 * One attempt each time. Metrics that fail are not kept: sums are cumulative, so the next one that arrives says it all.
 * `Retry-After` puts the next one off. Spans wait in the pipeline's queue, which tries again; sent twice, they have one id.
 * https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
export const otlp = defineExporter({
  type: "otlp",
  summary: "Sends all metrics, and the lives of resources as traces, to an OpenTelemetry receiver by OTLP/HTTP.",
  stability: "beta",
  schema: otlpSchema,
  create(config, context) {
    const producer = context.producer as MetricProducer;
    const { clock } = context;
    const intervalMs = durationMs(config.interval);
    const timeoutMs = durationMs(config.timeout);
    if (intervalMs <= 0) throw new ConfigError("/interval", "must be longer than 0");
    if (timeoutMs <= 0) throw new ConfigError("/timeout", "must be longer than 0");
    const urls = targetsOf(config);
    const client = createHttpClient({ clock, tls: config.tls });
    const { headers, compression } = config;
    const to = (url: string): Target => ({ url, headers, compression, timeoutMs, client, clock });
    const postMetrics = urls.metrics === undefined ? undefined : createPost<ResourceMetrics>(to(urls.metrics));
    const renderSpans = (batch: Batch): readonly LifecycleSpan[] => batch.flatMap((one) => spansOf(one, context.externalLabels, config.traces.root));
    const stopping = new AbortController();
    let started: Serializer<ResourceMetrics> | undefined;
    let stopped: Promise<void> | undefined;
    let timer: Timer | undefined;
    let underWay: Promise<void> = Promise.resolve();
    let broken = false;

    /** Everything that can be computed; what cannot is reported and counts as a failure. */
    async function collect(): Promise<{ metrics: ResourceMetrics; failed: boolean }> {
      const { resourceMetrics, errors } = await producer.collect();
      for (const error of errors) context.report(error);
      const { resourceFromAttributes } = await import("@opentelemetry/resources");
      const resource = resourceMetrics.resource.merge(resourceFromAttributes(config.resource_attributes));
      const all = { ...resourceMetrics, resource };
      return { metrics: config.encoding === "json" ? finiteOnly(all) : all, failed: errors.length > 0 };
    }

    async function post(metrics: ResourceMetrics, serializer: Serializer<ResourceMetrics>, parent: AbortSignal): Promise<void> {
      const { response, refused } = await postMetrics!(metrics, serializer, parent);
      if (!isTaken(response)) throw refusal(response);
      if (refused !== undefined) throw new PermanentError(refused);
    }

    /** One export of everything. Never rejects; gives the time before which the receiver wants no other. */
    async function exportAll(serializer: Serializer<ResourceMetrics>, signal: AbortSignal): Promise<number> {
      try {
        const { metrics, failed } = await collect();
        let refused: unknown;
        for (const request of requestsOf(metrics)) {
          try {
            await post(request, serializer, signal);
          } catch (error) {
            // What one request holds may be refused each time: the others must not be lost with it.
            if (!(error instanceof PermanentError)) throw error;
            refused ??= error;
          }
        }
        if (refused !== undefined) throw refused;
        if (broken && !failed) context.healed();
        broken = failed;
      } catch (error) {
        // Given up for the sake of the last export, which says more.
        if (signal === stopping.signal && signal.aborted) return 0;
        broken = true;
        context.report(error);
        if (error instanceof RetryLaterError) return clock.now() + error.retryAfterMs;
      }
      return 0;
    }

    function arm(serializer: Serializer<ResourceMetrics>, atMs: number): void {
      if (stopping.signal.aborted) return;
      timer = clock.at(atMs, () => {
        underWay = exportAll(serializer, stopping.signal).then((notBefore) => {
          arm(serializer, Math.max(atMs + intervalMs, notBefore, clock.now()));
        });
      });
    }

    async function flush(serializer: Serializer<ResourceMetrics>): Promise<void> {
      const limit = deadline(clock, timeoutMs);
      await exportAll(serializer, limit.signal);
      limit.clear();
    }

    async function end(): Promise<void> {
      timer?.cancel();
      stopping.abort(new Error("the exporter is stopping"));
      await underWay;
      if (started !== undefined) await flush(started);
      await client.close();
    }

    return {
      // A receiver that is not there yet must not keep the agent from starting.
      async start() {
        if (postMetrics === undefined) return;
        started = await loadMetricsSerializer(config.encoding);
        arm(started, clock.now() + intervalMs);
      },
      stop: () => (stopped ??= end()),
      ...(urls.traces === undefined
        ? {}
        : {
          takesLifecycles: true,
          renderSpans,
          export: createTraces(to(urls.traces), { encoding: config.encoding, resourceAttributes: config.resource_attributes, spansOf: renderSpans }, context),
        }),
    };
  },
});

interface Endpoints {
  readonly endpoint?: string;
  readonly metrics_endpoint?: string;
  readonly traces_endpoint?: string;
  readonly metrics: { readonly enabled: boolean };
  readonly traces: { readonly enabled: boolean };
}

/** Where each signal goes; undefined where it is switched off, or nothing says where to. */
function targetsOf({ endpoint, metrics_endpoint, traces_endpoint, metrics, traces }: Endpoints): { metrics: string | undefined; traces: string | undefined } {
  if ((endpoint ?? metrics_endpoint ?? traces_endpoint) === undefined) {
    throw new ConfigError("", "needs `endpoint`, `metrics_endpoint` or `traces_endpoint`");
  }
  const urls = {
    metrics: metrics.enabled ? targetOf("metrics", metrics_endpoint, endpoint) : undefined,
    traces: traces.enabled ? targetOf("traces", traces_endpoint, endpoint) : undefined,
  };
  if (urls.metrics === undefined && urls.traces === undefined) throw new ConfigError("", "sends nothing: switch metrics or traces on, and say where to");
  return urls;
}

function targetOf(signal: "metrics" | "traces", whole: string | undefined, base: string | undefined): string | undefined {
  const text = whole ?? base;
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  if (url === null) throw new ConfigError(whole === undefined ? "/endpoint" : `/${signal}_endpoint`, "is not a valid URL");
  if (whole === undefined) url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/${signal}`;
  return url.href;
}
