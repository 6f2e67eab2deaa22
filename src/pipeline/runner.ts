import type { Destination } from "../alerts/dispatch/lane.ts";
import { policyOf } from "../alerts/dispatch/policy.ts";
import type { Wanted } from "../config/model.ts";
import { messageOf } from "../sdk/errors.ts";
import type { Logger } from "../sdk/log.ts";
import { apply, build, stop, type ApplyParts } from "./apply.ts";
import type { CatchUp } from "./catch_up.ts";
import type { ComponentLogs } from "./component_logs.ts";
import type { ExpectEvery } from "./expect_every.ts";
import { EMPTY_GRAPH, type Graph } from "./graph.ts";
import type { Health } from "./health.ts";
import type { Instance } from "./instance.ts";
import type { Intake } from "./intake.ts";
import { forwardDeadLetters } from "./forwarded_letters.ts";
import { watchLifecycles } from "./lifecycle.ts";
import type { AgentListeners } from "./listeners.ts";
import { fingerprintOf, plan } from "./plan.ts";
import type { ExportQueue, QueueLimits } from "./queue.ts";
import type { Retired } from "./retired.ts";
import type { Services } from "./services.ts";

export interface RunnerParts {
  readonly log: Logger;
  readonly logs: ComponentLogs;
  readonly services: Services;
  readonly intake: Intake;
  readonly catchUp: CatchUp;
  readonly retired: Retired;
  readonly health: Health;
  readonly expectEvery: ExpectEvery;
  readonly listeners: AgentListeners;
  readonly build: Pick<ApplyParts, "definitions" | "contextOf" | "flow">;
  readonly makeQueue: (instance: Instance) => ExportQueue;
  /** Back in the configuration before, this instance of it could not start. */
  readonly onBroken: (key: string, error: unknown) => void;
}

/** Holds the running graph, and replaces it. Calls must follow one another. */
export class Runner {
  readonly applyParts: ApplyParts;
  readonly #parts: RunnerParts;
  #graph: Graph = EMPTY_GRAPH;
  #wanted: Wanted | undefined;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    this.applyParts = {
      ...parts.build,
      prepareQueue: (instance) => this.#prepareQueue(instance),
      swap: (graph, wanted) => this.#swap(graph, wanted),
      dismiss: (instance, replaced) => this.#dismiss(instance, replaced),
    };
  }

  get graph(): Graph {
    return this.#graph;
  }

  /** The configuration that runs. */
  get wanted(): Wanted | undefined {
    return this.#wanted;
  }

  /**
   * Runs another configuration. Rejects (`PlanError`) when it cannot; then the one before runs again. Gives the keys of the
   * instances that were made anew or are gone.
   */
  async run(wanted: Wanted): Promise<readonly string[]> {
    const before = this.#wanted;
    const running = this.#graph.instances;
    this.#parts.logs.coming(wanted.pipelines);
    const steps = plan(fingerprintsOf(running, before ?? wanted), wanted);
    const graph = build(steps, wanted, running, this.applyParts);
    const { listeners } = this.#parts;
    listeners.hold();
    try {
      await apply(steps, graph, wanted, running, this.applyParts);
    } catch (error) {
      await this.#wayBack(running, graph, wanted, before);
      throw error;
    } finally {
      await this.#endQueues();
      await listeners.release();
    }
    return [...steps.stop, ...graph.instances.keys()].filter((key) => graph.instances.get(key) !== running.get(key));
  }

  /** Makes one instance anew. Rejects when it cannot start; then it is stopped, and everything else goes on. */
  async restart(key: string): Promise<void> {
    const wanted = this.#wanted;
    const running = this.#graph.instances;
    if (wanted === undefined || !running.has(key)) return;
    const steps = plan(fingerprintsOf(running, wanted).set(key, ""), wanted);
    const graph = build(steps, wanted, running, this.applyParts);
    const { listeners } = this.#parts;
    listeners.hold();
    try {
      await apply(steps, graph, wanted, running, this.applyParts);
    } catch (error) {
      await this.stopInstance(graph.instances.get(key)!);
      throw error;
    } finally {
      await listeners.release();
    }
  }

  /** Something of `failed` could not start: what runs of it stops, and what ran before is made anew where it has stopped. */
  async #wayBack(old: ReadonlyMap<string, Instance>, failed: Graph, failedWanted: Wanted, before: Wanted | undefined): Promise<void> {
    const alive = (instances: ReadonlyMap<string, Instance>): Map<string, Instance> => new Map([...instances].filter(([, { running }]) => running));
    const [oldAlive, newAlive] = [alive(old), alive(failed.instances)];
    const running = new Map([...newAlive, ...oldAlive]);
    const extra = [...newAlive].filter(([key, instance]) => running.get(key) !== instance);
    const target = before ?? { ...failedWanted, components: [], pipelines: [] };
    const steps = plan(new Map([...fingerprintsOf(newAlive, failedWanted), ...fingerprintsOf(oldAlive, target)]), target);
    try {
      const graph = build(steps, target, running, this.applyParts);
      await apply(steps, graph, target, running, this.applyParts, (instance, error) => {
        void this.stopInstance(instance);
        this.#parts.onBroken(instance.key, error);
      });
    } catch (error) {
      this.#parts.log.error({}, `the way back to the configuration before failed too: ${messageOf(error)}`);
    }
    for (const [, instance] of extra) await this.stopInstance(instance);
    this.#wanted = before;
  }

  /** One tick: observations see the graph before or the one after, rules and resources with it. */
  #swap(graph: Graph, wanted: Wanted): void {
    const { services, logs, catchUp, intake, health, expectEvery, retired } = this.#parts;
    const { resources, alerts, dispatcher, outbox, queues } = services;
    const receivers = new Set(graph.flows.keys());
    this.#graph = graph;
    this.#wanted = wanted;
    logs.running(wanted.pipelines);
    intake.graphChanged();
    catchUp.feeds(graph.declared.feeds);
    resources.configure(graph.declared.types);
    watchLifecycles(graph.lifecycles, services);
    forwardDeadLetters(graph.instances.values(), services);
    services.notifications.configure(wanted.service);
    alerts.configure(graph.declared.rules, new Set(wanted.rejected.map(({ file }) => file)), receivers);
    catchUp.settle();
    for (const instance of graph.instances.values()) {
      const { config, component } = instance;
      if (component.export !== undefined) {
        queues.get(config.id)!.configure(limitsOf(instance));
        queues.get(config.id)!.connect((batch, signal) => component.export!(batch, signal));
      }
      if (component.notify === undefined) continue;
      const before = retired.take(config.id);
      if (before !== undefined && before !== instance) void this.stopInstance(before);
      const notify: Destination["notify"] = (notification, signal) => component.notify!(notification, signal);
      dispatcher.connect(config.id, { deduplicates: component.deduplicates === true, notify }, policyOf(config.config, component));
    }
    for (const exporter of outbox.exporters) {
      if (!graph.instances.has(`exporter:${exporter}`) && outbox.pending(exporter) > 0) retired.add(exporter, undefined);
    }
    health.keepOnly(receivers);
    expectEvery.configure([...receivers].map((id) => graph.instances.get(`receiver:${id}`)!.config));
  }

  async #dismiss(instance: Instance, replaced: boolean): Promise<void> {
    const { id, kind } = instance.config;
    const { services, intake, health, catchUp, retired } = this.#parts;
    if (kind === "receiver") {
      // It may wait for room in a queue, and that for an exporter which this very reload repairs.
      intake.leave(id, "the receiver is stopping");
      await this.stopInstance(instance);
      health.left(id);
      catchUp.left(id);
      return;
    }
    if (kind === "exporter") {
      services.queues.get(id)?.connect(undefined);
      const needed = services.dispatcher.openOn(id) > 0 || services.outbox.pending(id) > 0;
      if (instance.component.notify !== undefined && !replaced && needed) return retired.add(id, instance);
      if (instance.component.notify !== undefined) services.dispatcher.connect(id, undefined);
    }
    await this.stopInstance(instance);
  }

  /** Stops an instance. Never rejects: what it says is reported. */
  async stopInstance(instance: Instance): Promise<void> {
    const { config, key } = instance;
    const { services } = this.#parts;
    await stop(instance, (error) => services.reporter(key, config.id).report(error));
  }

  /** The queue belongs to the exporter's id: a changed exporter takes over what waits. */
  #prepareQueue(instance: Instance): void {
    const { queues } = this.#parts.services;
    if (!queues.has(instance.config.id)) queues.set(instance.config.id, this.#parts.makeQueue(instance));
  }

  /** What waits for exporters that are gone is dropped, and counted; not before it is certain that they are. */
  async #endQueues(): Promise<void> {
    const { queues } = this.#parts.services;
    for (const [id, queue] of queues) {
      if (this.#graph.instances.get(`exporter:${id}`)?.component.export !== undefined) continue;
      queues.delete(id);
      await queue.stop(0, true);
    }
  }
}

export function limitsOf({ config }: Instance): QueueLimits {
  const { queue_size = 10_000, on_full = "drop", storage = false } = (config.config["sending_queue"] ?? {}) as Partial<QueueLimits>;
  return { queue_size, on_full, storage };
}

function fingerprintsOf(running: ReadonlyMap<string, Instance>, wanted: Wanted): Map<string, string> {
  return new Map([...running].map(([key, { config }]) => [key, fingerprintOf(config, wanted)]));
}
