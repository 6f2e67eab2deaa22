import assert from "node:assert/strict";
import { test } from "node:test";
import { PermanentError } from "../../../src/sdk/errors.ts";
import { harness, orders, type Harness } from "../../support/agent.ts";
import { HOUR, MINUTE, SECOND } from "./rig.ts";

const LARGE = "[{ alert: Large, expr: self.amount > 100, labels: { state: '{{ self.state }}', severity: page } }]";

function set(h: Harness, id: string, large: boolean, status = "x"): Promise<void> {
  return h.send("feed", { id, status, amount: large ? 200 : 1 });
}

test("what exporters say of their notifications is done, through the whole agent, over reload and restart", async () => {
  const service = 'time_intervals: { night: [{ times: [{ start_time: "00:00", end_time: "06:00" }] }] }\n  inhibit_rules: [{ source_matchers: ["state=down"], target_matchers: ["state=slow"] }]';
  const yaml = (interval: string) => orders({ rules: LARGE, service, exporters: `recorder/night: { mute_time_intervals: [night] }, recorder/groups: { group_by: [state], group_wait: 10s, group_interval: ${interval} }, recorder/eu: { match: ["state=~eu.*"] }` });
  await using h = await harness(yaml("1h"));
  await set(h, "a", true, "eu1");
  await set(h, "b", true, "eu1");
  await h.advance(10 * SECOND);
  assert.deepEqual(h.sent.splice(0), ["recorder/eu: FIRING Large a", "recorder/eu: FIRING Large b", "recorder/groups: FIRING Large a", "recorder/groups: FIRING Large b"]);
  assert.equal(h.notifications.at(-1)!.notification.group["state"], "eu1");
  await set(h, "c", true, "eu1");
  await h.reload(yaml("1m"));
  await h.advance(MINUTE);
  assert.deepEqual(h.sent.splice(0), ["recorder/eu: FIRING Large c", "recorder/groups: FIRING Large c", "recorder/groups: FIRING Large a", "recorder/groups: FIRING Large b"]);
  await h.restart(HOUR);
  await set(h, "a", false, "eu1");
  await set(h, "s", true, "slow");
  await h.advance(5 * HOUR);
  assert.ok(h.sent.includes("recorder/night: FIRING Large b") && h.sent.includes("recorder/night: FIRING Large c"), "the night is over");
  assert.ok(!h.sent.includes("recorder/night: FIRING Large a"), "over before anybody was told");
  await set(h, "d", true, "down");
  await set(h, "t", true, "slow");
  await h.advance(MINUTE);
  assert.ok(h.sent.some((line) => line.endsWith("Large d")) && !h.sent.some((line) => line.endsWith("Large t")));
  const metrics = h.now.metrics.read().find(({ name }) => name === "sojourn_notifications_suppressed_total");
  assert.ok(JSON.stringify(metrics).includes("inhibited"));
});

test("an alert is told with its story: its way, how many others, where it is shown", async () => {
  const service = "api: { external_url: 'https://sojourn.example/agent/' }";
  await using h = await harness(orders({ rules: LARGE, service }));
  await set(h, "a", true, "x");
  await set(h, "b", false, "pending");
  await h.advance(SECOND);
  await set(h, "b", true, "paid");
  const { story, dedup_key } = h.notifications.at(-1)!.notification.alerts[0]!;
  assert.deepEqual(story!.transitions.map(({ from, to, duration }) => `${from} ${to} ${duration}`), ["pending paid 1000"]);
  assert.equal(story!.others, 1);
  assert.equal(story!.url, `https://sojourn.example/agent/api/v1/alerts/${dedup_key}`);
});

test("every attempt is on record, over a restart, too, without what must not be shown", async () => {
  await using h = await harness(orders({ rules: LARGE, service: "deliveries_max: 3" }));
  h.destinations.notify = () => {
    throw new PermanentError("400 from https://user:hunter2@example.org/hook?key=hunter3");
  };
  await set(h, "a", true);
  h.destinations.notify = () => undefined;
  await set(h, "a", false);
  await h.restart();
  const { deliveries } = h.now.agent.services;
  assert.deepEqual(deliveries.list(undefined, 10).map(({ number, exporter, result, status, cause, attempt, count }) => [number, exporter, result, status, cause, attempt, count]), [
    [2, "recorder", "delivered", "resolved", "resolved", 1, 1], [1, "recorder", "dead_letter", "firing", "fired", 1, 1],
  ]);
  assert.ok(!JSON.stringify(deliveries.list(undefined, 10)).includes("hunter"));
  for (let i = 0; i < 5; i++) await set(h, `o${i}`, true);
  assert.deepEqual(deliveries.list(undefined, 10).map(({ number }) => number), [7, 6, 5]);
  assert.deepEqual(deliveries.list(6, 10).map(({ number }) => number), [5]);
  await h.restart();
  assert.deepEqual(h.now.agent.services.deliveries.list(undefined, 10).map(({ number }) => number), [7, 6, 5]);
});

test("a destination that fails is seen in a metric until it is back", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  const open = (): number => {
    const family = h.now.metrics.read().find(({ name }) => name === "sojourn_exporter_circuit_open")!;
    return [...family.series].some((series) => "value" in series && series.value === 1) ? 1 : 0;
  };
  h.destinations.notify = () => {
    throw new Error("503");
  };
  await set(h, "a", true);
  assert.equal(open(), 1);
  h.destinations.notify = () => undefined;
  await h.advance(MINUTE);
  assert.equal(open(), 0);
});

test("an exporter that names a time which is not defined is an error at its place", async () => {
  const service = "time_intervals: { night: [{ weekdays: [monday] }] }";
  await assert.rejects(harness(orders({ service, exporters: "recorder: { mute_time_intervals: [nigth] }" })), (error: Error) => {
    assert.match(error.message, /agent\.yaml:\d+:\d+ exporters\.recorder\.mute_time_intervals\[0\]: nigth is not defined in service\.time_intervals; did you mean night\?/);
    return true;
  });
});

test("what is loaded when a rule is judged for the first time is one message", async () => {
  await using h = await harness(orders({ receivers: "feed: { behind: true }", rules: LARGE }));
  for (let i = 0; i < 50; i++) await set(h, `o${i}`, true);
  h.receiver("feed").caughtUp();
  await h.advance(SECOND);
  assert.equal(h.notifications.length, 1);
  assert.equal(h.notifications[0]!.notification.alerts.length, 50);
  await set(h, "new", true);
  assert.equal(h.notifications.length, 2);
});
