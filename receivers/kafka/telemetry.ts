import type { ReceiverContext } from "../../src/sdk/component.ts";
import type { Gauge } from "../../src/sdk/metrics.ts";
import type { Json } from "../../src/sdk/observation.ts";
import type { Partition } from "./state.ts";

const SHOWN_MAX = 1_000;

/** Messages that are there and were not emitted; undefined before the end is known. */
export function lagOf({ next, end }: Partition): number | undefined {
  return end === undefined ? undefined : Math.max(0, end - next);
}

/** What the API shows of a receiver. */
export function describe(partitions: Iterable<Partition>): Json {
  const all = [...partitions];
  return {
    lag: all.reduce((sum, partition) => sum + (lagOf(partition) ?? 0), 0),
    partitions: all.slice(0, SHOWN_MAX).map((partition) => ({
      topic: partition.topic, partition: partition.partition, next_offset: partition.next, end_offset: partition.end ?? null,
      lag: lagOf(partition) ?? null, leader: partition.leader < 0 ? null : partition.leader, readable: partition.blockedSince === undefined && !partition.halted,
    })),
    partitions_total: all.length,
  };
}

/** The lag of each partition as a metric. Call once started. */
export function createTelemetry({ id, metrics }: ReceiverContext) {
  const lag = metrics.gauge({
    name: "sojourn_kafka_lag", help: "Messages of a partition that were not read yet.", labels: ["receiver", "topic", "partition"],
  });
  const series = new Map<Partition, Gauge>();
  const forget = (partition: Partition): void => {
    if (series.delete(partition)) lag.remove(id, partition.topic, String(partition.partition));
  };
  return {
    progress(partition: Partition): void {
      const value = lagOf(partition);
      if (value === undefined || partition.gone) return;
      let gauge = series.get(partition);
      if (gauge === undefined) series.set(partition, (gauge = lag.series(id, partition.topic, String(partition.partition))));
      gauge.set(value);
    },
    left: forget,
    end(): void {
      for (const partition of series.keys()) forget(partition);
    },
  };
}
