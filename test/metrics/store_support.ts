import assert from "node:assert/strict";
import type { MetricStore } from "../../src/metrics/store.ts";
import { CounterSeries, GaugeSeries, HistogramSeries } from "../../src/metrics/series.ts";

/** What a reader sees: `name{label=value,…}` to value; a histogram as `count/sum`. */
export function seen(metrics: MetricStore): Record<string, number | string> {
  const all: Record<string, number | string> = {};
  for (const { name, labels, series } of metrics.read()) {
    for (const one of series) {
      const key = labels.length === 0 ? name : `${name}{${labels.map((label, i) => `${label}=${one.labels[i]}`).join()}}`;
      assert.ok(!(key in all), `${key} is exposed once`);
      if (one instanceof HistogramSeries) all[key] = `${one.count}/${one.sum}`;
      else if (one instanceof CounterSeries || one instanceof GaugeSeries) all[key] = one.value;
    }
  }
  return all;
}

export const orders = { name: "orders_total", help: "Orders.", labels: ["type", "state"] };
export const durableOrders = { ...orders, durable: true };
