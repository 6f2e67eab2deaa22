import type { Clock } from "../../src/sdk/clock.ts";
import type { Logger } from "../../src/sdk/log.ts";

const COMPLAINT_MS = 60_000;

/** Lets `perSecond` requests pass, after a pause up to a second's worth at once. */
export function tokenBucket(perSecond: number, clock: Clock): { /** 0 when it may pass, else seconds to wait. */ take(): number } {
  const capacity = Math.max(1, perSecond);
  let tokens = capacity;
  let atMs = clock.monotonicMs();
  return {
    take() {
      const now = clock.monotonicMs();
      tokens = Math.min(capacity, tokens + ((now - atMs) / 1_000) * perSecond);
      atMs = now;
      if (tokens < 1) return Math.ceil((1 - tokens) / perSecond);
      tokens -= 1;
      return 0;
    },
  };
}

/** Says why requests are refused, at most once a minute for each reason: anybody may send as many as they like. */
export function complaints(clock: Clock, log: Logger): (reason: string, message: string, remote: string) => void {
  const saidAt = new Map<string, number>();
  return (reason, message, remote) => {
    const now = clock.monotonicMs();
    if (now - (saidAt.get(reason) ?? -Infinity) < COMPLAINT_MS) return;
    saidAt.set(reason, now);
    log.warn({ remote, reason }, `request refused: ${message}`);
  };
}
