import type { Notification, Receipt } from "../../sdk/alert.ts";
import type { Timer } from "../../sdk/clock.ts";

/** Deliveries under way at once to one exporter; one at most for each key. */
const CONCURRENCY = 4;
/** Messages that may wait for a destination before alerts have to share. */
const WAITING_MAX = 20;
/** Where a destination takes many: what it takes in this time may wait. */
const WAITING_MINUTES_MAX = 1 / 6;
// Tokens are fractions; what is short of one by a rounding error is one.
const ROUNDING = 1e-6;

/** One exporter that takes alerts. */
export interface Destination {
  /** See `Exporter.deduplicates`. */
  readonly deduplicates: boolean;
  notify(notification: Notification, signal: AbortSignal): Promise<Receipt>;
}

/** What the destination takes. */
export interface Limits {
  readonly messagesPerMinute: number;
  readonly burst: number;
}

/** A notification before it leaves: what is known only at the attempt is missing. */
export type Message = Omit<Notification, "id" | "receipt">;

/** One message on its way to one exporter. */
export interface Entry {
  readonly number: number;
  /** By the clock as it was set then. */
  readonly createdAt: number;
  /** An attempt that fails later than this was the last. Like all times below it is steady (`steadyTime`). */
  readonly giveUpAt: number;
  readonly message: Message;
  /** The first of its incident: until an attempt was made, nobody can know of it. */
  readonly opens: boolean;
  /** It is never dropped for the sake of a later one of its key. */
  readonly kept: boolean;
  /** An attempt may have reached the destination. After a restart nobody knows: true. */
  attempted: boolean;
  /** Its row is committed: it may leave the agent. */
  durable: boolean;
  /** An attempt is under way. */
  busy: boolean;
  failures: number;
  notBefore: number;
}

/** What waits for one exporter, by number, in order. */
export interface Lane {
  readonly exporter: string;
  destination: Destination | undefined;
  limits: Limits | undefined;
  readonly firing: Map<number, Entry>;
  readonly ended: Map<number, Entry>;
  /** In the order in which they must leave. */
  readonly byKey: Map<string, Entry[]>;
  /** By alert, the message that says that it is over: what says that it fires again, of whatever incident, comes after it. */
  readonly ends: Map<string, Entry>;
  readonly abort: AbortController;
  running: number;
  runningFiring: number;
  /** In a row, of whatever entry. */
  failures: number;
  notBefore: number;
  timer: { readonly at: number; readonly timer: Timer } | undefined;
  /** Messages that may leave at once, as of `tokensAt`. */
  tokens: number;
  tokensAt: number;
  lastWasFiring: boolean;
}

export function createLane(exporter: string): Lane {
  return {
    exporter, destination: undefined, limits: undefined, firing: new Map(), ended: new Map(), byKey: new Map(), ends: new Map(), abort: new AbortController(),
    running: 0, runningFiring: 0, failures: 0, notBefore: 0, timer: undefined, tokens: Infinity, tokensAt: 0, lastWasFiring: false,
  };
}

export function addEntry(lane: Lane, entry: Entry): void {
  const { key, status } = entry.message;
  (status === "firing" ? lane.firing : lane.ended).set(entry.number, entry);
  const chain = lane.byKey.get(key);
  if (chain === undefined) lane.byKey.set(key, [entry]);
  else chain.push(entry);
  if (status === "resolved" && !entry.kept) for (const { dedup_key } of entry.message.alerts) lane.ends.set(dedup_key, entry);
}

/** False when it was not there. */
export function removeEntry(lane: Lane, entry: Entry): boolean {
  const { key, status } = entry.message;
  if (!(status === "firing" ? lane.firing : lane.ended).delete(entry.number)) return false;
  if (status === "resolved") for (const { dedup_key } of entry.message.alerts) if (lane.ends.get(dedup_key) === entry) lane.ends.delete(dedup_key);
  const chain = lane.byKey.get(key)!;
  if (chain.length === 1) lane.byKey.delete(key);
  else chain.splice(chain.indexOf(entry), 1);
  return true;
}

/** Entries of a lane, oldest first of either kind. */
export function* entriesOf(lane: Lane): Iterable<Entry> {
  yield* lane.firing.values();
  yield* lane.ended.values();
}

export function sizeOf(lane: Lane): number {
  return lane.firing.size + lane.ended.size;
}

/** Messages that say that something fires, whose attempt is not under way. */
export function waitingOf(lane: Lane): number {
  return lane.firing.size - lane.runningFiring;
}

/** How many further messages would leave without waiting, if the destination took them. */
export function roomOf(lane: Lane, now: number): number {
  refill(lane, now);
  const waitingMax = Math.max(WAITING_MAX, (lane.limits?.messagesPerMinute ?? 0) * WAITING_MINUTES_MAX);
  return Math.max(0, Math.min(waitingMax, Math.floor(lane.tokens + ROUNDING)) - (sizeOf(lane) - lane.running));
}

/** An attempt is made. */
export function takeToken(lane: Lane, now: number): void {
  refill(lane, now);
  lane.tokens = Math.max(0, lane.tokens - 1);
}

/** From now on these limits hold. */
export function limit(lane: Lane, limits: Limits | undefined, now: number): void {
  refill(lane, now);
  if (lane.limits === undefined && limits !== undefined) lane.tokens = limits.burst;
  lane.limits = limits;
  lane.tokens = Math.min(lane.tokens, limits?.burst ?? Infinity);
}

function refill(lane: Lane, now: number): void {
  const { limits } = lane;
  if (limits === undefined) lane.tokens = Infinity;
  // A clock that was set back gives nothing, and takes nothing.
  else lane.tokens = Math.min(limits.burst, lane.tokens + (Math.max(0, now - lane.tokensAt) * limits.messagesPerMinute) / 60_000);
  lane.tokensAt = now;
}

/** When the next message may leave; ms. */
function tokenAt(lane: Lane, now: number): number {
  refill(lane, now);
  if (lane.limits === undefined || lane.tokens >= 1 - ROUNDING) return now;
  return now + Math.max(1, Math.ceil(((1 - lane.tokens) * 60_000) / lane.limits.messagesPerMinute));
}

/** While the destination fails, one attempt at a time finds out whether it is back. */
function concurrencyOf(lane: Lane): number {
  return lane.failures > 0 || lane.destination?.deduplicates !== true ? 1 : CONCURRENCY;
}

/**
 * The entry that may be delivered now, or when to look again if there is none (ms; Infinity: when something changes).
 * For each key the order is kept. An entry that failed waits for itself: another may be one that the destination takes.
 */
export function nextEntry(lane: Lane, now: number): Entry | number {
  if (lane.destination === undefined || lane.running >= concurrencyOf(lane)) return Infinity;
  if (sizeOf(lane) === 0) return Infinity;
  if (lane.notBefore > now) return lane.notBefore;
  const token = tokenAt(lane, now);
  if (token > now) return token;
  const firing = firstReady(lane, lane.firing, now);
  const ended = firstReady(lane, lane.ended, now);
  if (typeof firing === "number") return typeof ended === "number" ? Math.min(firing, ended) : ended;
  if (typeof ended === "number") return firing;
  // When much waits, what begins must not wait for all that is over; nor the other way round.
  const backlog = sizeOf(lane) > (lane.limits?.burst ?? Infinity);
  return (backlog ? !lane.lastWasFiring : firing.number < ended.number) ? firing : ended;
}

function firstReady(lane: Lane, entries: ReadonlyMap<number, Entry>, now: number): Entry | number {
  let next = Infinity;
  for (const entry of entries.values()) {
    if (entry.busy || !entry.durable || lane.byKey.get(entry.message.key)![0] !== entry) continue;
    const first = entries === lane.firing ? endBefore(lane, entry) ?? entry : entry;
    if (first.busy || !first.durable || lane.byKey.get(first.message.key)![0] !== first) continue;
    if (first.notBefore <= now) return first;
    next = Math.min(next, first.notBefore);
  }
  return next;
}

/** A message that says of one of its alerts that it was over before. */
function endBefore(lane: Lane, { number, kept, message }: Entry): Entry | undefined {
  if (lane.ends.size === 0 || kept) return undefined;
  for (const { dedup_key } of message.alerts) {
    const end = lane.ends.get(dedup_key);
    if (end !== undefined && end.number < number) return end;
  }
  return undefined;
}
