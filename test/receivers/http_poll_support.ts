import { httpPoll } from "../../receivers/http_poll.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { wholeBody, type Json } from "../../src/sdk/observation.ts";
import { configured } from "../support/configured.ts";
import { receiverContext, type Parts, type Recorded } from "../support/context.ts";

export interface Polling extends AsyncDisposable {
  readonly recorded: Recorded;
  readonly metrics: ReturnType<typeof createMetrics>;
  /** Bodies emitted so far. */
  bodies(): Json[];
  /** Value of a family's one series for the target, or the sum over several. */
  metric(name: string, label?: string): number | undefined;
  stop(): Promise<void>;
}

/** Runs an http_poll on real sockets, without jitter. */
export async function polling(config: object, parts: Partial<Parts> = {}): Promise<Polling> {
  const metrics = createMetrics();
  const { context, recorded } = receiverContext({ clock: realClock, id: "http_poll/test", metrics, ...parts });
  const receiver = httpPoll.create(configured(httpPoll.schema, { jitter: "0", ...config }), context);
  await receiver.start!();
  return {
    recorded,
    metrics,
    bodies: () => recorded.emitted.flatMap(({ batch }) => batch.map(({ body }) => wholeBody(body))),
    metric(name, label) {
      const family = metrics.read().find((reading) => reading.name === name);
      const found = [...family?.series ?? []].filter((series) => label === undefined || series.labels.includes(label));
      return found.length === 0 ? undefined : (found[0] as unknown as { value: number }).value;
    },
    stop: () => receiver.stop!(),
    [Symbol.asyncDispose]: () => receiver.stop!(),
  };
}

export const targetsIn = (recorded: Recorded): Record<string, Json>[] =>
  (recorded.describe!() as { targets: Record<string, Json>[] }).targets;
