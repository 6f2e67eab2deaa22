import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ConfigError } from "../../src/sdk/errors.ts";
import { checkKafkaClient, kafkaClientOptions, kafkaFailure, type KafkaClientConfig } from "../../src/sdk/kafka_client.ts";
import { KAFKA_PASSWORD, KAFKA_USER } from "../support/kafka_security.ts";
import { startKafka } from "../support/kafka.ts";

const config = (more: Partial<KafkaClientConfig>): KafkaClientConfig => ({ brokers: ["localhost"], client_id: "sojourn", ...more });

test("brokers may be a list, or one text with commas; the port is 9092 unless given", async () => {
  const { bootstrapBrokers } = await kafkaClientOptions(config({ brokers: ["kafka-1:9093, kafka-2", "[::1]:19092"] }));
  assert.deepEqual(bootstrapBrokers, [{ host: "kafka-1", port: 9_093 }, { host: "kafka-2", port: 9_092 }, { host: "::1", port: 19_092 }]);
});

test("what is no address, and a login that says too much or too little, is an error of the configuration", () => {
  const pointers = [
    config({ brokers: ["a:9092", "http://b:9092"] }), config({ brokers: ["a:0"] }), config({ brokers: ["a,,b"] }),
    config({ sasl: { mechanism: "PLAIN", password: "p" } }), config({ sasl: { mechanism: "PLAIN", username: "u" } }),
    config({ sasl: { mechanism: "PLAIN", username: "u", password: "p", password_file: "f" } }),
    config({ sasl: { mechanism: "OAUTHBEARER", username: "u", password: "p" } }),
    config({ sasl: { mechanism: "SCRAM-SHA-256", username: "u", password: "p", token: "t" } }),
  ].map((wrong) => {
    try {
      checkKafkaClient(wrong);
      return "accepted";
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      return error.pointer;
    }
  });
  assert.deepEqual(pointers, ["/brokers/1", "/brokers/0", "/brokers/0", "/sasl", "/sasl", "/sasl", "/sasl", "/sasl"]);
});

test("the name of the server is asked for, except where brokers are IP addresses", async () => {
  assert.equal((await kafkaClientOptions(config({ brokers: ["kafka:9093"], tls: {} }))).tlsServerName, true);
  assert.equal((await kafkaClientOptions(config({ brokers: ["10.0.0.1:9093"], tls: {} }))).tlsServerName, false);
  assert.equal((await kafkaClientOptions(config({ tls: { server_name: "kafka.internal" } }))).tlsServerName, "kafka.internal");
});

test("a password's file is read again for each connection; a wrong password is known as such, and not in the message", async (t) => {
  await using kafka = await startKafka(t, { sasl: "SCRAM-SHA-512", tls: "server" });
  if (kafka === undefined) return;
  const folder = await mkdtemp(join(tmpdir(), "sojourn-kafka-client-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "password");
  await writeFile(file, "wr0ng-secret\n");
  const { Admin } = await import("@platformatic/kafka");
  const options = await kafkaClientOptions(config({
    brokers: kafka.bootstrap, tls: { ca_file: kafka.certificates!.ca },
    sasl: { mechanism: "SCRAM-SHA-512", username: KAFKA_USER, password_file: file },
  }));
  await using admin = Object.assign(new Admin({ ...options, retries: 1, retryDelay: 1 }), { [Symbol.asyncDispose]: () => admin.close() });

  const failure = kafkaFailure(await admin.listTopics().then(() => assert.fail("it was let in"), (error: unknown) => error));
  assert.equal(failure.authentication, true);
  assert.match(failure.message, /127\.0\.0\.1:\d+ failed.*SASL authentication failed/);
  assert.doesNotMatch(failure.message, /wr0ng/);

  await writeFile(file, `${KAFKA_PASSWORD}\n`);
  assert.deepEqual(await admin.listTopics(), []);
});
