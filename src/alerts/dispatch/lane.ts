import type { Alert, Notification, Receipt } from "../../sdk/alert.ts";
import type { Timer } from "../../sdk/clock.ts";

/** Deliveries under way at once to one exporter; one at most for each dedup key. */
const CONCURRENCY = 4;

/** One exporter that takes alerts. */
export interface Destination {
  /** See `Exporter.deduplicates`. */
  readonly deduplicates: boolean;
  notify(notification: Notification, signal: AbortSignal): Promise<Receipt>;
}

/** One message on its way to one exporter. */
export interface Entry {
  readonly number: number;
  readonly createdAt: number;
  readonly alert: Alert;
  /** An attempt may have reached the destination. After a restart nobody knows: true. */
  attempted: boolean;
  /** Its row is committed: it may leave the agent. */
  durable: boolean;
  failures: number;
  notBefore: number;
}

/** What waits for one exporter. */
export interface Lane {
  readonly exporter: string;
  destination: Destination | undefined;
  readonly entries: Map<number, Entry>;
  /** The last entry of each key. */
  readonly last: Map<string, Entry>;
  readonly busyKeys: Set<string>;
  readonly abort: AbortController;
  running: number;
  /** In a row, of whatever entry. */
  failures: number;
  notBefore: number;
  timer: { readonly at: number; readonly timer: Timer } | undefined;
}

export function createLane(exporter: string): Lane {
  return {
    exporter, destination: undefined, entries: new Map(), last: new Map(), busyKeys: new Set(), abort: new AbortController(),
    running: 0, failures: 0, notBefore: 0, timer: undefined,
  };
}

/** While the destination fails, one attempt at a time finds out whether it is back. */
function concurrencyOf(lane: Lane): number {
  return lane.failures > 0 || lane.destination?.deduplicates !== true ? 1 : CONCURRENCY;
}

/**
 * The first entry that may be delivered now, or when to look again if there is none (ms; Infinity: when something changes).
 * For each key the order is kept. An entry that failed waits for itself: another may be one that the destination takes.
 */
export function nextEntry(lane: Lane, now: number): Entry | number {
  if (lane.destination === undefined || lane.running >= concurrencyOf(lane)) return Infinity;
  if (lane.entries.size === 0) return Infinity;
  if (lane.notBefore > now) return lane.notBefore;
  const overtaken = new Set<string>();
  let next = Infinity;
  for (const entry of lane.entries.values()) {
    const key = entry.alert.dedup_key;
    if (lane.busyKeys.has(key) || overtaken.has(key)) continue;
    if (entry.durable && entry.notBefore <= now) return entry;
    if (entry.durable) next = Math.min(next, entry.notBefore);
    overtaken.add(key);
  }
  return next;
}
