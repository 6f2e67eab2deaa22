import { startKafka, type Kafka } from "../../test/support/kafka.ts";
import { say } from "./demo.ts";

/**
 * A Kafka for a demo: the one that KAFKA_BROKERS names, else one of its own, which Java runs and which is gone afterwards. Says in one
 * line what is missing where there is none. The agent.yaml of the example finds it by KAFKA_BROKERS.
 */
export async function demoKafka(): Promise<Kafka> {
  const own = (process.env["KAFKA_BROKERS"] ?? "") === "";
  if (own) say("starting a Kafka (the first time Maven fetches it); KAFKA_BROKERS=host:9092 takes yours instead");
  try {
    const kafka = (await startKafka())!;
    process.env["KAFKA_BROKERS"] = kafka.bootstrap.join(",");
    return kafka;
  } catch (error) {
    say(`no Kafka: ${(error as Error).message.split("\n", 1)[0]}`);
    process.exit(1);
  }
}
