import type { Clock } from "../../src/sdk/clock.ts";
import type { ExporterContext, OnError, ProcessorContext, ReceiverContext } from "../../src/sdk/component.ts";
import { messageOf, ConfigError } from "../../src/sdk/errors.ts";
import { Failure, type ScopeName } from "../../src/sdk/expression.ts";
import { compileExpression } from "../../src/sdk/expression_compile.ts";
import type { Listeners } from "../../src/sdk/listeners.ts";
import { silentLog } from "../../src/sdk/log.ts";
import type { Metrics } from "../../src/sdk/metrics.ts";
import type { Batch, Json, Observation } from "../../src/sdk/observation.ts";
import { compileTemplate } from "../../src/sdk/template_compile.ts";

const ALL: readonly ScopeName[] = ["body", "attributes", "time", "source", "self", "transition"];

/** What a component under test said to its context. */
export interface Recorded {
  readonly reports: string[];
  healed: number;
  readonly refused: { count: number; reason: string }[];
  readonly deadLetters: { observation: Observation; reason: string }[];
  readonly failed: { observation: Observation; reason: string; onError: OnError }[];
  readonly counted: string[];
  readonly emitted: { batch: Batch; position: Json | undefined }[];
  caughtUp: boolean;
  failing: string | undefined;
  describe: (() => Json) | undefined;
}

/** Parts of a context that a test replaces. */
export interface Parts {
  readonly id?: string;
  readonly clock: Clock;
  readonly metrics?: Metrics;
  readonly listeners?: Listeners;
  readonly position?: Json;
  /** What `emit` does after recording; default: resolves at once, as if committed. */
  readonly emit?: (batch: Batch, position: Json | undefined) => Promise<void>;
}

const missing = new Proxy({}, {
  get: (_, name) => { throw new Error(`this test's context has no such part (asked for .${String(name)})`); },
});

function base(parts: Parts, recorded: Recorded) {
  const compiled = <T>(pointer: string, run: () => T): T => {
    try {
      return run();
    } catch (error) {
      throw new ConfigError(pointer, messageOf(error), { cause: error });
    }
  };
  return {
    id: parts.id ?? "test",
    clock: parts.clock,
    log: silentLog,
    metrics: parts.metrics ?? (missing as Metrics),
    listeners: parts.listeners ?? (missing as Listeners),
    report: (error: unknown) => void recorded.reports.push(messageOf(error)),
    healed: () => void recorded.healed++,
    crashed: (error: unknown) => void recorded.reports.push(`crashed: ${messageOf(error)}`),
    expression: (pointer: string, text: string, scope = ALL) => compiled(pointer, () => compileExpression(text, scope)),
    template: (pointer: string, text: string, scope = ALL) => compiled(pointer, () => compileTemplate(text, scope)),
    condition(pointer: string, text: string, scope = ALL) {
      const expression = compiled(pointer, () => compileExpression(text, scope));
      return (values: object): boolean => {
        const value = expression.evaluate(values, parts.clock.now());
        if (value instanceof Failure) recorded.reports.push(value.message);
        return value === true;
      };
    },
  };
}

function recorder(): Recorded {
  return { reports: [], healed: 0, refused: [], deadLetters: [], failed: [], counted: [], emitted: [], caughtUp: false, failing: undefined, describe: undefined };
}

/** A receiver's context that records what is emitted. */
export function receiverContext(parts: Parts): { context: ReceiverContext; recorded: Recorded } {
  const recorded = recorder();
  const context: ReceiverContext = {
    ...base(parts, recorded),
    position: parts.position,
    async emit(batch, position) {
      recorded.emitted.push({ batch, position });
      await parts.emit?.(batch, position);
    },
    caughtUp: () => void (recorded.caughtUp = true),
    failing: (reason) => void (recorded.failing = reason),
    status: (describe) => void (recorded.describe = describe),
    refused: (count, reason) => void recorded.refused.push({ count, reason }),
    deadLetter: (observation, reason) => void recorded.deadLetters.push({ observation, reason }),
  };
  return { context, recorded };
}

/** A processor's context; `tracker` is not there unless given. */
export function processorContext(
  parts: Parts & { readonly tracker?: ProcessorContext["tracker"] },
): { context: ProcessorContext; recorded: Recorded } {
  const recorded = recorder();
  const context: ProcessorContext = {
    ...base(parts, recorded),
    tracker: parts.tracker ?? (() => { throw new Error("no tracker in this test"); }),
    failed(observation, reason, onError) {
      recorded.failed.push({ observation, reason, onError });
      return onError === "pass";
    },
    counted: (reason) => void recorded.counted.push(reason),
  };
  return { context, recorded };
}

/** An exporter's context. */
export function exporterContext(
  parts: Parts & { readonly producer?: unknown; readonly externalLabels?: Record<string, string> },
): { context: ExporterContext; recorded: Recorded } {
  const recorded = recorder();
  const context: ExporterContext = {
    ...base(parts, recorded),
    producer: parts.producer,
    externalLabels: parts.externalLabels ?? {},
  };
  return { context, recorded };
}
