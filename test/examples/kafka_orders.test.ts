import assert from "node:assert/strict";
import { test } from "node:test";
import { startKafka } from "../support/kafka.ts";
import { freePort, startExample } from "./support.ts";

test("kafka_orders: the order that was not paid alerts once, on the console and in order_alerts; the other one is fulfilled in silence", async (t) => {
  await using kafka = await startKafka(t, { own: true });
  if (kafka === undefined) return;
  const api = await freePort();
  await using example = await startExample("kafka_orders", { api, env: { KAFKA_BROKERS: kafka.bootstrap.join(",") } });

  await example.printed(/FIRING +OrderPaymentFailed order\/ORD-KAFKA-002: .*129\.5 EUR was not paid: card_declined.*severity critical/);
  const states = await example.until("ORD-KAFKA-001 fulfilled", async () => {
    const response = await fetch(`http://127.0.0.1:${api}/api/v1/resources`);
    const { items } = (await response.json()) as { items: readonly { id: string; state: string }[] };
    return items.some(({ state }) => state === "fulfilled") ? items.map(({ id, state }) => [id, state]) : undefined;
  });
  assert.deepEqual(states, [["ORD-KAFKA-001", "fulfilled"], ["ORD-KAFKA-002", "payment_failed"]]);

  const [alert, ...others] = await example.until("the alert in order_alerts", async () => {
    const stored = await kafka.read("order_alerts");
    return stored.length > 0 ? stored : undefined;
  });
  assert.deepEqual(others, []);
  const told = JSON.parse(alert!.value!) as Record<string, unknown>;
  assert.partialDeepStrictEqual(told, { status: "firing", alert: "OrderPaymentFailed", resource: { type: "order", id: "ORD-KAFKA-002" }, labels: { severity: "critical" } });
  assert.equal(alert!.key, told["dedup_key"]);

  assert.equal(await example.stop(), 0);
  assert.equal(example.out.match(/FIRING|RESOLVED/g)?.length, 1, example.out);
});
