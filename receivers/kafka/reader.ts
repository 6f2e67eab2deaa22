import type { Clock } from "../../src/sdk/clock.ts";
import { backoffMs, type Backoff } from "../../src/sdk/backoff.ts";
import type { FetchedBatch, FetchSession } from "./fetch.ts";
import type { Partition } from "./state.ts";

const BACKOFF: Backoff = { firstMs: 100, maxMs: 5_000 };

export interface ReaderOptions {
  readonly clock: Clock;
  readonly session: FetchSession;
  /** The partitions that may be asked of this broker now. */
  readonly wanted: () => readonly Partition[];
  readonly take: (batch: FetchedBatch) => Promise<void>;
  /** The broker cannot be asked; it is tried again. */
  readonly onFailure: (error: unknown) => void;
  readonly onAnswer: () => void;
  readonly signal: AbortSignal;
}

/** Reads what one broker leads. */
export interface Reader {
  /** What is wanted of it has changed. */
  changed(): void;
  readonly done: Promise<void>;
}

/**
 * Asks again as soon as an answer is there, before that is handed on: so the broker looks while we work. At most one answer waits
 * behind the one that is being handed on. Handing on waits for room, and that is how fetching is paused.
 */
export function startReader(options: ReaderOptions): Reader {
  const { clock, session, signal } = options;
  let wake: (() => void) | undefined;
  let failures = 0;
  signal.addEventListener("abort", () => wake?.(), { once: true });

  /** Undefined: nothing is wanted. Never rejects before it is awaited. */
  function ask(): Promise<FetchedBatch> | undefined {
    const wanted = options.wanted();
    if (wanted.length === 0 || signal.aborted) return undefined;
    const asked = session.fetch(wanted);
    asked.catch(() => undefined);
    return asked;
  }

  async function run(): Promise<void> {
    let ahead: Promise<FetchedBatch> | undefined;
    while (!signal.aborted) {
      ahead ??= ask();
      if (ahead === undefined) {
        await new Promise<void>((resolve) => void (wake = resolve));
        continue;
      }
      try {
        const batch = await ahead;
        ahead = undefined;
        failures = 0;
        options.onAnswer();
        ahead = ask();
        await options.take(batch);
      } catch (error) {
        ahead = undefined;
        if (signal.aborted) break;
        options.onFailure(error);
        await clock.sleep(backoffMs(BACKOFF, ++failures, clock), signal).catch(() => undefined);
      }
    }
    await ahead?.catch(() => undefined);
  }

  return { changed: () => wake?.(), done: run() };
}
