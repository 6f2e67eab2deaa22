import type { Json } from "../../src/sdk/observation.ts";

/** Of a topic, as it is kept: which of that name it is, and of each partition the offset to read next. */
export interface TopicPosition {
  readonly id?: string;
  readonly next: { readonly [partition: string]: number };
}

/**
 * The receiver's position: `{orders: {id, next: {0: 17, 1: 4}}}`. A topic of the configuration, and a pattern (`/^shop/`), has an
 * entry from its first look on, also when nothing of it existed: what appears afterwards begins at its beginning.
 */
export interface Positions {
  /** True when this topic or pattern was looked for before. */
  knows(name: string): boolean;
  /** Undefined: of no topic of that name, or one before Kafka 2.8. */
  id(topic: string): string | undefined;
  next(topic: string, partition: number): number | undefined;
  /** Makes the entry of a topic or pattern; of another topic of that name what was kept is forgotten. */
  know(name: string, id: string | undefined): void;
  set(topic: string, partition: number, next: number): void;
  /** As it is kept; never changed afterwards. */
  json(): Json;
}

/** From what the store holds. What is no position counts as none. */
export function createPositions(saved: Json | undefined): Positions {
  const topics = new Map<string, { id: string | undefined; next: Map<number, number>; json: Json | undefined }>();
  if (isMap(saved)) {
    for (const [name, topic] of Object.entries(saved)) {
      if (!isMap(topic)) continue;
      const next = new Map<number, number>();
      for (const [partition, offset] of Object.entries(isMap(topic["next"]) ? topic["next"] : {})) {
        if (typeof offset === "number" && Number.isSafeInteger(offset) && offset >= 0) next.set(Number(partition), offset);
      }
      topics.set(name, { id: typeof topic["id"] === "string" ? topic["id"] : undefined, next, json: undefined });
    }
  }
  return {
    knows: (name) => topics.has(name),
    id: (topic) => topics.get(topic)?.id,
    next: (topic, partition) => topics.get(topic)?.next.get(partition),
    know(name, id) {
      const known = topics.get(name);
      if (known === undefined || (known.id !== undefined && id !== undefined && known.id !== id)) {
        topics.set(name, { id, next: new Map(), json: undefined });
      } else if (id !== undefined && known.id === undefined) {
        known.id = id;
        known.json = undefined;
      }
    },
    set(topic, partition, next) {
      const known = topics.get(topic)!;
      known.next.set(partition, next);
      known.json = undefined;
    },
    json() {
      // `fromEntries` defines own properties: a topic may be called `__proto__`.
      return Object.fromEntries(Array.from(topics, ([name, topic]) => {
        topic.json ??= { ...(topic.id === undefined ? {} : { id: topic.id }), next: Object.fromEntries(topic.next) as Json };
        return [name, topic.json] as const;
      }));
    },
  };
}

function isMap(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
