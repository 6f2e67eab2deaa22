import type { Clock } from "../../src/sdk/clock.ts";
import { PermanentError, RetryLaterError } from "../../src/sdk/errors.ts";
import type { KafkaClientConfig } from "../../src/sdk/kafka_client.ts";
import { createClient, KafkaError, type Client, type Compression, type ProducerIdentity } from "./client.ts";
import { bytesOf, leavesOf, packed, parcel, recordOf, repacked, type OutgoingMessage, type Parcel, type Placing } from "./parcels.ts";

/** A sequence is a signed 32 bit integer, and begins anew after the last. */
const SEQUENCES = 2 ** 31;
/** Whoever runs the cluster has to do something first: until then asking often is of no use. */
const OPERATOR_MS = 15_000;

/** The broker says no to these records, whatever we do. */
const REFUSED = ["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_RECORD", "INVALID_TIMESTAMP", "POLICY_VIOLATION"];
/** It no longer knows what we wrote before. */
const FORGOTTEN = ["OUT_OF_ORDER_SEQUENCE_NUMBER", "UNKNOWN_PRODUCER_ID", "INVALID_PRODUCER_EPOCH", "INVALID_PRODUCER_ID_MAPPING"];
const NOT_ALLOWED = ["TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"];

export interface ProducerOptions {
  readonly config: KafkaClientConfig;
  readonly compression: Compression;
  /** How long a broker may take to answer. */
  readonly timeoutMs: number;
  /** Bytes of one request before compression. */
  readonly requestBytesMax: number;
  readonly clock: Clock;
  /** Something was refused for good, while the rest went its way. */
  readonly onRefused: (error: Error) => void;
}

/** Messages that were handed in together, on their way. Kept by the caller from one attempt to the next. */
export interface Shipment {
  /** By partition, in order; undefined until it is known how many there are. */
  parcels: Parcel[] | undefined;
  readonly messages: readonly OutgoingMessage[];
}

/** One partition: one parcel at a time. */
interface Lane {
  identity: ProducerIdentity | undefined;
  next: number;
  /** Was sent, and nobody knows whether it was written: nothing else may go before it is known. */
  unknown: Parcel | undefined;
  tail: Promise<void>;
}

/** Puts messages into topics: per key in order, and each once, however often an attempt is repeated while the agent lives. */
export interface Producer {
  /**
   * One attempt at what was not yet taken of the shipment. Rejects with `PermanentError` when all of it was refused,
   * with `RetryLaterError` when somebody must do something about it first, and otherwise for another attempt.
   */
  deliver(shipment: Shipment): Promise<void>;
  /** What is under way fails. */
  close(): Promise<void>;
}

export function createProducer({ config, compression, timeoutMs, requestBytesMax, clock, onRefused }: ProducerOptions): Producer {
  const lanes = new Map<string, Lane>();
  let opened: Promise<Client> | undefined;
  let closed = false;
  let turn = 0;

  function laneOf({ topic, partition }: Parcel): Lane {
    const name = `${topic}:${partition}`;
    let lane = lanes.get(name);
    if (lane === undefined) lanes.set(name, (lane = { identity: undefined, next: 0, unknown: undefined, tail: Promise.resolve() }));
    return lane;
  }

  /** Files of the configuration may have changed: after a failure there is a new client. */
  async function reconnect(client: Promise<Client>): Promise<void> {
    if (opened !== client) return;
    opened = undefined;
    await (await client.catch(() => undefined))?.close();
  }

  /** Where records go, as the cluster is now. */
  async function placing(client: Client, topics: Iterable<string>): Promise<Placing> {
    const counts = new Map<string, number>();
    for (const topic of new Set(topics)) {
      const count = await client.partitionsOf(topic);
      if (count === 0) throw new Error(`topic ${topic} has no partitions`);
      counts.set(topic, count);
    }
    const keyless = turn++;
    return {
      bytesMax: requestBytesMax,
      exists: (topic, partition) => partition < counts.get(topic)!,
      partitionOf: (topic, key) => (key === undefined ? keyless : client.hashOf(key)) % counts.get(topic)!,
    };
  }

  /** One attempt at a parcel whose turn it is. Resolves when it was taken, or refused. */
  async function send(client: Client, lane: Lane, one: Parcel): Promise<void> {
    if (one.outcome !== "open") return;
    if (one.parts === undefined) {
      const { topic, partition, records } = one;
      const place = (one.place ??= { identity: (lane.identity ??= await client.identity()), sequence: lane.next });
      lane.unknown = one;
      const refusal = await client.produce({ topic, partition, records, ...place, compression }).then(() => undefined, (error: unknown) => judged(lane, one, error));
      lane.unknown = undefined;
      if (refusal === undefined) {
        lane.next = (place.sequence + records.length) % SEQUENCES;
        one.outcome = "taken";
        return;
      }
      one.place = undefined;
      if (records.length === 1) {
        one.outcome = new PermanentError(`${topic} does not take a message of ${bytesOf(records[0]!)} bytes: ${refusal.message}`);
        return;
      }
      const middle = Math.ceil(records.length / 2);
      one.parts = [parcel(topic, partition, records.slice(0, middle)), parcel(topic, partition, records.slice(middle))];
    }
    for (const part of one.parts) await send(client, lane, part);
  }

  /** Gives the broker's refusal, or nothing where it has the parcel already. Throws what is worth another attempt. */
  function judged(lane: Lane, one: Parcel, error: unknown): KafkaError | undefined {
    if (!(error instanceof KafkaError)) throw error;
    const has = (code: string): boolean => error.failure.codes.has(code);
    // Since then it has taken so many more that it does not remember which.
    if (has("DUPLICATE_SEQUENCE_NUMBER")) return undefined;
    if (REFUSED.some(has)) return error;
    if (FORGOTTEN.some(has)) {
      lane.identity = undefined;
      lane.next = 0;
      lane.unknown = undefined;
      one.place = undefined;
    }
    throw error;
  }

  /** One attempt at these, of one partition, when whoever came before has had his. */
  async function inTurn(client: Client, lane: Lane, parcels: readonly Parcel[]): Promise<void> {
    const { tail } = lane;
    const { promise, resolve } = Promise.withResolvers<void>();
    lane.tail = promise;
    await tail;
    try {
      if (lane.unknown !== undefined) await send(client, lane, lane.unknown);
      // The first that fails ends it: those behind must not overtake it.
      for (const one of parcels) await send(client, lane, one);
    } finally {
      resolve();
    }
  }

  async function attempt(client: Client, shipment: Shipment): Promise<void> {
    const place = await placing(client, shipment.messages.map(({ topic }) => topic));
    shipment.parcels = shipment.parcels === undefined
      ? packed(shipment.messages.map((message) => recordOf(message, clock.now())), place)
      : repacked(shipment.parcels, place);
    const byLane = Map.groupBy(shipment.parcels, laneOf);
    const ended = await Promise.allSettled([...byLane].map(([lane, parcels]) => inTurn(client, lane, parcels)));
    for (const end of ended) if (end.status === "rejected") throw end.reason;
  }

  return {
    async deliver(shipment) {
      if (closed) throw new Error("the exporter is stopping");
      const client = (opened ??= createClient(config, timeoutMs, clock));
      try {
        await attempt(await client, shipment);
      } catch (error) {
        // What a broker answered came over a connection that is good.
        if (!isAnswer(error) || isLoginRefused(error)) await reconnect(client);
        throw retryOf(error);
      }
      const leaves = shipment.parcels!.flatMap(leavesOf);
      const errors = leaves.flatMap(({ outcome }) => (outcome instanceof PermanentError ? [outcome] : []));
      if (errors.length > 0 && errors.length === leaves.length) throw errors[0]!;
      for (const error of errors) onRefused(error);
    },
    async close() {
      closed = true;
      if (opened !== undefined) await reconnect(opened);
    },
  };
}

/** Something of it may have been written: who tries again must go on with it, and not begin anew. */
export function wasSent({ parcels = [] }: Shipment): boolean {
  return parcels.flatMap(leavesOf).some(({ place, outcome }) => place !== undefined || outcome === "taken");
}

function isAnswer(error: unknown): boolean {
  return error instanceof KafkaError && (error.failure.codes.size > 0 || isUnknownTopic(error));
}

function isUnknownTopic({ failure: { codes, message } }: KafkaError): boolean {
  return codes.has("UNKNOWN_TOPIC_OR_PARTITION") || message.startsWith("Unknown topic");
}

function isLoginRefused(error: unknown): boolean {
  return error instanceof KafkaError && error.failure.authentication;
}

/** What the pipeline should make of a failed attempt. */
function retryOf(error: unknown): Error {
  if (!(error instanceof KafkaError)) return error as Error;
  const { codes, message } = error.failure;
  if (codes.has("INVALID_TOPIC_EXCEPTION")) return new PermanentError(message);
  const waits = isLoginRefused(error) || NOT_ALLOWED.some((code) => codes.has(code)) || isUnknownTopic(error);
  return waits ? new RetryLaterError(message, OPERATOR_MS) : error;
}
