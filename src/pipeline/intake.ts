import type { Counter } from "../sdk/metrics.ts";
import { NotAcceptedError } from "../sdk/errors.ts";
import { BATCH_OBSERVATIONS_MAX, type Batch, type Json } from "../sdk/observation.ts";
import type { Committer } from "./committer.ts";
import type { Flow } from "./graph.ts";
import type { Positions } from "./positions.ts";
import type { ExportQueue } from "./queue.ts";
import type { Seen } from "./seen.ts";

export interface IntakeOptions {
  readonly committer: Committer;
  readonly positions: Positions;
  readonly seen: Seen;
  /** The pipelines of a receiver in the graph of this moment; undefined: none takes it. */
  readonly flows: (receiver: string) => readonly Flow[] | undefined;
  /** Queues of the exporters that take its observations, in the graph of this moment. */
  readonly queues: (receiver: string) => readonly ExportQueue[];
  readonly accepted: (receiver: string) => Counter;
  readonly duplicates: (receiver: string) => Counter;
  /** Something came, redelivered or not; told after it was processed. */
  readonly heard: (receiver: string) => void;
}

/** An emit that waits for room in an exporter's queue. */
interface Waiting {
  readonly batch: Batch;
  readonly position: Json | undefined;
  readonly done: PromiseWithResolvers<void>;
}

/** Where batches enter: every receiver's `emit`. */
export class Intake {
  readonly #options: IntakeOptions;
  #closed: string | undefined;
  /** Emits that wait for room, by receiver; those after them wait too, so that order is kept. */
  readonly #lines = new Map<string, Waiting[]>();
  /** Receivers that are stopping: they must not wait for room, and nobody for them. */
  readonly #leaving = new Map<string, string>();
  #changed = Promise.withResolvers<void>();

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** From now on nothing is taken. */
  close(reason: string): void {
    this.#closed = reason;
    for (const receiver of this.#lines.keys()) this.leave(receiver, reason);
  }

  /** The receiver is about to stop: what waits for room is rejected, what need not wait is still taken. */
  leave(receiver: string, reason: string): void {
    this.#leaving.set(receiver, reason);
    for (const { done } of this.#lines.get(receiver)?.splice(0) ?? []) done.reject(new NotAcceptedError(reason));
  }

  /** True while batches of it wait for room. */
  waits(receiver: string): boolean {
    return this.#lines.has(receiver);
  }

  /** Another graph runs: its receivers may wait, and for its exporters only. */
  graphChanged(): void {
    this.#leaving.clear();
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  /** See `ReceiverContext.emit`. */
  emit(receiver: string, batch: Batch, position: Json | undefined): Promise<void> {
    const line = this.#lines.get(receiver);
    if (line === undefined && this.#full(receiver) === undefined) return this.#take(receiver, batch, position);
    const leaving = this.#closed ?? this.#leaving.get(receiver);
    if (leaving !== undefined) return Promise.reject(new NotAcceptedError(leaving));
    const waiting: Waiting = { batch, position, done: Promise.withResolvers<void>() };
    if (line !== undefined) line.push(waiting);
    else void this.#admit(receiver, [waiting]);
    return waiting.done.promise;
  }

  #full(receiver: string): ExportQueue | undefined {
    for (const queue of this.#options.queues(receiver)) if (queue.blocked) return queue;
    return undefined;
  }

  /** Takes those in line one after the other, as room comes. */
  async #admit(receiver: string, line: Waiting[]): Promise<void> {
    this.#lines.set(receiver, line);
    while (line.length > 0) {
      const full = this.#full(receiver);
      if (full !== undefined) {
        await Promise.race([full.room(), this.#changed.promise]);
        continue;
      }
      const { batch, position, done } = line.shift()!;
      done.resolve(this.#take(receiver, batch, position));
    }
    this.#lines.delete(receiver);
  }

  #take(receiver: string, batch: Batch, position: Json | undefined): Promise<void> {
    const { committer, positions, seen } = this.#options;
    if (this.#closed !== undefined) return Promise.reject(new NotAcceptedError(this.#closed));
    if (batch.length > BATCH_OBSERVATIONS_MAX) {
      return Promise.reject(new NotAcceptedError(`a batch of ${batch.length} observations; at most ${BATCH_OBSERVATIONS_MAX} are taken`));
    }
    const flows = this.#options.flows(receiver);
    if (flows === undefined) return Promise.reject(new NotAcceptedError(`no pipeline takes ${receiver}`));
    const fresh = this.#fresh(receiver, batch, seen);
    // One pipeline after the other: none can see what another makes of an observation.
    for (const flow of flows) for (const observation of fresh) flow(observation);
    if (fresh.length > 0) this.#options.accepted(receiver).add(fresh.length);
    if (batch.length > 0) this.#options.heard(receiver);
    if (position !== undefined) positions.set(receiver, position);
    // A source that can be read again may wait for others to share the commit; whoever waits for an answer may not.
    const urgent = position === undefined;
    if (fresh.length > 0 || position !== undefined) committer.changed(urgent);
    // A redelivery of one that is still pending waits for the same commit.
    return committer.committed(urgent);
  }

  /** The observations that were not taken before. */
  #fresh(receiver: string, batch: Batch, seen: Seen): Batch {
    if (batch.every(({ id }) => id === undefined)) return batch;
    const fresh = batch.filter(({ id }) => id === undefined || seen.add(receiver, id));
    if (fresh.length < batch.length) this.#options.duplicates(receiver).add(batch.length - fresh.length);
    return fresh;
  }
}
