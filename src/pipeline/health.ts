import { redactText } from "../config/redact.ts";
import type { Logger } from "../sdk/log.ts";
import type { Json } from "../sdk/observation.ts";

const REASON_LENGTH_MAX = 500;
const CRASHED = "stopped working, is being restarted";

/** What a receiver says of itself, and what is known of it. */
export interface ReceiverStatus {
  readonly failing: string | null;
  readonly status: Json;
}

export interface HealthOptions {
  readonly logOf: (receiver: string) => Logger;
  /** It fails for this reason, which may be shown, or no more (`undefined`). Called when that changes. */
  readonly onFailing: (receiver: string, reason: string | undefined) => void;
  /** Whatever was said of it has been taken in; called each time, after `onFailing`. */
  readonly onTold: (receiver: string, failing: boolean) => void;
}

/** What may be wrong with a receiver. Each reason comes and goes on its own; it fails while there is any. */
interface Known {
  /** What it says itself. */
  said: string | undefined;
  /** `said` is of a predecessor: it has not spoken yet. */
  inherited: boolean;
  crashed: boolean;
  /** Nothing came from it for too long. */
  quiet: string | undefined;
}

/** Which receivers bring no news, and what each says of itself. */
export class Health {
  readonly #options: HealthOptions;
  readonly #known = new Map<string, Known>();
  /** The reason that counts, of those that fail. */
  readonly #failing = new Map<string, string>();
  readonly #describers = new Map<string, () => Json>();

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** Reasons that may be shown. */
  get failing(): ReadonlyMap<string, string> {
    return this.#failing;
  }

  /** What it says itself; `undefined`: it can read its source. */
  setFailing(receiver: string, reason: string | undefined): void {
    this.#tell(receiver, { said: reason, inherited: false });
  }

  /** Nothing came for too long; `undefined`: something did. */
  setQuiet(receiver: string, reason: string | undefined): void {
    this.#tell(receiver, { quiet: reason });
  }

  /** It has given up, and waits for its restart. Over when its successor says that it can read. */
  crashed(receiver: string): void {
    this.#tell(receiver, { crashed: true });
  }

  /** It has read what there was, so whatever its predecessor said is over. */
  caughtUp(receiver: string): void {
    if (this.#known.get(receiver)?.inherited === true) this.setFailing(receiver, undefined);
  }

  describe(receiver: string, describe: () => Json): void {
    this.#describers.set(receiver, describe);
  }

  /** Stopped. Nothing better is known of its source until a successor says so. */
  left(receiver: string): void {
    this.#describers.delete(receiver);
    const known = this.#known.get(receiver);
    if (known === undefined) return;
    if (known.crashed) Object.assign(known, { said: CRASHED, crashed: false });
    known.inherited = known.said !== undefined;
  }

  /** These are configured; what is known of others does not count any more. */
  keepOnly(receivers: ReadonlySet<string>): void {
    for (const receiver of this.#known.keys()) {
      if (receivers.has(receiver)) continue;
      this.#tell(receiver, { said: undefined, inherited: false, crashed: false, quiet: undefined });
      this.#known.delete(receiver);
    }
  }

  of(receiver: string): ReceiverStatus {
    return { failing: this.#failing.get(receiver) ?? null, status: this.#describers.get(receiver)?.() ?? null };
  }

  #tell(receiver: string, news: Partial<Known>): void {
    const known = this.#known.get(receiver) ?? { said: undefined, inherited: false, crashed: false, quiet: undefined };
    this.#known.set(receiver, Object.assign(known, news));
    this.#settle(receiver, known);
    this.#options.onTold(receiver, this.#failing.has(receiver));
  }

  #settle(receiver: string, { said, crashed, quiet }: Known): void {
    const before = this.#failing.get(receiver);
    const raw = crashed ? CRASHED : (said ?? quiet);
    const reason = raw === undefined ? undefined : redactText(raw).slice(0, REASON_LENGTH_MAX);
    if (reason === before) return;
    const log = this.#options.logOf(receiver);
    if (reason === undefined) {
      this.#failing.delete(receiver);
      this.#options.onFailing(receiver, undefined);
      log.info({ was: before }, "the source can be read again");
      return;
    }
    this.#failing.set(receiver, reason);
    this.#options.onFailing(receiver, reason);
    if (before === undefined) log.warn({}, `${reason}; what only this receiver feeds is stale`);
  }
}
