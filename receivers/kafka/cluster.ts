import type { Connection } from "@platformatic/kafka";
import { kafkaFailure } from "../../src/sdk/kafka_client.ts";
import type { Broker, Connections, KafkaClient } from "./connections.ts";

/** What a broker may answer, by the code's meaning. https://kafka.apache.org/protocol.html#protocol_error_codes */
export const ErrorCode = {
  NONE: 0, OFFSET_OUT_OF_RANGE: 1, UNKNOWN_TOPIC: 3, TOPIC_AUTHORIZATION_FAILED: 29,
  FETCH_SESSION_ID_NOT_FOUND: 70, INVALID_FETCH_SESSION_EPOCH: 71, UNKNOWN_TOPIC_ID: 100, FETCH_SESSION_TOPIC_ID_ERROR: 106,
} as const;

export interface PartitionMetadata {
  /** Node id; -1: there is none now. */
  readonly leader: number;
  readonly leaderEpoch: number;
}

export interface TopicMetadata {
  /** Undefined before Kafka 2.8. */
  readonly id: string | undefined;
  readonly errorCode: number;
  readonly internal: boolean;
  readonly partitions: ReadonlyMap<number, PartitionMetadata>;
}

export interface Metadata {
  readonly brokers: ReadonlyMap<number, Broker>;
  readonly topics: ReadonlyMap<string, TopicMetadata>;
}

/** An offset of a partition that is asked for: its first, its end, or the first at or after a time (epoch ms). */
export type OffsetAt = "earliest" | "latest" | number;

export interface PartitionKey {
  readonly topic: string;
  readonly partition: number;
}

/** What is asked of a cluster beside its records. Every method is one attempt. */
export interface Cluster {
  /** Topics by name; undefined: all there are. One that does not exist is there with its error code. */
  metadata(topics: readonly string[] | undefined): Promise<Metadata>;
  /** The offset, undefined when no record is as late as the time; asked of the partition's leader. Rejects with the broker's error. */
  offset(leader: Broker, of: PartitionKey, at: OffsetAt, committedOnly: boolean): Promise<number | undefined>;
  /** Tells a group without members how far it is: for those who look at its lag. */
  commit(group: string, offsets: readonly (PartitionKey & { readonly offset: number })[]): Promise<void>;
}

const NO_ID = "00000000-0000-0000-0000-000000000000";
const GROUP = 0;
const SIMPLE_GENERATION = -1;
const TIMES = { earliest: -2n, latest: -1n } as const;

interface VersionedApi {
  readonly key: number;
  readonly version: number;
  async(connection: Connection, ...args: unknown[]): Promise<unknown>;
}

/** `Metadata` and the like, with the number of the request and the newest version that the client library has. */
const REQUESTS = {
  listOffsets: { key: 2, newest: 9 }, metadata: { key: 3, newest: 12 },
  offsetCommit: { key: 8, newest: 9 }, findCoordinator: { key: 10, newest: 6 },
} as const;

export function createCluster(kafka: KafkaClient, connections: Connections, bootstrap: readonly Broker[]): Cluster {
  let known: readonly Broker[] = [];
  let answering: Broker | undefined;
  let coordinator: Broker | undefined;

  /** Sends a request in the newest version that both ends know. */
  async function ask<Answer>(connection: Connection, name: keyof typeof REQUESTS, ...args: unknown[]): Promise<Answer & { version: number }> {
    const { key, newest } = REQUESTS[name];
    const range = (await connections.versions(connection)).get(key);
    const apis = kafka as unknown as Readonly<Record<string, { readonly api: VersionedApi } | undefined>>;
    for (let version = Math.min(newest, range?.[1] ?? -1); version >= (range?.[0] ?? 0); version--) {
      const api = apis[`${name}V${version}`]?.api;
      if (api !== undefined) return { ...(await answered(api.async(connection, ...args)) as Answer), version };
    }
    throw new Error(`the broker takes no version of ${name} that is known here`);
  }

  /** Asks any broker, the one that answered last first: one that hangs is not the first again. */
  async function askAny<Answer>(name: keyof typeof REQUESTS, ...args: unknown[]): Promise<Answer & { version: number }> {
    const reasons: string[] = [];
    const candidates = new Map([...(answering === undefined ? [] : [answering]), ...bootstrap, ...known].map((broker) => [`${broker.host}:${broker.port}`, broker]));
    for (const [label, broker] of candidates) {
      try {
        const answer = await ask<Answer>(await connections.to(broker), name, ...args);
        answering = broker;
        return answer;
      } catch (error) {
        answering = undefined;
        if (reasons.length < 3) reasons.push(`${label}: ${kafkaFailure(error).message}`);
      }
    }
    throw new Error(`no broker answers: ${reasons.join("; ")}`);
  }

  return {
    async metadata(topics) {
      const answer = await askAny<MetadataAnswer>("metadata", topics === undefined ? null : [...topics], false, false);
      const brokers = new Map(answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }] as const));
      known = [...brokers.values()];
      return { brokers, topics: new Map(answer.topics.flatMap((topic) => (topic.name === null ? [] : [[topic.name, topicOf(topic)]]))) };
    },
    async offset(leader, { topic, partition }, at, committedOnly) {
      const asked = [{ name: topic, partitions: [{
        partitionIndex: partition, currentLeaderEpoch: -1, timestamp: typeof at === "number" ? BigInt(at) : TIMES[at],
      }] }];
      const answer = await ask<OffsetsAnswer>(await connections.to(leader), "listOffsets", -1, committedOnly ? 1 : 0, asked);
      const found = answer.topics[0]?.partitions[0];
      if (found === undefined) throw new Error("the broker said nothing of the offset");
      if (found.errorCode !== ErrorCode.NONE) throw brokerError(kafka, found.errorCode);
      return found.offset < 0n ? undefined : Number(found.offset);
    },
    async commit(group, offsets) {
      if (coordinator === undefined) {
        const answer = await askAny<CoordinatorAnswer>("findCoordinator", GROUP, [group]);
        const found = answer.coordinators?.[0] ?? answer;
        if (found.errorCode !== ErrorCode.NONE) throw brokerError(kafka, found.errorCode!);
        coordinator = { host: found.host!, port: found.port! };
      }
      try {
        const answer = await ask<CommitAnswer>(
          await connections.to(coordinator), "offsetCommit", group, SIMPLE_GENERATION, "", null, byTopic(offsets),
        );
        const code = answer.topics.flatMap(({ partitions }) => partitions).find(({ errorCode }) => errorCode !== ErrorCode.NONE)?.errorCode;
        if (code !== undefined) throw brokerError(kafka, code);
      } catch (error) {
        coordinator = undefined;
        throw error;
      }
    },
  };
}

function byTopic(offsets: readonly (PartitionKey & { readonly offset: number })[]): object[] {
  const topics = new Map<string, object[]>();
  for (const { topic, partition, offset } of offsets) {
    let partitions = topics.get(topic);
    if (partitions === undefined) topics.set(topic, (partitions = []));
    partitions.push({ partitionIndex: partition, committedOffset: BigInt(offset), committedLeaderEpoch: -1, committedMetadata: null });
  }
  return [...topics].map(([name, partitions]) => ({ name, partitions }));
}

function topicOf({ errorCode, topicId, isInternal, partitions }: MetadataAnswer["topics"][number]): TopicMetadata {
  return {
    id: topicId === undefined || topicId === NO_ID ? undefined : topicId,
    errorCode,
    internal: isInternal ?? false,
    partitions: new Map(partitions.map((partition) => [
      partition.partitionIndex, { leader: partition.leaderId, leaderEpoch: partition.leaderEpoch ?? -1 },
    ] as const)),
  };
}

/** The error that a code stands for, by name. */
export function brokerError(kafka: KafkaClient, code: number): Error & { readonly brokerCode: number } {
  const known = Object.values(kafka.protocolErrors).find((error) => error.code === code);
  return Object.assign(new Error(known === undefined ? `error ${code} of the broker` : `${known.id}: ${known.message}`), { brokerCode: code });
}

/** The client library rejects an answer that holds any error; what else it says is needed. */
async function answered(asked: Promise<unknown>): Promise<unknown> {
  try {
    return await asked;
  } catch (error) {
    const { response } = error as { response?: unknown };
    if (typeof response === "object" && response !== null) return response;
    throw error;
  }
}

interface MetadataAnswer {
  readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[];
  readonly topics: readonly {
    readonly errorCode: number; readonly name: string | null; readonly topicId?: string; readonly isInternal?: boolean;
    readonly partitions: readonly { readonly partitionIndex: number; readonly leaderId: number; readonly leaderEpoch?: number }[];
  }[];
}

interface OffsetsAnswer {
  readonly topics: readonly { readonly partitions: readonly { readonly errorCode: number; readonly offset: bigint }[] }[];
}

interface CoordinatorAnswer {
  readonly coordinators?: readonly CoordinatorAnswer[];
  readonly errorCode?: number;
  readonly host?: string;
  readonly port?: number;
}

interface CommitAnswer {
  readonly topics: readonly { readonly partitions: readonly { readonly errorCode: number }[] }[];
}
