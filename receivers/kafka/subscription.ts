import { ConfigError, messageOf } from "../../src/sdk/errors.ts";
import { compilePattern } from "../../src/sdk/expression_pattern.ts";
import { ErrorCode, type Metadata, type PartitionKey } from "./cluster.ts";
import type { Positions } from "./position.ts";
import { keyOf } from "./state.ts";

/** A partition that is to be read. */
export interface WantedPartition extends PartitionKey {
  readonly topicId: string | undefined;
  /** Its topic was not looked for before: it begins at `initial_offset`, else at its earliest. */
  readonly firstLook: boolean;
}

export interface Matched {
  readonly partitions: ReadonlyMap<string, WantedPartition>;
  /** The topics that exist, with the number of their partitions: ours or not. */
  readonly topics: ReadonlyMap<string, number>;
  /** What was asked for and is not there. */
  readonly problems: readonly string[];
}

/** Which topics and partitions are read. */
export interface Subscription {
  /** What to ask the cluster for: names; undefined: everything, since there are patterns. */
  readonly topics: readonly string[] | undefined;
  /** Notes in the positions which topics it has looked for. */
  match(metadata: Metadata, positions: Positions): Matched;
  /** True once after a match that looked for something for the first time. */
  fresh(): boolean;
}

/** Throws `ConfigError` on a pattern that is none. `partitions`: undefined: all of them. */
export function createSubscription(topics: readonly string[], only: (key: PartitionKey) => boolean, numbers: readonly number[] | undefined): Subscription {
  const names = topics.filter((topic) => !topic.startsWith("/"));
  const patterns = topics.flatMap((text, index) => {
    if (!text.startsWith("/")) return [];
    try {
      return [{ text, pattern: compilePattern(text.slice(1, -1)) }];
    } catch (error) {
      throw new ConfigError(`/topics/${index}`, messageOf(error), { cause: error });
    }
  });
  let fresh = false;
  /** Partitions of a first look whose offset is not known yet: they keep that until it is. */
  const first = new Set<string>();

  function matching(metadata: Metadata): Map<string, readonly string[]> {
    const found = new Map<string, readonly string[]>(names.map((name) => [name, []]));
    if (patterns.length === 0) return found;
    for (const [name, { internal, errorCode }] of metadata.topics) {
      if (internal || errorCode !== ErrorCode.NONE || found.has(name)) continue;
      const by = patterns.filter(({ pattern }) => pattern.test(name)).map(({ text }) => text);
      if (by.length > 0) found.set(name, by);
    }
    return found;
  }

  return {
    topics: patterns.length === 0 ? names : undefined,
    match(metadata, positions) {
      const partitions = new Map<string, WantedPartition>();
      const problems: string[] = [];
      const topics = new Map<string, number>();
      const known = new Set(patterns.map(({ text }) => text).filter((text) => positions.knows(text)));
      for (const [name, by] of matching(metadata)) {
        const topic = metadata.topics.get(name);
        const firstLook = !positions.knows(name) && !by.some((text) => known.has(text));
        if (topic === undefined || topic.errorCode === ErrorCode.UNKNOWN_TOPIC) problems.push(`topic ${name} does not exist`);
        else if (topic.errorCode === ErrorCode.TOPIC_AUTHORIZATION_FAILED) problems.push(`topic ${name} must not be read: TOPIC_AUTHORIZATION_FAILED`);
        if (topic !== undefined && topic.partitions.size > 0) topics.set(name, topic.partitions.size);
        const before = positions.id(name);
        if (topic?.id !== undefined && before !== undefined && before !== topic.id) {
          problems.push(`topic ${name} was deleted and created anew: it is read from its beginning`);
        }
        fresh ||= !positions.knows(name);
        positions.know(name, topic?.id);
        for (const number of numbers ?? []) {
          if (topic !== undefined && topic.partitions.size > 0 && !topic.partitions.has(number)) problems.push(`topic ${name} has no partition ${number}`);
        }
        for (const partition of topic?.partitions.keys() ?? []) {
          const key = { topic: name, partition };
          if ((numbers !== undefined && !numbers.includes(partition)) || !only(key)) continue;
          if (firstLook) first.add(keyOf(key));
          partitions.set(keyOf(key), { ...key, topicId: topic!.id, firstLook: first.has(keyOf(key)) });
        }
      }
      for (const { text } of patterns) {
        fresh ||= !positions.knows(text);
        positions.know(text, undefined);
      }
      return { partitions, topics, problems };
    },
    fresh() {
      const was = fresh;
      fresh = false;
      return was;
    },
  };
}
