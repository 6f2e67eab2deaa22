import { backoffMs, type Backoff } from "../../src/sdk/backoff.ts";
import type { ReceiverContext } from "../../src/sdk/component.ts";
import { kafkaFailure } from "../../src/sdk/kafka_client.ts";
import { brokerError, ErrorCode, type Cluster, type Metadata, type OffsetAt, type PartitionKey } from "./cluster.ts";
import type { KafkaClient } from "./connections.ts";
import type { FetchSession } from "./fetch.ts";
import type { Flow } from "./flow.ts";
import type { Group } from "./group.ts";
import type { Health } from "./health.ts";
import type { Positions } from "./position.ts";
import { startReader, type Reader } from "./reader.ts";
import { keyOf, newPartition, type Partition } from "./state.ts";
import type { Subscription } from "./subscription.ts";

const BACKOFF: Backoff = { firstMs: 100, maxMs: 5_000 };
const PARTITIONS_MAX = 10_000;
const CLUSTER = "cluster";

export interface ConsumerOptions {
  readonly initialOffset: OffsetAt;
  readonly onOffsetExpired: "earliest" | "latest" | "fail";
  readonly committedOnly: boolean;
  readonly metadataIntervalMs: number;
  readonly failingAfterMs: number;
}

export interface ConsumerParts {
  readonly kafka: KafkaClient;
  readonly cluster: Cluster;
  readonly subscription: Subscription;
  readonly positions: Positions;
  readonly health: Health;
  readonly flow: Flow;
  /** Undefined: nobody shares the topics with us. */
  readonly group: Group | undefined;
  /** A session with the broker of that node. */
  readonly session: (node: number, metadata: Metadata) => FetchSession;
  readonly partitions: Map<string, Partition>;
  readonly signal: AbortSignal;
}

/** Keeps track of what there is to read, and of who leads it. */
export interface Consumer {
  /** The broker answered with an error for this partition. */
  problem(partition: Partition, code: number): void;
  /** Something else has changed: look again. */
  look(): void;
  readonly done: Promise<void>;
}

export function startConsumer(context: ReceiverContext, options: ConsumerOptions, parts: ConsumerParts): Consumer {
  const { clock } = context;
  const { kafka, cluster, subscription, positions, health, flow, group, partitions, signal } = parts;
  /** Where a partition begins whose offset is not known yet. */
  const starts = new Map<string, PartitionKey & { readonly topicId: string | undefined; readonly at: OffsetAt }>();
  const expired = new Set<Partition>();
  const readers = new Map<number, Reader & { readonly address: string; stop(): void }>();
  const ended = new Set<Promise<void>>();
  let listed = false;
  /** The position says more than was emitted. */
  let moved = false;
  /** Looks in a row that left something open, and partitions that could not be read since all could. */
  let attempts = 0;
  let problems = 0;
  let wake: (() => void) | undefined;
  let asked = false;

  function look(): void {
    asked = true;
    wake?.();
  }
  signal.addEventListener("abort", look, { once: true });

  function block(partition: Partition): void {
    partition.blockedSince ??= clock.monotonicMs();
    look();
  }

  /** Adds what is new, drops what is gone, and notes where the new begins. */
  function align(metadata: Metadata): void {
    const found = subscription.match(metadata, positions);
    for (const problem of found.problems) context.report(new Error(problem));
    for (const [key, partition] of partitions) if (!found.partitions.has(key) || found.partitions.get(key)!.topicId !== partition.topicId) leave(key, partition);
    for (const key of starts.keys()) if (!found.partitions.has(key)) starts.delete(key);
    group?.subscribe([...found.topics.keys()], JSON.stringify([...found.topics]));
    let more = 0;
    for (const [key, wanted] of found.partitions) {
      if (partitions.has(key)) continue;
      if (partitions.size + more >= PARTITIONS_MAX) {
        context.report(new Error(`more than ${PARTITIONS_MAX} partitions match; the others are not read`));
        break;
      }
      more++;
      const next = positions.next(wanted.topic, wanted.partition);
      if (next !== undefined && group === undefined) join(newPartition(wanted, wanted.topicId, next));
      else if (!starts.has(key)) starts.set(key, { ...wanted, at: wanted.firstLook ? options.initialOffset : "earliest" });
    }
  }

  function join(partition: Partition): void {
    partitions.set(keyOf(partition), partition);
    health.joined(partition);
  }

  function leave(key: string, partition: Partition): void {
    partition.gone = true;
    partitions.delete(key);
    expired.delete(partition);
    health.left(partition);
  }

  /** Asks where the new ones begin. What begins at the end must begin there after a crash as well, though nothing came yet. */
  async function begin(metadata: Metadata): Promise<void> {
    // Where others may have read meanwhile the group may be further than we ever were.
    const shared = await group?.committed([...starts.values()]);
    const looked = await Promise.allSettled(Array.from(starts, async ([key, start]) => {
      const leader = leaderOf(metadata, start);
      if (leader === undefined) return;
      const before = Math.max(positions.next(start.topic, start.partition) ?? -1, shared?.get(key) ?? -1);
      const next = before >= 0 ? before
        : await cluster.offset(leader, start, start.at, options.committedOnly) ?? await cluster.offset(leader, start, "latest", options.committedOnly);
      if (next === undefined || !starts.delete(key) || signal.aborted) return;
      positions.set(start.topic, start.partition, next);
      join(newPartition(start, start.topicId, next));
      moved = true;
    }));
    for (const one of looked) if (one.status === "rejected") throw one.reason;
  }

  const leaderOf = (metadata: Metadata, { topic, partition }: PartitionKey) =>
    metadata.brokers.get(metadata.topics.get(topic)?.partitions.get(partition)?.leader ?? -1);

  /** What is next is not there any longer, or not yet. */
  async function recover(metadata: Metadata, partition: Partition): Promise<void> {
    const leader = leaderOf(metadata, partition);
    if (leader === undefined) return;
    const [earliest, latest] = await Promise.all([
      cluster.offset(leader, partition, "earliest", options.committedOnly), cluster.offset(leader, partition, "latest", options.committedOnly),
    ]);
    if (earliest === undefined || latest === undefined || !expired.delete(partition) || partition.gone) return;
    const { topic, partition: number, next } = partition;
    const where = `${topic}, partition ${number}: offset ${next}`;
    const what = next < earliest ? `${where} is gone, the first is ${earliest}`
      : next > latest ? `${where} is behind the end, ${latest}: the log was cut back` : undefined;
    if (what !== undefined && options.onOffsetExpired === "fail") {
      partition.halted = true;
      health.halted(what);
      context.report(new Error(`${what}; it is read no further (on_offset_expired: fail)`));
      return;
    }
    partition.blockedSince = undefined;
    if (what === undefined) {
      partition.fetchNext = next;
      return;
    }
    const to = options.onOffsetExpired === "latest" ? latest : earliest;
    if (to > next) context.refused(to - next, "expired");
    context.report(new Error(`${what}; reading goes on at ${to}${to > next ? `, at most ${to - next} messages were missed` : ""}`));
    partition.next = partition.fetchNext = to;
    partition.target = undefined;
    positions.set(topic, number, to);
    moved = true;
  }

  /** Tells each partition who leads it, and each leader what to read. */
  function lead(metadata: Metadata): void {
    for (const partition of partitions.values()) {
      const { leader = -1, leaderEpoch = -1 } = metadata.topics.get(partition.topic)?.partitions.get(partition.partition) ?? {};
      partition.leader = leader;
      partition.leaderEpoch = leaderEpoch;
      if (!metadata.brokers.has(leader)) partition.blockedSince ??= clock.monotonicMs();
      else if (!expired.has(partition)) partition.blockedSince = undefined;
    }
    const leaders = new Set(Array.from(partitions.values(), ({ leader }) => leader));
    for (const [node, reader] of readers) {
      const broker = metadata.brokers.get(node);
      if (leaders.has(node) && broker !== undefined && reader.address === `${broker.host}:${broker.port}`) continue;
      reader.stop();
      readers.delete(node);
    }
    for (const node of leaders) if (!readers.has(node) && metadata.brokers.has(node)) readers.set(node, read(node, metadata));
    for (const reader of readers.values()) reader.changed();
  }

  function read(node: number, metadata: Metadata): Reader & { readonly address: string; stop(): void } {
    const stopping = new AbortController();
    const { host, port } = metadata.brokers.get(node)!;
    const who = `broker ${node}`;
    const mine = (): Partition[] =>
      Array.from(partitions.values()).filter(({ leader, blockedSince, halted }) => leader === node && blockedSince === undefined && !halted);
    const reader = startReader({
      clock, session: parts.session(node, metadata), wanted: mine, take: (batch) => flow.take(batch), signal: AbortSignal.any([signal, stopping.signal]),
      onAnswer: () => health.worked(who),
      onFailure(error) {
        health.failed(who, new Error(kafkaFailure(error).message, { cause: error }));
        // What was answered and is lost with the failure is asked for again.
        for (const partition of mine()) partition.fetchNext = partition.next;
        look();
      },
    });
    const done = reader.done.finally(() => ended.delete(done));
    ended.add(done);
    return {
      ...reader,
      address: `${host}:${port}`,
      stop() {
        stopping.abort();
        health.mended(who);
      },
    };
  }

  async function refresh(): Promise<void> {
    const metadata = await cluster.metadata(subscription.topics);
    align(metadata);
    const begun = await Promise.allSettled([begin(metadata), ...Array.from(expired, (partition) => recover(metadata, partition))]);
    lead(metadata);
    listed = true;
    if (subscription.fresh() || moved) flow.settle();
    moved = false;
    const failure = begun.find((one) => one.status === "rejected");
    if (failure !== undefined) throw failure.reason;
    if (partitions.size === 0) health.worked(CLUSTER);
    else health.mended(CLUSTER);
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      asked = false;
      const problemsBefore = problems;
      let settled = false;
      try {
        await refresh();
        settled = starts.size === 0 && expired.size === 0 && Array.from(partitions.values()).every(({ blockedSince }) => blockedSince === undefined);
      } catch (error) {
        if (signal.aborted) break;
        health.failed(CLUSTER, new Error(kafkaFailure(error).message, { cause: error }));
      }
      health.judge(listed && starts.size === 0);
      attempts = settled ? 0 : attempts + 1;
      if (settled && !asked) await idle();
      if (problems === problemsBefore) problems = 0;
      // However often it is asked to look, it does not look more often than this.
      await clock.sleep(backoffMs(BACKOFF, Math.max(1, attempts, problems), clock), signal).catch(() => undefined);
    }
    await Promise.all(ended);
  }

  async function idle(): Promise<void> {
    const stop = new AbortController();
    wake = () => stop.abort();
    await clock.sleep(options.metadataIntervalMs, stop.signal).catch(() => undefined);
    wake = undefined;
  }

  return {
    problem(partition, code) {
      problems++;
      if (code === ErrorCode.OFFSET_OUT_OF_RANGE) expired.add(partition);
      else {
        partition.fetchNext = partition.next;
        context.log.debug({ topic: partition.topic, partition: partition.partition, reason: brokerError(kafka, code).message }, "partition cannot be read now");
        if (code === ErrorCode.TOPIC_AUTHORIZATION_FAILED) context.report(new Error(`${partition.topic}: ${brokerError(kafka, code).message}`));
      }
      block(partition);
    },
    look,
    done: run(),
  };
}
