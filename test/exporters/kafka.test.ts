import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { murmur2 } from "@platformatic/kafka";
import { kafka } from "../../exporters/kafka.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { ConfigError, messageOf, PermanentError, RetryLaterError } from "../../src/sdk/errors.ts";
import { alertOf, notificationOf, resolvedOf } from "../support/alert.ts";
import { configured } from "../support/configured.ts";
import { exporterContext } from "../support/context.ts";
import { sharedKafka, type Kafka } from "../support/kafka.ts";
import { kafkaExporter, moved, movesIn, seen } from "./kafka_support.ts";

const cluster = sharedKafka();
let topics = 0;

/** A topic of its own, in the cluster that this file shares. */
async function topicFor(t: TestContext, partitions = 1, settings: Readonly<Record<string, string>> = {}): Promise<{ server: Kafka; brokers: readonly string[]; topic: string } | undefined> {
  const server = await cluster(t);
  if (server === undefined) return undefined;
  const topic = `exported-${process.pid}-${++topics}`;
  await server.createTopic(topic, { partitions, settings });
  return { server, brokers: server.bootstrap, topic };
}

test("an alert that fires, and its end, are two messages with the key of the incident", async (t) => {
  const at = await topicFor(t, 3);
  if (at === undefined) return;
  const { notify } = kafkaExporter(t, { brokers: at.brokers, alerts: { topic: at.topic } });
  const alert = alertOf({ story: { transitions: [{ from: "new", to: "pending", at: 0, duration: 1_500 }], others: 2, url: undefined } });
  await notify({ ...notificationOf(alert), id: "n-1" });
  await notify({ ...notificationOf(resolvedOf()), id: "n-2", more: 3, cause: "resolved" });

  const [first, second, ...rest] = await at.server.read(at.topic);
  assert.deepEqual(rest, []);
  assert.deepEqual([first!.key, second!.key], [alert.dedup_key, alert.dedup_key]);
  assert.match(first!.headers["traceparent"]!, /^00-0123456789abcdef0123456789abcdef-[0-9a-f]{16}-01$/);
  assert.equal(first!.headers["content-type"], "application/json");
  assert.deepEqual(JSON.parse(first!.value!), {
    status: "firing", cause: "fired", alert: "OrderStuckInPending", rule: "OrderStuckInPending", resource: { type: "order", id: "o1" }, group: null,
    summary: "Order o1 has been pending for 30m",
    labels: { alertname: "OrderStuckInPending", resource_type: "order", severity: "critical", state: "pending", team: "checkout" },
    annotations: { summary: "Order o1 has been pending for 30m" },
    value: "pending", limit: "30m", active_at: "2026-01-01T02:32:00.000Z", fired_at: "2026-01-01T03:02:00.000Z", resolved_at: null, reason: null,
    stale_since: null, flapping: false, acknowledged: null, details: { state: "pending", since: "2026-01-01T02:32:00.000Z", limit: "30m" }, observation: null,
    story: { transitions: [{ from: "new", to: "pending", at: "1970-01-01T00:00:00.000Z", duration_seconds: 1.5 }], others: 2, url: null },
    trace_id: "0123456789abcdef0123456789abcdef", dedup_key: "sojourn/eu-1/OrderStuckInPending/order/o1", notification_id: "n-1", more: 0,
  });
  assert.partialDeepStrictEqual(JSON.parse(second!.value!), {
    status: "resolved", cause: "resolved", reason: "recovered", resolved_at: "2026-01-01T04:02:00.000Z", notification_id: "n-2", more: 3,
  });
});

test("transitions lie in order for each resource, in the partition where Java's clients put the same key", async (t) => {
  const at = await topicFor(t, 4);
  if (at === undefined) return;
  const { untilTaken } = kafkaExporter(t, { brokers: at.brokers, transitions: { topic: at.topic }, producer: { max_request_size: "2KiB" } });
  const ids = Array.from({ length: 20 }, (_, n) => `o${n}`);
  for (let step = 0; step < 3; step++) {
    await untilTaken(Array.from({ length: 5 }, (_, n) => ids.map((id) => moved(id, `s${step * 5 + n}`, `s${step * 5 + n + 1}`))).flat());
  }
  const stored = await at.server.read(at.topic);
  assert.equal(stored.length, 300);
  for (const id of ids) {
    const of = stored.filter(({ key }) => key === `order/${id}`);
    assert.deepEqual(of.map(({ value }) => (JSON.parse(value!) as { to: string }).to), Array.from({ length: 15 }, (_, n) => `s${n + 1}`));
    assert.deepEqual([...new Set(of.map(({ partition }) => partition))], [(murmur2(Buffer.from(`order/${id}`)) & 0x7fffffff) % 4]);
  }
  // https://github.com/apache/kafka/blob/3.9/clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java
  assert.deepEqual(["21", "foobar", "a-little-bit-long-string"].map((key) => murmur2(Buffer.from(key)) | 0), [-973932308, -790332482, -985981536]);
});

test("a resource's beginning, move and end each say what they are; whoever caused it is in traceparent", async (t) => {
  const at = await topicFor(t);
  if (at === undefined) return;
  const { export: send } = kafkaExporter(t, { brokers: at.brokers, transitions: { topic: at.topic } });
  const cause = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
  const time = Date.UTC(2026, 0, 1);
  await send([
    moved("o1", "", "", { left: undefined, began: { incarnation: 1, at: time, state: "new" } }, cause),
    moved("o1", "new", "paid"),
    moved("o1", "paid", "", {
      left: { incarnation: 1, state: "paid", since: time, at: time + 60_000, to: undefined },
      ended: { incarnation: 1, began: time, at: time + 60_000, state: "paid", deleted: true, estimated: false },
    }),
  ]);
  const stored = await at.server.read(at.topic);
  const told = stored.map(({ value }) => JSON.parse(value!) as Record<string, unknown>);
  assert.deepEqual(told[1], {
    type: "order", id: "o1", incarnation: 1, from: "new", to: "paid", at: "2026-01-01T00:00:01.500Z", since: "2026-01-01T00:00:00.000Z", duration_seconds: 1.5,
    created: false, deleted: false, ended: false, source: "feed", observation_id: "o1-new-paid", external_labels: { cluster: "eu-1" },
  });
  assert.partialDeepStrictEqual(told[0], { from: null, to: "new", created: true, since: null, duration_seconds: null });
  assert.partialDeepStrictEqual(told[2], { from: "paid", to: null, deleted: true, ended: true, duration_seconds: 60 });
  assert.equal(stored[0]!.headers["traceparent"], cause);
  assert.match(stored[1]!.headers["traceparent"]!, /^00-(?!4bf9)[0-9a-f]{32}-[0-9a-f]{16}-01$/);
});

test("observations go with all that is known, or raw: the body alone; every compression can be read", async (t) => {
  for (const compression of ["none", "gzip", "snappy", "lz4", "zstd"]) {
    const at = await topicFor(t);
    if (at === undefined) return;
    const json = kafkaExporter(t, { brokers: at.brokers, observations: { topic: at.topic }, producer: { compression } });
    const raw = kafkaExporter(t, { brokers: at.brokers, observations: { topic: at.topic, encoding: "raw" }, producer: { compression } });
    await json.export([seen("o1", { amount: 5, text: "a".repeat(5_000) })]);
    await raw.export([seen("o1", { amount: 5 }), seen("o1", "line of a log")]);
    const stored = await at.server.read(at.topic);
    assert.deepEqual(stored.slice(1).map(({ value }) => value), ['{"amount":5}', "line of a log"]);
    assert.deepEqual(JSON.parse(stored[0]!.value!), {
      time: "2026-01-01T00:00:00.000Z", source: "feed", id: null, snapshot: false, attributes: { "url.full": "http://shop" }, body: { amount: 5, text: "a".repeat(5_000) },
      resource: { type: "order", id: "o1", state: "paid", since: "2026-01-01T00:00:00.000Z", incarnation: 1 },
      transition: { from: "new", to: "paid", at: "2026-01-01T00:00:00.000Z", duration_seconds: 2 },
    });
  }
});

test("what the topic finds too large is refused by itself, and reported; all else arrives, in order", async (t) => {
  const at = await topicFor(t, 1, { "max.message.bytes": "3000" });
  if (at === undefined) return;
  const { export: send, recorded } = kafkaExporter(t, { brokers: at.brokers, observations: { topic: at.topic, encoding: "raw" } });
  const bodies = Array.from({ length: 50 }, (_, n) => (n === 20 ? "x".repeat(4_000) : `${n} ${"y".repeat(100)}`));
  await send(bodies.map((body) => seen("o1", body)));
  assert.deepEqual((await at.server.read(at.topic)).map(({ value }) => value), bodies.filter((_, n) => n !== 20));
  assert.equal(recorded.reports.length, 1);
  assert.match(recorded.reports[0]!, /does not take a message of 4\d{3} bytes/);
  await assert.rejects(send([seen("o1", "x".repeat(4_000))]), PermanentError);
  await send([seen("o1", "afterwards")]);
  assert.equal((await at.server.read(at.topic)).at(-1)!.value, "afterwards");
});

test("a message beyond max_request_size is refused without asking the broker", async (t) => {
  const at = await topicFor(t);
  if (at === undefined) return;
  const { export: send, recorded } = kafkaExporter(t, { brokers: at.brokers, observations: { topic: at.topic, encoding: "raw" }, producer: { max_request_size: "2KiB" } });
  await assert.rejects(send([seen("o1", "x".repeat(2_000))]), (error: unknown) => error instanceof PermanentError && /max_request_size/.test(error.message));
  await send([seen("o1", "x".repeat(2_000)), seen("o1", "small")]);
  assert.deepEqual((await at.server.read(at.topic)).map(({ value }) => value), ["small"]);
  assert.equal(recorded.reports.length, 1);
});

test("a topic that is not there is waited for", async (t) => {
  const server = await cluster(t);
  if (server === undefined) return;
  const topic = `late-${process.pid}`;
  const { notify } = kafkaExporter(t, { brokers: server.bootstrap, alerts: { topic } });
  const notification = notificationOf(alertOf());
  await assert.rejects(notify(notification), (error: unknown) => error instanceof RetryLaterError && error.message.includes(topic));
  await server.createTopic(topic);
  await notify(notification);
  assert.equal((await server.read(topic)).length, 1);
});

test("a topic that is deleted and made again, with fewer partitions, is written to again, in order", async (t) => {
  const at = await topicFor(t, 4);
  if (at === undefined) return;
  const { untilTaken } = kafkaExporter(t, { brokers: at.brokers, transitions: { topic: at.topic } });
  const ids = Array.from({ length: 12 }, (_, n) => `o${n}`);
  await untilTaken(ids.map((id) => moved(id, "a", "b")));
  await at.server.deleteTopic(at.topic);
  await at.server.createTopic(at.topic, { partitions: 1 });
  await untilTaken(ids.flatMap((id) => [moved(id, "b", "c"), moved(id, "c", "d")]));
  await untilTaken(ids.map((id) => moved(id, "d", "e")));
  const all = await movesIn(at.server, at.topic);
  assert.deepEqual(Object.fromEntries(all), Object.fromEntries(ids.map((id) => [`order/${id}`, ["c", "d", "e"]])));
});

test("nobody there: the attempt fails in time and says where it asked", async (t) => {
  const { export: send } = kafkaExporter(t, { brokers: ["127.0.0.1:1"], transitions: { topic: "moves" }, timeout: "500ms" });
  const begin = performance.now();
  await assert.rejects(send([moved("o1", "a", "b")]), (error: unknown) => !(error instanceof PermanentError) && /127\.0\.0\.1:1/.test(messageOf(error)));
  assert.ok(performance.now() - begin < 5_000);
});

test("without a section, or with two that exclude each other, it is an error of the configuration", () => {
  const created = (config: object): unknown =>
    kafka.create(configured(kafka.schema, { brokers: ["localhost"], ...config }), exporterContext({ clock: realClock }).context);
  const [alerts, transitions, observations] = [{ topic: "a" }, { topic: "t" }, { topic: "o" }];
  for (const wrong of [{}, { transitions, observations }, { alerts, timeout: "20s" }, { alerts, producer: { max_request_size: "10B" } }]) {
    assert.throws(() => created(wrong), ConfigError);
  }
  assert.throws(() => created({ alerts: { topic: "no spaces" } }), /pattern/);
});
