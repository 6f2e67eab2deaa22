import { defineReceiver } from "../src/sdk/component.ts";
import { durationMs } from "../src/sdk/duration.ts";
import { ConfigError } from "../src/sdk/errors.ts";
import { checkKafkaClient, kafkaClientOptions } from "../src/sdk/kafka_client.ts";
import { sizeBytes } from "../src/sdk/size.ts";
import { timeMs } from "../src/sdk/time.ts";
import { createCluster } from "./kafka/cluster.ts";
import { createConnections } from "./kafka/connections.ts";
import { startConsumer } from "./kafka/consumer.ts";
import { checkEncoding, createEncoding } from "./kafka/encoding.ts";
import { createFetchSession } from "./kafka/fetch.ts";
import { tellCommitted } from "./kafka/committed_offsets.ts";
import { createFlow } from "./kafka/flow.ts";
import { createGroup, type Group } from "./kafka/group.ts";
import { createHealth } from "./kafka/health.ts";
import { createObserver } from "./kafka/observe.ts";
import { createPositions } from "./kafka/position.ts";
import { kafkaSchema } from "./kafka/schema.ts";
import type { Partition } from "./kafka/state.ts";
import { createTelemetry, describe } from "./kafka/telemetry.ts";
import { createSubscription } from "./kafka/subscription.ts";
import { createCodec } from "./kafka/codec.ts";

const UNTRACKABLE = {
  pointer: "/partitions", reason: "with partitions: group they move between agents, and their state does not; use all, or a list for each agent",
};
const FETCH_WAIT_MS_MAX = 20_000;
const FETCH_BYTES_MAX = 256 * 2 ** 20;

/**
 * Reads topics of Kafka. The position (the next offset of every partition) is in the commit of what the messages did, and the store's
 * position always wins: no message is lost and none counts twice, whenever the agent, a broker or a connection dies. What the group
 * is told comes after the commit, and is never read back. Order is kept within a partition, and so for a key.
 */
export const kafka = defineReceiver({
  type: "kafka",
  summary: "Reads topics of Apache Kafka: JSON, text, Debezium, CloudEvents, Avro and Protobuf with a schema registry.",
  stability: "beta",
  schema: kafkaSchema,
  create(config, context) {
    checkKafkaClient(config);
    checkEncoding(config);
    const initialOffset = config.initial_offset === "earliest" || config.initial_offset === "latest"
      ? config.initial_offset : timeMs(config.initial_offset);
    if (initialOffset === undefined) throw new ConfigError("/initial_offset", "is neither earliest, latest nor a time (RFC 3339)");
    const { partitions: shared } = config;
    const { group_id: groupId } = config;
    if (shared === "group" && groupId === undefined) throw new ConfigError("/group_id", "is missing: partitions: group needs it");
    if (shared !== "group" && config.group_instance_id !== undefined) throw new ConfigError("/group_instance_id", "is for partitions: group");
    let group: Group | undefined;
    const subscription = createSubscription(
      config.topics, (key) => shared !== "group" || group?.owns(key) === true, typeof shared === "string" ? undefined : shared,
    );
    const committedOnly = config.isolation_level === "read_committed";
    const limits = {
      waitMsMax: durationMs(config.fetch_max_wait), bytesMin: sizeBytes(config.fetch_min_bytes), bytesMax: sizeBytes(config.fetch_max_bytes),
      partitionBytesMax: sizeBytes(config.max_partition_fetch_bytes), committedOnly,
    };
    if (limits.waitMsMax > FETCH_WAIT_MS_MAX) throw new ConfigError("/fetch_max_wait", "is longer than 20s");
    for (const key of ["fetch_max_bytes", "max_partition_fetch_bytes", "fetch_min_bytes"] as const) {
      if (sizeBytes(config[key]) > FETCH_BYTES_MAX) throw new ConfigError(`/${key}`, "is more than 256MiB");
    }
    if (durationMs(config.heartbeat_interval) >= durationMs(config.session_timeout)) {
      throw new ConfigError("/heartbeat_interval", `is not shorter than session_timeout (${config.session_timeout})`);
    }
    const requestMsMax = durationMs(config.request_timeout);
    if (requestMsMax <= limits.waitMsMax) throw new ConfigError("/request_timeout", `is not longer than fetch_max_wait (${config.fetch_max_wait})`);
    const failingAfterMs = durationMs(config.failing_after);
    const stopping = new AbortController();
    const { signal } = stopping;
    const partitions = new Map<string, Partition>();
    let running: { ended(): Promise<void>; close(): Promise<void> } | undefined;

    return {
      ...(shared === "group" ? { untrackable: UNTRACKABLE } : {}),
      async start() {
        const client = await import("@platformatic/kafka");
        const { bootstrapBrokers } = await kafkaClientOptions({ ...config, tls: undefined });
        const asking = createConnections(client, config, requestMsMax);
        const fetching = createConnections(client, config, requestMsMax);
        const cluster = createCluster(client, asking, bootstrapBrokers);
        const telling = createConnections(client, config, requestMsMax);
        const toGroup = createCluster(client, telling, bootstrapBrokers);
        group = groupId === undefined || shared !== "group" ? undefined : createGroup(client, context, { ...config, group_id: groupId }, {
          sessionTimeoutMs: durationMs(config.session_timeout), heartbeatIntervalMs: durationMs(config.heartbeat_interval),
          onRevoked: () => told?.now(), onAssigned: () => consumer.look(), signal,
        });
        const told = groupId === undefined ? undefined : tellCommitted(
          context, (offsets) => (group === undefined ? toGroup.commit(groupId, offsets) : group.commit(offsets)),
          (key) => group === undefined || group.owns(key), signal,
        );
        const positions = createPositions(context.position);
        const telemetry = createTelemetry(context);
        const health = createHealth(context, failingAfterMs, () => partitions.values());
        const encoding = createEncoding(config, context, signal, (trouble) => (trouble === undefined ? health.decodes() : health.failed("decode", trouble)));
        const observe = createObserver(context, {
          ...encoding, includeHeaders: config.include_headers ?? [], onError: config.on_error, valueBytesMax: sizeBytes(config.max_message_size),
        });
        const flow = createFlow(context, positions, {
          recordsMax: config.max_poll_records, committedOnly, observe, prepare: encoding.prepare, codec: createCodec(client), signal,
          onProblem: (partition, code) => consumer.problem(partition, code),
          onProgress(partition) {
            health.progress(partition);
            telemetry.progress(partition);
          },
          onCommitted: (position) => told?.committed(position),
        });
        const consumer = startConsumer(context, {
          initialOffset, onOffsetExpired: config.on_offset_expired, committedOnly, metadataIntervalMs: durationMs(config.metadata_interval), failingAfterMs,
        }, {
          kafka: client, cluster, subscription, positions, flow, group, partitions, signal,
          health: { ...health, left: (partition) => { health.left(partition); telemetry.left(partition); } },
          session: (node, metadata) => createFetchSession(client, fetching, metadata.brokers.get(node)!, limits),
        });
        context.status(() => describe(partitions.values()));
        running = {
          async ended() {
            await consumer.done;
            await flow.settled();
            await told?.end();
            await Promise.all([group?.leave(), telling.close(), encoding.close()]);
            telemetry.end();
          },
          close: async () => void await Promise.all([fetching.close(), asking.close()]),
        };
      },
      async stop() {
        stopping.abort(new Error("stopping"));
        await running?.close();
        await running?.ended();
      },
    };
  },
});
