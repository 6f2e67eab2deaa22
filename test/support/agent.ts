import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { otlp } from "../../exporters/otlp.ts";
import { track } from "../../processors/track.ts";
import { threshold } from "../../processors/threshold.ts";
import { assemble, type Assembled } from "../../src/cli/assemble.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Wanted } from "../../src/config/model.ts";
import { problemText } from "../../src/pipeline/problems.ts";
import type { Alert, Notification } from "../../src/sdk/alert.ts";
import { defineExporter, defineProcessor, defineReceiver, type AnyDefinition, type Context, type ReceiverContext } from "../../src/sdk/component.ts";
import { notificationOptions } from "../../src/sdk/notification_options.ts";
import { observation, type Json, type Observation, type ObservationFields } from "../../src/sdk/observation.ts";
import { expectEverySchema } from "../../src/sdk/expect_every.ts";
import { sendingQueueSchema } from "../../src/sdk/sending_queue.ts";
import type { Logger } from "../../src/sdk/log.ts";
import { settled, virtualClock, type VirtualClock } from "../../src/sdk/virtual_clock.ts";
import { memoryStore, type MemoryStore } from "../../src/storage/memory_store.ts";
import { mortal } from "./mortal_clock.ts";

/** What a destination does with what it is given. Both default to taking it at once. */
export interface Destinations {
  /** Throws, or gives a promise that does or hangs. Called with every attempt, before it is recorded as taken. */
  notify: (exporter: string, notification: Notification, signal: AbortSignal) => unknown;
  export: (exporter: string, batch: readonly Observation[], signal: AbortSignal) => unknown;
}

/** An agent on virtual time, with components that do what the test says. */
export interface Harness extends AsyncDisposable {
  readonly clock: VirtualClock;
  readonly store: MemoryStore;
  readonly now: Assembled;
  /** Notifications that a destination took, in order, as `exporter: FIRING OrderStuck o1`. */
  readonly sent: string[];
  readonly notifications: { exporter: string; notification: Notification }[];
  /** Alerts that fired or ended, whether anybody was told or not, as `FIRING OrderStuck o1`. */
  readonly changes: string[];
  readonly alerts: Alert[];
  readonly exported: { exporter: string; observation: Observation }[];
  readonly destinations: Destinations;
  /** `start recorder/ops`, `stop …`, in order. */
  readonly lifecycle: string[];
  /** The context of a receiver that runs. */
  receiver(id: string): ReceiverContext;
  /** The context of any component that was created, the last of its id. */
  component(id: string): Context;
  readonly log: string[];
  /** The fields of each line of `log`, its component among them. */
  readonly logFields: object[];
  /** Emits and lets everything settle; rejects if it is not committed by then. */
  send(receiver: string, bodies: Json | readonly Json[], fields?: Partial<ObservationFields>): Promise<void>;
  advance(ms: number): Promise<void>;
  load(yaml: string): Promise<Wanted>;
  /** Another configuration; `change` may alter what was loaded. */
  reload(yaml: string, change?: (wanted: Wanted) => Wanted): Promise<void>;
  /** The process dies with all that was not committed, and comes again. */
  restart(downMs?: number, yaml?: string, change?: (wanted: Wanted) => Wanted): Promise<void>;
  stop(): Promise<void>;
}

/** Settles what is ready, timers that are due included. */
async function settle(clock: VirtualClock): Promise<void> {
  await clock.advance(0);
}

/**
 * Starts an agent on this configuration. Receivers are `feed`, exporters `recorder` (alerts) and `sink` (observations);
 * `more`: further components.
 */
export async function harness(
  yaml: string, prepare?: (parts: { store: MemoryStore; destinations: Destinations }) => void, more: readonly AnyDefinition[] = [],
): Promise<Harness> {
  const clock = virtualClock();
  const store = memoryStore();
  const folder = await mkdtemp(join(tmpdir(), "sojourn-agent-"));
  const contexts = new Map<string, Context>();
  const sent: string[] = [];
  const notifications: Harness["notifications"] = [];
  const exported: Harness["exported"] = [];
  const changes: string[] = [];
  const alerts: Alert[] = [];
  const lifecycle: string[] = [];
  const log: string[] = [];
  const logFields: object[] = [];
  const destinations: Destinations = { notify: () => undefined, export: () => undefined };
  prepare?.({ store, destinations });
  const definitions = [...definitionsOf({ contexts, sent, notifications, exported, lifecycle, destinations }), ...more];
  let text = yaml;

  async function load(of: string): Promise<Wanted> {
    const file = join(folder, "agent.yaml");
    await writeFile(file, of);
    const loaded = await loadConfig({ sources: [file], env: {}, definitions });
    if (loaded.problems.length > 0) throw new Error(loaded.problems.map(problemText).join("\n"));
    return loaded.wanted;
  }

  interface Life { readonly parts: Assembled; alive: boolean }
  function begin(wanted: Wanted): Life {
    const timers = mortal(clock, () => life.alive);
    const observeAlert = (alert: Alert): void => {
      alerts.push(alert);
      changes.push(line(alert));
    };
    const parts = assemble({ definitions, clock: timers, store, log: logTo(log, logFields), service: wanted.service, observeAlert });
    const life: Life = { parts, alive: true };
    return life;
  }

  let wanted = await load(text);
  let life = begin(wanted);
  await life.parts.agent.start(wanted);
  await settle(clock);

  const made: Harness = {
    clock, store, sent, notifications, changes, alerts, exported, destinations, lifecycle, log, logFields, load,
    get now() {
      return life.parts;
    },
    receiver: (id) => contexts.get(id) as ReceiverContext,
    component: (id) => contexts.get(id)!,
    async send(receiver, bodies, fields = {}) {
      const list = Array.isArray(bodies) ? (bodies as readonly Json[]) : [bodies as Json];
      const emitted = life.parts.agent.emit(receiver, list.map((body) => observation(body, { source: receiver, time: clock.now(), ...fields })));
      let done = false;
      emitted.then(() => (done = true), () => (done = true));
      await settle(clock);
      if (!done) throw new Error("not committed");
      await emitted;
    },
    advance: (ms) => clock.advance(ms),
    async reload(next, change = (same) => same) {
      text = next;
      wanted = change(await load(next));
      const reloaded = life.parts.agent.reload(wanted);
      reloaded.catch(() => {});
      await settle(clock);
      await reloaded;
      await settle(clock);
    },
    async restart(downMs = 0, next = text, change = (same) => same) {
      life.alive = false;
      store.crash();
      await settled();
      clock.jump(downMs);
      text = next;
      wanted = change(await load(next));
      life = begin(wanted);
      await life.parts.agent.start(wanted);
      await settle(clock);
    },
    async stop() {
      let done = false;
      const stopped = life.parts.agent.stop().then(() => (done = true));
      for (let i = 0; i < 100 && !done; i++) await clock.advance(1_000);
      await stopped;
    },
    async [Symbol.asyncDispose]() {
      await made.stop();
      await life.parts.listeners.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return made;
}

/** `FIRING OrderStuck o1`, `RESOLVED OrderStuck o1 recovered`. */
export function line({ status, alert, resource, reason }: Alert): string {
  return status === "firing" ? `FIRING ${alert} ${resource.id}` : `RESOLVED ${alert} ${resource.id} ${reason}`;
}

function logTo(lines: string[], logged: object[], bound: { readonly component?: string } = {}): Logger {
  const write = (level: string) => (fields: object, message: string) => {
    const all: { readonly component?: string } = { ...bound, ...fields };
    lines.push(`${level} ${all.component ?? "agent"}: ${message}`);
    logged.push(all);
  };
  return {
    debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error"),
    child: (fields) => logTo(lines, logged, { ...bound, ...fields }),
  };
}

type Seen = Pick<Harness, "sent" | "notifications" | "exported" | "lifecycle" | "destinations"> & { readonly contexts: Map<string, Context> };

function definitionsOf({ contexts, sent, notifications, exported, lifecycle, destinations }: Seen): AnyDefinition[] {
  const lives = (id: string, fails: boolean) => ({
    async start() {
      lifecycle.push(`start ${id}`);
      if (fails) throw new Error(`${id} cannot start`);
    },
    async stop() {
      lifecycle.push(`stop ${id}`);
    },
  });
  const fail_start = { type: "boolean", default: false, description: "It cannot start." } as const;
  const mark = { type: "string", description: "Changes the configuration, nothing else." } as const;
  const feed = defineReceiver({
    type: "feed", summary: "Emits what a test says.", stability: "stable",
    schema: {
      type: "object", additionalProperties: false,
      properties: { fail_start, mark, behind: { type: "boolean", default: false, description: "It has not caught up when it starts." }, ...expectEverySchema },
    },
    create(config, context) {
      contexts.set(context.id, context);
      const life = lives(context.id, config.fail_start);
      return {
        ...life,
        async start() {
          await life.start();
          if (!config.behind) context.caughtUp();
        },
      };
    },
  });
  const recorder = defineExporter({
    type: "recorder", summary: "Takes alerts.", stability: "stable",
    schema: {
      type: "object", additionalProperties: false,
      properties: {
        fail_start, mark, ...notificationOptions,
        deduplicates: { type: "boolean", default: true, description: "See `Exporter.deduplicates`." },
        burst: { type: "integer", default: 1_000, description: "See `Exporter.limits`." },
      },
    },
    create(config, context) {
      contexts.set(context.id, context);
      return {
        ...lives(context.id, config.fail_start),
        deduplicates: config.deduplicates,
        limits: { messagesPerMinute: 10_000, burst: config.burst },
        async notify(notification, signal) {
          await destinations.notify(context.id, notification, signal);
          notifications.push({ exporter: context.id, notification });
          for (const alert of notification.alerts) sent.push(`${context.id}: ${line(alert)}`);
          return `receipt of ${notification.id}`;
        },
      };
    },
  });
  const sink = defineExporter({
    type: "sink", summary: "Takes observations.", stability: "stable",
    schema: {
      type: "object", additionalProperties: false,
      properties: {
        fail_start, mark, sending_queue: sendingQueueSchema,
        lifecycles: { type: "boolean", default: false, description: "See `Exporter.takesLifecycles`." },
      },
    },
    create(config, context) {
      contexts.set(context.id, context);
      return {
        ...lives(context.id, config.fail_start),
        takesLifecycles: config.lifecycles,
        async export(batch, signal) {
          await destinations.export(context.id, batch, signal);
          for (const one of batch) exported.push({ exporter: context.id, observation: one });
        },
      };
    },
  });
  const pass = defineProcessor({
    type: "pass", summary: "Passes everything on, if it runs.", stability: "stable",
    schema: { type: "object", additionalProperties: false, properties: { fail_start, mark } },
    create(config, context) {
      contexts.set(context.id, context);
      const life = lives(context.id, config.fail_start);
      let running = false;
      return {
        async start() {
          await life.start();
          running = true;
        },
        process(one, next) {
          if (!running) throw new Error("a batch met a processor that does not run");
          next(one);
        },
        async stop() {
          running = false;
          await life.stop();
        },
      };
    },
  });
  return [feed, recorder, sink, pass, track, threshold, otlp];
}

/** One pipeline around a track of orders; `track` and `rules` are YAML flow text, `rest` further top-level text. */
export function orders(parts: { track?: string; rules?: string; receivers?: string; exporters?: string; processors?: string; service?: string } = {}): string {
  const { track: more = "", rules, receivers = "feed: {}", exporters = "recorder: {}", processors = "", service = "" } = parts;
  const ids = (flow: string): string => [...flow.matchAll(/(?:^|,\s*)([a-z]+(?:\/[a-z0-9]+)?):/g)].map(([, id]) => id).join(", ");
  const middle = ids(processors);
  return `
version: 1
receivers: { ${receivers} }
processors:
  ${processors === "" ? "" : processors.split("; ").join("\n  ")}
  track/order:
    type: order
    id: body.id
    state: body.status
    time: body.at
    attributes: { amount: body.amount }
    ${more.split("\n").join("\n    ")}
${rules === undefined ? "" : `  threshold/order:\n    rules: ${rules}\n`}
exporters: { ${exporters} }
service:
  ${service}
  pipelines:
    orders:
      receivers: [${ids(receivers)}]
      processors: [${[...(middle === "" ? [] : [middle]), "track/order", ...(rules === undefined ? [] : ["threshold/order"])].join(", ")}]
      exporters: [${ids(exporters)}]
`;
}
