import type { ComponentConfig, Problem, ServiceConfig, Wanted } from "../config/model.ts";
import type { AnyDefinition } from "../sdk/component.ts";
import { ConfigError, messageOf } from "../sdk/errors.ts";
import { buildGraph, type FlowParts, type Graph } from "./graph.ts";
import { createInstance, type Instance, type Use } from "./instance.ts";
import { instanceKey, type Plan } from "./plan.ts";
import { PlanError, problemAt } from "./problems.ts";

/** What applying needs of the agent. */
export interface ApplyParts {
  readonly definitions: readonly AnyDefinition[];
  /** `service` is the one that the component will run under. Default: the one that runs now. */
  readonly contextOf: (config: ComponentConfig, uses: Use[], service?: ServiceConfig) => unknown;
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
      instances.set(instanceKey(config), createInstance(definition, config, (of, uses) => parts.contextOf(of, uses, wanted.service)));
    } catch (error) {
      // A component may find several things wrong with itself.
      for (const one of error instanceof AggregateError ? error.errors : [error]) {
        problems.push(problemAt(config, one instanceof ConfigError ? one.pointer : "", messageOf(one)));
      }
    }
  }
  if (problems.length > 0) throw new PlanError(problems);
  for (const instance of instances.values()) if (instance.component.export !== undefined) parts.prepareQueue(instance);
  return buildGraph(wanted, instances, parts.flow);
}

/**
 * Turns the running graph into `graph`. Order: receivers that go stop, each settled with its last commit, then exporters
 * (their queues keep what waits); what comes starts (exporters, processors); the graphs are swapped; new receivers start;
 * processors that went stop last, so that no batch meets one that has stopped. Rejects (`PlanError`) when something
 * cannot start, and the caller goes the same way back; with `onBroken` it tells of that and does all the rest.
 */
export async function apply(
  plan: Plan,
  graph: Graph,
  wanted: Wanted,
  running: ReadonlyMap<string, Instance>,
  parts: ApplyParts,
  onBroken?: (instance: Instance, error: unknown) => void,
): Promise<void> {
  const going = plan.stop.map((key) => running.get(key)!);
  const dismiss = (instance: Instance): Promise<void> => parts.dismiss(instance, graph.instances.has(instance.key));
  for (const instance of going) if (instance.config.kind !== "processor") await dismiss(instance);
  const created = plan.create.map((config) => graph.instances.get(instanceKey(config))!);
  for (const instance of created) if (instance.config.kind !== "receiver") await start(instance, onBroken);
  parts.swap(graph, wanted);
  for (const instance of created) if (instance.config.kind === "receiver") await start(instance, onBroken);
  for (const instance of going) if (instance.config.kind === "processor") await dismiss(instance);
}

async function start(instance: Instance, onBroken?: (instance: Instance, error: unknown) => void): Promise<void> {
  try {
    instance.running = true;
    await instance.component.start?.();
  } catch (error) {
    if (onBroken !== undefined) return onBroken(instance, error);
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
