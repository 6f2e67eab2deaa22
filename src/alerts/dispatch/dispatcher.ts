import type { Alert } from "../../sdk/alert.ts";
import type { Clock, Timer } from "../../sdk/clock.ts";
import { messageOf } from "../../sdk/errors.ts";
import type { Json } from "../../sdk/observation.ts";
import type { Persistent, Store, TableChange } from "../../sdk/store.ts";
import type { Destination, Message } from "./lane.ts";
import { DISPATCH_TABLES, Ledger, loadMembers } from "./members.ts";
import { groupKey, messageOfLetter } from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import type { Policy } from "./policy.ts";
import type { Silences } from "./silences.ts";
import { steadyTime, wallTime } from "./steady.ts";
import { Suppression, type Reason, type SuppressionConfig } from "./suppression.ts";
import { Target } from "./target.ts";

/** What came of asking for a dead letter to be sent again. */
export interface Redelivery {
  /** `refused`: there is nothing to tell any more; `reason` says why. `not_found`: no such dead letter, or not of a notification. */
  readonly result: "queued" | "refused" | "not_found";
  readonly reason: string | undefined;
}

/** What came of a test notification. */
export interface TestResult {
  /** `not_found`: no exporter of this id that takes alerts runs. */
  readonly result: "delivered" | "failed" | "not_found";
  readonly error: string | undefined;
  /** The destination keeps an incident for it, which nothing ends: were that told at once, nobody might be called. */
  readonly stays_open?: true;
}

export interface DispatcherOptions {
  readonly clock: Clock;
  readonly outbox: Outbox;
  readonly silences: Silences;
  readonly externalLabels: () => Readonly<Record<string, string>>;
  /** Something must be committed, soon. */
  readonly changed: () => void;
  /** Resolves once what has changed so far is durable. */
  readonly committed: () => Promise<void>;
  /** Alerts that fire, and those resolved a moment ago. */
  readonly alerts: () => Iterable<Alert>;
  /** Firing alerts that concern this exporter, whatever it was told of them. */
  readonly firingFor: (exporter: string) => Iterable<Alert>;
  readonly onSuppressed: (exporter: string, reason: Reason) => void;
  readonly onCoalesced: (exporter: string, count: number) => void;
  readonly onRefreshed: (exporter: string, error: unknown) => void;
  /** Deciding what to tell failed. */
  readonly onDefect: (exporter: string, error: unknown) => void;
  /** A test was sent; `error` is undefined when it was taken. */
  readonly onTest: (exporter: string, message: Message, error: unknown) => void;
  readonly deadLetters: {
    get(number: number): { readonly component: string; readonly content: Json } | undefined;
    remove(number: number): void;
  };
}

/**
 * Decides what each exporter is told, and when: groups, waits, repeats, silences, storms. It decides within the commit of
 * what it decides on (`drain`), so that an alert and what is told of it are durable together; the outbox does the rest.
 */
export class Dispatcher implements Persistent {
  readonly tables = DISPATCH_TABLES;
  readonly #options: DispatcherOptions;
  readonly #now: () => number;
  readonly #ledger = new Ledger();
  readonly #suppression: Suppression;
  readonly #targets = new Map<string, Target>();
  /** Of the exporters that run. */
  readonly #policies = new Map<string, Policy>();
  /** Alerts that an earlier version told of, which did not keep whom: everybody whose they are. */
  readonly #inherited = new Set<string>();
  #timer: { readonly dueMs: number; readonly at: number; readonly timer: Timer } | undefined;
  #stopped = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#now = steadyTime(options.clock);
    this.#suppression = new Suppression(options.clock, options.silences);
  }

  /** Takes `service` of another configuration. Silences are configured for themselves. */
  configure(config: SuppressionConfig): void {
    this.#suppression.configure(config, this.#options.alerts);
    this.#options.changed();
  }

  /**
   * An alert fires (for these exporters: also when one hears of it later) or is over. Synchronous; told with the next commit.
   * `firstSync`: a new source brought it; all of a rule that come so at once make one message.
   */
  changed(alert: Alert, exporters: readonly string[], { firstSync = false }: { readonly firstSync?: boolean } = {}): void {
    const now = this.#now();
    this.#suppression.changed(alert);
    const over = alert.status === "resolved" && this.#inherited.delete(alert.dedup_key);
    for (const exporter of exporters) {
      const target = this.#target(exporter);
      if (over && !target.book.members.has(alert.dedup_key)) target.adopt(alert, now);
      target.changed(alert, firstSync, now);
    }
    this.#options.changed();
  }

  /** Somebody has seen the alert: it is not repeated. */
  acknowledge(alert: Alert): void {
    for (const target of this.#targets.values()) target.acknowledged(alert);
  }

  /** Tells this exporter from now on, by this policy; undefined: no more, what is for it waits. */
  connect(exporter: string, destination: Destination | undefined, policy?: Policy): void {
    const target = this.#target(exporter);
    if (destination === undefined || policy === undefined) this.#policies.delete(exporter);
    else this.#policies.set(exporter, policy);
    if (target.connect(destination === undefined ? undefined : policy)) {
      // Another policy may want what the one before did not.
      const now = this.#now();
      for (const alert of this.#options.firingFor(exporter)) {
        if (target.book.members.has(alert.dedup_key)) continue;
        if (this.#inherited.has(alert.dedup_key)) target.adopt(alert, now);
        else target.changed(alert, true, now);
      }
    }
    this.#options.outbox.connect(exporter, destination, policy?.refreshes === undefined ? policy?.limits : undefined);
    this.#options.changed();
  }

  /** Alerts that this exporter was told of and that are not over for it: it must live until they are. */
  openOn(exporter: string): number {
    return this.#targets.get(exporter)?.book.open ?? 0;
  }

  /** The incident is open at the destination. */
  isOpen(exporter: string, key: string): boolean {
    return this.#targets.get(exporter)?.book.isOpen(key) ?? false;
  }

  /** Why this alert would not be told if it were new: ids of silences, whether another alert inhibits it, and the exporters that were to tell of it and are muted at this time. */
  suppressionOf(alert: Alert): { readonly silences: readonly string[]; readonly inhibited: boolean; readonly mutedBy: readonly string[] } {
    const mutedBy = [...this.#policies].filter(([exporter, policy]) =>
      this.#targets.get(exporter)?.book.members.get(alert.dedup_key)?.state === "waiting" && this.#suppression.isMuted(policy)).map(([exporter]) => exporter);
    return { silences: this.#options.silences.of(alert.labels), inhibited: this.#suppression.isInhibited(alert), mutedBy: mutedBy.sort() };
  }

  /** Something left the outbox. */
  room(exporter: string): void {
    if (this.#targets.get(exporter)?.waitsForRoom === true) this.#options.changed();
  }

  /** Sends again what was given up, if it still holds; the dead letter is gone then. */
  redeliver(deadLetter: number): Redelivery {
    const { deadLetters, outbox } = this.#options;
    const letter = deadLetters.get(deadLetter);
    const message = letter === undefined ? undefined : messageOfLetter(letter.content);
    if (letter === undefined || message === undefined) {
      return { result: "not_found", reason: letter === undefined ? `there is no dead letter ${deadLetter}` : `dead letter ${deadLetter} is not a notification, or was too large to be kept whole` };
    }
    const { component: exporter } = letter;
    const { book } = this.#target(exporter);
    if (message.status === "firing") {
      const alerts = message.alerts.flatMap(({ dedup_key }) => book.firing(dedup_key) ?? []);
      if (alerts.length === 0 || !this.isOpen(exporter, message.key)) return { result: "refused", reason: "what it told of does not fire any more" };
      outbox.enqueue(exporter, { ...message, alerts });
    } else {
      if (this.isOpen(exporter, message.key)) return { result: "refused", reason: "it fires again: its end would close the new incident" };
      outbox.enqueue(exporter, message);
    }
    deadLetters.remove(deadLetter);
    this.#options.changed();
    return { result: "queued", reason: undefined };
  }

  /** One marked message now, past everything. Never rejects. */
  async sendTest(exporter: string): Promise<TestResult> {
    const message = testMessage(exporter, this.#options.clock.now(), this.#options.externalLabels());
    if (!this.#options.outbox.isConnected(exporter)) return { result: "not_found", error: `no exporter ${exporter} that takes alerts runs` };
    try {
      await this.#options.outbox.attempt(exporter, message);
      this.#options.onTest(exporter, message, undefined);
      const policy = this.#policies.get(exporter);
      // What is refreshed ends by itself when nothing refreshes it.
      return { result: "delivered", error: undefined, ...(policy?.deduplicates === true && policy.refreshes === undefined ? { stays_open: true } : {}) };
    } catch (error) {
      this.#options.onTest(exporter, message, error);
      return { result: "failed", error: messageOf(error) };
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.timer.cancel();
    this.#timer = undefined;
  }

  /** After the alerts themselves. */
  async restore(store: Store): Promise<void> {
    const alerts = new Map<string, Alert>();
    for (const alert of this.#options.alerts()) if (alert.status === "firing" || !alerts.has(alert.dedup_key)) alerts.set(alert.dedup_key, alert);
    const { members, incidents, isNew } = await loadMembers(store, (key) => alerts.get(key));
    this.#ledger.isMarked = !isNew;
    if (isNew) for (const { status, dedup_key } of alerts.values()) if (status === "firing") this.#inherited.add(dedup_key);
    // The clock may have been set back since.
    const now = this.#now();
    for (const incident of incidents) {
      incident.sentAt = Math.min(incident.sentAt, now);
      if (incident.waitsSince !== undefined) incident.waitsSince = Math.min(incident.waitsSince, now);
    }
    for (const exporter of new Set([...members, ...incidents].map((row) => row.exporter))) {
      const own = <T extends { readonly exporter: string }>(rows: readonly T[]): T[] => rows.filter((row) => row.exporter === exporter);
      this.#target(exporter).restore(own(members), own(incidents));
    }
  }

  drain(changes: TableChange[]): void {
    const now = this.#now();
    let [dueMs, askMs] = [Infinity, Infinity];
    for (const [exporter, target] of this.#targets) {
      try {
        target.work(now);
      } catch (error) {
        // A defect of ours: the commit, and the other exporters, must not suffer.
        this.#options.onDefect(exporter, error);
      }
      dueMs = Math.min(dueMs, target.nextMs);
      askMs = Math.min(askMs, target.askMs);
    }
    this.#arm(dueMs, askMs);
    this.#ledger.drain(changes);
  }

  /** For what is due by the time that passed, and for what ends by the clock as it is set. */
  #arm(dueMs: number, at: number): void {
    if ((this.#timer?.dueMs === dueMs && this.#timer.at === at) || this.#stopped) return;
    const { clock } = this.#options;
    this.#timer?.timer.cancel();
    this.#timer = dueMs === Infinity && at === Infinity ? undefined : {
      dueMs,
      at,
      timer: clock.at(Math.min(at, dueMs === Infinity ? Infinity : wallTime(clock, this.#now, dueMs)), () => {
        this.#timer = undefined;
        this.#options.changed();
      }),
    };
  }

  #target(exporter: string): Target {
    let target = this.#targets.get(exporter);
    if (target === undefined) {
      const { outbox, externalLabels, committed, onSuppressed, onCoalesced, onRefreshed } = this.#options;
      target = new Target({
        exporter, outbox, externalLabels, committed, onSuppressed, onCoalesced, ledger: this.#ledger, suppression: this.#suppression,
        onRefreshed: (error) => onRefreshed(exporter, error),
      });
      this.#targets.set(exporter, target);
    }
    return target;
  }
}

function testMessage(exporter: string, now: number, externalLabels: Readonly<Record<string, string>>): Message {
  const key = groupKey(externalLabels, "test", [exporter, String(now)]);
  const alert: Alert = {
    alert: "SojournTest", rule: "SojournTest", status: "firing", resource: { type: "", id: "" }, group: {},
    labels: Object.fromEntries(Object.entries({ ...externalLabels, alertname: "SojournTest", severity: "info" }).sort(([a], [b]) => (a < b ? -1 : 1))),
    annotations: { summary: "A test of Sojourn's notifications: nothing is wrong", description: `sojourn notify-test ${exporter} asked for it.` },
    value: null, limit: undefined, active_at: now, fired_at: now, resolved_at: undefined, reason: undefined, dedup_key: key, details: {},
    stale_since: undefined, flapping: false, observation: undefined, acknowledged: undefined, trace_id: key.slice(0, 32),
  };
  return { key, status: "firing", cause: "test", alerts: [alert], group: {} };
}
