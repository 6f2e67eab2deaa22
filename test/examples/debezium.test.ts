import assert from "node:assert/strict";
import { test } from "node:test";
import { kafkaInstallation } from "../support/kafka_install.ts";
import { freePort, startExample } from "./support.ts";

test("debezium: an order that becomes fraud_detected is critical until it was reviewed; the deleted one is gone, its tombstone counted", async (t) => {
  if ((await kafkaInstallation(t)) === undefined) return;
  const [api, page] = [await freePort(), await freePort()];
  await using example = await startExample("debezium", { api, args: ["--set", `exporters.prometheus.listen=127.0.0.1:${page}`], env: { KAFKA_BROKERS: "" } });
  await example.printed(/FIRING +OrderFraudDetected order\/1002: Order 1002 of jo over 950.00 looks like fraud .*severity critical/);
  await example.printed(/RESOLVED +OrderFraudDetected order\/1002/);

  const { items } = (await (await fetch(`http://127.0.0.1:${api}/api/v1/resources`)).json()) as { items: readonly object[] };
  assert.equal(items.length, 1);
  assert.partialDeepStrictEqual(items, [{ type: "order", id: "1002", state: "paid", attributes: { customer: "jo", total: "950.00" } }]);

  const metrics = await (await fetch(`http://127.0.0.1:${page}/metrics`)).text();
  assert.match(metrics, /^sojourn_processor_counted_observations_total\{[^}]*processor="parse\/debezium",reason="tombstone"[^}]*\} 1$/m);
  assert.match(metrics, /^custom_resource_transitions_total\{[^}]*from="new",to="fraud_detected"[^}]*\} 1$/m);

  assert.equal(await example.stop(), 0);
  assert.equal(example.out.match(/FIRING|RESOLVED/g)?.length, 2, example.out);
});
