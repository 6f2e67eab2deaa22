import type { Consumer } from "@platformatic/kafka";
import { backoffMs, type Backoff } from "../../src/sdk/backoff.ts";
import type { ReceiverContext } from "../../src/sdk/component.ts";
import { guardConnections, kafkaClientOptions, kafkaFailure, type KafkaClientConfig } from "../../src/sdk/kafka_client.ts";
import type { PartitionKey } from "./cluster.ts";
import type { OffsetOf } from "./committed_offsets.ts";
import type { KafkaClient } from "./connections.ts";
import { keyOf } from "./state.ts";

const BACKOFF: Backoff = { firstMs: 200, maxMs: 10_000 };

export interface GroupConfig extends KafkaClientConfig {
  readonly group_id: string;
  readonly group_instance_id?: string | undefined;
}

/** Membership in a consumer group. The client library joins, says that we live, and joins again; reading is ours. */
export interface Group {
  /** Whether the partition is ours now. */
  owns(key: PartitionKey): boolean;
  /** What the group should share: joins, and joins again when it has changed. `shape` differs when topics or their partitions do. */
  subscribe(topics: readonly string[], shape: string): void;
  /** How far the group is. */
  committed(keys: readonly PartitionKey[]): Promise<ReadonlyMap<string, number>>;
  commit(offsets: readonly OffsetOf[]): Promise<void>;
  /** Leaves, so that the others take over at once; a static member stays, and is expected back. */
  leave(): Promise<void>;
}

export interface GroupOptions {
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  /** The group is about to share anew: the last moment to tell how far we are. Afterwards nothing is ours until it is assigned. */
  readonly onRevoked: () => void;
  /** Our partitions are others now. */
  readonly onAssigned: () => void;
  readonly signal: AbortSignal;
}

export function createGroup(kafka: KafkaClient, context: ReceiverContext, config: GroupConfig, options: GroupOptions): Group {
  const { clock } = context;
  const { signal } = options;
  let member: Consumer | undefined;
  let owned: ReadonlySet<string> = new Set();
  let wanted: { readonly topics: readonly string[]; readonly shape: string } | undefined;
  let joined: string | undefined;
  let busy: Promise<void> | undefined;

  function assigned(): void {
    owned = new Set((member?.assignments ?? []).flatMap(({ topic, partitions }) => partitions.map((partition) => keyOf({ topic, partition }))));
    context.log.info({ partitions: owned.size }, "partitions were assigned");
    options.onAssigned();
  }

  async function newMember(): Promise<Consumer> {
    const { group_id: groupId, group_instance_id: instance } = config;
    const made = new kafka.Consumer({
      ...await kafkaClientOptions(config), groupId, ...(instance === undefined ? {} : { groupInstanceId: instance }),
      sessionTimeout: options.sessionTimeoutMs, rebalanceTimeout: Math.max(options.sessionTimeoutMs, 60_000),
      heartbeatInterval: options.heartbeatIntervalMs, heartbeatStallTimeout: options.sessionTimeoutMs, autocommit: false, retries: 3, retryDelay: 500,
    });
    guardConnections(made.connections);
    made.on("consumer:group:join", () => { if (made === member) assigned(); });
    made.on("consumer:group:rebalance", () => {
      if (made !== member || owned.size === 0) return;
      options.onRevoked();
      owned = new Set();
      options.onAssigned();
    });
    // Whatever it cannot mend by itself: it is given up, and another one joins.
    made.on("consumer:heartbeat:stalled", () => lost(made, new Error("the group's coordinator does not answer")));
    made.on("error" as never, ((error: Error) => lost(made, error)) as never);
    return made;
  }

  function lost(which: Consumer, error: Error): void {
    if (which !== member || signal.aborted) return;
    context.report(new Error(`left the group: ${kafkaFailure(error).message}`, { cause: error }));
    member = undefined;
    joined = undefined;
    owned = new Set();
    options.onAssigned();
    void end(which, false);
    work();
  }

  /** Closes a member. One that does not leave is missed only after its session's time. */
  async function end(which: Consumer, leaves: boolean): Promise<void> {
    try {
      if (!leaves) await which.connections.close();
      await which.close(true);
    } catch {
      await which.connections.close().catch(() => undefined);
    }
  }

  function work(): void {
    busy ??= join().finally(() => void (busy = undefined));
  }

  async function join(): Promise<void> {
    for (let failures = 0; !signal.aborted && wanted !== undefined && wanted.shape !== joined; ) {
      const { topics, shape } = wanted;
      let current: Consumer | undefined;
      try {
        current = member ??= await newMember();
        // Whoever shares the partitions out must know of those that were added.
        current.clearMetadata();
        current.topics.clear();
        current.topics.trackAll(...topics);
        await current.joinGroup({});
        joined = shape;
        if (failures > 0) context.healed();
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        context.report(new Error(`cannot join the group: ${kafkaFailure(error).message}`, { cause: error }));
        if (current !== undefined) {
          member = undefined;
          owned = new Set();
          options.onAssigned();
          await end(current, false);
        }
        await clock.sleep(backoffMs(BACKOFF, ++failures, clock), signal).catch(() => undefined);
      }
    }
  }

  return {
    owns: (key) => owned.has(keyOf(key)),
    subscribe(topics, shape) {
      if (topics.length === 0 || shape === wanted?.shape) return;
      wanted = { topics, shape };
      work();
    },
    async committed(keys) {
      const found = new Map<string, number>();
      if (member === undefined || keys.length === 0) return found;
      const topics = new Map<string, number[]>();
      for (const { topic, partition } of keys) topics.set(topic, [...(topics.get(topic) ?? []), partition]);
      const answer = await member.listCommittedOffsets({ topics: Array.from(topics, ([topic, partitions]) => ({ topic, partitions })) });
      for (const key of keys) {
        const offset = answer.get(key.topic)?.[key.partition];
        if (offset !== undefined && offset >= 0n) found.set(keyOf(key), Number(offset));
      }
      return found;
    },
    async commit(offsets) {
      const mine = offsets.filter((offset) => owned.has(keyOf(offset)));
      if (member === undefined || mine.length === 0) return;
      await member.commit({ offsets: mine.map(({ topic, partition, offset }) => ({ topic, partition, offset: BigInt(offset), leaderEpoch: -1 })) });
    },
    async leave() {
      const leaving = member;
      member = undefined;
      owned = new Set();
      if (leaving !== undefined) await end(leaving, config.group_instance_id === undefined);
      await busy;
    },
  };
}
