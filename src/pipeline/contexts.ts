import type { ComponentConfig, ServiceConfig } from "../config/model.ts";
import type { Clock } from "../sdk/clock.ts";
import type { Context, ExporterContext, OnError, ProcessorContext, ReceiverContext } from "../sdk/component.ts";
import { ConfigError, messageOf } from "../sdk/errors.ts";
import type { Scope, ScopeName } from "../sdk/expression.ts";
import { compileExpression } from "../sdk/expression_compile.ts";
import type { Listeners } from "../sdk/listeners.ts";
import type { Counter, Metrics } from "../sdk/metrics.ts";
import { wholeBody, type Json, type Observation } from "../sdk/observation.ts";
import { withoutSecrets } from "../sdk/observation_excerpt.ts";
import { compileTemplate } from "../sdk/template_compile.ts";
import type { ComponentLogs } from "./component_logs.ts";
import { checkExpectEvery } from "./expect_every.ts";
import type { Instance, Use } from "./instance.ts";
import type { Instruments } from "./instruments.ts";
import type { Intake } from "./intake.ts";
import { instanceKey } from "./plan.ts";
import type { Services } from "./services.ts";

const ALL: readonly ScopeName[] = ["body", "attributes", "time", "source", "self", "transition"];

export interface ContextParts {
  readonly clock: Clock;
  readonly logs: ComponentLogs;
  readonly metrics: Metrics;
  readonly instruments: Instruments;
  readonly listeners: Listeners;
  readonly services: Services;
  readonly intake: Intake;
  readonly settings: () => ServiceConfig;
  readonly producer: unknown;
  readonly onCaughtUp: (receiver: string) => void;
  readonly onFailing: (receiver: string, reason: string | undefined) => void;
  readonly onStatus: (receiver: string, describe: () => Json) => void;
  /** `uses` tells which instance it is: one that was replaced meanwhile has nothing to say. */
  readonly onCrash: (key: string, uses: readonly Use[], error: unknown) => void;
}

/** What a component is given. `uses` collects what its expressions read. */
export function createContext(parts: ContextParts, config: ComponentConfig, uses: Use[], service = parts.settings()): Context {
  switch (config.kind) {
    case "receiver":
      return receiverContext(parts, config, uses);
    case "processor":
      return processorContext(parts, config, uses);
    case "exporter":
      return exporterContext(parts, config, uses, service);
    default:
      return config.kind satisfies never;
  }
}

function baseContext(parts: ContextParts, { kind, id }: ComponentConfig, uses: Use[]): Context {
  const { clock, instruments } = parts;
  const key = instanceKey({ kind, id });
  const log = parts.logs.of(key);
  const reporter = parts.services.reporter(key, id);
  const compiled = <T extends { readonly reads: Use["reads"] }>(pointer: string, scope: readonly ScopeName[], compile: () => T): T => {
    try {
      const made = compile();
      uses.push({ pointer, scope, reads: made.reads });
      return made;
    } catch (error) {
      throw new ConfigError(pointer, messageOf(error), { cause: error });
    }
  };
  let conditionErrors: Counter | undefined;
  return {
    id,
    clock,
    log,
    metrics: parts.metrics,
    report: (error) => reporter.report(error),
    healed: () => reporter.healed(),
    crashed: (error) => parts.onCrash(key, uses, error),
    expression: (pointer, text, scope = ALL) => compiled(pointer, scope, () => compileExpression(text, scope)),
    template: (pointer, text, scope = ALL) => compiled(pointer, scope, () => compileTemplate(text, scope)),
    condition(pointer, text, scope = ALL) {
      const expression = compiled(pointer, scope, () => compileExpression(text, scope));
      const usesClock = expression.reads.now;
      return (values: Scope): boolean => {
        const value = expression.evaluate(values, usesClock ? clock.now() : 0);
        if (value === true) return true;
        // Neither true nor false: a missing field, say, or no boolean at all.
        if (value !== false) (conditionErrors ??= instruments.conditionErrors(id)).add(1);
        return false;
      };
    },
  };
}

function receiverContext(parts: ContextParts, config: ComponentConfig, uses: Use[]): ReceiverContext {
  const { id } = config;
  checkExpectEvery(config);
  return {
    ...baseContext(parts, config, uses),
    listeners: parts.listeners,
    // Read when it starts: by then the instance before it has committed.
    get position() {
      return parts.services.positions.get(id);
    },
    emit: (batch, position) => parts.intake.emit(id, batch, position),
    caughtUp: () => parts.onCaughtUp(id),
    failing: (reason) => parts.onFailing(id, reason),
    status: (describe) => parts.onStatus(id, describe),
    refused: (count, reason) => parts.instruments.refused(id, reason).add(count),
    deadLetter: (observation, reason) => addDeadLetter(parts, id, observation, reason),
  };
}

function processorContext(parts: ContextParts, config: ComponentConfig, uses: Use[]): ProcessorContext {
  const { id } = config;
  const { instruments, services } = parts;
  return {
    ...baseContext(parts, config, uses),
    tracker: (type, attributes) => services.resources.tracker(type, attributes),
    counted: (reason) => instruments.counted(id, reason).add(1),
    failed(observation: Observation, reason: string, onError: OnError): boolean {
      instruments.failed(id).add(1);
      if (onError === "dead_letter") addDeadLetter(parts, id, observation, reason);
      return onError === "pass";
    },
  };
}

function exporterContext(parts: ContextParts, config: ComponentConfig, uses: Use[], service: ServiceConfig): ExporterContext {
  return {
    ...baseContext(parts, config, uses),
    listeners: parts.listeners,
    producer: parts.producer,
    externalLabels: service.external_labels,
  };
}

/** A processor threw for an observation: a defect of ours. It is counted, kept, and takes nothing else down. */
export function onThrow(parts: ContextParts): (instance: Instance, observation: Observation, error: unknown) => void {
  return ({ config, key }, observation, error) => {
    parts.instruments.failed(config.id).add(1);
    parts.services.reporter(key, config.id).report(error);
    addDeadLetter(parts, config.id, observation, messageOf(error));
  };
}

function addDeadLetter(parts: ContextParts, component: string, observation: Observation, reason: string): void {
  parts.instruments.deadLetters(component).add(1);
  parts.services.deadLetters.add(component, reason, {
    source: observation.source,
    time: observation.time,
    attributes: withoutSecrets(observation.attributes),
    body: wholeBody(observation.body),
  });
}

