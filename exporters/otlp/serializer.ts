import type { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import type { ResourceMetrics } from "@opentelemetry/sdk-metrics";

/** A span as OpenTelemetry's serializers take it. */
export type ReadableSpan = NonNullable<Parameters<(typeof ProtobufTraceSerializer)["serializeRequest"]>[0]>[number];

/** What an OTLP receiver answers: that it refused some of a request that it took. */
export interface Answer {
  readonly partialSuccess?: {
    readonly rejectedDataPoints?: number | string;
    readonly rejectedSpans?: number | string;
    readonly errorMessage?: string;
  } | null;
}

/** One signal in one encoding of OTLP. `decode` may throw: anybody may answer anything. */
export interface Serializer<Request> {
  readonly contentType: string;
  readonly encode: (request: Request) => Uint8Array | undefined;
  readonly decode: (answer: Uint8Array) => Answer | null;
}

/**
 * OpenTelemetry's serializers, without its exporters: those read OTEL_EXPORTER_* variables (another service's headers
 * would be sent along), retry on their own timers, cannot be aborted, and hide partial success in a global logger.
 */
export async function loadMetricsSerializer(encoding: "proto" | "json"): Promise<Serializer<ResourceMetrics>> {
  const { ProtobufMetricsSerializer, JsonMetricsSerializer } = await import("@opentelemetry/otlp-transformer");
  const transformer = encoding === "proto" ? ProtobufMetricsSerializer : JsonMetricsSerializer;
  return {
    contentType: contentTypeOf(encoding),
    encode: (request) => transformer.serializeRequest(request),
    decode: (answer) => transformer.deserializeResponse(answer),
  };
}

/** The same for spans. */
export async function loadTracesSerializer(encoding: "proto" | "json"): Promise<Serializer<ReadableSpan[]>> {
  const { ProtobufTraceSerializer, JsonTraceSerializer } = await import("@opentelemetry/otlp-transformer");
  const transformer = encoding === "proto" ? ProtobufTraceSerializer : JsonTraceSerializer;
  return {
    contentType: contentTypeOf(encoding),
    encode: (request) => transformer.serializeRequest(request),
    decode: (answer) => transformer.deserializeResponse(answer),
  };
}

function contentTypeOf(encoding: "proto" | "json"): string {
  return encoding === "proto" ? "application/x-protobuf" : "application/json";
}

/** What a receiver refused of a request that it took, and why. An answer that cannot be read is as good as none. */
export function refusedPart(answer: () => Answer | null): string | undefined {
  let partial: Answer["partialSuccess"];
  try {
    partial = answer()?.partialSuccess;
  } catch {
    return undefined;
  }
  const [points, spans] = [Number(partial?.rejectedDataPoints ?? 0), Number(partial?.rejectedSpans ?? 0)];
  if (!(points > 0 || spans > 0)) return undefined;
  return `refused ${points > 0 ? `${points} data points` : `${spans} spans`}: ${String(partial?.errorMessage || "no reason given")}`;
}
