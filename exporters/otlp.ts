import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { MetricProducer, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import { deadline, type Timer } from "../src/sdk/clock.ts";
import { defineExporter } from "../src/sdk/component.ts";
import { durationMs } from "../src/sdk/duration.ts";
import { ConfigError, PermanentError, RetryLaterError } from "../src/sdk/errors.ts";
import { createHttpClient, refusal } from "../src/sdk/http.ts";
import { secretsSent, withoutSecrets } from "../src/sdk/http_secrets.ts";
import { tlsSchema } from "../src/sdk/tls.ts";
import { finiteOnly, requestsOf } from "./otlp/requests.ts";
import { loadSerializer, type Answer, type Serializer } from "./otlp/serializer.ts";

const compress = promisify(gzip);
const ANSWER_BYTES_MAX = 2 ** 20;

/**
 * Sends all metrics to an OpenTelemetry receiver, over OTLP/HTTP, every `interval` and once more when it stops.
 *
 * One attempt each time. What fails is not kept: sums are cumulative, so the next one that arrives says it all.
 * `Retry-After` puts the next one off.
 * https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
export const otlp = defineExporter({
  type: "otlp",
  summary: "Sends all metrics to an OpenTelemetry receiver by OTLP/HTTP.",
  stability: "beta",
  schema: {
    type: "object",
    additionalProperties: false,
    properties: {
      endpoint: {
        type: "string", pattern: "^https?://",
        description: "Base URL of the receiver, as https://collector:4318; v1/metrics is appended.",
      },
      metrics_endpoint: { type: "string", pattern: "^https?://", description: "The whole URL for metrics; goes before `endpoint`." },
      encoding: { type: "string", enum: ["proto", "json"], default: "proto", description: "Protobuf or JSON." },
      compression: { type: "string", enum: ["gzip", "none"], default: "gzip", description: "How requests are compressed." },
      headers: {
        type: "object",
        propertyNames: { pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" },
        additionalProperties: { type: "string", pattern: "^[\\t\\x20-\\x7E\\x80-\\xFF]*$", writeOnly: true },
        default: {},
        description: "Sent with each request, as an API key.",
      },
      interval: { type: "string", format: "duration", default: "60s", description: "Time from one export to the next." },
      timeout: { type: "string", format: "duration", default: "10s", description: "Limit for one request." },
      resource_attributes: {
        type: "object",
        additionalProperties: { type: "string" },
        default: {},
        description: "Added to service.name, service.version and the external labels.",
      },
      tls: tlsSchema,
    },
    examples: [
      { endpoint: "http://localhost:4318" },
      { metrics_endpoint: "https://otlp.example.com/api/otlp/v1/metrics", headers: { "api-key": "${env:OTLP_API_KEY}" }, interval: "30s" },
    ],
  },
  create(config, context) {
    const producer = context.producer as MetricProducer;
    const { clock } = context;
    const intervalMs = durationMs(config.interval);
    const timeoutMs = durationMs(config.timeout);
    if (intervalMs <= 0) throw new ConfigError("/interval", "must be longer than 0");
    if (timeoutMs <= 0) throw new ConfigError("/timeout", "must be longer than 0");
    const url = targetOf(config.endpoint, config.metrics_endpoint);
    const secrets = secretsSent(config.headers, new URL(url));
    const client = createHttpClient({ clock, tls: config.tls });
    const stopping = new AbortController();
    let started: Serializer | undefined;
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

    async function post(metrics: ResourceMetrics, { encode, decode, contentType }: Serializer, parent: AbortSignal): Promise<void> {
      const bytes = encode(metrics);
      if (bytes === undefined) throw new Error("the metrics cannot be encoded");
      const zipped = config.compression === "gzip";
      const limit = deadline(clock, timeoutMs, parent);
      try {
        const response = await client.send({
          url,
          method: "POST",
          headers: { ...config.headers, "content-type": contentType, ...(zipped ? { "content-encoding": "gzip" } : {}) },
          body: zipped ? await compress(bytes) : bytes,
          signal: limit.signal,
          bodyBytesMax: ANSWER_BYTES_MAX,
        });
        if (response.status < 200 || response.status > 299) throw refusal(response);
        const refused = refusedPoints(() => decode(response.body));
        if (refused !== undefined) throw new PermanentError(`${response.name} ${withoutSecrets(secrets, refused)}`);
      } finally {
        limit.clear();
      }
    }

    /** One export of everything. Never rejects; gives the time before which the receiver wants no other. */
    async function exportAll(serializer: Serializer, signal: AbortSignal): Promise<number> {
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

    function arm(serializer: Serializer, atMs: number): void {
      if (stopping.signal.aborted) return;
      timer = clock.at(atMs, () => {
        underWay = exportAll(serializer, stopping.signal).then((notBefore) => {
          arm(serializer, Math.max(atMs + intervalMs, notBefore, clock.now()));
        });
      });
    }

    async function flush(serializer: Serializer): Promise<void> {
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
        started = await loadSerializer(config.encoding);
        arm(started, clock.now() + intervalMs);
      },
      stop: () => (stopped ??= end()),
    };
  },
});

function targetOf(endpoint: string | undefined, metricsEndpoint: string | undefined): string {
  const pointer = metricsEndpoint === undefined ? "/endpoint" : "/metrics_endpoint";
  const text = metricsEndpoint ?? endpoint;
  if (text === undefined) throw new ConfigError("", "needs `endpoint` or `metrics_endpoint`");
  const url = URL.parse(text);
  if (url === null) throw new ConfigError(pointer, "is not a valid URL");
  if (metricsEndpoint === undefined) url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/metrics`;
  return url.href;
}

/** Says what a receiver refused of a request that it took. An answer that cannot be read is as good as none. */
function refusedPoints(answer: () => Answer | null): string | undefined {
  let partial: Answer["partialSuccess"];
  try {
    partial = answer()?.partialSuccess;
  } catch {
    return undefined;
  }
  const points = Number(partial?.rejectedDataPoints ?? 0);
  return points > 0 ? `refused ${points} data points: ${String(partial?.errorMessage || "no reason given")}` : undefined;
}
