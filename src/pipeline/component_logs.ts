import type { PipelineConfig } from "../config/model.ts";
import type { Logger } from "../sdk/log.ts";
import { instanceKey } from "./plan.ts";

/**
 * Logs of components: each line has the component's id as `component`, and as `pipeline` the names of the pipelines that
 * hold it as it is written (`orders`, or `orders, refunds`): a component outlives the configuration that it was created for.
 */
export class ComponentLogs {
  readonly #log: Logger;
  #running = new Map<string, string>();
  #coming = new Map<string, string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** About to run: for what is created now and starts before the swap. */
  coming(pipelines: readonly PipelineConfig[]): void {
    this.#coming = namesByKey(pipelines);
  }

  running(pipelines: readonly PipelineConfig[]): void {
    this.#running = namesByKey(pipelines);
  }

  /** Of the component with this instance key. */
  of(key: string): Logger {
    const log = this.#log.child({ component: idOf(key) });
    const where = (): object => {
      const pipeline = this.#running.get(key) ?? this.#coming.get(key);
      return pipeline === undefined ? {} : { pipeline };
    };
    return wrap(log, where);
  }
}

function wrap(log: Logger, where: () => object): Logger {
  return {
    debug: (fields, message) => log.debug({ ...where(), ...fields }, message),
    info: (fields, message) => log.info({ ...where(), ...fields }, message),
    warn: (fields, message) => log.warn({ ...where(), ...fields }, message),
    error: (fields, message) => log.error({ ...where(), ...fields }, message),
    child: (fields) => wrap(log.child(fields), where),
  };
}

function idOf(key: string): string {
  return key.slice(key.indexOf(":") + 1);
}

function namesByKey(pipelines: readonly PipelineConfig[]): Map<string, string> {
  const names = new Map<string, Set<string>>();
  const add = (key: string, name: string): void => void names.set(key, (names.get(key) ?? new Set()).add(name));
  for (const { name, receivers, processors, exporters } of pipelines) {
    for (const id of receivers) add(instanceKey({ kind: "receiver", id }), name);
    for (const id of processors) add(instanceKey({ kind: "processor", id }), name);
    for (const id of exporters) add(instanceKey({ kind: "exporter", id }), name);
  }
  return new Map([...names].map(([key, of]) => [key, [...of].join(", ")]));
}
