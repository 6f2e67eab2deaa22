import { Alerts } from "../alerts/alerts.ts";
import type { ServiceConfig } from "../config/model.ts";
import { Resources } from "../resources/resources.ts";
import type { Alert } from "../sdk/alert.ts";
import type { Clock } from "../sdk/clock.ts";
import { durationMs } from "../sdk/duration.ts";
import type { Metrics } from "../sdk/metrics.ts";
import type { Persistent, Store, TableChange } from "../sdk/store.ts";
import { Committer } from "./committer.ts";
import type { ComponentLogs } from "./component_logs.ts";
import { DeadLetters } from "./dead_letters.ts";
import type { Instruments } from "./instruments.ts";
import { createNotifications, type Notifications } from "./notifications.ts";
import { instanceKey } from "./plan.ts";
import { Positions } from "./positions.ts";
import type { ExportQueue } from "./queue.ts";
import { QueueStore } from "./queue_store.ts";
import { Reporter } from "./reporter.ts";
import { Seen } from "./seen.ts";

export interface ServiceParts {
  readonly clock: Clock;
  readonly store: Store;
  readonly logs: ComponentLogs;
  readonly metrics: Metrics & Persistent;
  readonly instruments: Instruments;
  /** `service` of the configuration that runs. */
  readonly settings: () => ServiceConfig;
  /** A notification waits for an exporter that does not run. */
  readonly onUnattended: (exporter: string) => void;
  /** Told of every alert that fires or is over, before the commit and whether an exporter hears of it or not. */
  readonly observeAlert?: ((alert: Alert) => void) | undefined;
}

/** The memory of the agent and its one commit: what outlives every configuration. */
export interface Services extends Omit<Notifications, "configure"> {
  readonly notifications: Notifications;
  readonly resources: Resources;
  readonly alerts: Alerts;
  readonly positions: Positions;
  readonly seen: Seen;
  readonly deadLetters: DeadLetters;
  readonly committer: Committer;
  /** By exporter id. */
  readonly queues: Map<string, ExportQueue>;
  readonly queueStore: QueueStore;
  /** Reporters of components, by key; they outlive instances so that a repeated error is one line. */
  reporter(key: string, id: string): Reporter;
  restore(): Promise<void>;
}

/** Creates it; touches nothing before `restore`. */
export function createServices({ clock, store, logs, metrics, instruments, settings, onUnattended, observeAlert }: ServiceParts): Services {
  const reporters = new Map<string, Reporter>();
  const reporter = (key: string, id: string, componentLog = logs.of(key)): Reporter => {
    let made = reporters.get(key);
    if (made === undefined) reporters.set(key, (made = new Reporter(componentLog, instruments.errors(id), clock)));
    return made;
  };
  const ms = memoized(durationMs);
  const positions = new Positions();
  const seen = new Seen(clock, () => ({ ttlMs: ms(settings().dedupe_ttl), max: settings().dedupe_max }));
  const deadLetters = new DeadLetters(clock, () => settings().dead_letters_max);
  const queues = new Map<string, ExportQueue>();
  const later = (): void => committer.changed(false);
  const resources = new Resources({ clock, changed: later, metricsOf: (type) => instruments.typeMetrics(type) });
  const notifications = createNotifications({
    clock, instruments, settings, deadLetters, resources, onUnattended,
    alerts: () => alerts,
    committer: () => committer,
    reporterOf: (exporter) => reporter(`notify:${exporter}`, exporter, logs.of(instanceKey({ kind: "exporter", id: exporter }))),
  });
  const { outbox, dispatcher, silences, deliveries } = notifications;
  const alerts = new Alerts({
    clock,
    externalLabels: () => settings().external_labels,
    evaluationIntervalMs: () => ms(settings().evaluation_interval),
    onFailure: (rule) => instruments.conditionErrors(`rule/${rule.id}`).add(1),
    notify(alert, exporters, telling) {
      observeAlert?.(alert);
      dispatcher.changed(alert, exporters, telling);
    },
    acknowledged: (alert) => dispatcher.acknowledge(alert),
    changed: (urgent) => committer.changed(urgent),
    rowOf: (type, id) => resources.row(type, id),
    judgeAll: (type) => resources.judgeAll(type),
    resume: (type) => resources.resume(type),
    heard: (receiver, wasStale) => resources.heard(receiver, wasStale),
    sourcesOf: (type, row) => resources.sourcesOf(type, row),
  });
  resources.setJudge(alerts);

  const queueStore = new QueueStore(later);
  // Queues come and go with the configuration.
  const queueParts: Persistent = {
    tables: [],
    restore: () => Promise.resolve(),
    drain: (changes: TableChange[]) => queues.forEach((queue) => queue.drain(changes)),
    committed: () => queues.forEach((queue) => queue.committed()),
  };
  const parts: Persistent[] = [resources, alerts, silences, dispatcher, outbox, deliveries, positions, seen, deadLetters, metrics, queueStore, queueParts];
  const storeReporter = reporter("store", "store");
  const committer = new Committer({
    clock,
    store,
    parts,
    onCommit: (tookMs, rows) => instruments.committed(tookMs, rows),
    onFailure(error) {
      instruments.commitFailed();
      storeReporter.report(new Error("nothing can be committed: acknowledgements and notifications wait", { cause: error }));
    },
    onHealed: () => storeReporter.healed(),
  });

  return {
    resources, alerts, notifications, outbox, dispatcher, silences, deliveries, positions, seen, deadLetters, committer, queues, queueStore, reporter,
    async restore() {
      await store.open(parts.flatMap(({ tables }) => [...tables]));
      for (const part of parts) await part.restore(store);
    },
  };
}

/** Settings are asked for with every evaluation, and rarely differ from the time before. */
function memoized(parse: (text: string) => number): (text: string) => number {
  const known = new Map<string, number>();
  return (text) => {
    let value = known.get(text);
    if (value === undefined) {
      if (known.size >= 100) known.clear();
      known.set(text, (value = parse(text)));
    }
    return value;
  };
}
