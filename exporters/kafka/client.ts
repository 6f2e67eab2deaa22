import type { API, Base, BaseOptions, ClusterMetadata, Connection, MessageRecord } from "@platformatic/kafka";
import { deadline, type Clock } from "../../src/sdk/clock.ts";
import { guardConnections, kafkaClientOptions, kafkaFailure, type KafkaClientConfig, type KafkaFailure } from "../../src/sdk/kafka_client.ts";

/** New partitions of a topic are used after this. */
const METADATA_MAX_AGE_MS = 60_000;
const ALL_IN_SYNC = -1;

/** What the broker keeps of a producer, to know a batch that comes again. https://cwiki.apache.org/confluence/x/dDdDAg */
export interface ProducerIdentity {
  readonly id: bigint;
  readonly epoch: number;
}

/** Records of one partition, and the place of the first in the producer's order. Written once, however often it is sent. */
export interface RecordBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly MessageRecord[];
  readonly identity: ProducerIdentity;
  readonly sequence: number;
  readonly compression: Compression;
}

export type Compression = "none" | "gzip" | "snappy" | "lz4" | "zstd";

/** One conversation with a cluster. Every call is one attempt; what it throws is `KafkaError`. */
export interface Client {
  /** Of a key, as Java's clients have it: 31 bits. What they put into a partition, and what we do, lie together. */
  hashOf(key: Buffer): number;
  /** How many partitions the topic has. */
  partitionsOf(topic: string): Promise<number>;
  identity(): Promise<ProducerIdentity>;
  /** Resolves when all in-sync replicas have it. */
  produce(batch: RecordBatch): Promise<void>;
  /** Whatever is under way fails. Never rejects. */
  close(): Promise<void>;
}

/** What went wrong, in the words of the protocol. */
export class KafkaError extends Error {
  override name = "KafkaError";
  readonly failure: KafkaFailure;
  constructor(cause: unknown) {
    const failure = kafkaFailure(cause);
    super(failure.message);
    this.failure = failure;
  }
}

/**
 * Connects when first asked. The client library's own producer gives a batch another identity when its retries end, and a
 * batch that was written after all is then written twice: here the caller keeps identity and sequence.
 */
export async function createClient(config: KafkaClientConfig, timeoutMs: number, clock: Clock): Promise<Client> {
  // The library answers sooner, after asking twice; a call that it forgets must not hold up all others.
  const answerTimeoutMs = 3 * timeoutMs;
  const library = await import("@platformatic/kafka");
  const base: Base<BaseOptions> = new library.Base({
    ...await kafkaClientOptions(config),
    connectTimeout: timeoutMs, requestTimeout: timeoutMs, metadataMaxAge: METADATA_MAX_AGE_MS,
    // One more, which asks the next broker: the first may be one that hangs.
    retries: 1, retryDelay: 50,
  });

  const cutAll = guardConnections(base.connections);

  /** One call of the library, whose errors become ours. */
  async function asked<T>(call: (done: (error: Error | null, value?: T) => void) => void): Promise<T> {
    const limit = deadline(clock, answerTimeoutMs);
    try {
      return await new Promise<T>((resolve, reject) => {
        limit.signal.addEventListener("abort", () => reject(limit.signal.reason as Error), { once: true });
        call((error, value) => (error === null || error === undefined ? resolve(value as T) : reject(error)));
      });
    } catch (error) {
      throw new KafkaError(error);
    } finally {
      limit.clear();
    }
  }

  async function partitions(topic: string): Promise<readonly { readonly leader: number }[]> {
    const { topics } = await asked<ClusterMetadata>((done) => base.metadata({ topics: [topic] }, done));
    return topics.get(topic)?.partitions ?? [];
  }

  async function produceOnce({ topic, partition, records, identity, sequence, compression }: RecordBatch): Promise<void> {
    const leader = (await partitions(topic))[partition]?.leader;
    const broker = leader === undefined ? undefined : base.currentMetadata?.brokers.get(leader);
    if (broker === undefined) throw new KafkaError(new Error(`partition ${partition} of ${topic} has no leader`));
    type Arguments = [acks: number, replicationTimeoutMs: number, records: MessageRecord[], options: object];
    const connection = await asked<Connection>((done) => base[library.kGetConnection](broker, done));
    const api = await asked<API<Arguments, unknown>>((done) => base[library.kGetApi]("Produce", done));
    const sequences = new library.NumericMap([[`${topic}:${partition}`, sequence]]);
    const options = { compression, producerId: identity.id, producerEpoch: identity.epoch, sequences };
    await asked((done) => api(connection, ALL_IN_SYNC, timeoutMs, [...records], options, done));
  }

  return {
    hashOf: (key) => library.murmur2(key) & 0x7fffffff,
    partitionsOf: async (topic) => (await partitions(topic)).length,
    async identity() {
      type Arguments = [transactionalId: null, transactionTimeoutMs: number, id: bigint, epoch: number];
      interface Answer {
        readonly producerId: bigint;
        readonly producerEpoch: number;
      }
      const connection = await asked<Connection>((done) => base[library.kGetBootstrapConnection](done));
      const api = await asked<API<Arguments, Answer>>((done) => base[library.kGetApi]("InitProducerId", done));
      const { producerId, producerEpoch } = await asked<Answer>((done) => api(connection, null, timeoutMs, -1n, -1, done));
      return { id: producerId, epoch: producerEpoch };
    },
    async produce(batch) {
      try {
        await produceOnce(batch);
      } catch (error) {
        // Leaders move and brokers go: what is known of them is looked up again.
        base.clearMetadata();
        if (!(error instanceof KafkaError) || !error.failure.codes.has("NOT_LEADER_OR_FOLLOWER")) throw error;
        await produceOnce(batch);
      }
    },
    async close() {
      // The library waits until a socket has sent what it holds, which a broker that hangs never takes.
      cutAll();
      await asked((done) => base.close(done)).catch(() => {});
    },
  };
}
