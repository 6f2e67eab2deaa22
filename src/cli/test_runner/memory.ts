import { isDeepStrictEqual } from "node:util";
import { HistogramSeries, type CounterSeries } from "../../metrics/series.ts";
import type { MetricStore } from "../../metrics/store.ts";
import type { ResourceSnapshot } from "../../resources/reading.ts";
import type { Resources } from "../../resources/resources.ts";
import type { Json } from "../../sdk/observation.ts";
import { shown, shownMap } from "./shown.ts";

/** One of `expect.resources`, validated. What is not given is not compared. */
export interface ExpectedResource {
  readonly type?: string;
  readonly id: string;
  readonly state?: string;
  readonly incarnation?: number;
  readonly attributes?: Readonly<Record<string, Json>>;
  readonly absent?: boolean;
}

/** One of `expect.metrics`, validated: the one series of that name that has these labels, or that there is none. */
export interface ExpectedMetric {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value?: number;
  readonly absent?: boolean;
}

/** What differs between the resources in memory and those expected; empty when nothing does. */
export function resourceDifferences(expected: readonly ExpectedResource[], resources: Resources): readonly string[] {
  return expected.flatMap((wanted) => {
    const types = wanted.type === undefined ? resources.types : [wanted.type];
    const found = types.flatMap((type) => resources.get(type, wanted.id) ?? []);
    const who = `${wanted.type === undefined ? "" : `${wanted.type}/`}${shown(wanted.id)}`;
    if (wanted.absent === true) return found.length === 0 ? [] : [`resource ${who}: expected none, got one in state ${shown(found[0]!.state)}`];
    if (found.length === 0) return [`resource ${who}: there is none`];
    if (found.length > 1) return [`resource ${who}: there are ${found.length}, of the types ${found.map(({ type }) => type).join(", ")}: give the type`];
    return compared(wanted, found[0]!).flatMap(([key, should, is]) =>
      isDeepStrictEqual(should, is) ? [] : [`resource ${who}: ${key}: expected ${shown(should)}, got ${shown(is)}`]);
  });
}

function compared({ state, incarnation, attributes = {} }: ExpectedResource, found: ResourceSnapshot): [string, Json, Json | undefined][] {
  const pairs: [string, Json, Json | undefined][] = [];
  if (state !== undefined) pairs.push(["state", state, found.state]);
  if (incarnation !== undefined) pairs.push(["incarnation", incarnation, found.incarnation]);
  for (const [name, value] of Object.entries(attributes)) {
    pairs.push([`attributes.${name}`, value, Object.hasOwn(found.attributes, name) ? found.attributes[name] : undefined]);
  }
  return pairs;
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What differs between the metrics and those expected; empty when nothing does. Of a histogram: `<name>_count` and `<name>_sum`. */
export function metricDifferences(expected: readonly ExpectedMetric[], metrics: MetricStore): readonly string[] {
  if (expected.length === 0) return [];
  const samples = read(metrics);
  return expected.flatMap(({ name, labels = {}, value, absent = false }) => {
    const given = Object.entries(labels);
    const all = samples.get(name) ?? [];
    const fit = all.filter((sample) => given.every(([label, text]) => Object.hasOwn(sample.labels, label) && sample.labels[label] === text));
    const who = `metric ${name}${given.length === 0 ? "" : shownLabels(labels)}`;
    const [only] = fit;
    if (absent) return only === undefined ? [] : [`${who}: expected none, got ${fit.length === 1 ? only.value : some(fit)}`];
    if (only === undefined) return [`${who}: there is no such series${all.length === 0 ? "" : `; there is ${some(all)}`}`];
    if (fit.length > 1) return [`${who}: ${fit.length} series have these labels, give more: ${some(fit)}`];
    return value === undefined || only.value === value ? [] : [`${who}: expected ${value}, got ${only.value}`];
  });
}

function some(samples: readonly Sample[]): string {
  const more = samples.length > 5 ? ` and ${samples.length - 5} more` : "";
  return `${samples.slice(0, 5).map(({ labels }) => shownLabels(labels)).join(", ")}${more}`;
}

const shownLabels = (labels: Readonly<Record<string, string>>): string => shownMap(Object.entries(labels).map(([name, text]) => [name, shown(text)]));

function read(metrics: MetricStore): Map<string, Sample[]> {
  const samples = new Map<string, Sample[]>();
  const add = (name: string, sample: Sample): void => {
    const list = samples.get(name);
    if (list === undefined) samples.set(name, [sample]);
    else list.push(sample);
  };
  for (const { name, labels: names, series } of metrics.read()) {
    for (const one of series) {
      const labels = Object.fromEntries(names.map((label, i) => [label, one.labels[i]!]));
      if (one instanceof HistogramSeries) {
        add(`${name}_count`, { labels, value: one.count });
        add(`${name}_sum`, { labels, value: one.sum });
      } else {
        add(name, { labels, value: (one as CounterSeries).value });
      }
    }
  }
  return samples;
}
