import { ConfigError } from "../../src/sdk/errors.ts";

/** One of the configured metrics, defaults filled in. */
export interface MetricConfig {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help?: string;
  readonly value?: string;
  readonly add?: string;
  readonly by?: Readonly<Record<string, string>>;
  readonly buckets?: readonly number[];
  readonly when?: string;
  readonly series_max: number;
  readonly durable: boolean;
}

// Narrower than Prometheus: exporters turn `:` into `_` and `__` into `_`, and names must not meet there.
const LEGAL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const RESERVED_LABELS = /^(?:le|quantile|service_name|target_info|otel_scope_.*)$/;

/** Throws `ConfigError` where a metric is not what its type needs, before it could break a scrape. */
export function checkMetric(metric: MetricConfig, pointer: string): void {
  const { name, type, by, buckets, value, add } = metric;
  checkName(`${pointer}/name`, name);
  if (name.startsWith("sojourn_")) throw new ConfigError(`${pointer}/name`, "names that begin with sojourn_ are the agent's own");
  if (name.endsWith("_total") !== (type === "counter")) {
    if (type === "counter") throw new ConfigError(`${pointer}/name`, `a counter's name ends in _total: ${name}_total`);
    throw new ConfigError(`${pointer}/name`, `only a counter's name ends in _total, and this is a ${type}`);
  }
  for (const label of Object.keys(by ?? {})) {
    checkName(`${pointer}/by/${label}`, label);
    if (RESERVED_LABELS.test(label)) throw new ConfigError(`${pointer}/by/${label}`, `the label name ${label} is reserved`);
  }
  if (buckets !== undefined && type !== "histogram") throw new ConfigError(`${pointer}/buckets`, `is for histograms, not for a ${type}`);
  if (buckets?.some((bound, i) => i > 0 && bound <= buckets[i - 1]!)) throw new ConfigError(`${pointer}/buckets`, "must ascend");
  if (add !== undefined && type !== "gauge") throw new ConfigError(`${pointer}/add`, `is for gauges; a ${type} takes value`);
  if (add !== undefined && value !== undefined) throw new ConfigError(`${pointer}/add`, "value and add exclude each other");
  if (value === undefined && add === undefined && type !== "counter") {
    const what = type === "gauge" ? "value or add is missing; a gauge needs one" : "value is missing; a histogram needs it";
    throw new ConfigError(pointer, what);
  }
}

function checkName(pointer: string, name: string): void {
  if (!LEGAL.test(name)) throw new ConfigError(pointer, `"${name}" is not legal; letters, digits and _ are allowed, and no digit first`);
  if (name.includes("__") || name === "_") throw new ConfigError(pointer, `"${name}" is reserved; no two _ may meet`);
}

/** What makes two metrics of one name the same family. */
export function shapeOf({ type, by, buckets, durable }: MetricConfig): string {
  return JSON.stringify([type, Object.keys(by ?? {}), buckets ?? null, durable]);
}

/** Several entries may feed one metric, if they agree what it is. Throws `ConfigError`. */
export function checkTogether(metrics: readonly MetricConfig[]): void {
  const shapes = new Map<string, string>();
  for (const [i, metric] of metrics.entries()) {
    const shape = shapeOf(metric);
    if ((shapes.get(metric.name) ?? shape) !== shape) {
      throw new ConfigError(`/metrics/${i}/name`, `${metric.name} is already there with another type, labels, buckets or durability`);
    }
    shapes.set(metric.name, shape);
  }
}
