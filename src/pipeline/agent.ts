import type { ServiceConfig, Wanted } from "../config/model.ts";
import type { Alert } from "../sdk/alert.ts";
import type { AnyDefinition } from "../sdk/component.ts";
import type { Clock } from "../sdk/clock.ts";
import { backoffMs } from "../sdk/backoff.ts";
import { durationMs, formatDuration } from "../sdk/duration.ts";
import { messageOf } from "../sdk/errors.ts";
import type { Logger } from "../sdk/log.ts";
import type { Metrics } from "../sdk/metrics.ts";
import type { Batch, Json } from "../sdk/observation.ts";
import type { Persistent, Store } from "../sdk/store.ts";
import { apply, build, stop, type ApplyParts } from "./apply.ts";
import { CatchUp } from "./catch_up.ts";
import { createContext, onThrow, type ContextParts } from "./contexts.ts";
import { EMPTY_GRAPH, type Graph } from "./graph.ts";
import type { Instance } from "./instance.ts";
import type { Instruments } from "./instruments.ts";
import { Intake } from "./intake.ts";
import type { AgentListeners } from "./listeners.ts";
import { fingerprintOf, plan } from "./plan.ts";
import { ExportQueue } from "./queue.ts";
import { Retired } from "./retired.ts";
import { createServices, type Services } from "./services.ts";

const FLUSH_MS = 5_000;
const RESTART = { firstMs: 1_000, maxMs: 5 * 60_000 };

export interface AgentParts {
  readonly definitions: readonly AnyDefinition[];
  readonly clock: Clock;
  readonly store: Store;
  readonly log: Logger;
  readonly metrics: Metrics & Persistent;
  readonly instruments: Instruments;
  readonly listeners: AgentListeners;
  /** The metric store as OpenTelemetry's MetricProducer. */
  readonly producer: unknown;
  /** See `ServiceParts`. */
  readonly observeAlert?: ((alert: Alert) => void) | undefined;
}

/** How the last configuration fared. Times in ms since the epoch. */
export interface ReloadStatus {
  readonly result: "success" | "failure";
  readonly at: number;
  /** Of the configuration that runs. */
  readonly hash: string;
  readonly error: string | undefined;
}

/** The running whole: takes configurations one after the other, keeps the rest of the world apart from them. */
export class Agent {
  readonly services: Services;
  readonly #parts: AgentParts;
  readonly #intake: Intake;
  readonly #catchUp: CatchUp;
  readonly #retired: Retired;
  /** What turns a configuration into a graph; for those who only want to know whether it can be one. */
  readonly applyParts: ApplyParts;
  readonly #failing = new Map<string, string>();
  readonly #statuses = new Map<string, () => Json>();
  readonly #crashed = new Map<string, number>();
  #graph: Graph = EMPTY_GRAPH;
  #wanted: Wanted | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #reload: ReloadStatus | undefined;
  #stopping = false;

  constructor(parts: AgentParts, settings: ServiceConfig) {
    const { clock, instruments, log } = parts;
    this.#parts = parts;
    const current = (): ServiceConfig => this.#wanted?.service ?? settings;
    this.services = createServices({ ...parts, settings: current });
    const { services } = this;
    this.#intake = new Intake({
      committer: services.committer,
      positions: services.positions,
      seen: services.seen,
      flows: (receiver) => this.#graph.flows.get(receiver),
      queues: () => services.queues.values(),
      accepted: (receiver) => instruments.accepted(receiver),
      duplicates: (receiver) => instruments.duplicates(receiver),
    });
    this.#catchUp = new CatchUp({
      clock,
      timeoutMs: () => durationMs(current().catch_up_timeout),
      hold: (types) => services.alerts.hold(types),
      release: (type) => services.alerts.release(type),
      onTimeout: (type, receivers) =>
        log.warn({ type, receivers }, `rules on ${type} are judged although not all receivers have caught up (catch_up_timeout)`),
    });
    this.#retired = new Retired({
      clock,
      needed: (exporter) => services.alerts.openOn(exporter) > 0 || services.outbox.pending(exporter) > 0,
      end: (exporter, instance) => {
        services.outbox.connect(exporter, undefined);
        services.outbox.abandon(exporter, "the exporter was removed from the configuration");
        if (instance !== undefined) void this.#stopInstance(instance);
      },
    });
    const contextParts: ContextParts = {
      ...parts,
      services,
      intake: this.#intake,
      settings: current,
      onCaughtUp: (receiver) => this.#catchUp.caughtUp(receiver),
      onFailing: (receiver, reason) => this.#setFailing(receiver, reason),
      onStatus: (receiver, describe) => void this.#statuses.set(receiver, describe),
      onCrash: (key, error) => this.#crash(key, error),
    };
    this.applyParts = {
      definitions: parts.definitions,
      contextOf: (config, uses) => createContext(contextParts, config, uses),
      flow: {
        incoming: (processor) => instruments.incoming(processor),
        outgoing: (processor) => instruments.outgoing(processor),
        onThrow: onThrow(contextParts),
        queueOf: (exporter) => services.queues.get(exporter),
      },
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

  get reloadStatus(): ReloadStatus | undefined {
    return this.#reload;
  }

  /** Why the agent does less than it was asked to; empty when all is well. */
  get degraded(): readonly string[] {
    const reasons: string[] = [];
    for (const { file } of this.#wanted?.rejected ?? []) reasons.push(`${file} is rejected`);
    for (const [receiver, reason] of this.#failing) reasons.push(`${receiver}: ${reason}`);
    for (const key of this.#crashed.keys()) reasons.push(`${key} stopped working and is being restarted`);
    if (this.services.committer.failing) reasons.push("nothing can be committed to the store");
    return reasons;
  }

  /** True once the first configuration runs, until it stops. */
  get ready(): boolean {
    return this.#wanted !== undefined && !this.#stopping;
  }

  /** What receivers say of themselves, by id. */
  receiverStatuses(): Record<string, { failing: string | null; status: Json }> {
    const statuses: Record<string, { failing: string | null; status: Json }> = {};
    for (const { config } of this.#graph.instances.values()) {
      if (config.kind !== "receiver") continue;
      statuses[config.id] = { failing: this.#failing.get(config.id) ?? null, status: this.#statuses.get(config.id)?.() ?? null };
    }
    return statuses;
  }

  /** Types whose rules wait for receivers, with what they wait for. */
  get waiting(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#catchUp.waiting;
  }

  /** Restores memory and runs the first configuration. Rejects when it cannot: then nothing runs. */
  async start(wanted: Wanted): Promise<void> {
    await this.services.restore();
    await this.reload(wanted);
  }

  /**
   * Runs another configuration; one after the other. Rejects (`PlanError`, or what a component said when it could not
   * start) and keeps the old one when it cannot.
   */
  reload(wanted: Wanted): Promise<void> {
    const turn = this.#turn.then(() => this.#apply(wanted));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** See `ReceiverContext.emit`; for tests, which enter here. */
  emit(receiver: string, batch: Batch, position?: Json): Promise<void> {
    return this.#intake.emit(receiver, batch, position);
  }

  /** Takes no more, commits, sends what can be sent, stops; within `shutdown_timeout`. Harmless twice. */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    await this.#turn;
    const { clock, log } = this.#parts;
    const { committer, outbox, queues, alerts, resources } = this.services;
    const limitMs = durationMs(this.#wanted?.service.shutdown_timeout ?? "30s");
    const giveUp = clock.at(clock.now() + limitMs, () => {
      log.error({}, `not everything could be stopped within ${formatDuration(limitMs)}: what was not committed is read again at the next start`);
      void committer.stop(new Error("the agent is stopping"));
    });
    const instances = [...this.#graph.instances.values(), ...this.#retired.instances];
    for (const kind of ["receiver", "processor", "exporter"]) {
      const those = instances.filter(({ config }) => config.kind === kind);
      if (kind === "exporter") {
        resources.stop();
        await committer.committed(true).catch(() => {});
        await Promise.all([...queues.values()].map((queue) => queue.stop(Math.min(FLUSH_MS, limitMs))));
        outbox.stop();
      }
      await Promise.all(those.map((instance) => this.#stopInstance(instance)));
      if (kind === "receiver") this.#intake.close("the agent is stopping");
    }
    this.#catchUp.stop();
    this.#retired.stop();
    alerts.stop();
    await committer.committed(true).catch(() => {});
    giveUp.cancel();
    await committer.stop(new Error("the agent is stopping"));
    await this.#parts.store.close();
  }

  async #apply(wanted: Wanted): Promise<void> {
    const { clock, listeners, instruments } = this.#parts;
    const before = this.#wanted;
    try {
      const running = this.#graph.instances;
      const steps = plan(this.#fingerprints(), wanted);
      const graph = build(steps, wanted, running, this.applyParts);
      listeners.hold();
      try {
        await apply(steps, graph, wanted, running, this.applyParts);
      } catch (error) {
        await this.#wayBack(graph, wanted, before);
        throw error;
      } finally {
        await listeners.release();
      }
      this.#reload = { result: "success", at: clock.now(), hash: wanted.hash, error: undefined };
      instruments.reloaded("success", clock.now(), wanted.rejected.length);
    } catch (error) {
      this.#reload = { result: "failure", at: clock.now(), hash: before?.hash ?? "", error: messageOf(error) };
      instruments.reloaded("failure", clock.now(), wanted.rejected.length);
      throw error;
    }
  }

  /** Something of `failed` could not start: what runs of it stops, and what ran before is made anew. */
  async #wayBack(failed: Graph, failedWanted: Wanted, before: Wanted | undefined): Promise<void> {
    const stillRunning = new Map([...this.#graph.instances, ...failed.instances].filter(([, instance]) => instance.running));
    const fingerprints = new Map<string, string>();
    for (const [key, { config }] of stillRunning) fingerprints.set(key, fingerprintOf(config, before ?? failedWanted));
    const target = before ?? { ...failedWanted, components: [], pipelines: [] };
    const steps = plan(fingerprints, target);
    try {
      const graph = build(steps, target, stillRunning, this.applyParts);
      await apply(steps, graph, target, stillRunning, this.applyParts);
    } catch (error) {
      this.#parts.log.error({}, `the way back to the configuration before failed too: ${messageOf(error)}`);
    }
  }

  #fingerprints(): Map<string, string> {
    const fingerprints = new Map<string, string>();
    if (this.#wanted === undefined) return fingerprints;
    for (const [key, { config }] of this.#graph.instances) {
      fingerprints.set(key, this.#crashed.has(key) ? "" : fingerprintOf(config, this.#wanted));
    }
    return fingerprints;
  }

  /** One tick: observations see the graph before or the one after, rules and resources with it. */
  #swap(graph: Graph, wanted: Wanted): void {
    const { resources, alerts, outbox } = this.services;
    this.#graph = graph;
    this.#wanted = wanted;
    this.#catchUp.feeds(graph.declared.feeds);
    resources.configure(graph.declared.types);
    alerts.configure(graph.declared.rules, new Set(wanted.rejected.map(({ file }) => file)));
    this.#catchUp.settle();
    for (const { config, component } of graph.instances.values()) {
      if (component.notify === undefined) continue;
      const retired = this.#retired.take(config.id);
      if (retired !== undefined) void this.#stopInstance(retired);
      outbox.connect(config.id, { deduplicates: component.deduplicates === true, notify: (notification, signal) => component.notify!(notification, signal) });
    }
    for (const exporter of outbox.exporters) {
      const configured = graph.instances.get(`exporter:${exporter}`);
      if (configured === undefined && outbox.pending(exporter) > 0) this.#retired.add(exporter, undefined);
    }
    for (const receiver of this.#failing.keys()) if (!graph.flows.has(receiver)) this.#setFailing(receiver, undefined);
  }

  async #dismiss(instance: Instance, replaced: boolean): Promise<void> {
    const { id, kind } = instance.config;
    const { alerts, outbox } = this.services;
    if (kind === "exporter" && instance.component.notify !== undefined && !replaced && !this.#stopping) {
      if (alerts.openOn(id) > 0 || outbox.pending(id) > 0) return this.#retired.add(id, instance);
    }
    if (kind === "exporter") outbox.connect(id, undefined);
    if (kind === "receiver") this.#statuses.delete(id);
    await this.#stopInstance(instance);
    const queue = this.services.queues.get(id);
    if (kind !== "exporter" || replaced || queue === undefined) return;
    this.services.queues.delete(id);
    await queue.stop(0);
  }

  async #stopInstance(instance: Instance): Promise<void> {
    const { config, key } = instance;
    await stop(instance, (error) => this.services.reporter(key, this.#parts.log.child({ component: config.id }), config.id).report(error));
  }

  /** The queue belongs to the exporter's id: a changed exporter takes over what waits. */
  #prepareQueue({ key, config }: Instance): void {
    const { clock, instruments, log } = this.#parts;
    const { queues } = this.services;
    const { id } = config;
    if (queues.has(id)) return;
    const { queue_size = 10_000, on_full = "drop" } = (config.config["sending_queue"] ?? {}) as { queue_size?: number; on_full?: "drop" | "block" };
    const reporter = this.services.reporter(key, log.child({ component: id }), id);
    queues.set(id, new ExportQueue({
      clock,
      queueSize: queue_size,
      onFull: on_full,
      export: async (batch, signal) => this.#graph.instances.get(key)?.component.export?.(batch, signal),
      onSent: (count) => instruments.observationsSent(id).add(count),
      onDropped: (count, reason) => instruments.observationsDropped(id, reason).add(count),
      onFailed: (error) => reporter.report(error),
      onHealed: () => reporter.healed(),
    }));
  }

  #setFailing(receiver: string, reason: string | undefined): void {
    const { log } = this.#parts;
    const before = this.#failing.get(receiver);
    if (reason === before) return;
    if (reason === undefined) this.#failing.delete(receiver);
    else this.#failing.set(receiver, reason);
    this.services.alerts.setFailing(receiver, reason !== undefined);
    if (reason === undefined) log.info({ component: receiver }, "the source can be read again");
    else if (before === undefined) log.warn({ component: receiver }, `the source cannot be read: ${reason}; what only it feeds is stale`);
  }

  /** A component gave up: it is made anew alone, after a while; everything else goes on. */
  #crash(key: string, error: unknown): void {
    if (this.#crashed.has(key) || this.#stopping) return;
    const { clock, log } = this.#parts;
    const instance = this.#graph.instances.get(key);
    log.error({ component: instance?.config.id ?? key }, `stopped working, will be restarted: ${messageOf(error)}`);
    this.#crashed.set(key, (this.#crashed.get(key) ?? 0) + 1);
    const again = (failures: number): void => {
      clock.at(clock.now() + backoffMs(RESTART, failures, clock), () => {
        if (this.#stopping || this.#wanted === undefined) return;
        this.reload(this.#wanted).then(
          () => void this.#crashed.delete(key),
          (cause: unknown) => {
            log.warn({ component: instance?.config.id ?? key }, `could not be restarted: ${messageOf(cause)}`);
            again(failures + 1);
          },
        );
      });
    };
    again(1);
  }
}

