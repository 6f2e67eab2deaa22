import type { Alert } from "../../sdk/alert.ts";
import { PermanentError } from "../../sdk/errors.ts";
import type { Message } from "./lane.ts";
import type { Member } from "./members.ts";
import { groupKey } from "./messages.ts";
import type { Outbox } from "./outbox.ts";

/** Alerts in one message. */
const BATCH_MAX = 300;
/** Messages that may wait; what changes meanwhile waits as a change of its alert, of which only the last counts. */
const WAITING_MAX = 20;

export interface RefresherParts {
  readonly exporter: string;
  readonly outbox: Outbox;
  readonly committed: () => Promise<void>;
  /** A refresh failed, or (undefined) succeeded again. */
  readonly onRefreshed: (error: unknown) => void;
}

/**
 * Tells a destination that is an alert manager of its own: each change at once, durably and in order, and everything again
 * and again, which covers whatever was lost.
 */
export class Refresher {
  readonly #parts: RefresherParts;
  readonly #key: string;
  /** Resolved of late, by key, oldest first. */
  readonly #recent = new Map<string, { readonly alert: Alert; readonly until: number }>();
  /** Keys of what is being told again just now, and those of them that changed meanwhile. */
  #flying: ReadonlySet<string> = new Set();
  readonly #overtaken = new Map<string, Alert>();
  #running = false;
  #failed = false;
  /** When everything is told again; ms. */
  nextMs = 0;

  constructor(parts: RefresherParts) {
    this.#parts = parts;
    this.#key = groupKey({}, "refresh", [parts.exporter]);
  }

  /** Something was resolved of late. */
  get hasRecent(): boolean {
    return this.#recent.size > 0;
  }

  /** Queues what changed; gives those that could be, the others wait until there is room. */
  tell(members: Iterable<Member>, now: number, resolvedForMs: number): Member[] {
    const { outbox, exporter } = this.#parts;
    const told: Member[] = [];
    let batch: Member[] = [];
    const send = (): void => {
      if (batch.length === 0) return;
      outbox.enqueue(exporter, this.#message(batch.map(({ alert }) => alert), batch.some(({ state }) => state === "waiting") ? "fired" : "resolved"), { kept: true });
      batch = [];
    };
    for (const member of members) {
      if (outbox.pending(exporter) >= WAITING_MAX) break;
      batch.push(member);
      told.push(member);
      if (this.#flying.has(member.key)) this.#overtaken.set(member.key, member.alert);
      this.#recent.delete(member.key);
      if (member.state === "ending") this.#recent.set(member.key, { alert: member.alert, until: now + resolvedForMs });
      if (batch.length === BATCH_MAX) send();
    }
    send();
    return told;
  }

  /** Tells everything again, if it is time. */
  refresh(members: ReadonlyMap<string, Member>, now: number, everyMs: number): void {
    // After a clock that was set back, too.
    if (now < this.nextMs && this.nextMs <= now + everyMs) return;
    this.nextMs = now + everyMs;
    if (this.#running) return;
    for (const [key, { until }] of this.#recent) if (until <= now) this.#recent.delete(key);
    const keys: string[] = [];
    for (const { key, state } of members.values()) if (state === "told") keys.push(key);
    for (const key of this.#recent.keys()) keys.push(key);
    if (keys.length > 0) void this.#tellAgain(keys, members);
  }

  async #tellAgain(keys: readonly string[], members: ReadonlyMap<string, Member>): Promise<void> {
    const { onRefreshed } = this.#parts;
    this.#running = true;
    let refused: PermanentError | undefined;
    try {
      for (let i = 0; i < keys.length; i += BATCH_MAX) {
        try {
          await this.#tellBatch(keys.slice(i, i + BATCH_MAX), members);
        } catch (error) {
          // It is about what this batch holds: the others must not count as over for its sake.
          if (!(error instanceof PermanentError)) throw error;
          refused ??= error;
        }
      }
      if (refused !== undefined) throw refused;
      if (this.#failed) onRefreshed(undefined);
      this.#failed = false;
    } catch (error) {
      this.#failed = true;
      onRefreshed(error);
    } finally {
      this.#running = false;
    }
  }

  /** As they are now, whatever they were when the refresh began. */
  async #tellBatch(keys: readonly string[], members: ReadonlyMap<string, Member>): Promise<void> {
    const { outbox, exporter, committed } = this.#parts;
    const alerts = keys.flatMap((key) => {
      const member = members.get(key);
      return (member === undefined || member.state !== "told" ? this.#recent.get(key)?.alert : member.alert) ?? [];
    });
    this.#flying = new Set(keys);
    try {
      // Nothing leaves before its commit.
      await committed();
      const still = alerts.filter(({ dedup_key }) => !this.#overtaken.has(dedup_key));
      if (still.length > 0) await outbox.attempt(exporter, this.#message(still, "repeat"));
    } finally {
      this.#flying = new Set();
      const changed = [...this.#overtaken.values()];
      this.#overtaken.clear();
      // The change may have arrived before what was told again, which then had the last word.
      if (changed.length > 0) outbox.enqueue(exporter, this.#message(changed, changed.some(({ status }) => status === "firing") ? "fired" : "resolved"), { kept: true });
    }
  }

  #message(alerts: readonly Alert[], cause: Message["cause"]): Message {
    const firing = alerts.some(({ status }) => status === "firing");
    return { key: this.#key, status: firing ? "firing" : "resolved", cause, alerts: alerts.toSorted((a, b) => (a.status === b.status ? 0 : a.status === "firing" ? -1 : 1)), group: {} };
  }
}
