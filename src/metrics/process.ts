import { monitorEventLoopDelay } from "node:perf_hooks";
import type { OwnMetrics } from "./catalogue.ts";

const RESOLUTION_MS = 20;

/**
 * Shows what the process itself costs: CPU, memory, start, and how long the event loop was held up at most since
 * the last read. `stop` ends the measuring and takes the series away.
 */
export function observeProcess(own: Pick<OwnMetrics, "processCpu" | "processMemory" | "processStart" | "eventLoopLag">): { stop(): void } {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const one = (value: number) => [{ labels: [], value }];

  const observed = [
    own.processCpu(() => {
      const { user, system } = process.cpuUsage();
      return one((user + system) / 1e6);
    }),
    own.processMemory(() => one(process.memoryUsage.rss())),
    own.processStart(() => one(performance.timeOrigin / 1_000)),
    own.eventLoopLag(() => {
      // What is measured is the time between two ticks of a timer: its own interval is no lag.
      const seconds = delay.count === 0 ? 0 : Math.max(0, delay.max / 1e9 - RESOLUTION_MS / 1_000);
      delay.reset();
      return one(seconds);
    }),
  ];
  return {
    stop() {
      delay.disable();
      for (const each of observed) each.drop();
    },
  };
}
