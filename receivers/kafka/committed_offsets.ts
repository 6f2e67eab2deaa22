import type { ReceiverContext } from "../../src/sdk/component.ts";
import { kafkaFailure } from "../../src/sdk/kafka_client.ts";
import type { Json } from "../../src/sdk/observation.ts";
import type { PartitionKey } from "./cluster.ts";
import { keyOf } from "./state.ts";

const EVERY_MS = 500;
/** How long the last word of an agent that stops may take. */
const LAST_MS_MAX = 2_000;

export type OffsetOf = PartitionKey & { readonly offset: number };

/** Tells the group what is committed here: after our commit, and for others' eyes only. A failure is reported and holds nothing up. */
export interface CommittedOffsets {
  /** A position that is in the store. */
  committed(position: Json): void;
  /** Tells at once what was not told yet: afterwards others may have what is ours. */
  now(): void;
  /** Tells what was not told yet, then ends. Never rejects. */
  end(): Promise<void>;
}

export function tellCommitted(
  context: ReceiverContext, tell: (offsets: readonly OffsetOf[]) => Promise<void>, ours: (key: PartitionKey) => boolean, signal: AbortSignal,
): CommittedOffsets {
  const { clock } = context;
  const told = new Map<string, number>();
  let latest: Json | undefined;
  let failed = false;
  let wake: (() => void) | undefined;
  signal.addEventListener("abort", () => wake?.(), { once: true });

  async function round(): Promise<void> {
    const position = latest;
    latest = undefined;
    const offsets = news(position, told).filter(ours);
    if (offsets.length === 0) return;
    try {
      await tell(offsets);
      for (const one of offsets) told.set(keyOf(one), one.offset);
      if (failed) context.log.info({}, "the group takes offsets again");
      failed = false;
    } catch (error) {
      latest ??= position;
      // It is of no consequence for what is read: said once, and not as a failure of the source.
      if (!failed && !signal.aborted) context.log.warn({ reason: kafkaFailure(error).message }, "the group does not take our offsets");
      failed = true;
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      if (latest === undefined) await new Promise<void>((resolve) => void (wake = resolve));
      if (signal.aborted) break;
      await round();
      await clock.sleep(EVERY_MS, signal).catch(() => undefined);
    }
  }
  const done = run();

  return {
    committed(position) {
      latest = position;
      wake?.();
    },
    now: () => void round(),
    async end() {
      const patience = new AbortController();
      const tooLong = clock.sleep(LAST_MS_MAX, patience.signal).catch(() => undefined);
      await Promise.race([done.then(round), tooLong]);
      patience.abort();
    },
  };
}

/** The offsets of a position that differ from those told. */
function news(position: Json | undefined, told: ReadonlyMap<string, number>): OffsetOf[] {
  const offsets: OffsetOf[] = [];
  const topics = (position ?? {}) as { readonly [topic: string]: { readonly next: { readonly [partition: string]: number } } };
  for (const [topic, { next }] of Object.entries(topics)) {
    for (const [partition, offset] of Object.entries(next)) {
      const one = { topic, partition: Number(partition), offset };
      if (told.get(keyOf(one)) !== offset) offsets.push(one);
    }
  }
  return offsets;
}
