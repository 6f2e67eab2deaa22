import { Deliveries } from "../../../src/alerts/dispatch/deliveries.ts";
import { Dispatcher } from "../../../src/alerts/dispatch/dispatcher.ts";
import { letterOf } from "../../../src/alerts/dispatch/messages.ts";
import { Outbox } from "../../../src/alerts/dispatch/outbox.ts";
import { policyOf } from "../../../src/alerts/dispatch/policy.ts";
import { Silences } from "../../../src/alerts/dispatch/silences.ts";
import type { SuppressionConfig } from "../../../src/alerts/dispatch/suppression.ts";
import { Committer } from "../../../src/pipeline/committer.ts";
import { DeadLetters } from "../../../src/pipeline/dead_letters.ts";
import type { Alert, Notification, Receipt } from "../../../src/sdk/alert.ts";
import type { Exporter } from "../../../src/sdk/component.ts";
import type { Json } from "../../../src/sdk/observation.ts";
import type { Persistent, Table } from "../../../src/sdk/store.ts";
import { settled, virtualClock, type VirtualClock } from "../../../src/sdk/virtual_clock.ts";
import { memoryStore, type MemoryStore } from "../../../src/storage/memory_store.ts";
import { mortal } from "../../support/mortal_clock.ts";

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;

/** An exporter of the rig: what its configuration says, and what it does. */
export interface RigExporter extends Pick<Exporter, "deduplicates" | "limits" | "refreshes"> {
  readonly config?: Readonly<Record<string, Json>>;
  notify?: (notification: Notification, signal: AbortSignal) => unknown;
}

export interface RigOptions {
  readonly exporters: Record<string, RigExporter>;
  readonly service?: Partial<SuppressionConfig>;
  readonly startMs?: number;
}

const ALERTS: Table = { name: "alerts_of_rig", columns: [["key", "text"], ["alert", "json"]], keyColumns: 1 };

/** The dispatcher with outbox, store and commit, without an agent around: alerts fire and end as the test says. */
export interface Rig {
  readonly clock: VirtualClock;
  readonly store: MemoryStore;
  readonly dispatcher: Dispatcher;
  readonly outbox: Outbox;
  readonly silences: Silences;
  readonly deliveries: Deliveries;
  readonly deadLetters: DeadLetters;
  /** Notifications that were taken: `pager fired firing a b`. */
  readonly told: string[];
  readonly notifications: { readonly exporter: string; readonly at: number; readonly notification: Notification }[];
  readonly counts: Record<string, number>;
  /** Episodes that are over and still shown, behind those that are open. */
  readonly listedAfter: Alert[];
  /** Commits that failed. */
  readonly failures: readonly unknown[];
  readonly options: RigOptions;
  /** Its `value` names the episode. */
  fire(id: string, labels?: Record<string, string>, more?: { rule?: string; firstSync?: boolean }): void;
  end(id: string): void;
  isFiring(id: string): boolean;
  settle(): Promise<void>;
  advance(ms: number): Promise<void>;
  restart(downMs?: number, options?: RigOptions): Promise<void>;
  /** Other settings, as a reload brings them. */
  configure(options: RigOptions): void;
}

export async function rig(options: RigOptions): Promise<Rig> {
  const clock = virtualClock(options.startMs);
  const store = memoryStore();
  const told: string[] = [];
  const notifications: Rig["notifications"] = [];
  const counts: Record<string, number> = {};
  const count = (name: string, by = 1): void => void (counts[name] = (counts[name] ?? 0) + by);
  const failures: unknown[] = [];
  const listedAfter: Alert[] = [];
  let current = options;

  async function begin() {
    const life = { alive: true };
    const timers = mortal(clock, () => life.alive);
    const alerts = new Map<string, Alert>();
    let dirty = new Set<string>();
    const changed = (): void => committer.changed(true);
    const alertPart: Persistent = {
      tables: [ALERTS],
      async restore(from) {
        await from.load(ALERTS, (cells) => {
          for (let i = 0; i < cells.length; i += 2) alerts.set(cells[i] as string, JSON.parse(cells[i + 1] as string) as Alert);
        });
      },
      drain(changes) {
        const puts = [...dirty].flatMap((key) => [key, JSON.stringify(alerts.get(key))]);
        if (puts.length > 0) changes.push({ table: ALERTS, puts, deletes: [] });
        dirty = new Set();
      },
    };
    const silences = new Silences({ clock: timers, changed });
    const deliveries = new Deliveries({ clock: timers, max: () => 10_000, changed: () => committer.changed(false) });
    const deadLetters = new DeadLetters(timers, () => 1_000);
    const outbox: Outbox = new Outbox({
      clock: timers, changed,
      committed: () => committer.committed(true),
      enrich: (list) => Promise.resolve(list),
      isOpen: (exporter, key) => dispatcher.isOpen(exporter, key),
      onSent: (exporter, message, attempt) => deliveries.add(exporter, message, attempt, "delivered"),
      onFailed: (exporter, message, attempt, error, again) => deliveries.add(exporter, message, attempt, again ? "failed" : "dead_letter", String(error)),
      onHealed: () => {},
      deadLetter(exporter, message, reason) {
        deadLetters.add(exporter, reason, letterOf(message));
        changed();
      },
      onUnattended: () => {},
      onRoom: (exporter) => dispatcher.room(exporter),
    });
    const dispatcher: Dispatcher = new Dispatcher({
      clock: timers, outbox, silences, changed, deadLetters,
      externalLabels: () => ({ cluster: "eu" }),
      committed: () => committer.committed(true),
      alerts: () => [...alerts.values(), ...listedAfter],
      firingFor: () => [...alerts.values()].filter(({ status }) => status === "firing"),
      onSuppressed: (_, reason) => count(reason),
      onCoalesced: (_, by) => count("coalesced", by),
      onRefreshed: (_, error) => count(error === undefined ? "refresh healed" : "refresh failed"),
      onDefect(_, error) {
        throw error;
      },
      onTest: (_, __, error) => count(error === undefined ? "test delivered" : "test failed"),
    });
    const parts: Persistent[] = [alertPart, silences, dispatcher, outbox, deliveries, deadLetters];
    const committer: Committer = new Committer({ clock: timers, store, parts, onCommit: () => {}, onFailure: (error) => failures.push(error), onHealed: () => {} });
    await store.open(parts.flatMap(({ tables }) => [...tables]));
    for (const part of parts) await part.restore(store);
    const configure = (): void => {
      dispatcher.configure({ inhibit_rules: [], time_intervals: {}, ...current.service });
      for (const [exporter, { config = {}, notify, ...component }] of Object.entries(current.exporters)) {
        dispatcher.connect(exporter, {
          deduplicates: component.deduplicates === true,
          async notify(notification, signal) {
            const receipt = (await notify?.(notification, signal)) as Receipt;
            if (!life.alive) return receipt;
            notifications.push({ exporter, at: clock.now(), notification });
            told.push(`${exporter} ${notification.cause} ${notification.status} ${notification.alerts.map(({ resource, status }) => (status === "firing" ? "" : "-") + resource.id).join(" ")}`);
            return receipt;
          },
        }, policyOf(config, component));
      }
    };
    configure();
    return { life, alerts, silences, deliveries, deadLetters, outbox, dispatcher, changed, configure, dirty: () => dirty };
  }

  let now = await begin();
  let episodes = 0;
  const change = (alert: Alert, firstSync: boolean): void => {
    now.alerts.set(alert.dedup_key, alert);
    now.dirty().add(alert.dedup_key);
    now.changed();
    now.dispatcher.changed(alert, Object.keys(current.exporters), { firstSync });
  };
  const made: Rig = {
    clock, store, told, notifications, counts, failures, listedAfter,
    get options() { return current; },
    get dispatcher() { return now.dispatcher; },
    get outbox() { return now.outbox; },
    get silences() { return now.silences; },
    get deliveries() { return now.deliveries; },
    get deadLetters() { return now.deadLetters; },
    fire(id, labels = {}, { rule = "Stuck", firstSync = false } = {}) {
      change({ ...alertOf(id, labels, rule, clock.now()), value: ++episodes }, firstSync);
    },
    end(id) {
      const alert = now.alerts.get(`key of ${id}`);
      if (alert?.status === "firing") change({ ...alert, status: "resolved", resolved_at: clock.now(), reason: "recovered" }, false);
    },
    isFiring: (id) => now.alerts.get(`key of ${id}`)?.status === "firing",
    settle: () => clock.advance(0),
    advance: (ms) => clock.advance(ms),
    async restart(downMs = 0, next = current) {
      now.life.alive = false;
      store.crash();
      await settled();
      clock.jump(downMs);
      current = next;
      now = await begin();
      await clock.advance(0);
    },
    configure(next) {
      current = next;
      now.configure();
    },
  };
  await clock.advance(0);
  return made;
}

/** An alert of this rule about a resource. */
export function alertOf(id: string, labels: Record<string, string>, rule: string, at: number): Alert {
  return {
    alert: rule, rule, status: "firing", resource: { type: "order", id }, group: undefined, labels: { alertname: rule, ...labels }, annotations: {}, value: 1,
    limit: undefined, active_at: at, fired_at: at, resolved_at: undefined, reason: undefined, dedup_key: `key of ${id}`, details: {}, stale_since: undefined,
    flapping: false, observation: undefined, acknowledged: undefined, trace_id: "0".repeat(32),
  };
}
