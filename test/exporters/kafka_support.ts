import type { TestContext } from "node:test";
import { kafka } from "../../exporters/kafka.ts";
import type { Notification } from "../../src/sdk/alert.ts";
import { realClock } from "../../src/sdk/clock.ts";
import type { Exporter } from "../../src/sdk/component.ts";
import { PermanentError } from "../../src/sdk/errors.ts";
import { bodyOf, type Batch, type Json, type Observation } from "../../src/sdk/observation.ts";
import type { LifecycleChange } from "../../src/sdk/resource.ts";
import { configured } from "../support/configured.ts";
import { exporterContext, type Recorded } from "../support/context.ts";
import type { Kafka } from "../support/kafka.ts";
import { pause } from "../support/waiting.ts";

export interface SetUp {
  readonly exporter: Exporter;
  readonly recorded: Recorded;
  /** One attempt. */
  export(batch: Batch): Promise<void>;
  notify(notification: Notification): Promise<unknown>;
  /** As the pipeline does: again and again, until it is taken or refused. Gives how many attempts it took. */
  untilTaken(batch: Batch): Promise<number>;
}

export function kafkaExporter(t: TestContext, config: object): SetUp {
  const { context, recorded } = exporterContext({ clock: realClock, id: "kafka/shop", externalLabels: { cluster: "eu-1" } });
  const exporter = kafka.create(configured(kafka.schema, { timeout: "2s", ...config }), context);
  t.after(() => exporter.stop!());
  const send = (batch: Batch): Promise<void> => soon(() => exporter.export!(batch, AbortSignal.timeout(15_000)));
  return {
    exporter, recorded, export: send,
    notify: (notification) => soon(() => exporter.notify!(notification, AbortSignal.timeout(15_000))),
    async untilTaken(batch) {
      for (let attempts = 1; ; attempts++) {
        try {
          await send(batch);
          return attempts;
        } catch (error) {
          if (error instanceof PermanentError || attempts > 500) throw error;
          await pause(20);
        }
      }
    },
  };
}

/** A broker that has just started has no identities to give away yet. */
async function soon<T>(attempt: () => Promise<T>): Promise<T> {
  for (let turn = 0; ; turn++) {
    try {
      return await attempt();
    } catch (error) {
      if (turn > 100 || !/coordinator is loading/.test(String(error))) throw error;
      await pause(20);
    }
  }
}

const AT = Date.UTC(2026, 0, 1);

/** An order that moved, as an exporter of lifecycles gets it. */
export function moved(id: string, from: string, to: string, more: Partial<LifecycleChange> = {}, traceparent?: string): Observation {
  return {
    body: bodyOf(null), attributes: {}, time: AT, source: "feed", id: `${id}-${from}-${to}`, traceparent, snapshot: false, self: undefined, transition: undefined,
    lifecycle: {
      type: "order", id, ended: undefined, began: undefined,
      left: { incarnation: 1, state: from, since: AT, at: AT + 1_500, to },
      ...more,
    },
  };
}

/** An observation of an order, as it flows. */
export function seen(id: string, body: Json): Observation {
  const self = { type: "order", id, state: "paid", since: AT, first_seen: AT, last_seen: AT, incarnation: 1, attribute: () => undefined };
  return {
    body: bodyOf(body), attributes: { "url.full": "http://shop" }, time: AT, source: "feed", id: undefined, traceparent: undefined, snapshot: false, self,
    transition: { from: "new", to: "paid", at: AT, duration: 2_000 },
  };
}

/** All that is in a topic of transitions, in order: the states that each resource went to. */
export async function movesIn(server: Kafka, topic: string): Promise<Map<string, string[]>> {
  const all = new Map<string, string[]>();
  for (const { key, value } of await server.read(topic)) {
    const { to } = JSON.parse(value!) as { readonly to: string };
    all.set(key!, [...(all.get(key!) ?? []), to]);
  }
  return all;
}
