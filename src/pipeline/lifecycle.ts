import { bodyOf, type Observation } from "../sdk/observation.ts";
import type { LifecycleChange } from "../sdk/resource.ts";
import type { PipelineParts } from "./declarations.ts";
import type { Instance } from "./instance.ts";
import type { Services } from "./services.ts";

/** True for an exporter that takes what flows through its pipelines. */
export function takesObservations({ component }: Instance): boolean {
  return component.export !== undefined && component.takesLifecycles !== true && component.takesDeadLetters !== "only";
}

/**
 * By type, the exporters that take the lives of its resources: those of every pipeline that tracks it. A move is made by
 * whichever pipeline sees it first, so it is told by type, once to each exporter, and not by pipeline.
 */
export function lifecycleTakers(pipelines: readonly PipelineParts[]): ReadonlyMap<string, ReadonlySet<string>> {
  const takers = new Map<string, Set<string>>();
  for (const pipeline of pipelines) {
    const ids = pipeline.exporters.filter(({ component }) => component.takesLifecycles === true && component.export !== undefined).map(({ config }) => config.id);
    if (ids.length === 0) continue;
    for (const type of trackedTypes(pipeline)) takers.set(type, new Set([...(takers.get(type) ?? []), ...ids]));
  }
  return takers;
}

/** The types that a pipeline tracks. */
export function trackedTypes({ processors }: PipelineParts): string[] {
  return processors.flatMap(({ component }) => component.declares?.type?.type ?? []);
}

/** From now on queues what happens to lives for those who take it. It leaves with the commit, like observations. */
export function watchLifecycles(takers: ReadonlyMap<string, ReadonlySet<string>>, { resources, queues }: Pick<Services, "resources" | "queues">): void {
  resources.watch(takers, (change, observation) => {
    const carrier = carrierOf(change, observation);
    for (const exporter of takers.get(change.type)!) queues.get(exporter)?.add(carrier);
  });
}

/** Without what it was read from: a queue of them is small, and holds nothing that a span does not say. */
function carrierOf(lifecycle: LifecycleChange, { time, source, id, traceparent, snapshot }: Observation): Observation {
  return {
    body: bodyOf(null), attributes: {}, time, source, id, traceparent, snapshot, self: undefined, transition: undefined, lifecycle,
  };
}
