import { backoffMs } from "../sdk/backoff.ts";
import type { Clock, Timer } from "../sdk/clock.ts";
import { PermanentError } from "../sdk/errors.ts";
import { withSignal } from "../sdk/signal.ts";
import type { Persistent, Store, TableChange } from "../sdk/store.ts";
import { salvage } from "./salvage.ts";

/** How long effects wait for others to share their commit, when nobody waits for an answer. */
const LAZY_MS = { min: 50, max: 2_000 };
/** A commit may take this share of the time: a slow disk gets fewer, larger ones. */
const COMMIT_SHARE = 0.1;
/** This many callers waiting are reason enough: a receiver that leaves few calls pending must not wait for the clock. */
const WAITERS_ENOUGH = 8;
const RETRY = { firstMs: 100, maxMs: 5_000 };

export interface CommitterOptions {
  readonly clock: Clock;
  readonly store: Store;
  /** Parts of memory, in the order in which they are drained. */
  readonly parts: readonly Persistent[];
  readonly onCommit: (durationMs: number, rows: number) => void;
  /** A commit failed and will be tried again; called for each attempt. */
  readonly onFailure: (error: unknown) => void;
  readonly onHealed: () => void;
}

/**
 * The one commit. Whatever changed since the last one goes into one transaction; while it is written, further changes
 * gather for the next. A failed commit is repeated as it is until it succeeds: memory never rolls back, and nothing
 * that waits for it (acknowledgements, notifications) goes ahead.
 */
export class Committer {
  readonly #options: CommitterOptions;
  readonly #abort = new AbortController();
  #dirty = false;
  #urgent = false;
  #running = false;
  #timer: { readonly at: number; readonly timer: Timer } | undefined;
  #waiters: { resolve(): void; reject(error: unknown): void }[] = [];
  #lazyMs = LAZY_MS.min;
  #stopped: Error | undefined;
  #idle: Promise<void> = Promise.resolve();
  failing = false;

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /** Something changed: it is committed soon; `urgent` when somebody waits for an answer or has to be told. */
  changed(urgent: boolean): void {
    if (this.#dirty && !urgent && (this.#running || this.#timer !== undefined)) return;
    this.#soon(urgent);
  }

  #soon(urgent: boolean): void {
    if (this.#stopped !== undefined) return;
    this.#dirty = true;
    this.#urgent ||= urgent;
    if (this.#running) return;
    const now = this.#urgent || this.#waiters.length >= WAITERS_ENOUGH;
    const at = this.#options.clock.now() + (now ? 0 : this.#lazyMs);
    if (this.#timer !== undefined && this.#timer.at <= at) return;
    this.#timer?.timer.cancel();
    this.#timer = { at, timer: this.#options.clock.at(at, () => this.#start()) };
  }

  /** Resolves once everything that has changed so far is durable; at once when nothing has. Rejects only after `stop`. */
  committed(urgent: boolean): Promise<void> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    if (!this.#dirty) return this.#running ? this.#idle : Promise.resolve();
    const waiting = new Promise<void>((resolve, reject) => this.#waiters.push({ resolve, reject }));
    this.#soon(urgent);
    return waiting;
  }

  /** Gives up: what waits is rejected, and a commit that keeps failing, or hangs, is not waited for. */
  async stop(reason: Error): Promise<void> {
    this.#stopped = reason;
    this.#timer?.timer.cancel();
    this.#timer = undefined;
    this.#abort.abort(reason);
    await this.#idle.catch(() => {});
    for (const waiter of this.#waiters.splice(0)) waiter.reject(reason);
  }

  #start(): void {
    this.#timer = undefined;
    if (this.#running || !this.#dirty) return;
    this.#running = true;
    this.#idle = this.#run();
    this.#idle.catch(() => {}); // who waits for it hears of it
  }

  async #run(): Promise<void> {
    const { parts } = this.#options;
    this.#dirty = false;
    this.#urgent = false;
    const waiters = this.#waiters;
    this.#waiters = [];
    try {
      const changes: TableChange[] = [];
      for (const part of parts) part.drain(changes);
      await this.#write(changes);
      for (const part of parts) part.committed?.();
      for (const waiter of waiters) waiter.resolve();
    } catch (error) {
      if (this.#stopped === undefined) this.#options.onFailure(error);
      for (const waiter of waiters) waiter.reject(error);
      throw error;
    } finally {
      this.#running = false;
      if (this.#dirty && this.#stopped === undefined) this.#soon(this.#urgent);
    }
  }

  async #write(changes: readonly TableChange[]): Promise<void> {
    if (changes.length === 0) return;
    const { clock, store } = this.#options;
    let whole = true;
    for (let failures = 0; ; ) {
      const begin = clock.monotonicMs();
      try {
        if (whole) await withSignal(store.commit(changes), this.#abort.signal);
        else await withSignal(salvage(store, changes), this.#abort.signal);
        const tookMs = clock.monotonicMs() - begin;
        this.#lazyMs = Math.min(LAZY_MS.max, Math.max(LAZY_MS.min, tookMs / COMMIT_SHARE));
        this.#options.onCommit(tookMs, rowsOf(changes));
        if (failures > 0) {
          this.failing = false;
          this.#options.onHealed();
        }
        return;
      } catch (error) {
        if (this.#stopped !== undefined) throw this.#stopped;
        this.failing = true;
        this.#options.onFailure(error);
        failures++;
        // Something in it can never be written, a defect of ours: told loudly; the rest must not be lost with it.
        if (error instanceof PermanentError) whole = false;
        else await clock.sleep(backoffMs(RETRY, failures, clock), this.#abort.signal);
      }
    }
  }
}

function rowsOf(changes: readonly TableChange[]): number {
  let rows = 0;
  for (const { table, puts, deletes } of changes) rows += puts.length / table.columns.length + deletes.length / table.keyColumns;
  return rows;
}
