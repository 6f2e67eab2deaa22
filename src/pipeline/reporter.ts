import { messageOf } from "../sdk/errors.ts";
import type { Logger } from "../sdk/log.ts";
import type { Counter } from "../sdk/metrics.ts";

/** Counts every error, logs changes: one line when something breaks, one when the text differs, one when it heals. */
export class Reporter {
  readonly #log: Logger;
  readonly #errors: Counter;
  #last: string | undefined;

  constructor(log: Logger, errors: Counter) {
    this.#log = log;
    this.#errors = errors;
  }

  /** The message of what is wrong now, if anything is. */
  get last(): string | undefined {
    return this.#last;
  }

  report(error: unknown): void {
    this.#errors.add(1);
    const message = messageOf(error);
    if (message === this.#last) return;
    this.#last = message;
    this.#log.warn({}, message);
  }

  healed(): void {
    if (this.#last === undefined) return;
    this.#log.info({ was: this.#last }, "works again");
    this.#last = undefined;
  }
}
