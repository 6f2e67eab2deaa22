import type { FromSchema, JSONSchema } from "json-schema-to-ts";
import type { Notification, Receipt } from "./alert.ts";
import type { Clock } from "./clock.ts";
import type { Expression, ScopeName, Scope } from "./expression.ts";
import type { Transport } from "./http.ts";
import type { Listeners } from "./listeners.ts";
import type { Logger } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { Batch, Json, Observation } from "./observation.ts";
import type { Declarations, Tracker } from "./resource.ts";
import type { LifecycleSpan } from "./span.ts";
import type { Template } from "./template.ts";

/** How far a component can be relied on; shown by `sojourn components`. */
export type Stability = "stable" | "beta" | "alpha";

/** A component instance lives once: create → start → stop, never restarted. */
export interface Lifecycle {
  /** Rejects when it cannot work: then the old configuration stays. */
  start?(): Promise<void>;
  /** Safe before start and twice; once settled nothing of it still runs, and no handle stays open. */
  stop?(): Promise<void>;
}

/** What the pipeline gives every component. */
export interface Context {
  /** As configured: `type` or `type/name`. */
  readonly id: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Families are shared by name; the agent's own begin with `sojourn_`. */
  readonly metrics: Metrics;
  /** Counts the error as this component's; logs it when it differs from the last one. */
  report(error: unknown): void;
  /** Says that what was reported is over: logged once. */
  healed(): void;
  /** The component cannot go on by itself: it is stopped, and created anew after a while. The agent stays up, degraded. */
  crashed(error: unknown): void;
  /**
   * Compiles an expression of this component and tells the plan what it reads. Call in `create`, never later.
   * Throws `ConfigError` with `pointer` on a syntax error, an unknown name or function.
   */
  expression(pointer: string, text: string, scope?: readonly ScopeName[]): Expression;
  /** A condition: an expression that fails, or is no boolean, is false, and counted. */
  condition(pointer: string, text: string, scope?: readonly ScopeName[]): (scope: Scope) => boolean;
  template(pointer: string, text: string, scope?: readonly ScopeName[]): Template;
}

export interface ReceiverContext extends Context {
  readonly listeners: Listeners;
  /** Where this receiver had got to at the last commit; undefined on its first start ever. */
  readonly position: Json | undefined;
  /**
   * Runs the batch through every pipeline of this receiver, at once, then resolves when its effects, and the position,
   * are committed: only then acknowledge. Rejects (`NotAcceptedError`) only when nothing was processed.
   * Awaiting it is the backpressure; a receiver bounds how many calls it leaves pending.
   * An empty batch with a position commits just that.
   */
  emit(batch: Batch, position?: Json): Promise<void>;
  /** The receiver has read what was there when it started: rules on what it feeds may be judged. Harmless twice. */
  caughtUp(): void;
  /** The source cannot be read (three failed polls, file unreadable): what it feeds is stale. `undefined`: it can again. */
  failing(reason: string | undefined): void;
  /** Shown in the API beside the receiver: targets, files, lag. Called when asked. */
  status(describe: () => Json): void;
  /** Counts observations that never became one: too large, malformed, refused. */
  refused(count: number, reason: string): void;
  /**
   * Keeps what could not be decoded (redacted, bounded) for a person to look at; in the commit of the `emit` that follows. For sources
   * that do not wait for an answer: who does is told, and keeps it.
   */
  deadLetter(observation: Observation, reason: string): void;
  /**
   * Takes the network's place for what this receiver asks (`createHttpClient`), in `sojourn test`. Read in `create`: who reads
   * it can be mocked there, and needs neither credentials nor certificates from files while it is there.
   */
  readonly transport?: Transport | undefined;
}

/** What to do with an observation that a component cannot handle. */
export type OnError = "drop" | "pass" | "dead_letter";

export interface ProcessorContext extends Context {
  /** The resources of a type. The same for every component of that type, whatever the configuration. */
  tracker(type: string, attributes: readonly string[]): Tracker;
  /** Counts the failure and keeps the observation (redacted, bounded) where `onError` says; true when it goes on. */
  failed(observation: Observation, reason: string, onError: OnError): boolean;
  /** Counts observations that this component dropped on purpose, or marked, by reason. */
  counted(reason: string): void;
}

export interface ExporterContext extends Context {
  readonly listeners: Listeners;
  /** Reads the whole metric store, as OpenTelemetry's MetricProducer. */
  readonly producer: unknown;
  /** Labels that name this agent among others (`service.external_labels`). */
  readonly externalLabels: Readonly<Record<string, string>>;
}

export interface Receiver extends Lifecycle {
  /**
   * Set when others may read what it reads, now they and now it: then no `track` may follow, since the state of what it reads is in
   * this agent's store only. `pointer`: the key that says so; `reason`: what to set instead. Read when the graph is planned.
   */
  readonly untrackable?: { readonly pointer: string; readonly reason: string };
}

export interface Processor extends Lifecycle {
  /**
   * Synchronous. Calls `next` for each observation that goes on: itself, a changed copy, or none. Never changes its input,
   * never throws for one observation's sake (`context.failed`). What must survive lives in the store.
   */
  process(observation: Observation, next: (observation: Observation) => void): void;
  /** What it adds to the whole: read when the graph is planned. */
  readonly declares?: Declarations;
}

/** One attempt each. Queueing, retries, timeouts and counting belong to the pipeline. */
export interface Exporter extends Lifecycle {
  /** Present when it takes observations. They are copies: keeping them is allowed. */
  export?(batch: Batch, signal: AbortSignal): Promise<void>;
  /**
   * `export` gets not what flows through its pipelines, but what happened to the resources of the types that they track,
   * whichever pipeline told of it: an observation for each that began, left or ended something (`observation.lifecycle`),
   * without body and attributes, once for each change that was committed.
   */
  readonly takesLifecycles?: boolean;
  /**
   * `export` also gets what could not be handled or delivered, by whatever component of the agent: an observation each, with
   * `deadLetter`, its content as body and the component as source. `only`: nothing else. What fails at this very exporter is left out.
   */
  readonly takesDeadLetters?: "too" | "only";
  /** The spans that `export` would send for them; pure. Shown by `sojourn test`. */
  renderSpans?(batch: Batch): readonly LifecycleSpan[];
  /**
   * The destination takes several notifications with one dedup key for one incident: then several may be under way at once.
   * Otherwise one follows the other, each only after the record of the one before is durable, so that a crash repeats one at most.
   */
  readonly deduplicates?: boolean;
  /**
   * The destination is an alert manager of its own: it groups, silences and repeats, and wants to be told again and again of
   * what fires. Then the dispatcher does none of that for it: each change goes out at once, in one notification for all that
   * changed, and everything that fires, and what was resolved less than `resolvedForMs` ago, again every `everyMs`.
   */
  readonly refreshes?: { readonly everyMs: number; readonly resolvedForMs: number };
  /** What the destination takes; beyond, alerts share messages. Default: 60 a minute, 10 at once. */
  readonly limits?: { readonly messagesPerMinute: number; readonly burst: number };
  /** Present when it takes alerts. One message for the whole notification, however many alerts it holds. */
  notify?(notification: Notification, signal: AbortSignal): Promise<Receipt>;
  /** What `notify` would send, as JSON and without secrets; pure. Shown by `sojourn test` and `notify-test --dry-run`. */
  render?(notification: Notification): Json;
}

/** The configuration's type, from its schema; defaults are filled in. */
export type ConfigOf<S> = S extends JSONSchema ? FromSchema<S> : never;

/** What a tool is told beside the component's configuration. */
export interface ToolOptions {
  /** The component's id, as configured. */
  readonly id: string;
  readonly clock: Clock;
  /** Say what would be done, and do nothing. */
  readonly dryRun: boolean;
  /** A line for whoever asked. */
  readonly say: (text: string) => void;
}

/** What an operator has done once, from the command line: `sojourn cdc drop-slot cdc/orders --config …`. No agent runs for it. */
export interface Tool<C> {
  /** One sentence. */
  readonly summary: string;
  /** Rejects with why it could not be done. */
  run(config: C, options: ToolOptions): Promise<void>;
}

/** What a component file exports. */
export interface Definition<Kind extends string, S extends { readonly type: "object" }, C, I> {
  readonly kind: Kind;
  /** Type in YAML; equals the file's name. */
  readonly type: string;
  /** One line for `sojourn components`. */
  readonly summary: string;
  readonly stability: Stability;
  /**
   * Source of validation, types, reference docs, editor help and redaction (`writeOnly`).
   * Strings may have `format: duration | size | address | glob | regex`, or the keyword `expression: [scope names]` or
   * `template: [scope names]`: checked where they are written, when the configuration is loaded.
   */
  readonly schema: S;
  /** By name: `sojourn <type> <name> <id>`. */
  readonly tools?: Readonly<Record<string, Tool<ConfigOf<S>>>>;
  /** No side effects. Throws `ConfigError` only. */
  create(config: ConfigOf<S>, context: C): I;
}

export type AnySchema = { readonly type: "object" };
export type ReceiverDefinition<S extends AnySchema = AnySchema> = Definition<"receiver", S, ReceiverContext, Receiver>;
export type ProcessorDefinition<S extends AnySchema = AnySchema> = Definition<"processor", S, ProcessorContext, Processor>;
export type ExporterDefinition<S extends AnySchema = AnySchema> = Definition<"exporter", S, ExporterContext, Exporter>;

/** A component whose schema's type is not looked at: what `components.ts` lists. */
export interface AnyDefinition {
  readonly kind: "receiver" | "processor" | "exporter";
  readonly type: string;
  readonly summary: string;
  readonly stability: Stability;
  readonly schema: AnySchema;
  readonly tools?: Readonly<Record<string, Tool<never>>>;
  create(config: never, context: never): Receiver | Processor | Exporter;
}

/** Keeps the schema's exact type, so that `create` gets an exact configuration. */
export function defineReceiver<const S extends AnySchema>(d: Omit<ReceiverDefinition<S>, "kind">): ReceiverDefinition<S> {
  return { kind: "receiver", ...d };
}

export function defineProcessor<const S extends AnySchema>(d: Omit<ProcessorDefinition<S>, "kind">): ProcessorDefinition<S> {
  return { kind: "processor", ...d };
}

export function defineExporter<const S extends AnySchema>(d: Omit<ExporterDefinition<S>, "kind">): ExporterDefinition<S> {
  return { kind: "exporter", ...d };
}
