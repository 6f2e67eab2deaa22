import { kafkaClientProperties } from "../../src/sdk/kafka_client.ts";
import { notificationOptions } from "../../src/sdk/notification_options.ts";
import { sendingQueueSchema } from "../../src/sdk/sending_queue.ts";

const topic = (description: string) => ({
  type: "string", minLength: 1, maxLength: 249, pattern: "^[a-zA-Z0-9._-]+$", description,
}) as const;

/** Sections as the Collector's kafka exporter has them for its signals. */
export const kafkaExporterSchema = {
  type: "object",
  additionalProperties: false,
  required: ["brokers"],
  properties: {
    ...kafkaClientProperties,
    alerts: {
      type: "object", additionalProperties: false, required: ["topic"],
      description: "Send alerts, a message for each, with `dedup_key` as its key: when one fires, and when it is over. The JSON is what the console "
        + "exporter prints with `format: json` (`status` firing or resolved, `alert`, `resource`, `labels`, `annotations`, `value`, `limit`, `active_at`, "
        + "`fired_at`, `resolved_at`, `reason`, `details`, `trace_id`, `dedup_key`, …), with `notification_id` and `more`, how many alerts of the "
        + "notification were too many to list.",
      properties: {
        topic: topic("Topic; it must exist."),
        encoding: { enum: ["json"], default: "json", description: "How a message is written." },
      },
    },
    transitions: {
      type: "object", additionalProperties: false, required: ["topic"],
      description: "Send what becomes of the resources that its pipelines track, a message for each that began, moved or ended, with type/id as its key: "
        + "`type`, `id`, `incarnation`, `from` and `to` (null: it began, or is deleted), `at`, `since`, `duration_seconds` in `from`, `created`, `deleted`, "
        + "`ended`, `source`, `observation_id` and `external_labels`.",
      properties: {
        topic: topic("Topic; it must exist."),
        encoding: { enum: ["json"], default: "json", description: "How a message is written." },
      },
    },
    observations: {
      type: "object", additionalProperties: false, required: ["topic"],
      description: "Send every observation that comes through its pipelines, with type/id of its resource as its key. Not together with `transitions`: "
        + "that takes another exporter.",
      properties: {
        topic: topic("Topic; it must exist."),
        encoding: {
          enum: ["json", "raw"], default: "json",
          description: "json: `time`, `source`, `id`, `snapshot`, `attributes`, `body`, `resource` and `transition`. raw: the body alone.",
        },
      },
    },
    dead_letters: {
      type: "object", additionalProperties: false, required: ["topic"],
      description: "Send what could not be handled or delivered, by any component of the agent, with the component as its key: `number`, `at`, `component`, "
        + "`reason` and `content` (at most 16 KiB). It is in the API's dead letters, too; what this exporter itself cannot send is only there.",
      properties: {
        topic: topic("Topic; it must exist."),
        encoding: { enum: ["json"], default: "json", description: "How a message is written." },
      },
    },
    timeout: { type: "string", format: "duration", default: "5s", description: "How long a broker may take to answer, its replicas included. At most 10s." },
    producer: {
      type: "object", additionalProperties: false, default: {},
      description: "How messages are written. Always idempotent and by all in-sync replicas (`acks: all`), in order for each key.",
      properties: {
        compression: { enum: ["none", "gzip", "snappy", "lz4", "zstd"], default: "none", description: "Compression of messages." },
        max_request_size: {
          type: "string", format: "size", default: "900KiB",
          description: "Messages sent at once, before compression; a larger message is refused. At most the topic's `max.message.bytes`.",
        },
      },
    },
    sending_queue: sendingQueueSchema,
    ...notificationOptions,
  },
  examples: [
    { brokers: ["kafka-1:9092", "kafka-2:9092"], alerts: { topic: "sojourn.alerts" } },
    {
      brokers: ["${env:KAFKA_BROKERS}"], tls: {}, transitions: { topic: "order.transitions" }, producer: { compression: "zstd" },
      sasl: { mechanism: "SCRAM-SHA-512", username: "sojourn", password_file: "/run/secrets/kafka" },
    },
  ],
} as const;
