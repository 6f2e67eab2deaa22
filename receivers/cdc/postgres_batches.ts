import type { Delivery } from "../../src/sdk/delivery.ts";
import type { Observation } from "../../src/sdk/observation.ts";
import { positionJson, type PostgresPosition } from "./postgres_position.ts";

/** Beyond these a batch is sent even in the middle of a transaction. */
const BATCH_OBSERVATIONS = 2_000;
const BATCH_BYTES = 2 * 2 ** 20;

/** Gathers observations to batches, each with the position behind it. */
export class Batches {
  readonly #delivery: Delivery;
  #position: PostgresPosition;
  #batch: Observation[] = [];
  #bytes = 0;
  #waits = false;
  readonly #signal: AbortSignal;

  /** After `signal` nothing is sent: what the pipeline refuses then cannot be sent again, and nothing may overtake it. */
  constructor(delivery: Delivery, position: PostgresPosition, signal: AbortSignal) {
    this.#signal = signal;
    this.#delivery = delivery;
    this.#position = position;
  }

  get position(): PostgresPosition {
    return this.#position;
  }

  /** Nothing is gathered that was not sent. */
  get empty(): boolean {
    return this.#batch.length === 0;
  }

  /** Observations, and where the receiver is behind them. A promise: there is no room for more until it resolves. Throws after the signal. */
  add(observations: readonly Observation[], position: PostgresPosition, bytes: number): Promise<void> | undefined {
    this.#signal.throwIfAborted();
    for (const one of observations) this.#batch.push(one);
    this.#bytes += bytes;
    this.#position = position;
    if (this.#batch.length < BATCH_OBSERVATIONS && this.#bytes < BATCH_BYTES) return undefined;
    if (this.#delivery.full) return this.#delivery.room().then(() => this.send());
    this.send();
    return undefined;
  }

  /** The receiver is further on, and nothing was there to be observed. */
  moved(position: PostgresPosition): void {
    this.#position = position;
  }

  /** Sends what is gathered as soon as there is room; until then more of it gathers. */
  sendSoon(): void {
    if (this.#batch.length === 0 || this.#waits) return;
    if (!this.#delivery.full) return this.send();
    this.#waits = true;
    void this.#delivery.room().then(() => {
      this.#waits = false;
      this.send();
    });
  }

  /** Sends what is gathered; `always`: the position also when that is nothing. */
  send(always = false): void {
    const batch = this.#batch;
    if (this.#signal.aborted || (batch.length === 0 && !always)) return;
    const bytes = this.#bytes;
    this.#batch = [];
    this.#bytes = 0;
    this.#delivery.send(batch, positionJson(this.#position), bytes);
  }
}
