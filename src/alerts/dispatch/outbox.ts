import type { Alert } from "../../sdk/alert.ts";
import { backoffMs } from "../../sdk/backoff.ts";
import { deadline, type Clock } from "../../sdk/clock.ts";
import { messageOf, PermanentError, RetryLaterError } from "../../sdk/errors.ts";
import { withSignal } from "../../sdk/signal.ts";
import type { Cell, Persistent, Store, Table, TableChange } from "../../sdk/store.ts";
import { createLane, nextEntry, type Destination, type Entry, type Lane } from "./lane.ts";
import { Receipts } from "./receipts.ts";

const ATTEMPT_TIMEOUT_MS = 15_000;
const BACKOFF = { firstMs: 1_000, maxMs: 5 * 60_000 };
/** However long a destination asks us to wait. */
const RETRY_AFTER_MAX_MS = 3_600_000;
/** A notification that could not be delivered for this long goes to the dead letters. */
const GIVE_UP_AFTER_MS = 24 * 3_600_000;
/** Notifications kept for each exporter; beyond, the oldest goes to the dead letters. */
const PENDING_MAX = 100_000;

const OUTBOX: Table = {
  name: "outbox",
  columns: [["number", "integer"], ["exporter", "text"], ["created_at", "integer"], ["alert", "json"]],
  keyColumns: 1,
};

export interface OutboxOptions {
  readonly clock: Clock;
  /** Something must be committed, soon. */
  readonly changed: () => void;
  /** Resolves once what has changed so far is durable; rejects when the agent stops. */
  readonly committed: () => Promise<void>;
  readonly onSent: (exporter: string) => void;
  /** An attempt failed; `again` says whether there will be another. */
  readonly onFailed: (exporter: string, error: unknown, again: boolean) => void;
  readonly onHealed: (exporter: string) => void;
  readonly deadLetter: (exporter: string, alert: Alert, reason: string) => void;
  /** Something waits for an exporter that is not connected. */
  readonly onUnattended: (exporter: string) => void;
}

/**
 * Alerts on their way out. An entry is committed with the change it tells of, leaves the agent only after that commit,
 * and is forgotten only after the destination took it: so nothing is forgotten, and what a crash may repeat is the one
 * delivery that was under way. For each key the order is kept, and a trigger that nobody has seen is dropped with its resolve.
 */
export class Outbox implements Persistent {
  readonly #receipts = new Receipts();
  readonly tables = [OUTBOX, ...this.#receipts.tables];
  readonly #options: OutboxOptions;
  readonly #lanes = new Map<string, Lane>();
  #puts: Cell[] = [];
  #deletes: Cell[] = [];
  #draining: Entry[] = [];
  #fresh: Entry[] = [];
  #number = 0;
  #stopped = false;
  #flushed: (() => void)[] = [];

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Tells `exporters` of an alert that fires or is over; they hear of it after the next commit. */
  enqueue(alert: Alert, exporters: readonly string[]): void {
    for (const exporter of exporters) {
      const lane = this.#lane(exporter);
      if (alert.status === "resolved" && this.#supersede(lane, alert)) continue;
      const createdAt = this.#options.clock.now();
      const entry: Entry = { number: ++this.#number, createdAt, alert, attempted: false, durable: false, failures: 0, notBefore: 0 };
      lane.entries.set(entry.number, entry);
      lane.last.set(alert.dedup_key, entry);
      this.#puts.push(entry.number, exporter, createdAt, JSON.stringify(alert));
      this.#fresh.push(entry);
      if (lane.entries.size > PENDING_MAX) this.#giveUp(lane, lane.entries.values().next().value!, `more than ${PENDING_MAX} notifications waited`);
      if (lane.destination === undefined) this.#options.onUnattended(exporter);
    }
    this.#options.changed();
  }

  /** Delivers to this exporter from now on, or (undefined) no more: then its entries wait. */
  connect(exporter: string, destination: Destination | undefined): void {
    const lane = this.#lane(exporter);
    lane.destination = destination;
    this.#pump(lane);
  }

  /** Entries that wait for an exporter. */
  pending(exporter: string): number {
    return this.#lanes.get(exporter)?.entries.size ?? 0;
  }

  get exporters(): readonly string[] {
    return [...this.#lanes.keys()];
  }

  /** Gives up whatever waits for an exporter that will not come back. */
  abandon(exporter: string, reason: string): void {
    const lane = this.#lane(exporter);
    for (const entry of lane.entries.values()) this.#giveUp(lane, entry, reason);
  }

  /** Nothing is under way and nothing could be sent now. */
  get idle(): boolean {
    const now = this.#options.clock.now();
    return [...this.#lanes.values()].every((lane) => lane.running === 0 && (this.#stopped || typeof nextEntry(lane, now) === "number"));
  }

  /** Resolves when all that is durable has had its attempt, at most after `ms`. Never rejects. */
  async flush(ms: number): Promise<void> {
    if (this.idle) return;
    const { clock } = this.#options;
    await new Promise<void>((resolve) => {
      const limit = clock.at(clock.now() + ms, resolve);
      this.#flushed.push(() => {
        limit.cancel();
        resolve();
      });
    });
  }

  async restore(store: Store): Promise<void> {
    await this.#receipts.restore(store);
    const entries: [string, Entry][] = [];
    await store.load(OUTBOX, (cells) => {
      for (let i = 0; i < cells.length; i += 4) {
        const [number, exporter, createdAt, alert] = cells.slice(i, i + 4) as [number, string, number, string];
        entries.push([exporter, { number, createdAt, alert: JSON.parse(alert) as Alert, attempted: true, durable: true, failures: 0, notBefore: 0 }]);
      }
    });
    entries.sort(([, a], [, b]) => a.number - b.number);
    for (const [exporter, entry] of entries) {
      const lane = this.#lane(exporter);
      lane.entries.set(entry.number, entry);
      lane.last.set(entry.alert.dedup_key, entry);
    }
    this.#number = entries.at(-1)?.[1].number ?? 0;
  }

  drain(changes: TableChange[]): void {
    if (this.#puts.length + this.#deletes.length > 0) {
      // Deletes come first in a commit: an entry dropped before it was ever stored must not be written after them.
      const dropped = new Set(this.#deletes);
      const puts: Cell[] = [];
      for (let i = 0; i < this.#puts.length; i += 4) if (!dropped.has(this.#puts[i]!)) puts.push(...this.#puts.slice(i, i + 4));
      changes.push({ table: OUTBOX, puts, deletes: this.#deletes });
    }
    this.#receipts.drain(changes);
    this.#draining = this.#fresh;
    this.#fresh = [];
    this.#puts = [];
    this.#deletes = [];
  }

  committed(): void {
    if (this.#draining.length === 0) return;
    for (const entry of this.#draining) entry.durable = true;
    this.#draining = [];
    for (const lane of this.#lanes.values()) this.#pump(lane);
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

  /** True when the alert need not be told at all: nobody can have seen that it fired. Otherwise drops triggers it overtakes. */
  #supersede(lane: Lane, alert: Alert): boolean {
    const entry = lane.last.get(alert.dedup_key);
    if (entry === undefined || entry.alert.status !== "firing" || lane.busyKeys.has(alert.dedup_key)) return false;
    this.#forget(lane, entry);
    return !entry.attempted;
  }

  #lane(exporter: string): Lane {
    let lane = this.#lanes.get(exporter);
    if (lane === undefined) this.#lanes.set(exporter, (lane = createLane(exporter)));
    return lane;
  }

  #pump(lane: Lane): void {
    if (this.#stopped) return;
    const now = this.#options.clock.now();
    let next = nextEntry(lane, now);
    for (; typeof next === "object"; next = nextEntry(lane, now)) void this.#deliver(lane, next);
    if (next === Infinity || (lane.timer !== undefined && lane.timer.at <= next)) return;
    lane.timer?.timer.cancel();
    lane.timer = {
      at: next,
      timer: this.#options.clock.at(next, () => {
        lane.timer = undefined;
        this.#pump(lane);
      }),
    };
  }

  async #deliver(lane: Lane, entry: Entry): Promise<void> {
    const { clock } = this.#options;
    const { exporter } = lane;
    const key = entry.alert.dedup_key;
    const destination = lane.destination!;
    lane.running++;
    lane.busyKeys.add(key);
    entry.attempted = true;
    const limit = deadline(clock, ATTEMPT_TIMEOUT_MS, lane.abort.signal);
    try {
      const status = entry.alert.status === "firing" ? "firing" : "resolved";
      // The number may come again after a restart, with another time.
      const id = `${key.slice(0, 32)}-${entry.createdAt}-${entry.number}`;
      const receipt = await withSignal(
        destination.notify({ id, key, status, cause: status === "firing" ? "fired" : "resolved", alerts: [entry.alert], group: {}, receipt: this.#receipts.get(exporter, key) }, limit.signal),
        limit.signal,
      );
      this.#receipts.remember(exporter, entry.alert, receipt);
      this.#forget(lane, entry);
      this.#options.onSent(exporter);
      if (lane.failures > 0) this.#options.onHealed(exporter);
      lane.failures = 0;
      if (!destination.deduplicates) await this.#options.committed().catch(() => {});
    } catch (error) {
      if (!this.#stopped) this.#failed(lane, entry, error);
    } finally {
      limit.clear();
      lane.running--;
      lane.busyKeys.delete(key);
      this.#pump(lane);
      if (this.#flushed.length > 0 && this.idle) for (const resolve of this.#flushed.splice(0)) resolve();
    }
  }

  #failed(lane: Lane, entry: Entry, error: unknown): void {
    const { clock } = this.#options;
    const now = clock.now();
    const again = !(error instanceof PermanentError) && now - entry.createdAt <= GIVE_UP_AFTER_MS;
    this.#options.onFailed(lane.exporter, error, again);
    if (!again) return this.#giveUp(lane, entry, messageOf(error));
    lane.failures++;
    entry.failures++;
    entry.notBefore = now + backoffMs(BACKOFF, entry.failures, clock);
    const asked = error instanceof RetryLaterError ? Math.min(error.retryAfterMs, RETRY_AFTER_MAX_MS) : 0;
    lane.notBefore = now + Math.max(backoffMs(BACKOFF, lane.failures, clock), asked);
  }

  #giveUp(lane: Lane, entry: Entry, reason: string): void {
    this.#forget(lane, entry);
    if (entry.alert.status === "resolved") this.#receipts.remember(lane.exporter, entry.alert, undefined);
    this.#options.deadLetter(lane.exporter, entry.alert, reason);
  }

  #forget(lane: Lane, entry: Entry): void {
    if (!lane.entries.delete(entry.number)) return;
    if (lane.last.get(entry.alert.dedup_key) === entry) lane.last.delete(entry.alert.dedup_key);
    this.#deletes.push(entry.number);
    this.#options.changed();
  }
}
