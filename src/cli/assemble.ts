import type { ServiceConfig } from "../config/model.ts";
import { declare, type OwnMetrics } from "../metrics/catalogue.ts";
import { createProducer } from "../metrics/producer.ts";
import { createMetrics, type MetricStore } from "../metrics/store.ts";
import { Agent } from "../pipeline/agent.ts";
import { createInstruments, observe } from "../pipeline/instruments.ts";
import { createListeners, type AgentListeners } from "../pipeline/listeners.ts";
import type { Alert } from "../sdk/alert.ts";
import type { Clock } from "../sdk/clock.ts";
import type { AnyDefinition } from "../sdk/component.ts";
import type { Logger } from "../sdk/log.ts";
import type { Store } from "../sdk/store.ts";
import { version } from "./version.ts";

export interface AssembleParts {
  readonly definitions: readonly AnyDefinition[];
  readonly clock: Clock;
  readonly store: Store;
  readonly log: Logger;
  /** `service` of the first configuration. */
  readonly service: ServiceConfig;
  /** Told of every alert that fires or is over. */
  readonly observeAlert?: (alert: Alert) => void;
}

/** An agent with its parts, not started. */
export interface Assembled {
  readonly agent: Agent;
  readonly own: OwnMetrics;
  readonly metrics: MetricStore;
  readonly listeners: AgentListeners;
}

/** Wires an agent: the same for `run`, `test` and the tests of this repository; only clock and store differ. */
export function assemble({ definitions, clock, store, log, service, observeAlert }: AssembleParts): Assembled {
  const metrics = createMetrics(clock);
  const own = declare(metrics);
  own.buildInfo.series(version).set(1);
  const instruments = createInstruments(own);
  const listeners = createListeners({ clock, log });
  const producer = createProducer(metrics, {
    version,
    clock,
    externalLabels: () => (agent.wanted?.service ?? service).external_labels,
  });
  const parts = { definitions, clock, store, log, metrics, instruments, listeners, producer, observeAlert };
  const agent: Agent = new Agent(parts, service);
  observe(own, agent.services);
  return { agent, own, metrics, listeners };
}
