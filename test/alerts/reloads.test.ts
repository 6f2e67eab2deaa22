import assert from "node:assert/strict";
import { test } from "node:test";
import type { Wanted } from "../../src/config/model.ts";
import { harness, orders } from "../support/agent.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const LARGE = "[{ alert: Large, expr: self.amount > 100 }]";

test("a rule that moved to another file is frozen with that file, not with the one it was in", async () => {
  const yaml = orders({ rules: LARGE });
  const moved = (wanted: Wanted): Wanted => ({ ...wanted, components: wanted.components.map((one) => ({ ...one, file: "/etc/sojourn/b.yaml" })) });
  const rejected = (wanted: Wanted): Wanted => ({
    ...wanted, components: [], pipelines: [], rejected: [{ file: "/etc/sojourn/b.yaml", problems: [], lastGoodRuns: false }],
  });
  await using h = await harness(yaml);
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  await h.reload(yaml, moved);
  await h.advance(MINUTE);
  await h.restart(0, yaml, rejected);
  await h.advance(HOUR);
  assert.deepEqual(h.changes, ["FIRING Large a"]);
});

test("what followed while the rule was not there to see it has followed", async () => {
  const rules = "[{ alert: Unpaid, sequence: { after: self.state == 'pending', followed_by: self.state == 'paid', within: 30m } }]";
  await using h = await harness(orders({ rules }));
  await h.send("feed", [{ id: "a", status: "pending" }, { id: "b", status: "pending" }]);
  await h.reload(orders());
  await h.send("feed", { id: "a", status: "paid" });
  await h.advance(MINUTE);
  await h.reload(orders({ rules }));
  await h.advance(HOUR);
  assert.deepEqual(h.changes, ["FIRING Unpaid b"]);
});

test("a change that is asked for over a longer time resolves nothing before that is known", async () => {
  const drop = (over: string): string => `[{ alert: Drop, change: { value: self.amount, over: ${over} }, expr: value < -50 }]`;
  await using h = await harness(orders({ rules: drop("10m") }));
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  await h.advance(10 * MINUTE);
  await h.send("feed", { id: "a", status: "x", amount: 100 });
  assert.deepEqual(h.changes, ["FIRING Drop a"]);
  await h.reload(orders({ rules: drop("1h") }));
  await h.send("feed", { id: "a", status: "x", amount: 99 });
  await h.advance(HOUR - 1);
  assert.deepEqual(h.changes, ["FIRING Drop a"]);
  await h.advance(20 * MINUTE);
  assert.deepEqual(h.changes.slice(1), ["RESOLVED Drop a recovered"]);
});

test("nobody was silent while nothing was there to hear of them", async () => {
  const rules = "[{ alert: Silent, absent_for: 25m }]";
  const other = orders({ rules }).replaceAll("type: order", "type: parcel");
  await using h = await harness(orders({ rules }));
  await h.send("feed", { id: "a", status: "x" });
  await h.reload(other);
  await h.advance(2 * HOUR);
  await h.reload(orders({ rules }));
  await h.advance(25 * MINUTE - 1);
  assert.deepEqual(h.changes, []);
  await h.advance(1);
  assert.deepEqual(h.changes, ["FIRING Silent a"]);
});

test("a rule that is about groups from now on ends its alerts on resources, and says why", async () => {
  const many = "[{ alert: Large, aggregate: { count: self.amount > 100 }, expr: value > 5 }]";
  await using h = await harness(orders({ rules: LARGE }));
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  await h.reload(orders({ rules: many }));
  await h.restart();
  await h.advance(HOUR);
  assert.deepEqual(h.changes, ["FIRING Large a", "RESOLVED Large a rule_removed"]);
});
