import type { OwnMetrics } from "../metrics/catalogue.ts";
import type { TypeMetrics } from "../resources/type_state.ts";
import type { Counter } from "../sdk/metrics.ts";
import type { Services } from "./services.ts";

/** Every count the pipeline keeps, by who it is about. The names and help texts are the catalogue's (`src/metrics`). */
export interface Instruments {
  accepted(receiver: string): Counter;
  refused(receiver: string, reason: string): Counter;
  duplicates(receiver: string): Counter;
  incoming(processor: string): Counter;
  outgoing(processor: string): Counter;
  failed(processor: string): Counter;
  counted(processor: string, reason: string): Counter;
  errors(component: string): Counter;
  conditionErrors(component: string): Counter;
  notificationsSent(exporter: string): Counter;
  notificationsFailed(exporter: string): Counter;
  notificationsSuppressed(exporter: string, reason: string): Counter;
  notificationsCoalesced(exporter: string): Counter;
  observationsSent(exporter: string): Counter;
  observationsDropped(exporter: string, reason: string): Counter;
  deadLetters(component: string): Counter;
  committed(durationMs: number, rows: number): void;
  commitFailed(): void;
  reloaded(result: "success" | "failure", atMs: number, rejectedFiles: number): void;
  typeMetrics(type: string): TypeMetrics;
}

/** Counts in the metric store. */
export function createInstruments(own: OwnMetrics): Instruments {
  return {
    accepted: (receiver) => own.receiverAccepted.series(receiver),
    refused: (receiver, reason) => own.receiverRefused.series(receiver, reason),
    duplicates: (receiver) => own.receiverDuplicate.series(receiver),
    incoming: (processor) => own.processorIncoming.series(processor),
    outgoing: (processor) => own.processorOutgoing.series(processor),
    failed: (processor) => own.processorFailed.series(processor),
    counted: (processor, reason) => own.processorCounted.series(processor, reason),
    errors: (component) => own.componentErrors.series(component),
    conditionErrors: (component) => own.conditionErrors.series(component),
    notificationsSent: (exporter) => own.exporterSentNotifications.series(exporter),
    notificationsFailed: (exporter) => own.exporterFailedNotifications.series(exporter),
    notificationsSuppressed: (exporter, reason) => own.notificationsSuppressed.series(exporter, reason),
    notificationsCoalesced: (exporter) => own.notificationsCoalesced.series(exporter),
    observationsSent: (exporter) => own.exporterSentObservations.series(exporter),
    observationsDropped: (exporter, reason) => own.exporterDroppedObservations.series(exporter, reason),
    deadLetters: (component) => own.deadLetters.series(component),
    committed(durationMs, rows) {
      own.commitDuration.series().observe(durationMs / 1_000);
      own.commitRows.series().add(rows);
    },
    commitFailed: () => own.commitFailures.series().add(1),
    reloaded(result, atMs, rejectedFiles) {
      own.configReloads.series(result).add(1);
      own.configLastReloadSuccessful.series().set(result === "success" && rejectedFiles === 0 ? 1 : 0);
      if (result === "success") own.configLastReloadTimestamp.series().set(atMs / 1_000);
      own.configRejectedFiles.series().set(rejectedFiles);
    },
    typeMetrics: (type) => ({
      // Every observation comes through here: the series are kept once they have been looked up.
      transition: (from, to) => own.resourceTransitions.series(type, from, to),
      timeInState: (state) => own.resourceTimeInState.series(type, state),
      result: kept((result) => own.resourceObservations.series(type, result)),
      detectionDelay: own.detectionDelay.series(),
    }),
  };
}

/** Gauges that are computed when they are read. */
export function observe(own: OwnMetrics, services: Services): void {
  const { alerts, outbox, queues, resources } = services;
  own.exporterQueue(() => [...queues].map(([exporter, queue]) => ({ labels: [exporter], value: queue.size })));
  own.outboxNotifications(() => outbox.exporters.map((exporter) => ({ labels: [exporter], value: outbox.pending(exporter) })));
  own.exporterCircuitOpen(() => outbox.exporters.map((exporter) => ({ labels: [exporter], value: outbox.isFailing(exporter) ? 1 : 0 })));
  own.alerts(() => alerts.samples());
  own.resources(() => resources.counts());
  own.resourceOldestInState(() => resources.oldest());
}

function kept<Key extends string>(make: (key: Key) => Counter): (key: Key) => Counter {
  const made = new Map<Key, Counter>();
  return (key) => {
    let counter = made.get(key);
    if (counter === undefined) made.set(key, (counter = make(key)));
    return counter;
  };
}
