import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { RetryLaterError } from "../../src/sdk/errors.ts";
import { alertOf, notificationOf, resolvedOf } from "../support/alert.ts";
import { KAFKA_PASSWORD, KAFKA_USER } from "../support/kafka_security.ts";
import { startKafka } from "../support/kafka.ts";
import { kafkaExporter, moved, movesIn } from "./kafka_support.ts";

test("leaders move to another broker: order is kept and nothing is lost or written twice", async (t) => {
  await using server = await startKafka(t, { brokers: 3 });
  if (server === undefined) return;
  await server.createTopic("moves", { partitions: 3, replication: 3, settings: { "min.insync.replicas": "2" } });
  const { untilTaken } = kafkaExporter(t, { brokers: server.bootstrap, transitions: { topic: "moves" }, timeout: "1s" });
  const ids = Array.from({ length: 30 }, (_, n) => `o${n}`);
  const leader = await server.leaderOf("moves", 0);
  for (let step = 0; step < 30; step++) {
    const sending = untilTaken(ids.map((id) => moved(id, `s${step}`, `s${step + 1}`)));
    if (step === 5) await server.broker(leader).kill();
    if (step === 15) await server.broker(leader).start();
    await sending;
  }
  const all = await movesIn(server, "moves");
  for (const id of ids) assert.deepEqual(all.get(`order/${id}`), Array.from({ length: 30 }, (_, n) => `s${n + 1}`), id);
});

test("alerts wait while the login is refused, and go when the password's file is mended; it is in no message", async (t) => {
  await using server = await startKafka(t, { sasl: "SCRAM-SHA-256", tls: "mutual" });
  if (server === undefined) return;
  await server.createTopic("alerts");
  const folder = await mkdtemp(join(tmpdir(), "sojourn-kafka-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "password");
  await writeFile(file, "planted-wrong-secret");
  const { ca, cert, key } = server.certificates!;
  const { notify } = kafkaExporter(t, {
    brokers: server.bootstrap, alerts: { topic: "alerts" }, tls: { ca_file: ca, cert_file: cert, key_file: key },
    sasl: { mechanism: "SCRAM-SHA-256", username: KAFKA_USER, password_file: file },
  });
  const [fires, over] = [notificationOf(alertOf()), { ...notificationOf(resolvedOf()), id: "n2" }];
  for (let turn = 0; turn < 2; turn++) {
    await assert.rejects(notify(fires), (error: unknown) => (
      error instanceof RetryLaterError && /SASL authentication failed/.test(error.message) && !error.message.includes("planted")
    ));
  }
  await writeFile(file, KAFKA_PASSWORD);
  await notify(fires);
  await notify(over);
  const stored = await server.read("alerts");
  assert.deepEqual(stored.map(({ key: of, value }) => [of, (JSON.parse(value!) as { status: string }).status]), [
    [fires.key, "firing"], [fires.key, "resolved"],
  ]);
});
