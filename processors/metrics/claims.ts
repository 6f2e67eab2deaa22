import type { Counter, Family, Gauge, Histogram, Metrics } from "../../src/sdk/metrics.ts";
import { shapeOf, type MetricConfig } from "./check.ts";

/** https://prometheus.io/docs/practices/histograms/: the client libraries' default, in seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export type AnyFamily = Family<Counter> | Family<Gauge> | Family<Histogram>;

/** Who feeds a family. It outlives them: a reload keeps its series. */
interface Claim {
  readonly shape: string;
  readonly family: AnyFamily;
  /** Component ids of the instances that have started and not stopped; one twice while a reload replaces it. */
  readonly users: string[];
}

const CLAIMS = new WeakMap<Metrics, Map<string, Claim>>();

/** A family in the hands of one instance. */
export interface Claimed {
  /**
   * The family; undefined while the instance that this one replaces still feeds one of that name and another shape. That
   * one must keep it until the graphs are swapped, since this one may yet fail to start.
   */
  readonly family: AnyFamily | undefined;
  /** To be called once the graphs are swapped: drops the predecessor's family and makes ours. */
  takeOver(): AnyFamily;
  release(): void;
}

/**
 * Declares the family of `metric` for the component `owner`. Throws an `Error` when the name is taken by somebody else in
 * another shape. A changed `by` of the same component is no conflict: the old series go, since they cannot be continued.
 */
export function claim(metrics: Metrics, owner: string, metric: MetricConfig, help: string): Claimed {
  const claims = CLAIMS.get(metrics) ?? new Map<string, Claim>();
  CLAIMS.set(metrics, claims);
  const { name } = metric;
  const shape = shapeOf(metric);
  let held: Claim | undefined;

  function hold(): AnyFamily {
    const family = declared(metrics, metric, help);
    const users = claims.get(name)?.users ?? [];
    held = { shape, family, users };
    users.push(owner);
    claims.set(name, held);
    return family;
  }

  function takeOver(): AnyFamily {
    const before = claims.get(name);
    if (before !== undefined && before.shape !== shape) {
      before.family.drop();
      claims.delete(name);
    }
    return hold();
  }

  function release(): void {
    const at = held?.users.indexOf(owner) ?? -1;
    if (at !== -1) held!.users.splice(at, 1);
    held = undefined;
  }

  const before = claims.get(name);
  if (before === undefined || before.shape === shape) return { family: hold(), takeOver, release };
  const other = before.users.find((user) => user !== owner);
  if (other !== undefined) {
    throw new Error(`the metric ${name} of ${owner} is also one of ${other}, with another type, labels, buckets or durability`);
  }
  return { family: before.users.length === 0 ? takeOver() : undefined, takeOver, release };
}

function declared(metrics: Metrics, { name, type, by, buckets, series_max, durable }: MetricConfig, help: string): AnyFamily {
  const options = { name, help, labels: Object.keys(by ?? {}), seriesMax: series_max, durable };
  switch (type) {
    case "counter":
      return metrics.counter(options);
    case "gauge":
      return metrics.gauge(options);
    case "histogram":
      return metrics.histogram({ ...options, buckets: buckets ?? BUCKETS });
  }
}
