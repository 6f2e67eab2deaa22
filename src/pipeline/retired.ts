import type { Clock, Timer } from "../sdk/clock.ts";
import type { Instance } from "./instance.ts";

const LOOK_EVERY_MS = 10_000;
/** A removed notifier lives this long at most. */
const LIVES_MAX_MS = 3_600_000;

export interface RetiredOptions {
  readonly clock: Clock;
  /** True while an incident that this exporter opened is open, or a notification waits for it. */
  readonly needed: (exporter: string) => boolean;
  /** A rejected file may be what defines it: then nobody can say that it is gone. */
  readonly undecided: () => boolean;
  /** It is not needed any more, or its time is over: stop it; what still waits goes to the dead letters. */
  readonly end: (exporter: string, instance: Instance | undefined) => void;
}

/**
 * Exporters that the configuration no longer has, but that opened incidents: they stay until those are resolved, so that
 * nobody is left with an open page. Also those of which only notifications are left, from before a restart.
 */
export class Retired {
  readonly #options: RetiredOptions;
  readonly #exporters = new Map<string, { readonly instance: Instance | undefined; readonly untilMs: number }>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: RetiredOptions) {
    this.#options = options;
  }

  get instances(): readonly Instance[] {
    return [...this.#exporters.values()].flatMap(({ instance }) => instance ?? []);
  }

  add(exporter: string, instance: Instance | undefined): void {
    if (this.#stopped || this.#exporters.has(exporter)) return;
    this.#exporters.set(exporter, { instance, untilMs: this.#options.clock.monotonicMs() + LIVES_MAX_MS });
    this.#look();
  }

  /** The configuration has it again: the retired instance, if there was one, is the caller's to stop. */
  take(exporter: string): Instance | undefined {
    const retired = this.#exporters.get(exporter);
    this.#exporters.delete(exporter);
    return retired?.instance;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #look(): void {
    this.#timer?.cancel();
    const { clock } = this.#options;
    const undecided = this.#options.undecided();
    for (const [exporter, { instance, untilMs }] of this.#exporters) {
      if ((untilMs > clock.monotonicMs() || undecided) && this.#options.needed(exporter)) continue;
      this.#exporters.delete(exporter);
      this.#options.end(exporter, instance);
    }
    if (this.#exporters.size > 0) this.#timer = clock.at(clock.now() + LOOK_EVERY_MS, () => this.#look());
  }
}
