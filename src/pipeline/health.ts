import type { Logger } from "../sdk/log.ts";
import type { Json } from "../sdk/observation.ts";

/** What a receiver says of itself. */
export interface ReceiverStatus {
  readonly failing: string | null;
  readonly status: Json;
}

/** Which receivers cannot read their source, and what each says of itself. */
export class Health {
  readonly #logOf: (receiver: string) => Logger;
  readonly #onFailing: (receiver: string, failing: boolean) => void;
  readonly #failing = new Map<string, string>();
  /** Receivers that failed and were replaced: their successors have not said yet whether they can read. */
  readonly #inherited = new Set<string>();
  readonly #describers = new Map<string, () => Json>();

  constructor(logOf: (receiver: string) => Logger, onFailing: (receiver: string, failing: boolean) => void) {
    this.#logOf = logOf;
    this.#onFailing = onFailing;
  }

  get failing(): ReadonlyMap<string, string> {
    return this.#failing;
  }

  /** `undefined`: it can read its source again. */
  setFailing(receiver: string, reason: string | undefined): void {
    this.#inherited.delete(receiver);
    const before = this.#failing.get(receiver);
    if (reason === before) return;
    const log = this.#logOf(receiver);
    if (reason === undefined) {
      this.#failing.delete(receiver);
      this.#onFailing(receiver, false);
      log.info({}, "the source can be read again");
    } else {
      this.#failing.set(receiver, reason);
      if (before !== undefined) return;
      this.#onFailing(receiver, true);
      log.warn({}, `the source cannot be read: ${reason}; what only it feeds is stale`);
    }
  }

  /** It has read what there was, so whatever its predecessor said is over. */
  caughtUp(receiver: string): void {
    if (this.#inherited.has(receiver)) this.setFailing(receiver, undefined);
  }

  describe(receiver: string, describe: () => Json): void {
    this.#describers.set(receiver, describe);
  }

  /** Stopped. Nothing better is known of its source until a successor says so. */
  left(receiver: string): void {
    this.#describers.delete(receiver);
    if (this.#failing.has(receiver)) this.#inherited.add(receiver);
  }

  /** These are configured; what is known of others does not count any more. */
  keepOnly(receivers: ReadonlySet<string>): void {
    for (const receiver of this.#failing.keys()) if (!receivers.has(receiver)) this.setFailing(receiver, undefined);
  }

  of(receiver: string): ReceiverStatus {
    return { failing: this.#failing.get(receiver) ?? null, status: this.#describers.get(receiver)?.() ?? null };
  }
}
