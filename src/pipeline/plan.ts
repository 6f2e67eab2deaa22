import type { ComponentConfig, Wanted } from "../config/model.ts";

/** One component instance among those running: kinds have ids of their own. */
export function instanceKey(config: Pick<ComponentConfig, "kind" | "id">): string {
  return `${config.kind}:${config.id}`;
}

/** Id of the receiver whose instance key this is; undefined: it is another kind's. */
export function receiverOf(key: string): string | undefined {
  return key.startsWith("receiver:") ? key.slice("receiver:".length) : undefined;
}

/** What turns the running graph into the wanted one. Start-up is a plan from nothing; so is the way back after a failure. */
export interface Plan {
  /** Instances that go on, untouched. */
  readonly keep: readonly string[];
  /** To be created, in the order in which they start: exporters, processors, receivers. */
  readonly create: readonly ComponentConfig[];
  /** To be stopped, in order: receivers first, so that nothing flows into what has stopped. */
  readonly stop: readonly string[];
}

/** Equal means that a running instance can stay. Exporters are told of the external labels when they are created. */
export function fingerprintOf(config: ComponentConfig, wanted: Pick<Wanted, "service">): string {
  return config.kind === "exporter" ? `${config.fingerprint} ${JSON.stringify(wanted.service.external_labels)}` : config.fingerprint;
}

const START_ORDER = { exporter: 0, processor: 1, receiver: 2 } as const;

/**
 * Decides; does nothing. `running` maps instance keys to their `fingerprintOf`.
 * Components that no pipeline uses are not created.
 */
export function plan(running: ReadonlyMap<string, string>, wanted: Pick<Wanted, "components" | "pipelines" | "service">): Plan {
  const used = new Set<string>();
  for (const { receivers, processors, exporters } of wanted.pipelines) {
    for (const id of receivers) used.add(instanceKey({ kind: "receiver", id }));
    for (const id of processors) used.add(instanceKey({ kind: "processor", id }));
    for (const id of exporters) used.add(instanceKey({ kind: "exporter", id }));
  }
  const keep: string[] = [];
  const create: ComponentConfig[] = [];
  for (const config of wanted.components) {
    const key = instanceKey(config);
    if (!used.has(key)) continue;
    if (running.get(key) === fingerprintOf(config, wanted)) keep.push(key);
    else create.push(config);
  }
  const kept = new Set(keep);
  const stop = [...running.keys()].filter((key) => !kept.has(key));
  const order = (key: string): number => START_ORDER[key.slice(0, key.indexOf(":")) as keyof typeof START_ORDER];
  return {
    keep,
    create: create.sort((a, b) => START_ORDER[a.kind] - START_ORDER[b.kind]),
    stop: stop.sort((a, b) => order(b) - order(a)),
  };
}
