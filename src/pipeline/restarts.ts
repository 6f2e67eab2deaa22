import { backoffMs } from "../sdk/backoff.ts";
import type { Clock, Timer } from "../sdk/clock.ts";

const WAIT = { firstMs: 1_000, maxMs: 5 * 60_000 };
/** Having worked this long, a component that stops working again is no repeated failure. */
const STABLE_MS = 10 * 60_000;

export interface RestartsOptions {
  readonly clock: Clock;
  /** Makes the component anew. Rejects when it cannot work. */
  readonly restart: (key: string) => Promise<void>;
  readonly onFailed: (key: string, error: unknown) => void;
}

interface Crashed {
  failures: number;
  /** Undefined: it works again, since `workingSince`. */
  timer: Timer | undefined;
  workingSince: number | undefined;
  /** While it was being made anew it gave up already. */
  crashedAgain: boolean;
}

/** Components that gave up: each is made anew alone, after a while that grows; everything else goes on. */
export class Restarts {
  readonly #options: RestartsOptions;
  readonly #components = new Map<string, Crashed>();
  #stopped = false;

  constructor(options: RestartsOptions) {
    this.#options = options;
  }

  /** Keys of those that do not work. */
  get waiting(): readonly string[] {
    return [...this.#components].filter(([, { workingSince }]) => workingSince === undefined).map(([key]) => key);
  }

  /** False when it is known already. */
  crashed(key: string): boolean {
    const { clock } = this.#options;
    const known = this.#components.get(key);
    if (known !== undefined && known.workingSince === undefined) known.crashedAgain = true;
    if (this.#stopped || (known !== undefined && known.workingSince === undefined)) return false;
    const lasted = known?.workingSince !== undefined && clock.now() - known.workingSince >= STABLE_MS;
    const crashed: Crashed = { failures: known === undefined || lasted ? 0 : known.failures, timer: undefined, workingSince: undefined, crashedAgain: false };
    this.#components.set(key, crashed);
    this.#again(key, crashed);
    return true;
  }

  /** The component was made anew, or is gone, by somebody else. */
  forget(key: string): void {
    this.#components.get(key)?.timer?.cancel();
    this.#components.delete(key);
  }

  stop(): void {
    this.#stopped = true;
    for (const key of this.#components.keys()) this.forget(key);
  }

  #again(key: string, crashed: Crashed): void {
    const { clock, restart, onFailed } = this.#options;
    crashed.failures++;
    crashed.timer = clock.at(clock.now() + backoffMs(WAIT, crashed.failures, clock), () => {
      const current = (): boolean => this.#components.get(key) === crashed && !this.#stopped;
      crashed.crashedAgain = false;
      restart(key).then(
        () => {
          if (!current()) return;
          if (crashed.crashedAgain) this.#again(key, crashed);
          else crashed.workingSince = clock.now();
        },
        (error: unknown) => {
          if (!current()) return;
          onFailed(key, error);
          this.#again(key, crashed);
        },
      );
    });
  }
}
