import type { Clock, Timer } from "../sdk/clock.ts";

export interface CatchUpOptions {
  readonly clock: Clock;
  readonly timeoutMs: () => number;
  /** Nothing of these types fires or resolves. */
  readonly hold: (types: readonly string[]) => void;
  readonly release: (type: string) => void;
  /** Nothing feeds it any more: it need not wait, and there is nothing to judge. */
  readonly drop: (type: string) => void;
  readonly onTimeout: (type: string, waitingFor: readonly string[]) => void;
}

/**
 * Rules on a type wait until the receivers that feed it have read what was there when they started, or for the timeout:
 * what began and ended while the agent was down is no news.
 */
export class CatchUp {
  readonly #options: CatchUpOptions;
  readonly #caughtUp = new Set<string>();
  readonly #failing = new Set<string>();
  /** Receivers that a held type waits for. */
  readonly #waiting = new Map<string, { readonly receivers: Set<string>; readonly timer: Timer }>();
  #known = new Set<string>();

  constructor(options: CatchUpOptions) {
    this.#options = options;
  }

  /** Types that wait, each with the receivers it waits for. */
  get waiting(): ReadonlyMap<string, ReadonlySet<string>> {
    return new Map([...this.#waiting].map(([type, { receivers }]) => [type, receivers]));
  }

  /** A new graph is about to run: types that were not fed before wait. Types that are running go on being judged. */
  feeds(feeds: ReadonlyMap<string, ReadonlySet<string>>): void {
    const { clock, hold, timeoutMs, onTimeout } = this.#options;
    for (const [type, { timer }] of this.#waiting) {
      if (feeds.has(type)) continue;
      // Fed again later it waits anew; until then nothing may wait for ever.
      timer.cancel();
      this.#waiting.delete(type);
      this.#options.drop(type);
    }
    for (const [type, receivers] of feeds) {
      const waiting = this.#waiting.get(type);
      const missing = [...receivers].filter((receiver) => !this.#caughtUp.has(receiver) && !this.#failing.has(receiver));
      if (waiting !== undefined) {
        waiting.receivers.clear();
        for (const receiver of missing) waiting.receivers.add(receiver);
      } else if (!this.#known.has(type) && missing.length > 0) {
        const timer = clock.at(clock.now() + timeoutMs(), () => {
          onTimeout(type, [...(this.#waiting.get(type)?.receivers ?? [])]);
          this.#release(type);
        });
        this.#waiting.set(type, { receivers: new Set(missing), timer });
        hold([type]);
      }
    }
    this.#known = new Set(feeds.keys());
  }

  /** After the new graph's rules are in place: types that need not wait any more are judged. */
  settle(): void {
    for (const [type, { receivers }] of this.#waiting) if (receivers.size === 0) this.#release(type);
  }

  caughtUp(receiver: string): void {
    if (this.#caughtUp.has(receiver)) return;
    this.#caughtUp.add(receiver);
    this.#waitNoLonger(receiver);
  }

  /**
   * The receiver brings no news, or does again: whoever judges says why. What only it feeds is stale and not judged anyway; what others feed
   * must not wait for it. Call after that was said to who judges.
   */
  failing(receiver: string, failing: boolean): void {
    if (!failing) return void this.#failing.delete(receiver);
    this.#failing.add(receiver);
    this.#waitNoLonger(receiver);
  }

  /** The receiver stops: its successor, or itself if it comes again, has to read what is there by then. */
  left(receiver: string): void {
    this.#caughtUp.delete(receiver);
    this.#failing.delete(receiver);
  }

  stop(): void {
    for (const { timer } of this.#waiting.values()) timer.cancel();
    this.#waiting.clear();
  }

  #waitNoLonger(receiver: string): void {
    for (const { receivers } of this.#waiting.values()) receivers.delete(receiver);
    this.settle();
  }

  #release(type: string): void {
    this.#waiting.get(type)?.timer.cancel();
    this.#waiting.delete(type);
    this.#options.release(type);
  }
}
