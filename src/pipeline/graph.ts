import type { PipelineConfig, Problem, Wanted } from "../config/model.ts";
import type { Counter } from "../sdk/metrics.ts";
import type { Observation } from "../sdk/observation.ts";
import { collect, type Declared, type PipelineParts } from "./declarations.ts";
import type { Instance } from "./instance.ts";
import { lifecycleTakers, takesObservations, trackedTypes } from "./lifecycle.ts";
import { unknownTimes } from "./notifications.ts";
import { instanceKey } from "./plan.ts";
import { PlanError, problemAt } from "./problems.ts";
import type { ExportQueue } from "./queue.ts";
import { keptCopy } from "./queue_store.ts";

/** Takes an observation through the rest of its pipeline. */
export type Flow = (observation: Observation) => void;

/** What a body must offer: the paths that are read below it, or all of it. The seam for locating only those (DESIGN §8.1). */
export interface BodyReads {
  readonly whole: boolean;
  readonly paths: readonly (readonly string[])[];
}

/** The running pipelines: immutable, replaced as a whole between two ticks. */
export interface Graph {
  /** The pipelines that take a receiver, in the order of their names. */
  readonly flows: ReadonlyMap<string, readonly Flow[]>;
  readonly reads: ReadonlyMap<string, BodyReads>;
  /** Exporters that take the observations of a receiver, or what these do to the lives of resources. */
  readonly exportersOf: ReadonlyMap<string, ReadonlySet<string>>;
  /** Exporters that take the lives of the resources of a type. */
  readonly lifecycles: ReadonlyMap<string, ReadonlySet<string>>;
  readonly declared: Declared;
  readonly instances: ReadonlyMap<string, Instance>;
  readonly pipelines: readonly PipelineConfig[];
}

/** What the flow needs of its surroundings. */
export interface FlowParts {
  readonly incoming: (processor: string) => Counter;
  readonly outgoing: (processor: string) => Counter;
  /** A processor threw: a defect of ours; the observation ends here. */
  readonly onThrow: (instance: Instance, observation: Observation, error: unknown) => void;
  readonly queueOf: (exporter: string) => ExportQueue | undefined;
}

export const EMPTY_GRAPH: Graph = {
  flows: new Map(),
  reads: new Map(),
  exportersOf: new Map(),
  lifecycles: new Map(),
  declared: { types: [], rules: [], feeds: new Map() },
  instances: new Map(),
  pipelines: [],
};

/** Wires instances into pipelines. Throws `PlanError` with everything that is wrong; has no side effect. */
export function buildGraph({ components, pipelines, service }: Pick<Wanted, "components" | "pipelines" | "service">, instances: ReadonlyMap<string, Instance>, parts: FlowParts): Graph {
  const problems: Problem[] = [];
  const find = (config: PipelineConfig, kind: "receiver" | "processor" | "exporter", ids: readonly string[]): Instance[] =>
    ids.flatMap((id, i) => {
      const instance = instances.get(instanceKey({ kind, id }));
      if (instance === undefined) problems.push(problemAt(config, `/${kind}s/${i}`, `${kind} "${id}" is not defined`));
      return instance ?? [];
    });
  const wired: PipelineParts[] = pipelines.map((config) => ({
    config,
    receivers: find(config, "receiver", config.receivers),
    processors: find(config, "processor", config.processors),
    exporters: find(config, "exporter", config.exporters),
  }));
  // An instance that goes on knows only where it was written when it was made.
  const files = new Map(components.map((config) => [instanceKey(config), config.file]));
  const declared = collect(wired, problems, service, ({ key, config }) => files.get(key) ?? config.file);
  problems.push(...unknownTimes(instances.values(), service));
  if (problems.length > 0) throw new PlanError(problems);

  const flows = new Map<string, Flow[]>();
  const reads = new Map<string, BodyReads>();
  const exportersOf = new Map<string, Set<string>>();
  const lifecycles = lifecycleTakers(wired);
  for (const pipeline of wired) {
    const telling = trackedTypes(pipeline).flatMap((type) => [...(lifecycles.get(type) ?? [])]);
    const flow = flowOf(pipeline, parts);
    for (const { config } of pipeline.receivers) {
      flows.set(config.id, [...(flows.get(config.id) ?? []), flow]);
      reads.set(config.id, merged(reads.get(config.id), readsOf(pipeline)));
      const taking = exportersOf.get(config.id) ?? new Set();
      for (const exporter of pipeline.exporters) if (takesObservations(exporter)) taking.add(exporter.config.id);
      for (const exporter of telling) taking.add(exporter);
      exportersOf.set(config.id, taking);
    }
  }
  return { flows, reads, exportersOf, lifecycles, declared, instances, pipelines };
}

/** One function from the receiver to the exporters' queues; each step counts what comes in and what goes on. */
function flowOf({ processors, exporters }: PipelineParts, parts: FlowParts): Flow {
  const queues = exporters.filter(takesObservations).flatMap(({ config }) => parts.queueOf(config.id) ?? []);
  let flow: Flow = (observation) => {
    if (queues.length === 0) return;
    const kept = keptCopy(observation);
    for (const queue of queues) queue.add(kept);
  };
  for (const instance of [...processors].reverse()) {
    const { component } = instance;
    const incoming = parts.incoming(instance.config.id);
    const outgoing = parts.outgoing(instance.config.id);
    const after = flow;
    const next: Flow = (observation) => {
      outgoing.add(1);
      after(observation);
    };
    flow = (observation) => {
      incoming.add(1);
      try {
        component.process!(observation, next);
      } catch (error) {
        parts.onThrow(instance, observation, error);
      }
    };
  }
  return flow;
}

function readsOf({ processors, exporters }: PipelineParts): BodyReads {
  const paths = processors.flatMap(({ uses }) => uses.flatMap(({ reads }) => reads.bodyPaths));
  const whole = exporters.some(takesObservations) || processors.some(({ uses }) => uses.some(({ reads }) => reads.body.has("")));
  return { whole, paths };
}

function merged(a: BodyReads | undefined, b: BodyReads): BodyReads {
  const paths = new Map([...(a?.paths ?? []), ...b.paths].map((path) => [JSON.stringify(path), path]));
  return { whole: (a?.whole ?? false) || b.whole, paths: [...paths.values()] };
}
