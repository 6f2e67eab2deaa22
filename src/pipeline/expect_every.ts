import type { ComponentConfig } from "../config/model.ts";
import type { Clock, Timer } from "../sdk/clock.ts";
import { durationMs, formatDuration } from "../sdk/duration.ts";
import { ConfigError } from "../sdk/errors.ts";

const MS_MIN = 1_000;

export interface ExpectEveryOptions {
  readonly clock: Clock;
  /** It has something that we do not take: a full queue, a store that cannot be written. That is not its silence. */
  readonly stalled: (receiver: string) => boolean;
  /** Nothing came for too long, or something did, for the first time or again (`undefined`). */
  readonly onQuiet: (receiver: string, reason: string | undefined) => void;
}

interface Watched {
  /** As configured, for the reason. */
  text: string;
  everyMs: number;
  /** By the clock that never steps: a machine that was asleep, or had its clock set, missed nothing. */
  heardAtMs: number;
  /** Something came, in this process. */
  heard: boolean;
  quiet: boolean;
  timer: Timer | undefined;
}

/**
 * Notices when a receiver with `expect_every` has been silent for too long. Counts from when it first runs in this process;
 * a reload, or a restart of the component alone, does not end a silence.
 */
export class ExpectEvery {
  readonly #options: ExpectEveryOptions;
  readonly #watched = new Map<string, Watched>();

  constructor(options: ExpectEveryOptions) {
    this.#options = options;
  }

  /** A batch was taken. For each emit: one time is stored, no timer is touched. */
  heard(receiver: string): void {
    const watched = this.#watched.get(receiver);
    if (watched === undefined) return;
    watched.heardAtMs = this.#options.clock.monotonicMs();
    if (watched.heard && !watched.quiet) return;
    watched.heard = true;
    if (watched.quiet) this.#look(receiver, watched);
    else this.#options.onQuiet(receiver, undefined);
  }

  /** Something is expected of it, and nothing has come yet. */
  awaits(receiver: string): boolean {
    return this.#watched.get(receiver)?.heard === false;
  }

  /** These receivers run now. */
  configure(receivers: readonly ComponentConfig[]): void {
    const wanted = new Map(receivers.flatMap(({ id, config }) => (typeof config["expect_every"] === "string" ? [[id, config["expect_every"]]] : [])));
    for (const [receiver, watched] of this.#watched) {
      if (wanted.has(receiver)) continue;
      watched.timer?.cancel();
      this.#watched.delete(receiver);
      this.#options.onQuiet(receiver, undefined);
    }
    for (const [receiver, text] of wanted) {
      const before = this.#watched.get(receiver);
      if (before?.text === text) continue;
      const watched = before ?? { text, everyMs: 0, heardAtMs: this.#options.clock.monotonicMs(), heard: false, quiet: false, timer: undefined };
      Object.assign(watched, { text, everyMs: durationMs(text) });
      this.#watched.set(receiver, watched);
      this.#look(receiver, watched);
    }
  }

  stop(): void {
    for (const { timer } of this.#watched.values()) timer?.cancel();
    this.#watched.clear();
  }

  /** Judges by the time that was stored, and looks again when it would be due. */
  #look(receiver: string, watched: Watched): void {
    const { clock, stalled, onQuiet } = this.#options;
    watched.timer?.cancel();
    watched.timer = undefined;
    if (!watched.quiet && stalled(receiver)) watched.heardAtMs = clock.monotonicMs();
    const silentMs = clock.monotonicMs() - watched.heardAtMs;
    const quiet = silentMs >= watched.everyMs;
    if (!quiet) watched.timer = clock.at(clock.now() + Math.ceil(watched.everyMs - silentMs), () => this.#look(receiver, watched));
    if (quiet === watched.quiet) return;
    watched.quiet = quiet;
    onQuiet(receiver, quiet ? `nothing came for ${formatDuration(silentMs)} (expect_every ${watched.text})` : undefined);
  }
}

/** Throws `ConfigError` when `expect_every` cannot be kept. */
export function checkExpectEvery({ config }: ComponentConfig): void {
  const text = config["expect_every"];
  if (typeof text === "string" && durationMs(text) < MS_MIN) throw new ConfigError("/expect_every", `is ${text}; allowed: at least ${formatDuration(MS_MIN)}`);
}
