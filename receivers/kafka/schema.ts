import { expectEverySchema } from "../../src/sdk/expect_every.ts";
import { authSchema } from "../../src/sdk/http_auth.ts";
import { kafkaClientProperties } from "../../src/sdk/kafka_client.ts";
import { tlsSchema } from "../../src/sdk/tls.ts";

/** Keys of a `kafka` receiver. */
export const kafkaSchema = {
  type: "object",
  additionalProperties: false,
  required: ["brokers", "topics"],
  properties: {
    ...kafkaClientProperties,
    topics: {
      type: "array", minItems: 1, maxItems: 1_000, uniqueItems: true,
      items: { type: "string", pattern: "^(?:[A-Za-z0-9._-]{1,249}|/.+/)$" },
      description: "Names, or patterns between slashes, in RE2 and found anywhere in the name unless anchored: `/^shop\\./`. "
        + "New topics that match are found while running, Kafka's internal ones never.",
    },
    partitions: {
      oneOf: [
        { type: "string", enum: ["all", "group"] },
        { type: "array", minItems: 1, maxItems: 10_000, uniqueItems: true, items: { type: "integer", minimum: 0, maximum: 1_000_000 } },
      ],
      default: "all",
      description: "Which partitions are read. `all`, or a list such as [0, 2] where several agents take disjoint ones: each agent reads the same "
        + "partitions for ever, so that its state fits what it reads; needed wherever `track` follows. "
        + "`group`: the members of `group_id` share them, and they move when one joins, leaves or dies: for pipelines without state.",
    },
    group_id: {
      type: "string", minLength: 1, maxLength: 255,
      description: "Consumer group. With `all` or a list nobody joins it: offsets are told to it after each commit, for lag tools. Needed with `group`.",
    },
    group_instance_id: {
      type: "string", minLength: 1, maxLength: 249,
      description: "With `group`: static membership. An agent of this name that is back within `session_timeout` gets its partitions again "
        + "without a rebalance. Unique within the group.",
    },
    session_timeout: {
      type: "string", format: "duration", default: "45s", description: "With `group`: an agent that is silent for so long has died.",
    },
    heartbeat_interval: { type: "string", format: "duration", default: "3s", description: "With `group`: how often it says that it lives." },
    initial_offset: {
      type: "string", default: "latest",
      description: "Where a topic begins that was never read before: `earliest`, `latest`, or at a time (RFC 3339). "
        + "What appears later (a partition, a topic that a pattern finds, one that was created anew) begins at its earliest. "
        + "From then on the position in the store counts, nothing else.",
    },
    on_offset_expired: {
      type: "string", enum: ["earliest", "latest", "fail"], default: "earliest",
      description: "When the cluster no longer has what is next (retention, or a log that was cut back): go on at the earliest, at the end, or read "
        + "that partition no further and count as failing. What was missed is counted as refused (`expired`).",
    },
    encoding: {
      type: "string", enum: ["json", "text", "raw", "debezium", "cloudevents", "avro", "protobuf"], default: "json",
      description: "How a message's value is read. `raw`: base64. `debezium`: a change of a row, `op`, `before`, `after`, `source`, whose snapshot "
        + "rows invent no transition. `cloudevents`: structured or binary. `avro` and `protobuf` need a `schema_registry`. "
        + "A null value (a tombstone) is a null body; with `debezium` it is passed over unless `flattened`, with `cloudevents` unless headers make it one.",
    },
    flattened: {
      type: "boolean", default: false,
      description: "With `debezium`: rows come without their envelope (`ExtractNewRecordState`), and a tombstone deletes the row that its key names.",
    },
    schema_registry: {
      type: "object", additionalProperties: false, required: ["url"],
      description: "Confluent's, or one that speaks as it does: values begin with a zero byte and the id of their schema, keys may. "
        + "Schemas are asked for once. While the registry cannot be asked, reading waits.",
      properties: {
        url: { type: "string", minLength: 1, description: "Its address, such as https://registry.example:8081." },
        auth: authSchema("Files are read before each question."),
        tls: tlsSchema,
      },
    },
    on_error: {
      type: "string", enum: ["drop", "pass", "dead_letter"], default: "dead_letter",
      description: "What becomes of a message that cannot be decoded: dropped, passed on as text, or kept as a dead letter. Counted as refused "
        + "(`undecodable`) in any case; the messages after it are not held up.",
    },
    include_headers: {
      type: "array", maxItems: 50, uniqueItems: true, items: { type: "string", minLength: 1, maxLength: 249 },
      description: "Headers that become attributes `messaging.kafka.message.header.<name>`; a list where one comes several times.",
    },
    isolation_level: {
      type: "string", enum: ["read_committed", "read_uncommitted"], default: "read_committed",
      description: "Whether messages of transactions that are open, or were aborted, are left out.",
    },
    max_poll_records: {
      type: "integer", minimum: 1, maximum: 10_000, default: 5_000, description: "Messages at most in one batch through the pipelines.",
    },
    fetch_min_bytes: { type: "string", format: "size", default: "1B", description: "A broker answers when it has so much, or after `fetch_max_wait`." },
    fetch_max_wait: { type: "string", format: "duration", default: "500ms", description: "How long a broker may wait for `fetch_min_bytes`; at most 20s." },
    fetch_max_bytes: { type: "string", format: "size", default: "16MiB", description: "At most in one answer of a broker; at most 256MiB." },
    max_partition_fetch_bytes: { type: "string", format: "size", default: "1MiB", description: "At most of one partition in an answer; one larger batch comes whole." },
    max_message_size: {
      type: "string", format: "size", default: "4MiB", description: "A larger value is refused (`too_large`), and kept as `on_error` says: its beginning.",
    },
    metadata_interval: {
      type: "string", format: "duration", default: "30s", description: "How often new topics and partitions are looked for.",
    },
    request_timeout: {
      type: "string", format: "duration", default: "30s",
      description: "A broker that has not answered for so long is given up, and asked again by a new connection. Longer than `fetch_max_wait`.",
    },
    failing_after: {
      type: "string", format: "duration", default: "30s", description: "Without any broker for so long, the receiver counts as failing.",
    },
    ...expectEverySchema,
  },
  examples: [
    { brokers: ["kafka-1:9092"], topics: ["order_events"], initial_offset: "earliest" },
    { brokers: ["kafka-1:9093", "kafka-2:9093"], topics: ["/^shop\\./"], partitions: [0, 2], group_id: "sojourn", tls: {},
      sasl: { mechanism: "SCRAM-SHA-512", username: "sojourn", password_file: "/run/secrets/kafka" } },
  ],
} as const;
