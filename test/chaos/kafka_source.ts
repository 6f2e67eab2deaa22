import { startKafka } from "../support/kafka.ts";
import { pause } from "../support/waiting.ts";
import type { MakeSource } from "./source.ts";
import { event, seeded, Truth } from "./truth.ts";

const TOPIC = "order_events";

/**
 * Events in a topic of three partitions, by order. The broker is killed and started again, or hangs for a while; whoever writes tries
 * until it has an answer, and now and then writes once more what was taken.
 */
export const kafkaSource: MakeSource = async ({ seed }) => {
  const kafka = (await startKafka(undefined, { own: true }))!;
  await kafka.createTopic(TOPIC, { partitions: 3 });
  const truth = new Truth("K", seeded(seed + 7));
  const random = seeded(seed + 8);

  /** Gives how often it had to be tried again. */
  async function write(messages: readonly { readonly key: string; readonly value: string }[]): Promise<number> {
    for (let attempt = 0; ; attempt++) {
      try {
        await kafka.produce(TOPIC, messages);
        return attempt;
      } catch (error) {
        if (attempt > 20) throw error;
        await pause(200);
      }
    }
  }

  return {
    type: "streamed",
    truth,
    receiver: `kafka/orders: { brokers: ["${kafka.bootstrap.join(",")}"], topics: [${TOPIC}], initial_offset: earliest, group_id: chaos }`,
    order: "body",
    async run(ended) {
      let repeats = 0;
      while (!ended()) {
        const messages = Array.from({ length: 1 + Math.floor(random() * 20) }, () => {
          const { order } = truth.step();
          return { key: order.id, value: event(order) };
        });
        repeats += await write(messages);
        if (random() < 0.05) repeats += 1 + await write(messages);
        await pause(random() * 60);
      }
      return repeats;
    },
    async trouble(chance) {
      const broker = kafka.broker(1);
      if (chance() < 0.5) {
        await broker.kill();
        await broker.start();
      } else {
        broker.freeze();
        await pause(500 + chance() * 1_500);
        broker.thaw();
      }
    },
    close: async () => kafka[Symbol.asyncDispose](),
  };
};
