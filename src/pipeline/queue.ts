import { backoffMs } from "../sdk/backoff.ts";
import { deadline, type Clock } from "../sdk/clock.ts";
import { PermanentError, RetryLaterError } from "../sdk/errors.ts";
import type { Batch, Observation } from "../sdk/observation.ts";
import { withSignal } from "../sdk/signal.ts";
import type { Persistent, Store, TableChange } from "../sdk/store.ts";
import type { Queued, QueueStore } from "./queue_store.ts";

const SEND_BATCH_MAX = 1_000;
const ATTEMPT_TIMEOUT_MS = 15_000;
const RETRY = { firstMs: 1_000, maxMs: 60_000 };
/** A batch that could not be sent for this long is dropped, and counted. */
const GIVE_UP_AFTER_MS = 10 * 60_000;

/** Keys as in `sending_queue`. */
export interface QueueLimits {
  readonly queue_size: number;
  readonly on_full: "drop" | "block";
  /** What waits is kept in the store, too. */
  readonly storage: boolean;
}

/** Who takes what leaves the queue. */
export type Export = (batch: Batch, signal: AbortSignal) => Promise<void>;

export interface QueueOptions {
  /** Id of the exporter. */
  readonly exporter: string;
  readonly stored: QueueStore;
  readonly clock: Clock;
  readonly onSent: (count: number) => void;
  readonly onDropped: (count: number, reason: "queue_full" | "failed" | "stopped") => void;
  readonly onFailed: (error: unknown) => void;
  readonly onHealed: () => void;
}

/**
 * The bounded queue of one exporter's observations. They enter only once they are committed, and leave in order;
 * a blocked exporter costs `queue_size` observations of memory, and with `block` one batch of each
 * receiver, never more.
 */
export class ExportQueue implements Persistent {
  readonly tables = [];
  readonly #options: QueueOptions;
  #fresh: Queued[] = [];
  #draining: Queued[] = [];
  #waiting: Queued[] = [];
  #sending = 0;
  #running: Promise<void> | undefined;
  #room: (() => void)[] = [];
  #limits: QueueLimits;
  #target: Export | undefined;
  #connected = Promise.withResolvers<void>();
  readonly #abort = new AbortController();
  #stopped = false;

  constructor(options: QueueOptions, limits: QueueLimits) {
    this.#options = options;
    this.#limits = limits;
    this.#waiting = [...options.stored.take(options.exporter)];
    this.#abort.signal.addEventListener("abort", () => this.#connected.resolve(), { once: true });
  }

  /** Another configuration of the same exporter: what waits stays. */
  configure(limits: QueueLimits): void {
    this.#limits = limits;
    this.#freed();
  }

  /** Sends to this exporter from now on, or (undefined) to none for a while: then all waits. */
  connect(target: Export | undefined): void {
    this.#target = target;
    if (target === undefined) this.#connected = Promise.withResolvers<void>();
    else this.#connected.resolve();
    if (target !== undefined && this.#waiting.length > 0) this.#running ??= this.#run();
    if (this.#abort.signal.aborted) this.#connected.resolve();
  }

  get size(): number {
    return this.#fresh.length + this.#draining.length + this.#waiting.length + this.#sending;
  }

  /** True when receivers must wait before more is processed. */
  get blocked(): boolean {
    return this.#limits.on_full === "block" && this.size >= this.#limits.queue_size && !this.#stopped;
  }

  /** Takes a copy that may be kept. */
  add(observation: Observation): void {
    if (this.#stopped) return this.#options.onDropped(1, "stopped");
    if (this.#limits.on_full === "drop" && this.size >= this.#limits.queue_size) return this.#options.onDropped(1, "queue_full");
    const { exporter, stored } = this.#options;
    this.#fresh.push({ observation, number: this.#limits.storage ? stored.add(exporter, observation) : undefined });
  }

  /** Resolves when there is room again. */
  room(): Promise<void> {
    return this.blocked ? new Promise((resolve) => this.#room.push(resolve)) : Promise.resolve();
  }

  async restore(_store: Store): Promise<void> {}

  drain(_changes: TableChange[]): void {
    this.#draining = this.#draining.concat(this.#fresh);
    this.#fresh = [];
  }

  committed(): void {
    this.#waiting = this.#waiting.concat(this.#draining);
    this.#draining = [];
    if (this.#waiting.length > 0) this.#running ??= this.#run();
  }

  /**
   * Sends what waits, at most until `flushMs` have passed; the rest is dropped and counted, unless it is in the store.
   * `discard`: the exporter is gone for good, and so is what waited for it.
   */
  async stop(flushMs: number, discard = false): Promise<void> {
    if (this.#running !== undefined) {
      const limit = this.#options.clock.at(this.#options.clock.now() + flushMs, () => this.#abort.abort(new Error("stopping")));
      await this.#running;
      limit.cancel();
    }
    this.#stopped = true;
    this.#abort.abort(new Error("stopping"));
    const left = [...this.#waiting, ...this.#draining, ...this.#fresh];
    if (discard) this.#options.stored.remove(left);
    const dropped = left.filter(({ number }) => discard || number === undefined).length;
    if (dropped > 0) this.#options.onDropped(dropped, "stopped");
    this.#waiting = [];
    this.#draining = [];
    this.#fresh = [];
    this.#freed();
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#abort.signal.aborted) {
      const batch = this.#waiting.slice(0, SEND_BATCH_MAX);
      this.#waiting = this.#waiting.slice(batch.length);
      this.#sending = batch.length;
      const sent = await this.#send(batch.map(({ observation }) => observation));
      this.#sending = 0;
      if (!sent && this.#abort.signal.aborted) {
        this.#waiting = [...batch, ...this.#waiting];
        break;
      }
      this.#options.stored.remove(batch);
      if (sent) this.#options.onSent(batch.length);
      else this.#options.onDropped(batch.length, "failed");
      this.#freed();
    }
    this.#running = undefined;
  }

  /** True when the exporter took it. */
  async #send(batch: Batch): Promise<boolean> {
    const { clock } = this.#options;
    const begin = clock.now();
    for (let failures = 0; !this.#abort.signal.aborted; ) {
      if (this.#target === undefined) {
        await this.#connected.promise;
        continue;
      }
      const limit = deadline(clock, ATTEMPT_TIMEOUT_MS, this.#abort.signal);
      try {
        await withSignal(this.#target(batch, limit.signal), limit.signal);
        if (failures > 0) this.#options.onHealed();
        return true;
      } catch (error) {
        if (this.#abort.signal.aborted) return false;
        this.#options.onFailed(error);
        if (error instanceof PermanentError || clock.now() - begin > GIVE_UP_AFTER_MS) return false;
        const waitMs = Math.max(backoffMs(RETRY, ++failures, clock), error instanceof RetryLaterError ? error.retryAfterMs : 0);
        await clock.sleep(waitMs, this.#abort.signal).catch(() => {});
      } finally {
        limit.clear();
      }
    }
    return false;
  }

  #freed(): void {
    if (this.blocked) return;
    for (const resolve of this.#room.splice(0)) resolve();
  }
}
