import type { Clock } from "../sdk/clock.ts";
import { messageOf } from "../sdk/errors.ts";
import type { Logger } from "../sdk/log.ts";
import type { Counter } from "../sdk/metrics.ts";

/** What was quiet for so long and comes again is news, though nobody said that it had healed. */
const NEWS_AFTER_MS = 3_600_000;

/** Counts every error, logs changes: one line when something breaks, one when the text differs, one when it heals. */
export class Reporter {
  readonly #log: Logger;
  readonly #errors: Counter;
  readonly #clock: Clock;
  #last: string | undefined;
  #lastAtMs = 0;

  constructor(log: Logger, errors: Counter, clock: Clock) {
    this.#log = log;
    this.#errors = errors;
    this.#clock = clock;
  }

  /** The message of what is wrong now, if anything is. */
  get last(): string | undefined {
    return this.#last;
  }

  report(error: unknown): void {
    this.#errors.add(1);
    const message = messageOf(error);
    const now = this.#clock.monotonicMs();
    const known = message === this.#last && now - this.#lastAtMs < NEWS_AFTER_MS;
    this.#last = message;
    this.#lastAtMs = now;
    if (known) return;
    this.#log.warn({}, message);
  }

  healed(): void {
    if (this.#last === undefined) return;
    this.#log.info({ was: this.#last }, "works again");
    this.#last = undefined;
  }
}
