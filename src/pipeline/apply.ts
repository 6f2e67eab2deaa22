import type { ComponentConfig, Problem, Wanted } from "../config/model.ts";
import type { AnyDefinition } from "../sdk/component.ts";
import { ConfigError, messageOf } from "../sdk/errors.ts";
import { buildGraph, type FlowParts, type Graph } from "./graph.ts";
import { createInstance, type Instance, type Use } from "./instance.ts";
import { instanceKey, type Plan } from "./plan.ts";
import { PlanError, problemAt } from "./problems.ts";

/** What applying needs of the agent. */
export interface ApplyParts {
  readonly definitions: readonly AnyDefinition[];
  readonly contextOf: (config: ComponentConfig, uses: Use[]) => unknown;
  readonly flow: FlowParts;
  /** Makes room for the queues of new exporters that take observations; before the graph is built. */
  readonly prepareQueue: (instance: Instance) => void;
  /** Replaces the running graph, in one tick. */
  readonly swap: (graph: Graph, wanted: Wanted) => void;
  /** Stops an instance that is no longer wanted, or hands a notifier over to `Retired`. */
  readonly dismiss: (instance: Instance, replaced: boolean) => Promise<void>;
}

/** Everything new, built; nothing has been touched yet. Throws `PlanError` with all that is wrong. */
export function build(plan: Plan, wanted: Wanted, running: ReadonlyMap<string, Instance>, parts: ApplyParts): Graph {
  const problems: Problem[] = [];
  const instances = new Map<string, Instance>();
  for (const key of plan.keep) instances.set(key, running.get(key)!);
  for (const config of plan.create) {
    const definition = parts.definitions.find(({ kind, type }) => kind === config.kind && type === config.type);
    try {
      if (definition === undefined) throw new ConfigError("", `there is no ${config.kind} of type "${config.type}"`);
      instances.set(instanceKey(config), createInstance(definition, config, parts.contextOf));
    } catch (error) {
      problems.push(problemAt(config, error instanceof ConfigError ? error.pointer : "", messageOf(error)));
    }
  }
  if (problems.length > 0) throw new PlanError(problems);
  for (const instance of instances.values()) if (instance.component.export !== undefined) parts.prepareQueue(instance);
  return buildGraph(wanted.pipelines, instances, parts.flow);
}

/**
 * Turns the running graph into `graph`. Order: what goes stops (receivers first, each settled with its last commit), what
 * comes starts (exporters, processors), the graphs are swapped, new receivers start. Rejects (`PlanError`) when something
 * cannot start; the caller then goes the same way back.
 */
export async function apply(plan: Plan, graph: Graph, wanted: Wanted, running: ReadonlyMap<string, Instance>, parts: ApplyParts): Promise<void> {
  for (const key of plan.stop) {
    const instance = running.get(key)!;
    await parts.dismiss(instance, graph.instances.has(key));
  }
  const created = plan.create.map((config) => graph.instances.get(instanceKey(config))!);
  const first = created.filter(({ config }) => config.kind !== "receiver");
  const receivers = created.filter(({ config }) => config.kind === "receiver");
  for (const instance of first) await start(instance);
  parts.swap(graph, wanted);
  for (const instance of receivers) await start(instance);
}

async function start(instance: Instance): Promise<void> {
  try {
    instance.running = true;
    await instance.component.start?.();
  } catch (error) {
    throw new PlanError([problemAt(instance.config, "", messageOf(error))], { cause: error });
  }
}

/** Stops an instance; whatever it says, it is stopped. */
export async function stop(instance: Instance, onError: (error: unknown) => void): Promise<void> {
  try {
    await instance.component.stop?.();
  } catch (error) {
    onError(error);
  } finally {
    instance.running = false;
  }
}
