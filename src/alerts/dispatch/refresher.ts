import type { Alert } from "../../sdk/alert.ts";
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
    const alerts: Alert[] = [];
    for (const { alert, state } of members.values()) if (state === "told") alerts.push(alert);
    for (const { alert } of this.#recent.values()) alerts.push(alert);
    if (alerts.length > 0) void this.#send(alerts);
  }

  async #send(alerts: readonly Alert[]): Promise<void> {
    const { outbox, exporter, committed, onRefreshed } = this.#parts;
    this.#running = true;
    try {
      // Nothing leaves before its commit.
      await committed();
      for (let i = 0; i < alerts.length; i += BATCH_MAX) await outbox.attempt(exporter, this.#message(alerts.slice(i, i + BATCH_MAX), "repeat"));
      if (this.#failed) onRefreshed(undefined);
      this.#failed = false;
    } catch (error) {
      this.#failed = true;
      onRefreshed(error);
    } finally {
      this.#running = false;
    }
  }

  #message(alerts: readonly Alert[], cause: Message["cause"]): Message {
    const firing = alerts.some(({ status }) => status === "firing");
    return { key: this.#key, status: firing ? "firing" : "resolved", cause, alerts: alerts.toSorted((a, b) => (a.status === b.status ? 0 : a.status === "firing" ? -1 : 1)), group: {} };
  }
}
