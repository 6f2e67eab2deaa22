import type { ReceiverContext } from "./component.ts";
import type { Batch, Json } from "./observation.ts";

// Enough that a commit holds many batches: it then writes each page of the store once for all of them.
const BATCHES_MAX = 16;
const BYTES_MAX = 16 * 2 ** 20;
const RETRY_MS = 1_000;

interface Sent {
  readonly order: number;
  readonly batch: Batch;
  readonly position: Json | undefined;
  readonly bytes: number;
}

/** Emits in order and keeps what waits for its commit within bounds. */
export interface Delivery {
  /** Emits at once. Call `room` before the next. Without a position it stays as it is. */
  send(batch: Batch, position: Json | undefined, bytes: number): void;
  /** True while there is no room for another batch. */
  readonly full: boolean;
  /** Resolves when another batch may be sent, or when stopping: look which. */
  room(): Promise<void>;
  /** Resolves when all that was sent so far has been accepted or, when stopping, has been given up. */
  settled(): Promise<void>;
}

/**
 * `emit` may reject when nothing was processed. Such a batch is sent again, in order, before anything new is read;
 * until then its position, and what comes after, is not passed on. `onAccepted`: everything up to this position is committed.
 */
export function createDelivery(context: ReceiverContext, signal: AbortSignal, onAccepted?: (position: Json) => void): Delivery {
  let order = 0;
  let bytesPending = 0;
  const pending = new Map<number, Promise<void>>();
  const rejected: Sent[] = [];
  let accepted: { readonly order: number; readonly position: Json } | undefined;
  let woken: (() => void)[] = [];
  let retrying: Promise<void> | undefined;

  signal.addEventListener("abort", wake, { once: true });

  function wake(): void {
    const waiting = woken;
    woken = [];
    for (const resolve of waiting) resolve();
  }

  function isFull(): boolean {
    return pending.size >= BATCHES_MAX || bytesPending >= BYTES_MAX || rejected.length > 0;
  }

  /** Nothing before it still waits, so that what it says of the source holds. */
  function tell(): void {
    if (onAccepted === undefined || rejected.length > 0 || accepted === undefined) return;
    const [first = Infinity] = pending.keys();
    if (accepted.order < first) onAccepted(accepted.position);
  }

  async function attempt(sent: Sent): Promise<boolean> {
    try {
      // A later batch that was taken nevertheless has moved the position on: it must not go back.
      await context.emit(sent.batch, accepted !== undefined && accepted.order > sent.order ? accepted.position : sent.position);
      const { order: at, position } = sent;
      if (position !== undefined && (accepted === undefined || accepted.order < at)) accepted = { order: at, position };
      return true;
    } catch (error) {
      if (!signal.aborted) context.report(error);
      return false;
    }
  }

  async function run(sent: Sent): Promise<void> {
    const taken = await attempt(sent);
    pending.delete(sent.order);
    if (taken) bytesPending -= sent.bytes;
    else rejected.push(sent);
    if (pending.size === 0 && rejected.length > 0) retrying ??= retry();
    tell();
    wake();
  }

  async function retry(): Promise<void> {
    rejected.sort((a, b) => a.order - b.order);
    while (rejected.length > 0 && !signal.aborted) {
      await context.clock.sleep(RETRY_MS, signal).catch(() => undefined);
      if (signal.aborted) break;
      if (!(await attempt(rejected[0]!))) continue;
      bytesPending -= rejected.shift()!.bytes;
      if (rejected.length === 0) context.healed();
    }
    retrying = undefined;
    tell();
    wake();
  }

  return {
    get full() {
      return isFull();
    },
    send(batch, position, bytes) {
      const sent = { order: order++, batch, position, bytes };
      bytesPending += bytes;
      pending.set(sent.order, run(sent));
    },
    async room() {
      while (!signal.aborted && isFull()) await new Promise<void>((resolve) => void woken.push(resolve));
    },
    async settled() {
      await Promise.all(pending.values());
      await retrying;
    },
  };
}
