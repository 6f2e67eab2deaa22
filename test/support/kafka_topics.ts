import { once } from "node:events";
import { Admin, Consumer, Producer } from "@platformatic/kafka";
import { pause } from "./waiting.ts";

/** A message to produce. Text is UTF-8; a null value is a tombstone. Without partition the key decides, without key they take turns. */
export interface KafkaMessage {
  readonly key?: string | Buffer | undefined;
  readonly value: string | Buffer | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly partition?: number;
  /** ms since the epoch. */
  readonly timestamp?: number;
}

/** A message as it lies in a topic. */
export interface StoredMessage {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly timestamp: number;
}

export interface TopicOptions {
  /** Default 1. */
  readonly partitions?: number;
  /** Default 1. */
  readonly replication?: number;
  /** `retention.ms`, `min.insync.replicas`, … */
  readonly settings?: Readonly<Record<string, string>>;
}

/** What tests do with a cluster, by its plain listener. */
export interface KafkaTopics {
  /** Resolves when every partition has a leader. */
  createTopic(name: string, options?: TopicOptions): Promise<void>;
  /** Resolves when the cluster no longer knows it. */
  deleteTopic(name: string): Promise<void>;
  /** Grows a topic to that many partitions. */
  addPartitions(name: string, count: number): Promise<void>;
  /** Resolves when all in-sync replicas have them. Waits for a broker that is away. Order is kept per partition. */
  produce(topic: string, messages: readonly KafkaMessage[]): Promise<void>;
  /** All that is in the topic, partition by partition in order. */
  read(topic: string): Promise<StoredMessage[]>;
  /** Where the next message of each partition will lie. */
  endOffsets(topic: string): Promise<number[]>;
  /** Removes what lies before the offset, as retention does. */
  deleteRecords(topic: string, partition: number, before: number): Promise<void>;
  /** Broker id of the partition's leader; -1: none. */
  leaderOf(topic: string, partition: number): Promise<number>;
  /** For all else: groups, configurations. */
  admin(): Admin;
}

/** `close` ends the connections. */
export function kafkaTopics(bootstrapBrokers: readonly string[]): KafkaTopics & { close(): Promise<void> } {
  const common = { clientId: "test-support", bootstrapBrokers: [...bootstrapBrokers], retries: 60, retryDelay: 100, connectTimeout: 2_000, requestTimeout: 10_000 };
  let administrator: Admin | undefined;
  let producer: Producer | undefined;
  const admin = (): Admin => (administrator ??= new Admin(common));

  async function partitionsOf(topic: string): Promise<{ readonly id: string; readonly leaders: readonly number[] } | undefined> {
    const all = await admin().listTopics();
    if (!all.includes(topic)) return undefined;
    const { topics } = await admin().metadata({ topics: [topic], forceUpdate: true });
    const found = topics.get(topic);
    return found && { id: found.id, leaders: found.partitions.map(({ leader }) => leader) };
  }

  async function led(topic: string, partitions: number): Promise<void> {
    for (let turn = 0; ; turn++) {
      const found = await partitionsOf(topic).catch(() => undefined);
      if (found?.leaders.length === partitions && found.leaders.every((leader) => leader > 0)) return;
      if (turn > 200) throw new Error(`topic ${topic} has not got ${partitions} partitions with leaders: ${JSON.stringify(found)}`);
      await pause(50);
    }
  }

  async function offsets(topic: string, timestamp: bigint): Promise<number[]> {
    const count = (await partitionsOf(topic))?.leaders.length ?? 0;
    const partitions = Array.from({ length: count }, (_, partitionIndex) => ({ partitionIndex, timestamp }));
    const [listed] = await admin().listOffsets({ topics: [{ name: topic, partitions }] });
    return (listed?.partitions ?? []).toSorted((a, b) => a.partitionIndex - b.partitionIndex).map(({ offset }) => Number(offset));
  }

  return {
    admin,
    async createTopic(name, { partitions = 1, replication = 1, settings = {} } = {}) {
      const configs = Object.entries(settings).map(([key, value]) => ({ name: key, value }));
      await admin().createTopics({ topics: [name], partitions, replicas: replication, configs });
      await led(name, partitions);
    },
    async deleteTopic(name) {
      await admin().deleteTopics({ topics: [name] });
      for (let turn = 0; turn < 200 && (await admin().listTopics()).includes(name); turn++) await pause(50);
    },
    async addPartitions(name, count) {
      await admin().createPartitions({ topics: [{ name, count, assignments: null }] });
      await led(name, count);
    },
    async produce(topic, messages) {
      producer ??= new Producer({ ...common, idempotent: true });
      await producer.send({
        messages: messages.map(({ key, value, headers, partition, timestamp }) => ({
          topic,
          ...(key === undefined ? {} : { key: bytes(key) }),
          ...(value === null ? {} : { value: bytes(value) }),
          ...(headers === undefined ? {} : { headers: new Map(Object.entries(headers).map(([name, content]) => [bytes(name), bytes(content)])) }),
          ...(partition === undefined ? {} : { partition }),
          ...(timestamp === undefined ? {} : { timestamp: BigInt(timestamp) }),
        })),
      });
    },
    endOffsets: (topic) => offsets(topic, -1n),
    async leaderOf(topic, partition) {
      return (await partitionsOf(topic))?.leaders[partition] ?? -1;
    },
    async deleteRecords(topic, partition, before) {
      await admin().deleteRecords({ topics: [{ name: topic, partitions: [{ partition, offset: BigInt(before) }] }] });
    },
    async read(topic) {
      const [first, end] = await Promise.all([offsets(topic, -2n), offsets(topic, -1n)]);
      const wanted = end.reduce((sum, offset, i) => sum + offset - first[i]!, 0);
      if (wanted === 0) return [];
      const consumer = new Consumer<string, string, string, string>({ ...common, groupId: `test-support-${process.pid}-${performance.now()}`, deserializers: TEXT });
      const found: StoredMessage[] = [];
      try {
        const stream = await consumer.consume({
          topics: [topic], mode: "manual", autocommit: false, maxWaitTime: 50,
          offsets: first.map((offset, partition) => ({ topic, partition, offset: BigInt(offset) })),
        });
        // Offsets of a compacted topic, or of transactions, have gaps: the last one of each partition tells.
        const open = new Set(end.flatMap((offset, partition) => (offset > first[partition]! ? [partition] : [])));
        stream.on("data", ({ partition, offset, key, value, headers, timestamp }) => {
          found.push({ partition, offset: Number(offset), key: key ?? null, value: value ?? null, headers: Object.fromEntries(headers), timestamp: Number(timestamp) });
          if (Number(offset) + 1 >= end[partition]!) open.delete(partition);
          if (open.size === 0) stream.emit("test:read");
        });
        await once(stream, "test:read", { signal: AbortSignal.timeout(20_000) });
        await stream.close();
      } finally {
        await consumer.close(true);
      }
      return found.filter(({ partition, offset }) => offset < end[partition]!).toSorted((a, b) => a.partition - b.partition || a.offset - b.offset);
    },
    async close() {
      await Promise.allSettled([Promise.resolve(producer?.close(true)), Promise.resolve(administrator?.close())]);
      producer = undefined;
      administrator = undefined;
    },
  };
}

const bytes = (value: string | Buffer): Buffer => (typeof value === "string" ? Buffer.from(value) : value);
const text = (data: Buffer | undefined): string => data?.toString() as string;
const TEXT = { key: text, value: text, headerKey: text, headerValue: text };
