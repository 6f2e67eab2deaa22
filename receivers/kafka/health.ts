import type { ReceiverContext } from "../../src/sdk/component.ts";
import type { Partition } from "./state.ts";

/** What the receiver says of itself: whether it has caught up, and whether anything can be read at all. */
export interface Health {
  /** It is read from now on. */
  joined(partition: Partition): void;
  left(partition: Partition): void;
  /** More of it was emitted, or its end is known now. */
  progress(partition: Partition): void;
  /** This broker (or whatever is asked) gave what it was asked for. */
  worked(who: string): void;
  /** It is asked no longer, or does what does not count as reading: what was said of it is over. */
  mended(who: string): void;
  /** What is needed to decode is there again. The brokers were there all the time. */
  decodes(): void;
  /** It could not be asked; said once for each reason. */
  failed(who: string, error: Error): void;
  /** A policy says to read no further: failing for good. */
  halted(reason: string): void;
  /** Looks at the clock. `listed`: what there is to read is known. */
  judge(listed: boolean): void;
}

export function createHealth(context: ReceiverContext, failingAfterMs: number, partitions: () => Iterable<Partition>): Health {
  const { clock } = context;
  /** Partitions of which not everything that was due has been emitted. */
  const behind = new Set<Partition>();
  /** What is wrong with whom. */
  const broken = new Map<string, string>();
  let failedSince: number | undefined;
  let lastError: Error | undefined;
  let failing = false;
  let caughtUp = false;
  let haltedFor: string | undefined;

  /** One that has been without a leader for long must not put the alerts of all the others off. */
  const isLost = ({ blockedSince, halted }: Partition): boolean =>
    halted || (blockedSince !== undefined && clock.monotonicMs() - blockedSince >= failingAfterMs);

  const isDone = ({ target, next }: Partition): boolean => target !== undefined && next >= target;

  function mended(who: string): void {
    if (broken.delete(who) && broken.size === 0) context.healed();
  }

  /** What is there by now is due before it works again. `end`: where that ends, if it is known; else the next answer says. */
  function works(who: string, end: (partition: Partition) => number | undefined): void {
    mended(who);
    if (failedSince === undefined) return;
    failedSince = undefined;
    lastError = undefined;
    if (!failing) return;
    for (const partition of partitions()) {
      partition.target = end(partition);
      behind.add(partition);
    }
  }

  function lookCaughtUp(): void {
    if ((caughtUp && !failing) || failedSince !== undefined) return;
    for (const partition of behind) {
      if (isDone(partition)) behind.delete(partition);
      else if (!isLost(partition)) return;
    }
    if (!caughtUp) context.caughtUp();
    caughtUp = true;
    // Only now: what was stale is judged again as soon as this is said, after the news was processed.
    if (failing && haltedFor === undefined) {
      failing = false;
      context.failing(undefined);
    }
  }

  return {
    joined: (partition) => void behind.add(partition),
    left: (partition) => void behind.delete(partition),
    progress(partition) {
      if (!isDone(partition)) return;
      if (behind.delete(partition) && behind.size === 0) lookCaughtUp();
    },
    worked: (who) => works(who, () => undefined),
    mended,
    decodes: () => works("decode", ({ end }) => end),
    failed(who, error) {
      failedSince ??= clock.monotonicMs();
      lastError = error;
      if (broken.get(who) === error.message) return;
      broken.set(who, error.message);
      context.report(error);
    },
    halted(reason) {
      haltedFor = reason;
      failing = true;
      context.failing(reason);
    },
    judge(listed) {
      const all = [...partitions()];
      if (failedSince === undefined && all.length > 0 && all.every((partition) => isLost(partition) && !partition.halted)) {
        failedSince = Math.min(...all.map(({ blockedSince }) => blockedSince!));
        lastError = new Error("no partition has a leader");
      }
      if (failedSince !== undefined && clock.monotonicMs() - failedSince >= failingAfterMs && !failing) {
        failing = true;
        context.failing(lastError!.message);
      }
      if (listed) lookCaughtUp();
    },
  };
}
