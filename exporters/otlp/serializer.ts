import type { ResourceMetrics } from "@opentelemetry/sdk-metrics";

/** What an OTLP receiver answers: that it refused some points though the request as a whole was fine. */
export interface Answer {
  readonly partialSuccess?: { readonly rejectedDataPoints?: number | string; readonly errorMessage?: string } | null;
}

/** One encoding of OTLP. `decode` may throw: anybody may answer anything. */
export interface Serializer {
  readonly contentType: string;
  readonly encode: (request: ResourceMetrics) => Uint8Array | undefined;
  readonly decode: (answer: Uint8Array) => Answer | null;
}

/**
 * OpenTelemetry's serializers, without its exporters: those read OTEL_EXPORTER_* variables (another service's headers
 * would be sent along), retry on their own timers, cannot be aborted, and hide partial success in a global logger.
 */
export async function loadSerializer(encoding: "proto" | "json"): Promise<Serializer> {
  const { ProtobufMetricsSerializer, JsonMetricsSerializer } = await import("@opentelemetry/otlp-transformer");
  const transformer = encoding === "proto" ? ProtobufMetricsSerializer : JsonMetricsSerializer;
  return {
    contentType: encoding === "proto" ? "application/x-protobuf" : "application/json",
    encode: (request) => transformer.serializeRequest(request),
    decode: (answer) => transformer.deserializeResponse(answer),
  };
}
