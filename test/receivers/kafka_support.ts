import { kafka } from "../../receivers/kafka.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import { realClock } from "../../src/sdk/clock.ts";
import type { ConfigOf } from "../../src/sdk/component.ts";
import { wholeBody, type Batch, type Json, type Observation } from "../../src/sdk/observation.ts";
import { receiverContext, type Recorded } from "../support/context.ts";
import type { Kafka } from "../support/kafka.ts";
import { until } from "../support/waiting.ts";

export type Config = ConfigOf<typeof kafka.schema>;

/** A configuration with its defaults, and with the intervals of a test. */
export function config(cluster: Pick<Kafka, "bootstrap">, topics: string | readonly string[], parts: Partial<Config> = {}): Config {
  return {
    brokers: [...cluster.bootstrap], topics: [topics].flat() as string[], partitions: "all", client_id: "sojourn", initial_offset: "earliest",
    on_offset_expired: "earliest", encoding: "json", flattened: false, on_error: "dead_letter", isolation_level: "read_committed", max_poll_records: 5_000,
    fetch_min_bytes: "1B", fetch_max_wait: "100ms", fetch_max_bytes: "16MiB", max_partition_fetch_bytes: "1MiB", max_message_size: "4MiB",
    metadata_interval: "300ms", failing_after: "30s", request_timeout: "10s", session_timeout: "6s", heartbeat_interval: "200ms", ...parts,
  } as Config;
}

export interface Consuming extends AsyncDisposable {
  readonly recorded: Recorded;
  readonly metrics: ReturnType<typeof createMetrics>;
  observations(): Observation[];
  bodies(): Json[];
  /** The last position that was emitted, as it would come out of the store. */
  position(): Json;
  /** Waits until so many were emitted. */
  count(n: number): Promise<void>;
  stop(): Promise<void>;
}

/** Runs a kafka receiver. */
export async function consuming(
  wanted: Config, position?: Json,
  parts: { readonly id?: string; readonly emit?: (batch: Batch, position: Json | undefined) => Promise<void> } = {},
): Promise<Consuming> {
  const metrics = createMetrics(realClock);
  const { context, recorded } = receiverContext({
    id: parts.id ?? "kafka/test", clock: realClock, metrics,
    ...(position === undefined ? {} : { position }), ...(parts.emit === undefined ? {} : { emit: parts.emit }),
  });
  const receiver = kafka.create(wanted as never, context);
  await receiver.start!();
  const observations = (): Observation[] => recorded.emitted.flatMap(({ batch }) => batch);
  let count = 0;
  let looked = 0;
  return {
    recorded, metrics, observations,
    bodies: () => observations().map(({ body }) => wholeBody(body)),
    position: () => JSON.parse(JSON.stringify(recorded.emitted.at(-1)?.position ?? null)) as Json,
    count: (n) => until(`${n} messages`, () => {
      for (; looked < recorded.emitted.length; looked++) count += recorded.emitted[looked]!.batch.length;
      return count >= n;
    }),
    stop: () => receiver.stop!(),
    [Symbol.asyncDispose]: () => receiver.stop!(),
  };
}
