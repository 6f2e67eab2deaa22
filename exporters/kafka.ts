import { defineExporter } from "../src/sdk/component.ts";
import { durationMs } from "../src/sdk/duration.ts";
import { ConfigError, PermanentError } from "../src/sdk/errors.ts";
import { checkKafkaClient } from "../src/sdk/kafka_client.ts";
import type { Batch, Observation } from "../src/sdk/observation.ts";
import { sizeBytes } from "../src/sdk/size.ts";
import { alertMessages, deadLetterMessage, observationMessage, transitionMessage } from "./kafka/messages.ts";
import type { OutgoingMessage } from "./kafka/parcels.ts";
import { createProducer, wasSent, type Shipment } from "./kafka/producer.ts";
import { kafkaExporterSchema } from "./kafka/schema.ts";

/** Below what the pipeline gives an attempt, so that it ends by itself. */
const TIMEOUT_MS_MAX = 10_000;
/** Notifications of which nobody knows whether they were written; of more than these, one that is sent again may come twice. */
const UNFINISHED_MAX = 1_000;

/**
 * Writes alerts, transitions or observations, and dead letters, to topics of Kafka. Keys keep their order, and an attempt that is repeated, because an
 * answer was lost or a broker killed, writes nothing twice while the agent lives: the broker knows it by its sequence. A crash of
 * the agent may repeat what was under way; alerts have `notification_id` and `dedup_key` to be told by.
 *
 * A topic that is not there, a login or a permission that is refused is for somebody to mend: it waits. A message that is too large
 * is refused, reported and does not hold up the others.
 * https://kafka.apache.org/documentation/#producerconfigs_enable.idempotence
 */
export const kafka = defineExporter({
  type: "kafka",
  summary: "Writes alerts, transitions or observations, and dead letters, to topics of Kafka, in order for each key and without duplicates.",
  stability: "beta",
  schema: kafkaExporterSchema,
  create(config, context) {
    checkKafkaClient(config);
    const { alerts, transitions, observations, dead_letters: deadLetters, producer: how } = config;
    const flowing = transitions ?? observations;
    if ((alerts ?? flowing ?? deadLetters) === undefined) {
      throw new ConfigError("", "sends nothing: give `alerts`, `transitions`, `observations` or `dead_letters` with its topic");
    }
    if (transitions !== undefined && observations !== undefined) {
      throw new ConfigError("/observations", "one exporter sends either transitions or observations; use two, kafka/transitions and kafka/observations");
    }
    const requestBytesMax = sizeBytes(how.max_request_size);
    if (requestBytesMax < 1_024) throw new ConfigError("/producer/max_request_size", "must be at least 1KiB");
    const timeoutMs = durationMs(config.timeout);
    if (timeoutMs <= 0 || timeoutMs > TIMEOUT_MS_MAX) throw new ConfigError("/timeout", "must be longer than 0 and at most 10s");
    const producer = createProducer({
      config, timeoutMs, requestBytesMax, compression: how.compression, clock: context.clock, onRefused: (error) => context.report(error),
    });
    const batches = new WeakMap<Batch, Shipment>();
    const notifications = new Map<string, Shipment>();

    function messageOf(one: Observation): OutgoingMessage | undefined {
      if (one.deadLetter !== undefined) return deadLetters === undefined ? undefined : deadLetterMessage(one, deadLetters.topic);
      if (observations !== undefined) return observationMessage(one, observations.topic, observations.encoding);
      return transitions === undefined ? undefined : transitionMessage(one, transitions.topic, context.externalLabels);
    }

    return {
      deduplicates: true,
      limits: { messagesPerMinute: 60_000, burst: 5_000 },
      ...(transitions === undefined ? {} : { takesLifecycles: true }),
      ...(deadLetters === undefined ? {} : { takesDeadLetters: flowing === undefined ? "only" as const : "too" as const }),
      ...((flowing ?? deadLetters) === undefined
        ? {}
        : {
          // An attempt that is repeated comes with the same batch, and goes on with what it has sent.
          async export(batch: Batch) {
            let shipment = batches.get(batch);
            if (shipment === undefined) batches.set(batch, (shipment = { parcels: undefined, messages: batch.flatMap((one) => messageOf(one) ?? []) }));
            await producer.deliver(shipment);
          },
        }),
      ...(alerts === undefined
        ? {}
        : {
          async notify(notification) {
            const { id } = notification;
            const shipment = notifications.get(id) ?? { parcels: undefined, messages: alertMessages(notification, alerts.topic) };
            notifications.set(id, shipment);
            if (notifications.size > UNFINISHED_MAX) notifications.delete(notifications.keys().next().value!);
            let unfinished = false;
            try {
              await producer.deliver(shipment);
            } catch (error) {
              unfinished = !(error instanceof PermanentError) && wasSent(shipment);
              throw error;
            } finally {
              if (!unfinished) notifications.delete(id);
            }
            return undefined;
          },
          render: (notification) => alertMessages(notification, alerts.topic).map(({ topic, key, headers, value }) => (
            { topic, key: key!, headers, value: JSON.parse(value) as string }
          )),
        }),
      stop: () => producer.close(),
    };
  },
});
