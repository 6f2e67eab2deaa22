import type { ProcessorContext } from "../../src/sdk/component.ts";
import { messageOf } from "../../src/sdk/errors.ts";
import { Duration, Failure, Timestamp, type Expression, type Scope, type Value } from "../../src/sdk/expression.ts";
import type { Counter, Family, Gauge, Histogram } from "../../src/sdk/metrics.ts";
import type { MetricConfig } from "./check.ts";
import { claim, type AnyFamily, type Claimed } from "./claims.ts";

const LABEL_CHARS_MAX = 256;

/** One metric at work. */
export interface Recorder {
  /** Declares the family. Throws an `Error` when its name is taken. */
  start(): void;
  /** Evaluates and records one observation. Returns why it could not. */
  record(scope: Scope, now: number): string | undefined;
  stop(): void;
}

/** Compiles the expressions of one metric; nothing is declared before `start`. Throws `ConfigError`. */
export function recorderOf(metric: MetricConfig, pointer: string, context: ProcessorContext): Recorder {
  const { name, type, add } = metric;
  const when = metric.when === undefined ? undefined : context.condition(`${pointer}/when`, metric.when);
  const written = add === undefined ? metric.value : add;
  const at = `${pointer}/${add === undefined ? "value" : "add"}`;
  const amount = written === undefined ? undefined : context.expression(at, written);
  const labels = Object.entries(metric.by ?? {}).map(([label, text]) => context.expression(`${pointer}/by/${label}`, text));
  const [first, second] = labels;
  const help = metric.help ?? `The ${type} ${name} of ${context.id}.`;
  let claimed: Claimed | undefined;
  let family: Family<Counter | Gauge | Histogram> | undefined;
  let constant: Counter | Gauge | Histogram | undefined;

  /** Series whose labels never change are found once. A gauge that is set has none before its first value: 0 would be a lie. */
  function use(declared: AnyFamily): void {
    family = declared as Family<Counter | Gauge | Histogram>;
    if (!labels.every(isConstant)) return;
    if (type !== "gauge" || add !== undefined) constant = family.series(...labels.map((label) => labelText(label.evaluate({}, 0))));
  }

  function labelText(value: Value | Failure): string {
    if (typeof value === "string" && value.length <= LABEL_CHARS_MAX) return value;
    const text = textOf(value);
    if (text === undefined) {
      context.counted("label_missing");
      return "";
    }
    if (text.length <= LABEL_CHARS_MAX) return text;
    context.counted("label_cut");
    return `${text.slice(0, LABEL_CHARS_MAX - 1)}…`;
  }

  function seriesFor(scope: Scope, now: number): Counter | Gauge | Histogram {
    if (constant !== undefined) return constant;
    // Spelt out, as a spread makes an array for each observation.
    if (first === undefined) return family!.series();
    if (second === undefined) return family!.series(labelText(first.evaluate(scope, now)));
    if (labels.length === 2) return family!.series(labelText(first.evaluate(scope, now)), labelText(second.evaluate(scope, now)));
    return family!.series(...labels.map((label) => labelText(label.evaluate(scope, now))));
  }

  return {
    start() {
      claimed = claim(context.metrics, context.id, metric, help);
      if (claimed.family !== undefined) use(claimed.family);
    },
    record(scope, now) {
      if (claimed === undefined) return undefined; // not started, or stopped
      if (family === undefined) {
        try {
          use(claimed.takeOver());
        } catch (error) {
          return messageOf(error);
        }
      }
      if (when !== undefined && !when(scope)) return undefined;
      const value = amount === undefined ? 1 : amount.evaluate(scope, now);
      const n = typeof value === "number" ? value : numberOf(value);
      // Judged before the series is made: a failure leaves no empty series behind.
      if (typeof n === "string") return `${name}: ${n}`;
      if (!Number.isFinite(n)) return `${name}: the value is no finite number`;
      if (type === "counter" && n < 0) return `${name}: a counter cannot go down`;
      const series = seriesFor(scope, now);
      if ("observe" in series) series.observe(n);
      else if ("add" in series) series.add(n);
      else series.set(add === undefined ? n : series.value + n);
      return undefined;
    },
    stop() {
      claimed?.release();
      claimed = undefined;
      family = undefined;
      constant = undefined;
    },
  };
}

function isConstant({ reads }: Expression): boolean {
  return reads.scope.size === 0 && !reads.now;
}

/** Prometheus' base units: durations and instants in seconds. Otherwise why it is no number. */
function numberOf(value: Value | Failure): number | string {
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Duration || value instanceof Timestamp) return value.ms / 1_000;
  if (value instanceof Failure) return value.message;
  if (typeof value === "string") return "the value is text; write double(…) where it holds a number";
  return "the value is no number";
}

/** Text of a scalar; undefined for anything else, for null and for a failure. */
function textOf(value: Value | Failure): string | undefined {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
    case "bigint":
    case "boolean":
      return String(value);
    default:
      return undefined;
  }
}
