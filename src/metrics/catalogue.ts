import type { Counter, Family, Gauge, Histogram, Metrics, Sample } from "../sdk/metrics.ts";

/** A metric of the agent itself: what declares it, documents it and tests it. */
export interface CatalogueEntry {
  /** An `observable_*` is computed at each read, by whoever has the state. */
  readonly kind: "counter" | "gauge" | "histogram" | "observable_counter" | "observable_gauge";
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Survives restarts, in the same commit as its cause. */
  readonly durable?: boolean;
  readonly seriesMax?: number;
  /** Of a histogram: upper bounds, in seconds. */
  readonly buckets?: readonly number[];
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long resources stay somewhere: 1 s to 30 d. */
export const STAY_BUCKETS = [
  1, 5, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY,
] as const;

/**
 * Every metric of the agent itself; the names of the agent's own work follow the Collector's internal telemetry
 * (https://opentelemetry.io/docs/collector/internal-telemetry/), with our prefix. What users define is not here.
 */
export const CATALOGUE = {
  receiverAccepted: {
    kind: "counter", name: "sojourn_receiver_accepted_observations_total", labels: ["receiver"],
    help: "Observations that a receiver emitted and that were processed.",
  },
  receiverRefused: {
    kind: "counter", name: "sojourn_receiver_refused_observations_total", labels: ["receiver", "reason"],
    help: "What a receiver got that never became an observation, or was not accepted.",
  },
  receiverDuplicate: {
    kind: "counter", name: "sojourn_receiver_duplicate_observations_total", labels: ["receiver"],
    help: "Observations not applied because one with their id was before.",
  },
  processorIncoming: {
    kind: "counter", name: "sojourn_processor_incoming_observations_total", labels: ["processor"],
    help: "Observations that a processor was given.",
  },
  processorOutgoing: {
    kind: "counter", name: "sojourn_processor_outgoing_observations_total", labels: ["processor"],
    help: "Observations that a processor passed on.",
  },
  processorFailed: {
    kind: "counter", name: "sojourn_processor_failed_observations_total", labels: ["processor"],
    help: "Observations that a processor could not handle; on_error says what became of them.",
  },
  processorCounted: {
    kind: "counter", name: "sojourn_processor_counted_observations_total", labels: ["processor", "reason"],
    help: "Observations that a processor dropped on purpose, or marked.",
  },
  componentErrors: {
    kind: "counter", name: "sojourn_component_errors_total", labels: ["component"],
    help: "Errors that a component reported.",
  },
  conditionErrors: {
    kind: "counter", name: "sojourn_condition_errors_total", labels: ["component"],
    help: "Conditions that failed, or gave no boolean, and so were false.",
  },
  exporterSentNotifications: {
    kind: "counter", name: "sojourn_exporter_sent_notifications_total", labels: ["exporter"],
    help: "Notifications that the destination took.",
  },
  exporterFailedNotifications: {
    kind: "counter", name: "sojourn_exporter_send_failed_notifications_total", labels: ["exporter"],
    help: "Attempts to send a notification that failed.",
  },
  notificationsSuppressed: {
    kind: "counter", name: "sojourn_notifications_suppressed_total", labels: ["exporter", "reason"],
    help: "Alerts not told when they began to fire: silenced, inhibited or muted. They are told when that ends, if they still fire.",
  },
  notificationsCoalesced: {
    kind: "counter", name: "sojourn_notifications_coalesced_total", labels: ["exporter"],
    help: "Alerts that shared a message with others of their rule because there were more than the destination takes.",
  },
  exporterCircuitOpen: {
    kind: "observable_gauge", name: "sojourn_exporter_circuit_open", labels: ["exporter"],
    help: "1 while notifications cannot be delivered: one attempt at a time finds out whether the destination is back.",
  },
  exporterSentObservations: {
    kind: "counter", name: "sojourn_exporter_sent_observations_total", labels: ["exporter"],
    help: "Observations that the destination took.",
  },
  exporterDroppedObservations: {
    kind: "counter", name: "sojourn_exporter_dropped_observations_total", labels: ["exporter", "reason"],
    help: "Observations that were never sent.",
  },
  exporterQueue: {
    kind: "observable_gauge", name: "sojourn_exporter_queue_observations", labels: ["exporter"],
    help: "Observations that wait in an exporter's memory queue.",
  },
  outboxNotifications: {
    kind: "observable_gauge", name: "sojourn_outbox_notifications", labels: ["exporter"],
    help: "Notifications in the durable outbox, not yet delivered.",
  },
  deadLetters: {
    kind: "counter", name: "sojourn_dead_letters_total", labels: ["component"],
    help: "What was given up and kept as a dead letter.",
  },
  commitDuration: {
    kind: "histogram", name: "sojourn_commit_duration_seconds", labels: [],
    help: "Time from the begin of a commit until it was durable.",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  commitFailures: {
    kind: "counter", name: "sojourn_commit_failures_total", labels: [],
    help: "Commits that failed; each is tried again.",
  },
  commitRows: {
    kind: "counter", name: "sojourn_commit_rows_total", labels: [],
    help: "Rows written and deleted by commits.",
  },
  configLastReloadSuccessful: {
    kind: "gauge", name: "sojourn_config_last_reload_successful", labels: [],
    help: "1 when the last reload of the configuration succeeded, else 0.",
  },
  configLastReloadTimestamp: {
    kind: "gauge", name: "sojourn_config_last_reload_timestamp_seconds", labels: [],
    help: "Time of the last reload that succeeded, since the epoch.",
  },
  configReloads: {
    kind: "counter", name: "sojourn_config_reloads_total", labels: ["result"],
    help: "Reloads of the configuration, by result.",
  },
  configRejectedFiles: {
    kind: "gauge", name: "sojourn_config_rejected_files", labels: [],
    help: "Configuration files that are rejected or unreadable: what they defined is frozen.",
  },
  heartbeats: {
    kind: "counter", name: "sojourn_heartbeats_total", labels: ["result"],
    help: "Heartbeats by result: success, failure, or skipped while the agent could not do its work.",
  },
  detectionDelay: {
    kind: "histogram", name: "sojourn_detection_delay_seconds", labels: [],
    help: "When an observation was observed, minus when it happened.",
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY],
  },
  alerts: {
    kind: "observable_gauge", name: "sojourn_alerts", labels: ["alertname", "alertstate", "severity"],
    help: "Alerts that are pending or firing.",
  },
  resources: {
    kind: "observable_gauge", name: "custom_resources", labels: ["type", "state"],
    help: "Resources, by their current state.",
  },
  resourceTransitions: {
    kind: "counter", name: "custom_resource_transitions_total", labels: ["type", "from", "to"], durable: true, seriesMax: 10_000,
    help: "Resources that moved from one state to another.",
  },
  resourceTimeInState: {
    kind: "histogram", name: "custom_resource_time_in_state_seconds", labels: ["type", "state"], durable: true,
    help: "How long resources stayed in a state, observed when they left it.",
    buckets: STAY_BUCKETS,
  },
  resourceOldestInState: {
    kind: "observable_gauge", name: "custom_resource_oldest_in_state_seconds", labels: ["type", "state"],
    help: "How long the resource that has been longest in a state has been there.",
  },
  resourceObservations: {
    kind: "counter", name: "custom_resource_observations_total", labels: ["type", "result"],
    help: "Observations of resources, by what came of them.",
  },
  buildInfo: {
    kind: "gauge", name: "sojourn_build_info", labels: ["version"],
    help: "Always 1; the version is in the label.",
  },
  processCpu: {
    kind: "observable_counter", name: "process_cpu_seconds_total", labels: [],
    help: "User and system CPU time spent.",
  },
  processMemory: {
    kind: "observable_gauge", name: "process_resident_memory_bytes", labels: [],
    help: "Resident memory size.",
  },
  processStart: {
    kind: "observable_gauge", name: "process_start_time_seconds", labels: [],
    help: "Start of the process, since the epoch.",
  },
  eventLoopLag: {
    kind: "observable_gauge", name: "nodejs_eventloop_lag_max_seconds", labels: [],
    help: "The longest that the event loop was held up since the last scrape.",
  },
} as const satisfies Readonly<Record<string, CatalogueEntry>>;

type Catalogue = typeof CATALOGUE;

/** Says how an observable is computed, from now on; `drop` ends it. Labels are in the catalogue's order. */
export type Observe = (samples: () => Iterable<Sample>) => { drop(): void };

type Declared<Kind extends CatalogueEntry["kind"]> =
  Kind extends "counter" ? Family<Counter> : Kind extends "gauge" ? Family<Gauge> : Kind extends "histogram" ? Family<Histogram> : Observe;

/** The agent's own metrics, by their key in the catalogue. */
export type OwnMetrics = { readonly [Key in keyof Catalogue]: Declared<Catalogue[Key]["kind"]> };

/**
 * Declares every metric of the catalogue. Observables appear once they are told how to compute themselves:
 * `own.exporterQueue(() => queues.map(({ id, size }) => ({ labels: [id], value: size })))`.
 */
export function declare(metrics: Metrics): OwnMetrics {
  const declared = Object.entries<CatalogueEntry>(CATALOGUE).map(([key, entry]) => [key, declareOne(metrics, entry)]);
  return Object.fromEntries(declared) as OwnMetrics;
}

function declareOne(metrics: Metrics, { kind, buckets = [], ...options }: CatalogueEntry): Declared<CatalogueEntry["kind"]> {
  switch (kind) {
    case "counter": return metrics.counter(options);
    case "gauge": return metrics.gauge(options);
    case "histogram": return metrics.histogram({ ...options, buckets });
    case "observable_counter": return (samples) => metrics.observable("counter", options, samples);
    case "observable_gauge": return (samples) => metrics.observable("gauge", options, samples);
    default: throw new Error(`the catalogue has an unknown kind: ${String(kind satisfies never)}`);
  }
}
