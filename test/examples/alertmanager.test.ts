import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { startAlertmanager } from "../support/alertmanager.ts";
import { program } from "../support/prometheus.ts";
import { exampleFolder, startExample } from "./support.ts";

const PACKAGE = "prometheus-alertmanager";
const OFTEN = ["--set", "monitors.order.from.http_poll.interval=300ms"];

test("alertmanager: a real one has an alert for each stuck order, and no more for the one that is shipped", async (t) => {
  const binary = program(t, "prometheus-alertmanager", PACKAGE);
  if (binary === undefined) return;
  await using am = await startAlertmanager(binary);
  await using example = await startExample("alertmanager", { args: OFTEN, env: { ALERTMANAGER_URL: am.url } });
  const orders = async (): Promise<string> => (await am.alerts()).map(({ labels }) => labels["resource_id"]!).toSorted().join(" ");

  await example.until("both alerts", async () => ((await orders()) === "ORD-1 ORD-2" ? true : undefined));
  const [alert] = await am.alerts();
  assert.partialDeepStrictEqual(alert, {
    labels: { alertname: "OrderStuckInPending", cluster: "demo", resource_type: "order", severity: "critical", team: "checkout" },
    annotations: { runbook_url: "https://runbooks.example/order-stuck", state: "pending", limit: "30m" },
  });
  await example.until("ORD-1 is over", async () => ((await orders()) === "ORD-2" ? true : undefined));
  assert.equal(await example.stop(), 0);
});

test("alertmanager: without a real one the example shows what it would have got", async () => {
  await using example = await startExample("alertmanager", { args: OFTEN, env: { ALERTMANAGER_URL: "" } });
  await example.printed(/^demo: Alertmanager got: firing OrderStuckInPending ORD-1 \(eu\): Order ORD-1 \(120 EUR\) has been pending/m);
  await example.printed(/^demo: Alertmanager got: resolved OrderStuckInPending ORD-1 /m);
  assert.doesNotMatch(example.out, /ORD-3/);
});

test("alertmanager: Alertmanager takes the configuration beside it", (t) => {
  const amtool = program(t, "amtool", PACKAGE);
  if (amtool === undefined) return;
  const { status, stdout, stderr } = spawnSync(amtool, ["check-config", exampleFolder("alertmanager/alertmanager.yml")], { encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
});
