import type { ReceiverContext } from "../../src/sdk/component.ts";
import type { Partition } from "./state.ts";

/** What the receiver says of itself: whether it has caught up, and whether anything can be read at all. */
export interface Health {
  /** It is read from now on. */
  joined(partition: Partition): void;
  left(partition: Partition): void;
  /** More of it was emitted, or its end is known now. */
  progress(partition: Partition): void;
  /** A broker gave what it was asked for. */
  worked(): void;
  /** Something could not be asked; the reason is shown. */
  failed(error: Error): void;
  /** A policy says to read no further: failing for good. */
  halted(reason: string): void;
  /** Looks at the clock. `listed`: what there is to read is known. */
  judge(listed: boolean): void;
}

export function createHealth(context: ReceiverContext, failingAfterMs: number, partitions: () => Iterable<Partition>): Health {
  const { clock } = context;
  /** Partitions of which not everything that was due has been emitted. */
  const behind = new Set<Partition>();
  let failedSince: number | undefined;
  let lastError: Error | undefined;
  let failing = false;
  let caughtUp = false;
  let haltedFor: string | undefined;

  /** One that has been without a leader for long must not put the alerts of all the others off. */
  const isLost = ({ blockedSince, halted }: Partition): boolean =>
    halted || (blockedSince !== undefined && clock.monotonicMs() - blockedSince >= failingAfterMs);

  function lookCaughtUp(): void {
    if ((caughtUp && !failing) || failedSince !== undefined) return;
    for (const partition of behind) if (!isLost(partition)) return;
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
      if (partition.target === undefined || partition.next < partition.target) return;
      if (behind.delete(partition) && behind.size === 0) lookCaughtUp();
    },
    worked() {
      if (failedSince === undefined) return;
      failedSince = undefined;
      lastError = undefined;
      context.healed();
      if (!failing) return;
      for (const partition of partitions()) {
        partition.target = undefined;
        behind.add(partition);
      }
    },
    failed(error) {
      failedSince ??= clock.monotonicMs();
      lastError = error;
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
