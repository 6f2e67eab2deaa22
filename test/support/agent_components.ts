import { otlp } from "../../exporters/otlp.ts";
import { threshold } from "../../processors/threshold.ts";
import { track } from "../../processors/track.ts";
import type { Alert, Notification } from "../../src/sdk/alert.ts";
import { defineExporter, defineProcessor, defineReceiver, type AnyDefinition, type Context } from "../../src/sdk/component.ts";
import { expectEverySchema } from "../../src/sdk/expect_every.ts";
import { notificationOptions } from "../../src/sdk/notification_options.ts";
import type { Observation } from "../../src/sdk/observation.ts";
import { sendingQueueSchema } from "../../src/sdk/sending_queue.ts";

/** What a destination does with what it is given. Both default to taking it at once. */
export interface Destinations {
  /** Throws, or gives a promise that does or hangs. Called with every attempt, before it is recorded as taken. */
  notify: (exporter: string, notification: Notification, signal: AbortSignal) => unknown;
  export: (exporter: string, batch: readonly Observation[], signal: AbortSignal) => unknown;
}

/** `FIRING OrderStuck o1`, `RESOLVED OrderStuck o1 recovered`. */
export function line({ status, alert, resource, reason }: Alert): string {
  return status === "firing" ? `FIRING ${alert} ${resource.id}` : `RESOLVED ${alert} ${resource.id} ${reason}`;
}

/** Where the components write down what happens to them. */
export interface Seen {
  readonly contexts: Map<string, Context>;
  readonly sent: string[];
  readonly notifications: { exporter: string; notification: Notification }[];
  readonly exported: { exporter: string; observation: Observation }[];
  readonly lifecycle: string[];
  readonly destinations: Destinations;
}

/** Components of a test beside the real processors: receivers are `feed`, exporters `recorder` (alerts) and `sink` (observations). */
export function definitionsOf({ contexts, sent, notifications, exported, lifecycle, destinations }: Seen): AnyDefinition[] {
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
