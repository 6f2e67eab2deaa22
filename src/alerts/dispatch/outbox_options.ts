import type { Alert } from "../../sdk/alert.ts";
import type { Clock } from "../../sdk/clock.ts";
import type { Message } from "./lane.ts";

/** What the outbox needs of its surroundings. */
export interface OutboxOptions {
  readonly clock: Clock;
  /** Something must be committed, soon. */
  readonly changed: () => void;
  /** Resolves once what has changed so far is durable; rejects when the agent stops. */
  readonly committed: () => Promise<void>;
  /** Called just before an attempt: what is known of these alerts only now. Whatever fails in it is left out. */
  readonly enrich: (alerts: readonly Alert[]) => Promise<readonly Alert[]>;
  /** The incident is open: what the destination answers is kept for the next message. */
  readonly isOpen: (exporter: string, key: string) => boolean;
  readonly onSent: (exporter: string, message: Message, attempt: number) => void;
  /** An attempt failed; `again` says whether there will be another. */
  readonly onFailed: (exporter: string, message: Message, attempt: number, error: unknown, again: boolean) => void;
  readonly onHealed: (exporter: string) => void;
  readonly deadLetter: (exporter: string, message: Message, reason: string) => void;
  /** Something waits for an exporter that is not connected. */
  readonly onUnattended: (exporter: string) => void;
  /** Nothing that fires waits for this exporter any more. */
  readonly onRoom: (exporter: string) => void;
}
