import assert from "node:assert/strict";
import { test } from "node:test";
import { seen } from "../metrics/store_support.ts";
import { harness, orders } from "../support/agent.ts";

const MINUTE = 60_000;

test("resources, moves, time in a state, the oldest of it, the delay and open alerts are metrics by type and state, never by id", async () => {
  await using h = await harness(orders({ track: "states: { pending: { stuck_after: 30m } }", rules: "[{ alert: Large, expr: self.amount > 100, for: 1h, labels: { severity: critical } }]" }));
  const at = h.clock.now();
  await h.send("feed", [{ id: "secret-a", status: "pending", at: at - 2 * MINUTE }, { id: "b", status: "pending", amount: 500 }]);
  await h.advance(10 * MINUTE);
  await h.send("feed", [{ id: "b", status: "paid", at: h.clock.now() - 30_000 }, { id: "c", status: "pending", at: h.clock.now() }]);
  await h.advance(19 * MINUTE);
  const found = seen(h.now.metrics);
  assert.partialDeepStrictEqual(found, {
    "custom_resources{type=order,state=pending}": 2,
    "custom_resources{type=order,state=paid}": 1,
    "custom_resource_transitions_total{type=order,from=pending,to=paid}": 1,
    "custom_resource_time_in_state_seconds{type=order,state=pending}": "1/570",
    "custom_resource_oldest_in_state_seconds{type=order,state=pending}": 31 * 60,
    "custom_resource_oldest_in_state_seconds{type=order,state=paid}": 19.5 * 60,
    // Of moves: what is seen for the first time may have begun long before the agent.
    sojourn_detection_delay_seconds: "1/30",
    "sojourn_alerts{alertname=OrderStuckInPending,alertstate=firing,severity=warning}": 1,
    "sojourn_alerts{alertname=Large,alertstate=pending,severity=critical}": 1,
    "sojourn_receiver_accepted_observations_total{receiver=feed}": 4,
  });
  assert.doesNotMatch(JSON.stringify(found), /secret-a/);
  await h.send("feed", { id: "secret-a", status: "paid", at: h.clock.now() });
  assert.equal(seen(h.now.metrics)["custom_resource_oldest_in_state_seconds{type=order,state=pending}"], 19 * 60);
});
