import type { ReceiverContext } from "../../src/sdk/component.ts";
import { createDelivery } from "../../src/sdk/delivery.ts";
import type { Json, Observation } from "../../src/sdk/observation.ts";
import type { Fetched, FetchedBatch } from "./fetch.ts";
import type { createObserver } from "./observe.ts";
import type { Positions } from "./position.ts";
import { RecordCursor, type BrokenBatch, type Codec } from "./records.ts";
import type { Partition } from "./state.ts";

/** An answer is handed on in pieces; after so long the event loop gets its turn, for heartbeats too. */
const SLICE_MS_MAX = 20;
/** What an observation weighs beside its value. */
const RECORD_BYTES = 200;
const BATCH_BYTES_MAX = 4 * 2 ** 20;

export interface FlowOptions {
  readonly recordsMax: number;
  readonly committedOnly: boolean;
  readonly observe: ReturnType<typeof createObserver>;
  readonly codec: Codec;
  readonly signal: AbortSignal;
  /** The broker answered with an error for this partition. */
  readonly onProblem: (partition: Partition, code: number) => void;
  /** What is known of the partition has changed. */
  readonly onProgress: (partition: Partition) => void;
  /** So far is committed. */
  readonly onCommitted: (position: Json) => void;
  /** Called before the records of an answer are read: whatever must be there to decode them. */
  readonly prepare: ((records: () => RecordCursor) => Promise<void>) | undefined;
}

/** Where what was fetched becomes observations and is emitted, in order, the position with it. */
export interface Flow {
  /** Resolves when all of the answer was emitted (not yet committed), or when stopping. One answer after the other, in the order of the calls. */
  take(batch: FetchedBatch): Promise<void>;
  /** Commits the position as it is. */
  settle(): void;
  /** Resolves when everything that was emitted is committed or given up. */
  settled(): Promise<void>;
}

export function createFlow(context: ReceiverContext, positions: Positions, options: FlowOptions): Flow {
  const { signal, recordsMax, observe } = options;
  const delivery = createDelivery(Object.create(context, {
    emit: {
      value: async (batch: readonly Observation[], position: Json) => {
        await context.emit(batch, position);
        options.onCommitted(position);
      },
    },
  }) as ReceiverContext, signal);
  let turn: Promise<void> = Promise.resolve();
  let batch: Observation[] = [];
  let bytes = 0;
  /** What the position says once `batch` is emitted. */
  const reached = new Map<Partition, number>();
  let sliceFrom = 0;

  async function flush(): Promise<void> {
    if (batch.length === 0 && reached.size === 0) return;
    await delivery.room();
    if (signal.aborted) return;
    for (const [partition, next] of reached) {
      if (partition.gone) continue;
      positions.set(partition.topic, partition.partition, next);
      partition.next = next;
    }
    delivery.send(batch, positions.json(), bytes);
    for (const partition of reached.keys()) options.onProgress(partition);
    batch = [];
    bytes = 0;
    reached.clear();
    if (context.clock.monotonicMs() - sliceFrom > SLICE_MS_MAX) {
      await new Promise((resolve) => setImmediate(resolve));
      sliceFrom = context.clock.monotonicMs();
    }
  }

  function broken({ partition }: Fetched, { firstOffset, lastOffset, records, reason }: BrokenBatch): void {
    context.refused(records, "corrupt");
    context.report(new Error(
      `${partition.topic}, partition ${partition.partition}: offsets ${firstOffset} to ${lastOffset} cannot be read and are passed over: ${reason}`,
    ));
  }

  async function takePart(bytesOf: Buffer, fetched: Fetched): Promise<void> {
    const { partition, from, answer } = fetched;
    partition.end = options.committedOnly && answer.lastStableOffset >= 0 ? answer.lastStableOffset : answer.highWatermark;
    partition.target ??= partition.end;
    const cursorOf = (tells: boolean): RecordCursor => new RecordCursor(
      bytesOf, answer.start, answer.end, from, answer.aborted, options.codec, (gap) => { if (tells) broken(fetched, gap); },
    );
    if (answer.end > answer.start) {
      if (options.prepare !== undefined) await options.prepare(() => cursorOf(false));
      const cursor = cursorOf(true);
      const label = String(partition.partition);
      while (!signal.aborted && !partition.gone && cursor.next()) {
        const made = observe(cursor, partition, label);
        if (made !== undefined) batch.push(made);
        bytes += RECORD_BYTES + cursor.valueEnd - cursor.valueStart;
        if (batch.length < recordsMax && bytes < BATCH_BYTES_MAX) continue;
        reached.set(partition, cursor.nextOffset);
        await flush();
      }
      if (signal.aborted || partition.gone) return;
      if (cursor.nextOffset > partition.next) reached.set(partition, cursor.nextOffset);
    }
    if (!reached.has(partition)) options.onProgress(partition);
  }

  async function takeNow({ bytes: bytesOf, parts }: FetchedBatch): Promise<void> {
    sliceFrom = context.clock.monotonicMs();
    for (const fetched of parts) {
      const { partition, from, answer } = fetched;
      if (signal.aborted) return;
      if (partition.gone || partition.halted) continue;
      if (answer.errorCode !== 0) options.onProblem(partition, answer.errorCode);
      else if (from === (reached.get(partition) ?? partition.next)) await takePart(bytesOf, fetched);
      // An answer to what was asked before the partition was put elsewhere: it is asked from where it is.
      else partition.fetchNext = reached.get(partition) ?? partition.next;
    }
    await flush();
  }

  return {
    take(fetched) {
      const taken = turn.then(() => takeNow(fetched));
      turn = taken.catch(() => undefined);
      return taken;
    },
    settle() {
      delivery.send([], positions.json(), 0);
    },
    async settled() {
      await turn;
      await delivery.settled();
    },
  };
}
