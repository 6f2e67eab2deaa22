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
  /**
   * It fails for this reason, which may be shown, or it does not (`undefined`). Called when that changes, and when it is first
   * known in this process: an alert from before a restart waits for it.
   */
  readonly onFailing: (receiver: string, reason: string | undefined) => void;
  /** Whatever was said of it has been taken in; called each time, after `onFailing`. */
  readonly onTold: (receiver: string, failing: boolean) => void;
  /** Nothing has come yet in this process, and something must: nobody can say that it works. */
  readonly awaited: (receiver: string) => boolean;
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
  /** It has said, in this process, that it can read its source. */
  reads: boolean;
  /** `onFailing` was called. */
  told: boolean;
}

const UNKNOWN: Known = { said: undefined, inherited: false, crashed: false, quiet: undefined, reads: false, told: false };

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
    this.#tell(receiver, { said: reason, inherited: false, reads: reason === undefined });
  }

  /** Nothing came for too long; `undefined`: something did, or nothing is expected. */
  setQuiet(receiver: string, reason: string | undefined): void {
    this.#tell(receiver, { quiet: reason });
  }

  /** It has given up, and waits for its restart. Over when its successor says that it can read. */
  crashed(receiver: string): void {
    this.#tell(receiver, { crashed: true });
  }

  /** It has read what there was, so whatever its predecessor said is over. */
  caughtUp(receiver: string): void {
    const known = this.#known.get(receiver);
    if (known === undefined || known.inherited || known.said === undefined) this.setFailing(receiver, undefined);
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
      this.#tell(receiver, { said: undefined, inherited: false, crashed: false, quiet: undefined, reads: false });
      this.#known.delete(receiver);
    }
  }

  of(receiver: string): ReceiverStatus {
    return { failing: this.#failing.get(receiver) ?? null, status: this.#describers.get(receiver)?.() ?? null };
  }

  #tell(receiver: string, news: Partial<Known>): void {
    const known = this.#known.get(receiver) ?? { ...UNKNOWN };
    this.#known.set(receiver, Object.assign(known, news));
    this.#settle(receiver, known);
    this.#options.onTold(receiver, this.#failing.has(receiver));
  }

  #settle(receiver: string, known: Known): void {
    const { said, crashed, quiet } = known;
    const before = this.#failing.get(receiver);
    const raw = crashed ? CRASHED : (said ?? quiet);
    const reason = raw === undefined ? undefined : redactText(raw).slice(0, REASON_LENGTH_MAX);
    if (reason === undefined && !known.told && known.reads && !this.#options.awaited(receiver)) {
      known.told = true;
      this.#options.onFailing(receiver, undefined);
    }
    if (reason === before) return;
    known.told = true;
    const log = this.#options.logOf(receiver);
    if (reason === undefined) {
      this.#failing.delete(receiver);
      this.#options.onFailing(receiver, undefined);
      log.info({}, "the source can be read again");
      return;
    }
    this.#failing.set(receiver, reason);
    this.#options.onFailing(receiver, reason);
    // Of a crash the log has the error already.
    if (before === undefined && !crashed) log.warn({}, `${said === undefined ? "" : "the source cannot be read: "}${reason}; what only it feeds is stale`);
  }
}
