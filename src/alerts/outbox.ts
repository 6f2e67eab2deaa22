import type { Alert, Notification, Receipt } from "../sdk/alert.ts";
import { backoffMs } from "../sdk/backoff.ts";
import { deadline, type Clock, type Timer } from "../sdk/clock.ts";
import { messageOf, PermanentError, RetryLaterError } from "../sdk/errors.ts";
import type { Json } from "../sdk/observation.ts";
import type { Cell, Persistent, Store, Table, TableChange } from "../sdk/store.ts";

/** Deliveries under way at once to an exporter that deduplicates; one at most for each dedup key. */
const CONCURRENCY = 4;
const ATTEMPT_TIMEOUT_MS = 15_000;
const BACKOFF = { firstMs: 1_000, maxMs: 5 * 60_000 };
/** A notification that could not be delivered for this long goes to the dead letters. */
const GIVE_UP_AFTER_MS = 24 * 3_600_000;
/** Notifications kept for each exporter; beyond, the oldest goes to the dead letters. */
const PENDING_MAX = 100_000;

const OUTBOX: Table = {
  name: "outbox",
  columns: [["number", "integer"], ["exporter", "text"], ["created_at", "integer"], ["alert", "json"]],
  keyColumns: 1,
};

/** What the destination answered last for an open incident: a message id to update, say. */
const RECEIPTS: Table = {
  name: "receipts",
  columns: [["exporter", "text"], ["dedup_key", "text"], ["receipt", "json"]],
  keyColumns: 2,
};

interface Entry {
  readonly number: number;
  readonly createdAt: number;
  readonly alert: Alert;
  /** An attempt may have reached the destination. After a restart nobody knows: true. */
  attempted: boolean;
  /** Its row is committed: it may leave the agent. */
  durable: boolean;
}

/** One exporter that takes alerts. */
export interface Destination {
  /** See `Exporter.deduplicates`. */
  readonly deduplicates: boolean;
  notify(notification: Notification, signal: AbortSignal): Promise<Receipt>;
}

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
}

interface Lane {
  destination: Destination | undefined;
  readonly entries: Map<number, Entry>;
  /** The last entry of each key. */
  readonly last: Map<string, Entry>;
  readonly busyKeys: Set<string>;
  readonly abort: AbortController;
  running: number;
  failures: number;
  notBefore: number;
  timer: Timer | undefined;
}

/**
 * Alerts on their way out. An entry is committed with the change it tells of, leaves the agent only after that commit,
 * and is forgotten only after the destination took it: so nothing is forgotten, and what a crash may repeat is the one
 * delivery that was under way. For each key the order is kept, and a trigger that nobody has seen is dropped with its resolve.
 */
export class Outbox implements Persistent {
  readonly tables = [OUTBOX, RECEIPTS];
  readonly #options: OutboxOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #receipts = new Map<string, Json>();
  #puts: Cell[] = [];
  #deletes: Cell[] = [];
  #receiptPuts: Cell[] = [];
  #receiptDeletes: Cell[] = [];
  #draining: Entry[] = [];
  #fresh: Entry[] = [];
  #number = 0;
  #stopped = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Tells `exporters` of an alert that fires or is over; they hear of it after the next commit. */
  enqueue(alert: Alert, exporters: readonly string[]): void {
    for (const exporter of exporters) {
      const lane = this.#lane(exporter);
      if (alert.status === "resolved" && this.#supersede(lane, alert)) continue;
      const entry: Entry = { number: ++this.#number, createdAt: this.#options.clock.now(), alert, attempted: false, durable: false };
      lane.entries.set(entry.number, entry);
      lane.last.set(alert.dedup_key, entry);
      this.#puts.push(entry.number, exporter, entry.createdAt, JSON.stringify(alert));
      this.#fresh.push(entry);
      if (lane.entries.size > PENDING_MAX) this.#giveUp(exporter, lane, lane.entries.values().next().value!, `more than ${PENDING_MAX} notifications waited`);
    }
    this.#options.changed();
  }

  /** Delivers to this exporter from now on, or (undefined) no more: then its entries wait. */
  connect(exporter: string, destination: Destination | undefined): void {
    const lane = this.#lane(exporter);
    lane.destination = destination;
    this.#pump(exporter, lane);
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
    for (const entry of lane.entries.values()) this.#giveUp(exporter, lane, entry, reason);
  }

  /** Nothing is under way and nothing could be sent now. */
  get idle(): boolean {
    const now = this.#options.clock.now();
    return [...this.#lanes.values()].every((lane) => lane.running === 0 && (lane.destination === undefined || lane.notBefore > now || lane.entries.size === 0));
  }

  async restore(store: Store): Promise<void> {
    await store.load(RECEIPTS, (cells) => {
      for (let i = 0; i < cells.length; i += 3) this.#receipts.set(receiptKey(cells[i] as string, cells[i + 1] as string), JSON.parse(cells[i + 2] as string) as Json);
    });
    const entries: [string, Entry][] = [];
    await store.load(OUTBOX, (cells) => {
      for (let i = 0; i < cells.length; i += 4) {
        const number = cells[i] as number;
        this.#number = Math.max(this.#number, number);
        entries.push([cells[i + 1] as string, { number, createdAt: cells[i + 2] as number, alert: JSON.parse(cells[i + 3] as string) as Alert, attempted: true, durable: true }]);
      }
    });
    entries.sort(([, a], [, b]) => a.number - b.number);
    for (const [exporter, entry] of entries) {
      this.#lane(exporter).entries.set(entry.number, entry);
      this.#lane(exporter).last.set(entry.alert.dedup_key, entry);
    }
  }

  drain(changes: TableChange[]): void {
    if (this.#puts.length + this.#deletes.length > 0) {
      // Deletes come first in a commit: an entry dropped before it was ever stored must not be written after them.
      const dropped = new Set(this.#deletes);
      const puts: Cell[] = [];
      for (let i = 0; i < this.#puts.length; i += 4) if (!dropped.has(this.#puts[i]!)) puts.push(...this.#puts.slice(i, i + 4));
      changes.push({ table: OUTBOX, puts, deletes: this.#deletes });
    }
    if (this.#receiptPuts.length + this.#receiptDeletes.length > 0) {
      changes.push({ table: RECEIPTS, puts: this.#receiptPuts, deletes: this.#receiptDeletes });
    }
    this.#draining = this.#fresh;
    this.#fresh = [];
    this.#puts = [];
    this.#deletes = [];
    this.#receiptPuts = [];
    this.#receiptDeletes = [];
  }

  committed(): void {
    if (this.#draining.length === 0) return;
    for (const entry of this.#draining) entry.durable = true;
    this.#draining = [];
    for (const [exporter, lane] of this.#lanes) this.#pump(exporter, lane);
  }

  /** Breaks off what is under way; the entries stay for the next start. */
  stop(): void {
    this.#stopped = true;
    for (const lane of this.#lanes.values()) {
      lane.timer?.cancel();
      lane.abort.abort(new Error("the agent is stopping"));
    }
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
    if (lane === undefined) {
      lane = { destination: undefined, entries: new Map(), last: new Map(), busyKeys: new Set(), abort: new AbortController(), running: 0, failures: 0, notBefore: 0, timer: undefined };
      this.#lanes.set(exporter, lane);
    }
    return lane;
  }

  #pump(exporter: string, lane: Lane): void {
    if (this.#stopped || lane.destination === undefined || lane.entries.size === 0) return;
    const now = this.#options.clock.now();
    if (lane.notBefore > now) {
      lane.timer ??= this.#options.clock.at(lane.notBefore, () => {
        lane.timer = undefined;
        this.#pump(exporter, lane);
      });
      return;
    }
    // While the destination fails, one attempt at a time finds out whether it is back.
    const concurrency = lane.failures > 0 || !lane.destination.deduplicates ? 1 : CONCURRENCY;
    const waiting = new Set<string>();
    for (const entry of lane.entries.values()) {
      if (lane.running >= concurrency) return;
      const key = entry.alert.dedup_key;
      if (waiting.has(key) || lane.busyKeys.has(key)) continue;
      if (entry.durable) void this.#deliver(exporter, lane, entry);
      else waiting.add(key);
    }
  }

  async #deliver(exporter: string, lane: Lane, entry: Entry): Promise<void> {
    const { clock } = this.#options;
    const key = entry.alert.dedup_key;
    const destination = lane.destination!;
    lane.running++;
    lane.busyKeys.add(key);
    entry.attempted = true;
    const limit = deadline(clock, ATTEMPT_TIMEOUT_MS, lane.abort.signal);
    try {
      const status = entry.alert.status === "firing" ? "firing" : "resolved";
      const receipt = await destination.notify(
        { id: `${key.slice(0, 32)}-${entry.number}`, status, alerts: [entry.alert], receipt: this.#receipts.get(receiptKey(exporter, key)) },
        limit.signal,
      );
      this.#remember(exporter, entry.alert, receipt);
      this.#forget(lane, entry);
      this.#options.onSent(exporter);
      if (lane.failures > 0) this.#options.onHealed(exporter);
      lane.failures = 0;
      if (!destination.deduplicates) await this.#options.committed().catch(() => {});
    } catch (error) {
      if (!this.#stopped) this.#failed(exporter, lane, entry, error);
    } finally {
      limit.clear();
      lane.running--;
      lane.busyKeys.delete(key);
      this.#pump(exporter, lane);
    }
  }

  #failed(exporter: string, lane: Lane, entry: Entry, error: unknown): void {
    const { clock } = this.#options;
    const tooOld = clock.now() - entry.createdAt > GIVE_UP_AFTER_MS;
    const again = !(error instanceof PermanentError) && !tooOld;
    this.#options.onFailed(exporter, error, again);
    if (!again) return this.#giveUp(exporter, lane, entry, messageOf(error));
    lane.failures++;
    const waitMs = backoffMs(BACKOFF, lane.failures, clock);
    lane.notBefore = clock.now() + Math.max(waitMs, error instanceof RetryLaterError ? error.retryAfterMs : 0);
  }

  #giveUp(exporter: string, lane: Lane, entry: Entry, reason: string): void {
    this.#forget(lane, entry);
    this.#options.deadLetter(exporter, entry.alert, reason);
  }

  #forget(lane: Lane, entry: Entry): void {
    if (!lane.entries.delete(entry.number)) return;
    if (lane.last.get(entry.alert.dedup_key) === entry) lane.last.delete(entry.alert.dedup_key);
    this.#deletes.push(entry.number);
    this.#options.changed();
  }

  #remember(exporter: string, alert: Alert, receipt: Receipt): void {
    const key = receiptKey(exporter, alert.dedup_key);
    if (alert.status === "firing" && receipt !== undefined) {
      this.#receipts.set(key, receipt);
      this.#receiptPuts.push(exporter, alert.dedup_key, JSON.stringify(receipt));
    } else if (this.#receipts.delete(key)) {
      this.#receiptDeletes.push(exporter, alert.dedup_key);
    }
  }
}

function receiptKey(exporter: string, dedupKey: string): string {
  return `${exporter}\n${dedupKey}`;
}
