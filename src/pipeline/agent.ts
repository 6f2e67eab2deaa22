import type { ServiceConfig, Wanted } from "../config/model.ts";
import type { Alert } from "../sdk/alert.ts";
import type { Clock } from "../sdk/clock.ts";
import type { AnyDefinition } from "../sdk/component.ts";
import { durationMs } from "../sdk/duration.ts";
import { messageOf } from "../sdk/errors.ts";
import type { Logger } from "../sdk/log.ts";
import type { Metrics } from "../sdk/metrics.ts";
import type { Batch, Json } from "../sdk/observation.ts";
import type { Persistent, Store } from "../sdk/store.ts";
import type { ApplyParts } from "./apply.ts";
import { CatchUp } from "./catch_up.ts";
import { ComponentLogs } from "./component_logs.ts";
import { createContext, onThrow, type ContextParts } from "./contexts.ts";
import { ExpectEvery } from "./expect_every.ts";
import type { Graph } from "./graph.ts";
import { Health, type ReceiverStatus } from "./health.ts";
import type { Instance, Use } from "./instance.ts";
import type { Instruments } from "./instruments.ts";
import { Intake } from "./intake.ts";
import type { AgentListeners } from "./listeners.ts";
import { instanceKey, receiverOf } from "./plan.ts";
import { ExportQueue } from "./queue.ts";
import { Restarts } from "./restarts.ts";
import { Retired } from "./retired.ts";
import { limitsOf, Runner } from "./runner.ts";
import { createServices, type Services } from "./services.ts";
import { shutDown } from "./shut_down.ts";

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
  /** Told of every alert that fires or is over, before the commit and whether an exporter hears of it or not. */
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
  readonly #logs: ComponentLogs;
  readonly #intake: Intake;
  readonly #catchUp: CatchUp;
  readonly #retired: Retired;
  readonly #health: Health;
  readonly #expectEvery: ExpectEvery;
  readonly #restarts: Restarts;
  readonly #runner: Runner;
  #restored: Promise<void> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #reload: ReloadStatus | undefined;
  #stopped: Promise<void> | undefined;

  constructor(parts: AgentParts, settings: ServiceConfig) {
    const { clock, instruments, log, definitions } = parts;
    this.#parts = parts;
    const logs = new ComponentLogs(log);
    this.#logs = logs;
    const current = (): ServiceConfig => this.wanted?.service ?? settings;
    const services = createServices({ ...parts, logs, settings: current, onUnattended: (exporter) => this.#retired.add(exporter, undefined) });
    this.services = services;
    this.#intake = new Intake({
      committer: services.committer,
      positions: services.positions,
      seen: services.seen,
      flows: (receiver) => this.graph.flows.get(receiver),
      queues: (receiver) => this.#queuesOf(receiver),
      accepted: (receiver) => instruments.accepted(receiver),
      duplicates: (receiver) => instruments.duplicates(receiver),
      heard: (receiver) => this.#expectEvery.heard(receiver),
    });
    this.#catchUp = new CatchUp({
      clock,
      timeoutMs: () => durationMs(current().catch_up_timeout),
      hold: (types) => services.alerts.hold(types),
      release: (type) => services.alerts.release(type),
      drop: (type) => services.alerts.drop(type),
      onTimeout: (type, receivers) =>
        log.warn({ type, receivers }, `rules on ${type} are judged although not all receivers have caught up (catch_up_timeout)`),
    });
    this.#retired = new Retired({
      clock,
      needed: (exporter) => services.dispatcher.openOn(exporter) > 0 || services.outbox.pending(exporter) > 0,
      undecided: () => this.wanted?.rejected.some(({ lastGoodRuns }) => !lastGoodRuns) ?? true,
      end: (exporter, instance) => {
        services.dispatcher.connect(exporter, undefined);
        services.outbox.abandon(exporter, "the exporter was removed from the configuration");
        if (instance !== undefined) void this.#runner.stopInstance(instance);
      },
    });
    this.#health = new Health({
      logOf: (receiver) => logs.of(instanceKey({ kind: "receiver", id: receiver })),
      onFailing: (receiver, reason) => services.alerts.setFailing(receiver, reason),
      onTold: (receiver, failing) => this.#catchUp.failing(receiver, failing),
      awaited: (receiver) => this.#expectEvery.awaits(receiver),
    });
    this.#expectEvery = new ExpectEvery({
      clock,
      stalled: (receiver) => services.committer.failing || this.#intake.waits(receiver),
      onQuiet: (receiver, reason) => this.#health.setQuiet(receiver, reason),
    });
    this.#restarts = new Restarts({
      clock,
      restart: (key) => this.#inTurn(() => this.#runner.restart(key)),
      onFailed: (key, error) => {
        this.#notWorking(key);
        logs.of(key).warn({}, `could not be restarted: ${messageOf(error)}`);
      },
    });
    const contextParts: ContextParts = {
      ...parts,
      logs,
      services,
      intake: this.#intake,
      settings: current,
      onCaughtUp: (receiver) => {
        this.#health.caughtUp(receiver);
        this.#catchUp.caughtUp(receiver);
      },
      onFailing: (receiver, reason) => this.#health.setFailing(receiver, reason),
      onStatus: (receiver, describe) => this.#health.describe(receiver, describe),
      onCrash: (key, uses, error) => this.#crashed(key, uses, error),
    };
    this.#runner = new Runner({
      ...parts,
      logs,
      services,
      intake: this.#intake,
      catchUp: this.#catchUp,
      retired: this.#retired,
      health: this.#health,
      expectEvery: this.#expectEvery,
      build: {
        definitions,
        contextOf: (config, uses, service) => createContext(contextParts, config, uses, service),
        flow: {
          incoming: (processor) => instruments.incoming(processor),
          outgoing: (processor) => instruments.outgoing(processor),
          onThrow: onThrow(contextParts),
          queueOf: (exporter) => services.queues.get(exporter),
        },
      },
      makeQueue: (instance) => this.#makeQueue(instance),
      onBroken: (key, error) => this.#broken(key, error),
    });
  }

  /** What turns a configuration into a graph; for those who only want to know whether it can be one. */
  get applyParts(): ApplyParts {
    return this.#runner.applyParts;
  }

  get graph(): Graph {
    return this.#runner.graph;
  }

  /** The configuration that runs. */
  get wanted(): Wanted | undefined {
    return this.#runner?.wanted;
  }

  get reloadStatus(): ReloadStatus | undefined {
    return this.#reload;
  }

  /** Why the agent does less than it was asked to; empty when all is well. */
  get degraded(): readonly string[] {
    const reasons: string[] = [];
    for (const { file } of this.wanted?.rejected ?? []) reasons.push(`${file} is rejected`);
    for (const [receiver, reason] of this.#health.failing) reasons.push(`${receiver}: ${reason}`);
    for (const key of this.#restarts.waiting) if (receiverOf(key) === undefined) reasons.push(`${key} stopped working and is being restarted`);
    if (this.services.committer.failing) reasons.push("nothing can be committed to the store");
    return reasons;
  }

  /** True once the first configuration runs, until it stops. */
  get ready(): boolean {
    return this.wanted !== undefined && this.#stopped === undefined;
  }

  /** What receivers say of themselves, by id. */
  receiverStatuses(): Record<string, ReceiverStatus> {
    const receivers = [...this.graph.instances.values()].filter(({ config }) => config.kind === "receiver");
    return Object.fromEntries(receivers.map(({ config }) => [config.id, this.#health.of(config.id)]));
  }

  /** Types whose rules wait for receivers, with what they wait for. */
  get waiting(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#catchUp.waiting;
  }

  /** Restores memory and runs the first configuration. Rejects when it cannot: then nothing runs, and another may be tried. */
  async start(wanted: Wanted): Promise<void> {
    await (this.#restored ??= this.services.restore());
    await this.reload(wanted);
  }

  /**
   * Runs another configuration; one after the other. Rejects (`PlanError`, or what a component said when it could not
   * start) and keeps the old one when it cannot.
   */
  reload(wanted: Wanted): Promise<void> {
    return this.#inTurn(() => this.#run(wanted));
  }

  /** See `ReceiverContext.emit`; for tests, which enter here. */
  emit(receiver: string, batch: Batch, position?: Json): Promise<void> {
    return this.#intake.emit(receiver, batch, position);
  }

  /** Takes no more, commits, sends what can be sent, stops; within `shutdown_timeout`. Harmless twice. Never rejects. */
  stop(): Promise<void> {
    this.#stopped ??= shutDown({
      ...this.#parts,
      services: this.services,
      intake: this.#intake,
      runner: this.#runner,
      watchers: [this.#restarts, this.#catchUp, this.#expectEvery, this.#retired],
      limitMs: durationMs(this.wanted?.service.shutdown_timeout ?? "30s"),
      turn: this.#turn,
      instances: () => new Set([...this.graph.instances.values(), ...this.#retired.instances]),
    });
    return this.#stopped;
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => {
      if (this.#stopped !== undefined) throw new Error("the agent is stopping");
      return run();
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #run(wanted: Wanted): Promise<void> {
    const { clock, instruments } = this.#parts;
    try {
      for (const key of await this.#runner.run(wanted)) this.#restarts.forget(key);
      this.#reload = { result: "success", at: clock.now(), hash: wanted.hash, error: undefined };
      instruments.reloaded("success", clock.now(), wanted.rejected.length);
    } catch (error) {
      this.#reload = { result: "failure", at: clock.now(), hash: this.wanted?.hash ?? "", error: messageOf(error) };
      instruments.reloaded("failure", clock.now(), wanted.rejected.length);
      throw error;
    }
  }

  #queuesOf(receiver: string): ExportQueue[] {
    return [...(this.graph.exportersOf.get(receiver) ?? [])].flatMap((exporter) => this.services.queues.get(exporter) ?? []);
  }

  #makeQueue(instance: Instance): ExportQueue {
    const { clock, instruments } = this.#parts;
    const { config: { id }, key } = instance;
    const reporter = this.services.reporter(key, id);
    return new ExportQueue({
      exporter: id,
      stored: this.services.queueStore,
      clock,
      onSent: (count) => instruments.observationsSent(id).add(count),
      onDropped: (count, reason) => instruments.observationsDropped(id, reason).add(count),
      onFailed: (error) => reporter.report(error),
      onHealed: () => reporter.healed(),
    }, limitsOf(instance));
  }

  #crashed(key: string, uses: readonly Use[], error: unknown): void {
    if (this.graph.instances.get(key)?.uses === uses) this.#broken(key, error);
  }

  /** A component gave up: it is made anew alone, after a while; everything else goes on. */
  #broken(key: string, error: unknown): void {
    if (this.#stopped === undefined) this.#notWorking(key);
    if (!this.#restarts.crashed(key)) return;
    this.#logs.of(key).error({}, `stopped working, will be restarted: ${messageOf(error)}`);
  }

  #notWorking(key: string): void {
    const receiver = receiverOf(key);
    if (receiver !== undefined) this.#health.crashed(receiver);
  }
}
