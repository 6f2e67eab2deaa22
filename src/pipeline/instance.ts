import type { ComponentConfig } from "../config/model.ts";
import type { AnyDefinition, Exporter, Processor, Receiver } from "../sdk/component.ts";
import type { Reads, ScopeName } from "../sdk/expression.ts";
import { instanceKey } from "./plan.ts";

/** An expression of a component, as the plan needs to know it. */
export interface Use {
  readonly pointer: string;
  readonly reads: Reads;
  /** What it was allowed to read. With `body` it is about an observation, without about a resource. */
  readonly scope: readonly ScopeName[];
}

/** A component that was created: create → start → stop, never restarted. */
export interface Instance {
  readonly key: string;
  readonly config: ComponentConfig;
  readonly component: Receiver & Partial<Processor> & Exporter;
  readonly uses: readonly Use[];
  /** From start to stop. */
  running: boolean;
}

/** Creates it. `contextOf` gets the list that the context fills with what the component's expressions read. */
export function createInstance(
  definition: AnyDefinition,
  config: ComponentConfig,
  contextOf: (config: ComponentConfig, uses: Use[]) => unknown,
): Instance {
  const uses: Use[] = [];
  const component = definition.create(config.config as never, contextOf(config, uses) as never) as Instance["component"];
  return { key: instanceKey(config), config, component, uses, running: false };
}
