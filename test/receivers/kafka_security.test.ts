import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { kafka as receiver } from "../../receivers/kafka.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { ConfigError } from "../../src/sdk/errors.ts";
import { receiverContext } from "../support/context.ts";
import { sharedKafka, type Kafka } from "../support/kafka.ts";
import { KAFKA_PASSWORD, KAFKA_USER, unsecuredToken } from "../support/kafka_security.ts";
import { until } from "../support/waiting.ts";
import { config, consuming, type Config } from "./kafka_support.ts";

const encrypted = sharedKafka({ sasl: "SCRAM-SHA-512", tls: "server" });
const plain = sharedKafka({ sasl: "PLAIN" });
const bearer = sharedKafka({ sasl: "OAUTHBEARER" });

/** Reads a message by this configuration. */
async function reads(cluster: Kafka, topic: string, parts: Partial<Config>): Promise<void> {
  await cluster.createTopic(topic);
  await cluster.produce(topic, [{ value: "1" }]);
  await using running = await consuming(config(cluster, topic, { group_id: `${topic}-group`, ...parts }));
  await running.count(1);
  assert.deepEqual(running.recorded.reports, []);
}

test("SCRAM over TLS, the password in a file; a wrong one is said without being shown, and the right one is taken up", async (t) => {
  const cluster = await encrypted(t);
  if (cluster === undefined) return;
  const folder = await mkdtemp(join(tmpdir(), "kafka-secret-"));
  const file = join(folder, "password");
  try {
    await writeFile(file, `${KAFKA_PASSWORD}\n`);
    const sasl = { mechanism: "SCRAM-SHA-512" as const, username: KAFKA_USER, password_file: file };
    const tls = { ca_file: cluster.certificates!.ca, insecure_skip_verify: false };
    await reads(cluster, "scram", { sasl, tls });
    await writeFile(file, "not the passw0rd");
    await using running = await consuming(config(cluster, "scram", { sasl, tls }));
    await until("it is said", () => running.recorded.reports.length > 0);
    assert.match(running.recorded.reports[0]!, /SASL/);
    assert.ok(running.recorded.reports.every((report) => !report.includes("passw0rd")));
    await writeFile(file, KAFKA_PASSWORD);
    await running.count(1);
    await using untrusted = await consuming(config(cluster, "scram", { sasl, tls: { insecure_skip_verify: false } }));
    await until("it is said", () => untrusted.recorded.reports.length > 0);
    assert.match(untrusted.recorded.reports[0]!, /certificate/);
    assert.equal(untrusted.observations().length, 0);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("SASL PLAIN, in a group as well", async (t) => {
  const cluster = await plain(t);
  if (cluster === undefined) return;
  const sasl = { mechanism: "PLAIN" as const, username: KAFKA_USER, password: KAFKA_PASSWORD };
  await reads(cluster, "plain", { sasl });
  await reads(cluster, "plain-group", { sasl, partitions: "group" });
});

test("SASL OAUTHBEARER", async (t) => {
  const cluster = await bearer(t);
  if (cluster === undefined) return;
  await reads(cluster, "bearer", { sasl: { mechanism: "OAUTHBEARER", token: unsecuredToken() } });
});

test("what cannot work is a configuration error, at its place", () => {
  const wrong = (parts: Partial<Config>): string => {
    try {
      receiver.create(config({ bootstrap: ["127.0.0.1:9"] }, "t", parts) as never, receiverContext({ clock: realClock }).context);
    } catch (error) {
      assert.ok(error instanceof ConfigError, String(error));
      return error.pointer;
    }
    return "nothing";
  };
  assert.deepEqual([
    wrong({ brokers: ["a b"] }), wrong({ topics: ["/(/"] }), wrong({ initial_offset: "yesterday" }), wrong({ partitions: "group" }),
    wrong({ group_instance_id: "a" }), wrong({ encoding: "avro" }), wrong({ flattened: true }), wrong({ encoding: "raw", schema_registry: { url: "http://a" } }),
    wrong({ schema_registry: { url: "ftp://a" } }), wrong({ schema_registry: { url: "http://a", auth: {} } }), wrong({ request_timeout: "50ms" }),
    wrong({ partitions: "group", group_id: "g", heartbeat_interval: "10s" }), wrong({ fetch_max_wait: "30s", request_timeout: "1m" }), wrong({}),
  ], [
    "/brokers/0", "/topics/0", "/initial_offset", "/group_id", "/group_instance_id", "/schema_registry", "/flattened", "/schema_registry",
    "/schema_registry/url", "/schema_registry/auth", "/request_timeout", "/heartbeat_interval", "/fetch_max_wait", "nothing",
  ]);
});
