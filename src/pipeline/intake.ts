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
  readonly queues: () => Iterable<ExportQueue>;
  readonly accepted: (receiver: string) => Counter;
  readonly duplicates: (receiver: string) => Counter;
}

/** Where batches enter: every receiver's `emit`. */
export class Intake {
  readonly #options: IntakeOptions;
  #closed: string | undefined;
  /** Emits that wait for room in an exporter's queue; those after them wait too, so that order is kept. */
  #gate: Promise<void> | undefined;
  #gated = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** From now on nothing is taken. */
  close(reason: string): void {
    this.#closed = reason;
  }

  /** See `ReceiverContext.emit`. */
  emit(receiver: string, batch: Batch, position: Json | undefined): Promise<void> {
    if (this.#gated === 0 && ![...this.#options.queues()].some((queue) => queue.blocked)) return this.#take(receiver, batch, position);
    this.#gated++;
    const turn = (this.#gate ?? Promise.resolve()).then(() => this.#room());
    this.#gate = turn;
    return turn.then(() => {
      this.#gated--;
      return this.#take(receiver, batch, position);
    });
  }

  async #room(): Promise<void> {
    for (const queue of this.#options.queues()) await queue.room();
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
