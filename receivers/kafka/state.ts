import type { PartitionKey } from "./cluster.ts";

/** A partition that is read. */
export interface Partition extends PartitionKey {
  /** Topic's id, where the brokers have ids. */
  readonly topicId: string | undefined;
  /** What was emitted reaches up to here. */
  next: number;
  /** What was asked for reaches up to here. */
  fetchNext: number;
  /** Node id of the leader; -1: none. */
  leader: number;
  leaderEpoch: number;
  /** The end as far as it was told: of what is committed, where only that is read. Undefined before the first answer. */
  end: number | undefined;
  /** Where the end was when it was assigned, or when its brokers came back: what lies before is news that is due. */
  target: number | undefined;
  /** Since when its leader could not be asked, or is not known; ms of the monotonic clock. */
  blockedSince: number | undefined;
  /** It is not read any further: its policy says so. */
  halted: boolean;
  /** It is not ours any longer: what still comes of it is dropped. */
  gone: boolean;
}

export function newPartition(key: PartitionKey, topicId: string | undefined, next: number): Partition {
  return {
    topic: key.topic, partition: key.partition, topicId, next, fetchNext: next,
    leader: -1, leaderEpoch: -1, end: undefined, target: undefined, blockedSince: undefined, halted: false, gone: false,
  };
}

/** Key of a map by partition: no topic holds a slash. */
export const keyOf = ({ topic, partition }: PartitionKey): string => `${topic}/${partition}`;
