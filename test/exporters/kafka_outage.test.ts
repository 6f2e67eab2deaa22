import assert from "node:assert/strict";
import { createServer, type AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { alertOf, notificationOf } from "../support/alert.ts";
import { sharedKafka } from "../support/kafka.ts";
import { pause, until } from "../support/waiting.ts";
import { kafkaExporter, moved, movesIn, seen } from "./kafka_support.ts";

const kafka = sharedKafka({ own: true });

test("a request whose answer came too late is not written twice, nor is what was cut off by a kill", async (t) => {
  const server = await kafka(t);
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
  await untilTaken(late);

  // Killed wherever it is; whatever comes next fails, since nobody is there.
  const cut = batch(2);
  const first = send(cut).then(() => "taken", () => "failed");
  await server.broker(1).kill();
  await first;
  await assert.rejects(send(batch(99)));
  await Promise.all([server.broker(1).start(), untilTaken(cut)]);
  await untilTaken(batch(3));

  const all = await movesIn(server, "moves");
  const expected = ["s1", "s2", "s3", "s4"];
  for (const id of ids) assert.deepEqual(all.get(`order/${id}`)?.filter((to) => to !== "s100"), expected, id);
});

test("an exporter whose broker hangs stops at once, also with more on its way than a socket holds", async (t) => {
  const server = await kafka(t);
  if (server === undefined) return;
  await server.createTopic("seen");
  const { exporter, untilTaken, export: send } = kafkaExporter(t, {
    brokers: server.bootstrap, observations: { topic: "seen", encoding: "raw" }, producer: { max_request_size: "64MiB" }, timeout: "10s",
  });
  await untilTaken([seen("o1", "small")]);
  server.broker(1).freeze();
  const sending = send(Array.from({ length: 40 }, (_, n) => seen("o1", `${n}`.padEnd(1_000_000, "x"))));
  const failed = assert.rejects(sending);
  await pause(300);
  const begin = performance.now();
  await exporter.stop!();
  await failed;
  assert.ok(performance.now() - begin < 2_000, `it took ${performance.now() - begin} ms`);
});

/** Refuses every login, and resets the connection when the client takes its leave. */
async function inhospitable(t: TestContext): Promise<{ readonly address: string; readonly resets: () => number }> {
  let resets = 0;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (request) => {
      const key = request.readInt16BE(4);
      // ApiVersions: none; SaslHandshake: UNSUPPORTED_SASL_MECHANISM. https://kafka.apache.org/protocol
      const body = key === 18 ? [0, 0, 0, 0, 0, 0, 0, 0, 0, 0] : [0, 33, 0, 0, 0, 0];
      const answer = Buffer.concat([Buffer.alloc(4), request.subarray(8, 12), Buffer.from(body)]);
      answer.writeInt32BE(answer.length - 4);
      socket.write(answer);
    });
    socket.on("end", () => {
      resets++;
      socket.resetAndDestroy();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, resets: () => resets };
}

test("a broker that refuses a login and resets the connection afterwards brings nothing down", async (t) => {
  const { address, resets } = await inhospitable(t);
  const { notify } = kafkaExporter(t, {
    brokers: [address], alerts: { topic: "alerts" }, sasl: { mechanism: "PLAIN", username: "u", password: "planted-secret" }, timeout: "500ms",
  });
  const uncaught: unknown[] = [];
  const note = (error: unknown): void => void uncaught.push(error);
  process.on("uncaughtException", note);
  t.after(() => process.off("uncaughtException", note));
  for (let turn = 0; turn < 3; turn++) {
    await assert.rejects(notify(notificationOf(alertOf())), (error: Error) => /SASL/.test(error.message) && !error.message.includes("planted"));
  }
  await until("connections reset", () => resets() >= 3);
  await pause(100);
  assert.deepEqual(uncaught, []);
});
