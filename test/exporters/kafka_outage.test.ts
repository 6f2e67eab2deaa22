import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { RetryLaterError } from "../../src/sdk/errors.ts";
import { alertOf, notificationOf, resolvedOf } from "../support/alert.ts";
import { KAFKA_PASSWORD, KAFKA_USER } from "../support/kafka_security.ts";
import { startKafka, type Kafka } from "../support/kafka.ts";
import { kafkaExporter, moved } from "./kafka_support.ts";

const stepOf = (value: string | null): string => (JSON.parse(value!) as { to: string }).to;

/** All that is in the topic, by resource: the states that it went to. */
async function told(server: Kafka, topic: string): Promise<Map<string, string[]>> {
  const all = new Map<string, string[]>();
  for (const { key, value } of await server.read(topic)) all.set(key!, [...(all.get(key!) ?? []), stepOf(value)]);
  return all;
}

test("a request whose answer came too late is not written twice, nor is what was cut off by a kill", async (t) => {
  await using server = await startKafka(t, { own: true });
  if (server === undefined) return;
  await server.createTopic("moves", { partitions: 3 });
  const { untilTaken, export: send } = kafkaExporter(t, { brokers: server.bootstrap, transitions: { topic: "moves" }, timeout: "400ms" });
  const ids = Array.from({ length: 10 }, (_, n) => `o${n}`);
  const batch = (step: number): ReturnType<typeof moved>[] => ids.map((id) => moved(id, `s${step}`, `s${step + 1}`));
  await untilTaken(batch(0));

  // It lies in the broker's socket, which reads it once it wakes up: written, while the attempt has failed long ago.
  const late = batch(1);
  server.broker(1).freeze();
  await assert.rejects(send(late), /timed out|closed/i);
  server.broker(1).thaw();
  assert.ok((await untilTaken(late)) >= 1);

  // Killed wherever it is, twice; the first attempt after it fails, since nobody is there.
  for (const step of [2, 3]) {
    const cut = batch(step);
    const first = send(cut).then(() => "taken", () => "failed");
    await server.broker(1).kill();
    await first;
    await assert.rejects(send(batch(99)));
    const [, attempts] = await Promise.all([server.broker(1).start(), untilTaken(cut)]);
    assert.ok(attempts >= 1);
  }
  await untilTaken(batch(4));

  const all = await told(server, "moves");
  const expected = ["s1", "s2", "s3", "s4", "s5"];
  for (const id of ids) assert.deepEqual(all.get(`order/${id}`)?.filter((to) => to !== "s100"), expected, id);
});

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
  const all = await told(server, "moves");
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
