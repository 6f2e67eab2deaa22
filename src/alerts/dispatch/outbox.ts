import type { Notification } from "../../sdk/alert.ts";
import { backoffMs } from "../../sdk/backoff.ts";
import { deadline } from "../../sdk/clock.ts";
import { messageOf, PermanentError, RetryLaterError } from "../../sdk/errors.ts";
import { withSignal } from "../../sdk/signal.ts";
import type { Persistent, Store, TableChange } from "../../sdk/store.ts";
import { addEntry, createLane, entriesOf, limit, nextEntry, removeEntry, roomOf, sizeOf, takeToken, waitingOf, type Destination, type Entry, type Lane, type Limits, type Message } from "./lane.ts";
import { superseding } from "./messages.ts";
import type { OutboxOptions } from "./outbox_options.ts";
import { GIVE_UP_AFTER_MS, loadOutbox, OUTBOX, OutboxRows } from "./outbox_rows.ts";
import { Receipts } from "./receipts.ts";
import { steadyTime, wallTime } from "./steady.ts";

const ATTEMPT_TIMEOUT_MS = 15_000;
const BACKOFF = { firstMs: 1_000, maxMs: 5 * 60_000 };
/** However long a destination asks us to wait. */
const RETRY_AFTER_MAX_MS = 3_600_000;
/** Notifications kept for each exporter; beyond, the oldest goes to the dead letters. */
const PENDING_MAX = 100_000;

/**
 * Notifications on their way out. An entry is committed with the change it tells of, leaves the agent only after that commit,
 * and is forgotten only after the destination took it: so nothing is forgotten, and what a crash may repeat is the one
 * delivery that was under way. For each key the order is kept, and a trigger that nobody has seen is dropped with its resolve.
 */
export class Outbox implements Persistent {
  readonly #receipts = new Receipts();
  readonly tables = [OUTBOX, ...this.#receipts.tables];
  readonly #options: OutboxOptions;
  readonly #now: () => number;
  readonly #lanes = new Map<string, Lane>();
  readonly #rows = new OutboxRows();
  #number = 0;
  #stopped = false;
  #flushed: (() => void)[] = [];

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#now = steadyTime(options.clock);
  }

  /**
   * Queues a message; it leaves after the next commit. `opens`: it is the first of its incident. A message that was not under
   * way and says less than this one of the same key is dropped; `kept` ones never are.
   */
  enqueue(exporter: string, message: Message, { opens = false, kept = false }: { readonly opens?: boolean; readonly kept?: boolean } = {}): void {
    const lane = this.#lane(exporter);
    const before = lane.byKey.get(message.key)?.at(-1);
    const overtakes = before !== undefined && !before.busy && !before.kept && before.message.status === "firing";
    if (overtakes) this.#forget(lane, before);
    // Nobody can have seen that it fired: the end need not be told either.
    if (overtakes && message.status === "resolved" && before.opens && !before.attempted) return;
    const merges = overtakes && message.status === "firing";
    // What is new in it has its own time to be delivered.
    const since = merges && message.cause === "repeat" ? before : { createdAt: this.#options.clock.now(), giveUpAt: this.#now() + GIVE_UP_AFTER_MS };
    const entry: Entry = {
      number: ++this.#number, createdAt: since.createdAt, giveUpAt: since.giveUpAt,
      message: merges ? superseding(before.message, message) : message,
      opens: opens || (merges && before.opens), kept, attempted: merges && before.attempted, durable: false, busy: false, failures: 0, notBefore: 0,
    };
    addEntry(lane, entry);
    this.#rows.put(exporter, entry);
    if (sizeOf(lane) > PENDING_MAX) this.#giveUp(lane, entriesOf(lane)[Symbol.iterator]().next().value!, `more than ${PENDING_MAX} notifications waited`);
    if (lane.destination === undefined) this.#options.onUnattended(exporter);
    this.#options.changed();
  }

  /** The incident is over and nobody is told: what still waits of it need not leave. */
  drop(exporter: string, key: string): void {
    const lane = this.#lane(exporter);
    const waiting = (lane.byKey.get(key) ?? []).filter(({ busy, message }) => !busy && message.status === "firing");
    for (const entry of waiting) this.#forget(lane, entry);
    this.#receipts.remember(exporter, key, undefined);
    this.#options.changed();
  }

  /** Takes back the end of an incident of which no attempt was made; false when there is none such. The incident stays open. */
  withdraw(exporter: string, key: string): boolean {
    const lane = this.#lane(exporter);
    const [first, second] = lane.byKey.get(key) ?? [];
    if (first === undefined || second !== undefined || first.attempted || first.message.status !== "resolved") return false;
    this.#forget(lane, first);
    return true;
  }

  /** Delivers to this exporter from now on, at most so much, or (undefined) no more: then its entries wait. */
  connect(exporter: string, destination: Destination | undefined, limits?: Limits): void {
    const lane = this.#lane(exporter);
    lane.destination = destination;
    if (destination !== undefined) limit(lane, limits, this.#now());
    this.#pump(lane);
  }

  isConnected(exporter: string): boolean {
    return this.#lanes.get(exporter)?.destination !== undefined;
  }

  /** Entries that wait for an exporter. */
  pending(exporter: string): number {
    const lane = this.#lanes.get(exporter);
    return lane === undefined ? 0 : sizeOf(lane);
  }

  /** Entries that wait and say that something fires. */
  waiting(exporter: string): number {
    return waitingOf(this.#lane(exporter));
  }

  /** Entries that wait and are not under way. */
  queued(exporter: string): number {
    const lane = this.#lane(exporter);
    return sizeOf(lane) - lane.running;
  }

  /** Something of this incident waits or is under way. */
  has(exporter: string, key: string): boolean {
    return this.#lanes.get(exporter)?.byKey.has(key) ?? false;
  }

  /** How many further messages would leave without waiting. */
  room(exporter: string): number {
    return roomOf(this.#lane(exporter), this.#now());
  }

  /** The last attempts failed: one at a time finds out whether the destination is back. */
  isFailing(exporter: string): boolean {
    return (this.#lanes.get(exporter)?.failures ?? 0) > 0;
  }

  hasReceipt(exporter: string, key: string): boolean {
    return this.#receipts.get(exporter, key) !== undefined;
  }

  get exporters(): readonly string[] {
    return [...this.#lanes.keys()];
  }

  /** Gives up whatever waits for an exporter that will not come back. */
  abandon(exporter: string, reason: string): void {
    const lane = this.#lane(exporter);
    for (const entry of entriesOf(lane)) this.#giveUp(lane, entry, reason);
  }

  /** Nothing is under way and nothing could be sent now. */
  get idle(): boolean {
    const now = this.#now();
    return [...this.#lanes.values()].every((lane) => lane.running === 0 && (this.#stopped || typeof nextEntry(lane, now) === "number"));
  }

  /** Resolves when all that is durable has had its attempt, at most after `ms`. Never rejects. */
  async flush(ms: number): Promise<void> {
    if (this.idle) return;
    const { clock } = this.#options;
    await new Promise<void>((resolve) => {
      const late = clock.at(clock.now() + ms, resolve);
      this.#flushed.push(() => {
        late.cancel();
        resolve();
      });
    });
  }

  /**
   * One attempt now, past the queue and the limits, and without a trace of its own. Rejects with what the destination said, or
   * when there is none.
   */
  async attempt(exporter: string, message: Message, signal?: AbortSignal): Promise<void> {
    const lane = this.#lane(exporter);
    const { destination } = lane;
    if (destination === undefined) throw new Error(`exporter ${exporter} does not run`);
    const limited = deadline(this.#options.clock, ATTEMPT_TIMEOUT_MS, signal === undefined ? lane.abort.signal : AbortSignal.any([signal, lane.abort.signal]));
    try {
      const id = `${message.key.slice(0, 32)}-${this.#options.clock.now()}-0`;
      await withSignal(destination.notify({ ...message, id, receipt: undefined }, limited.signal), limited.signal);
    } finally {
      limited.clear();
    }
  }

  async restore(store: Store): Promise<void> {
    await this.#receipts.restore(store);
    const entries = await loadOutbox(store, this.#now());
    for (const [exporter, entry] of entries) addEntry(this.#lane(exporter), entry);
    this.#number = entries.at(-1)?.[1].number ?? 0;
  }

  drain(changes: TableChange[]): void {
    this.#rows.drain(changes);
    this.#receipts.drain(changes);
  }

  committed(): void {
    if (this.#rows.committed()) for (const lane of this.#lanes.values()) this.#pump(lane);
  }

  /** Breaks off what is under way; the entries stay for the next start. */
  stop(): void {
    this.#stopped = true;
    for (const lane of this.#lanes.values()) {
      lane.timer?.timer.cancel();
      lane.abort.abort(new Error("the agent is stopping"));
    }
    for (const resolve of this.#flushed.splice(0)) resolve();
  }

  #lane(exporter: string): Lane {
    let lane = this.#lanes.get(exporter);
    if (lane === undefined) this.#lanes.set(exporter, (lane = createLane(exporter)));
    return lane;
  }

  #pump(lane: Lane): void {
    if (this.#stopped) return;
    const { clock } = this.#options;
    const now = this.#now();
    let next = nextEntry(lane, now);
    for (; typeof next === "object"; next = nextEntry(lane, now)) void this.#deliver(lane, next);
    if (next === Infinity || (lane.timer !== undefined && lane.timer.at <= next)) return;
    lane.timer?.timer.cancel();
    lane.timer = {
      at: next,
      timer: clock.at(wallTime(clock, this.#now, next), () => {
        lane.timer = undefined;
        this.#pump(lane);
      }),
    };
  }

  async #deliver(lane: Lane, entry: Entry): Promise<void> {
    const { clock } = this.#options;
    const { exporter } = lane;
    const destination = lane.destination!;
    const isFiring = entry.message.status === "firing";
    lane.running++;
    if (isFiring) lane.runningFiring++;
    lane.lastWasFiring = isFiring;
    takeToken(lane, this.#now());
    entry.busy = true;
    entry.attempted = true;
    if (waitingOf(lane) === 0) this.#options.onRoom(exporter);
    const limited = deadline(clock, ATTEMPT_TIMEOUT_MS, lane.abort.signal);
    try {
      const receipt = await withSignal(this.#notify(exporter, entry, destination, limited.signal), limited.signal);
      const { key, status } = entry.message;
      const kept = status === "firing" && ((lane.byKey.get(key)?.length ?? 0) > 1 || this.#options.isOpen(exporter, key));
      if (!entry.kept) this.#receipts.remember(exporter, key, kept ? receipt : undefined);
      this.#forget(lane, entry);
      this.#options.onSent(exporter, entry.message, entry.failures + 1);
      if (lane.failures > 0) this.#options.onHealed(exporter);
      lane.failures = 0;
      if (!destination.deduplicates) await this.#options.committed().catch(() => {});
    } catch (error) {
      if (!this.#stopped) this.#failed(lane, entry, error);
    } finally {
      limited.clear();
      lane.running--;
      if (isFiring) lane.runningFiring--;
      entry.busy = false;
      this.#pump(lane);
      if (this.#flushed.length > 0 && this.idle) for (const resolve of this.#flushed.splice(0)) resolve();
    }
  }

  async #notify(exporter: string, { number, createdAt, message }: Entry, destination: Destination, signal: AbortSignal): Promise<Notification["receipt"]> {
    const alerts = await this.#options.enrich(message.alerts);
    // The number may come again after a restart, with another time.
    const id = `${message.key.slice(0, 32)}-${createdAt}-${number}`;
    return destination.notify({ ...message, id, alerts, receipt: this.#receipts.get(exporter, message.key) }, signal);
  }

  #failed(lane: Lane, entry: Entry, error: unknown): void {
    const { clock } = this.#options;
    const now = this.#now();
    const again = !(error instanceof PermanentError) && now <= entry.giveUpAt;
    this.#options.onFailed(lane.exporter, entry.message, entry.failures + 1, error, again);
    if (!again) return this.#giveUp(lane, entry, messageOf(error));
    lane.failures++;
    entry.failures++;
    entry.notBefore = now + backoffMs(BACKOFF, entry.failures, clock);
    const asked = error instanceof RetryLaterError ? Math.min(error.retryAfterMs, RETRY_AFTER_MAX_MS) : 0;
    lane.notBefore = now + Math.max(backoffMs(BACKOFF, lane.failures, clock), asked);
    // It is over meanwhile: that is what must be told, not that it began.
    const next = lane.byKey.get(entry.message.key)?.[1];
    if (!entry.kept && entry.message.status === "firing" && next?.message.status === "resolved") this.#forget(lane, entry);
  }

  #giveUp(lane: Lane, entry: Entry, reason: string): void {
    this.#forget(lane, entry);
    if (entry.message.status === "resolved") this.#receipts.remember(lane.exporter, entry.message.key, undefined);
    this.#options.deadLetter(lane.exporter, entry.message, reason);
  }

  #forget(lane: Lane, entry: Entry): void {
    if (!removeEntry(lane, entry)) return;
    this.#rows.remove(entry);
    this.#options.changed();
    if (waitingOf(lane) === 0) this.#options.onRoom(lane.exporter);
  }
}
