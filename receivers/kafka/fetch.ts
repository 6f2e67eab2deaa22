import type { Writer } from "@platformatic/kafka";
import { brokerError, ErrorCode } from "./cluster.ts";
import type { Broker, Connections, KafkaClient } from "./connections.ts";
import { FETCH_VERSION_MAX, FETCH_VERSION_MIN, fetchesById, parseFetchAnswer, type FetchedPartition } from "./fetch_protocol.ts";
import { int64 } from "./records.ts";
import type { Partition } from "./state.ts";

const FETCH = 1;

export interface FetchLimits {
  readonly waitMsMax: number;
  readonly bytesMin: number;
  readonly bytesMax: number;
  readonly partitionBytesMax: number;
  readonly committedOnly: boolean;
}

/** What came of one partition that was asked for from `from` on. */
export interface Fetched {
  readonly partition: Partition;
  readonly from: number;
  readonly answer: FetchedPartition;
}

export interface FetchedBatch {
  readonly bytes: Buffer;
  readonly parts: readonly Fetched[];
}

/** Asks one broker for records. The broker remembers what it was asked for (KIP-227), so that only changes are sent. */
export interface FetchSession {
  /** One long poll. Moves each partition's `fetchNext` on behind what came. */
  fetch(wanted: readonly Partition[]): Promise<FetchedBatch>;
}

interface Asked {
  readonly partition: Partition;
  readonly offset: number;
  readonly epoch: number;
}

interface RequestApi {
  createRequest(...args: readonly unknown[]): Writer;
}

export function createFetchSession(kafka: KafkaClient, connections: Connections, broker: Broker, limits: FetchLimits): FetchSession {
  let sessionId = 0;
  let epoch = 0;
  let asked = new Map<string, Asked>();
  let connectionBefore: object | undefined;

  function reset(): void {
    sessionId = 0;
    epoch = 0;
    asked = new Map();
  }

  /** The part of what is wanted that the broker does not know yet, and what it must forget. */
  function changes(wanted: readonly Partition[], byId: boolean): { topics: object[]; forgotten: object[] } {
    const now = new Map<string, Asked>();
    const topics = new Map<string, object[]>();
    for (const partition of wanted) {
      const topic = byId ? partition.topicId! : partition.topic;
      const key = `${topic}/${partition.partition}`;
      const before = asked.get(key);
      const { fetchNext: offset, leaderEpoch } = partition;
      if (before !== undefined && before.partition === partition && before.offset === offset && before.epoch === leaderEpoch) {
        now.set(key, before);
        continue;
      }
      now.set(key, { partition, offset, epoch: leaderEpoch });
      listOf(topics, topic).push({
        partition: partition.partition, currentLeaderEpoch: leaderEpoch, fetchOffset: BigInt(offset), lastFetchedEpoch: -1,
        partitionMaxBytes: limits.partitionBytesMax,
      });
    }
    const forgotten = new Map<string, number[]>();
    for (const [key, { partition }] of asked) {
      if (!now.has(key)) listOf(forgotten, key.slice(0, key.lastIndexOf("/"))).push(partition.partition);
    }
    asked = now;
    return {
      topics: Array.from(topics, ([topicId, partitions]) => ({ topicId, partitions })),
      forgotten: Array.from(forgotten, ([topicId, partitions]) => ({ topicId, partitions })),
    };
  }

  async function ask(wanted: readonly Partition[]): Promise<FetchedBatch> {
    const connection = await connections.to(broker);
    // A session belongs to the broker, but an answer may have been lost with the connection.
    if (connection !== connectionBefore) reset();
    connectionBefore = connection;
    const range = (await connections.versions(connection)).get(FETCH);
    let version = Math.min(FETCH_VERSION_MAX, range?.[1] ?? 0);
    if (fetchesById(version) && wanted.some(({ topicId }) => topicId === undefined)) version = 12;
    if (version < FETCH_VERSION_MIN) throw new Error("the broker is older than Kafka 2.3");
    const { topics, forgotten } = changes(wanted, fetchesById(version));
    const api = (kafka as unknown as Readonly<Record<string, RequestApi>>)[`fetchV${version}`]!;
    const compact = version >= 12;
    const answer = await new Promise<ReturnType<typeof parseFetchAnswer>>((resolve, reject) => {
      connection.send<ReturnType<typeof parseFetchAnswer>>(
        FETCH, version,
        () => api.createRequest(
          limits.waitMsMax, limits.bytesMin, limits.bytesMax, limits.committedOnly ? 1 : 0, sessionId, epoch, topics, forgotten, "",
        ),
        // One copy into one piece: the answer came in as many as the socket had reads.
        (_correlation, _key, _version, reader) => parseFetchAnswer(reader.buffer.slice(reader.position), version),
        compact, compact,
        (error, payload) => (error === null ? resolve(payload!) : reject(error)),
      );
    });
    if (answer.errorCode !== ErrorCode.NONE) throw brokerError(kafka, answer.errorCode);
    const before = asked;
    if (answer.sessionId === 0) reset();
    else {
      sessionId = answer.sessionId;
      epoch = epoch >= 2 ** 31 - 1 ? 1 : epoch + 1;
    }
    const parts: Fetched[] = [];
    for (const part of answer.partitions) {
      const known = before.get(`${part.topic}/${part.partition}`);
      if (known === undefined) continue;
      const { partition, offset: from } = known;
      parts.push({ partition, from, answer: part });
      if (part.errorCode === ErrorCode.NONE && !partition.gone) {
        partition.fetchNext = Math.max(from, endOf(answer.bytes, part.start, part.end) ?? from);
      }
    }
    return { bytes: answer.bytes, parts };
  }

  return {
    async fetch(wanted) {
      try {
        return await ask(wanted);
      } catch (error) {
        reset();
        throw error;
      }
    },
  };
}


function listOf<T>(lists: Map<string, T[]>, key: string): T[] {
  let list = lists.get(key);
  if (list === undefined) lists.set(key, (list = []));
  return list;
}

/** The offset behind the last whole batch; undefined where there is none. */
function endOf(bytes: Buffer, start: number, end: number): number | undefined {
  let after: number | undefined;
  for (let at = start; end - at >= 27; ) {
    const next = at + 12 + bytes.readInt32BE(at + 8);
    if (next > end || next <= at) break;
    // Formats before 2 have no such field: their batches are passed over one by one.
    after = int64(bytes, at) + (bytes[at + 16] === 2 ? bytes.readInt32BE(at + 23) : 0) + 1;
    at = next;
  }
  return after;
}
