import { sendingQueueSchema } from "../../src/sdk/sending_queue.ts";
import { tlsSchema } from "../../src/sdk/tls.ts";

/** What may be configured of an `otlp` exporter. */
export const otlpSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    endpoint: {
      type: "string", pattern: "^https?://",
      description: "Base URL of the receiver, as https://collector:4318; v1/metrics and v1/traces are appended.",
    },
    metrics_endpoint: { type: "string", pattern: "^https?://", description: "The whole URL for metrics; goes before `endpoint`." },
    traces_endpoint: { type: "string", pattern: "^https?://", description: "The whole URL for traces; goes before `endpoint`." },
    metrics: {
      type: "object", additionalProperties: false, default: {},
      description: "All metrics. Not sent where neither `endpoint` nor `metrics_endpoint` says where to.",
      properties: { enabled: { type: "boolean", default: true, description: "Send them." } },
    },
    traces: {
      type: "object", additionalProperties: false, default: {},
      description: "The life of each resource of the types that the exporter's pipelines track as a trace: a span for each state, sent when "
        + "the resource leaves it. Not sent where neither `endpoint` nor `traces_endpoint` says where to.",
      properties: {
        enabled: { type: "boolean", default: true, description: "Send them." },
        root: {
          enum: ["early", "final"], default: "early",
          description: "The span that the others belong to. early: an instant, `created`, sent when a resource is first seen, so that the trace "
            + "of an alert is there at once. final: as long as the whole life, sent when the resource comes to a terminal state or is "
            + "deleted; until then the other spans miss their parent, and for one that expires it is never sent.",
        },
      },
    },
    encoding: { type: "string", enum: ["proto", "json"], default: "proto", description: "Protobuf or JSON." },
    compression: { type: "string", enum: ["gzip", "none"], default: "gzip", description: "How requests are compressed." },
    headers: {
      type: "object",
      propertyNames: { pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" },
      additionalProperties: { type: "string", pattern: "^[\\t\\x20-\\x7E\\x80-\\xFF]*$", writeOnly: true },
      default: {},
      description: "Sent with each request, as an API key.",
    },
    interval: { type: "string", format: "duration", default: "60s", description: "Time from one export of metrics to the next." },
    timeout: { type: "string", format: "duration", default: "10s", description: "Limit for one request." },
    resource_attributes: {
      type: "object",
      additionalProperties: { type: "string" },
      default: {},
      description: "Added to service.name, service.version and the external labels.",
    },
    sending_queue: { ...sendingQueueSchema, description: "The bounded queue between the commit and this exporter; of what makes spans." },
    tls: tlsSchema,
  },
  examples: [
    { endpoint: "http://localhost:4318" },
    { endpoint: "http://localhost:4318", metrics: { enabled: false }, traces: { root: "final" } },
    { metrics_endpoint: "https://otlp.example.com/api/otlp/v1/metrics", headers: { "api-key": "${env:OTLP_API_KEY}" }, interval: "30s" },
  ],
} as const;
