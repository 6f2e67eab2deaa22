import assert from "node:assert/strict";
import { test } from "node:test";
import { harness, orders } from "../support/agent.ts";

const MINUTE = 60_000;
const LARGE = "[{ alert: Large, expr: self.amount > 100, for: 5m, keep_firing_for: 10m, labels: { team: '{{ self.id }}' }, annotations: { summary: 'worth {{ self.amount }}' } }]";

test("`for` starts at the time of the observation that made the condition true", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  await h.send("feed", { id: "a", status: "x", amount: 200, at: h.clock.now() - 4 * MINUTE });
  assert.deepEqual(h.sent, []);
  await h.advance(MINUTE);
  assert.deepEqual(h.sent, ["recorder: FIRING Large a"]);
  assert.equal(h.alerts[0]!.labels["team"], "a");
  assert.equal(h.alerts[0]!.labels["severity"], "warning");
  assert.equal(h.alerts[0]!.annotations["summary"], "worth 200");
  assert.equal(h.alerts[0]!.value, 200);
});

test("neither downtime nor a reload begins `for` anew, nor keep_firing_for", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  await h.advance(3 * MINUTE);
  await h.send("feed", { id: "a", status: "x", amount: 300 });
  await h.restart(MINUTE);
  await h.reload(orders({ rules: LARGE.replace("100", "99") }));
  await h.advance(MINUTE);
  assert.deepEqual(h.changes, ["FIRING Large a"]);
  await h.send("feed", { id: "a", status: "x", amount: 1 });
  await h.advance(8 * MINUTE);
  await h.restart(MINUTE);
  assert.equal(h.changes.length, 1);
  await h.advance(MINUTE);
  assert.deepEqual(h.changes, ["FIRING Large a", "RESOLVED Large a recovered"]);
});

test("a condition that is true again within keep_firing_for is one episode", async () => {
  await using h = await harness(orders({ rules: LARGE }));
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  await h.advance(5 * MINUTE);
  for (let i = 0; i < 5; i++) {
    await h.send("feed", { id: "a", status: "x", amount: i % 2 === 0 ? 1 : 200 });
    await h.advance(6 * MINUTE);
  }
  assert.deepEqual(h.sent, ["recorder: FIRING Large a"]);
  await h.advance(5 * MINUTE);
  assert.deepEqual(h.sent, ["recorder: FIRING Large a", "recorder: RESOLVED Large a recovered"]);
});

test("what the clock alone makes true is true from then on, not since the last observation", async () => {
  const rules = "[{ alert: Quiet, expr: 'now - self.last_seen > duration(\"10m\")', for: 5m }]";
  await using h = await harness(orders({ rules }));
  await h.send("feed", { id: "a", status: "x" });
  await h.advance(14 * MINUTE);
  assert.deepEqual(h.changes, []);
  await h.advance(MINUTE + 20_000);
  assert.deepEqual(h.changes, ["FIRING Quiet a"]);
});

test("a condition that errs is false, and counted", async () => {
  await using h = await harness(orders({ rules: "[{ alert: Large, expr: self.amount > 100 }]" }));
  await h.send("feed", { id: "a", status: "x" });
  assert.deepEqual(h.changes, []);
  assert.equal(h.now.own.conditionErrors.series("rule/Large").value, 1);
});

test("a rule is judged on every change of its type, whichever pipeline brought it", async () => {
  const yaml = orders({ rules: "[{ alert: Large, expr: self.amount > 100 }]", receivers: "feed: {}" })
    .replace("receivers: { feed: {} }", "receivers: { feed: {}, feed/b: {} }")
    .replace("exporters: { recorder: {} }", "  track/b: { type: order, id: body.ref, attributes: { amount: body.worth } }\nexporters: { recorder: {} }")
    + "    other: { receivers: [feed/b], processors: [track/b], exporters: [] }\n";
  await using h = await harness(yaml);
  await h.send("feed", { id: "a", status: "x" });
  await h.send("feed/b", { ref: "a", worth: 500 });
  assert.deepEqual(h.sent, ["recorder: FIRING Large a"]);
  assert.equal(h.now.agent.services.resources.get("order", "a")!.state, "x");
});

/** What is wrong with this rule, as whoever wrote it is told. */
async function wrong(rule: string, more = ""): Promise<string> {
  try {
    await using h = await harness(orders({ track: "states: { pending: {} }", rules: `[{ alert: A, ${rule} }${more}]` }));
    void h;
  } catch (error) {
    return String((error as Error).message);
  }
  return "";
}

test("what does not fit together in a rule is told at its key, before anything runs", async () => {
  const told: Readonly<Record<string, readonly string[]>> = {
    "for: 5m": ["needs `expr`: the condition"],
    "expr: self.amount >": ["expr"],
    "expr: self.amout > 1": ["self.amout is not tracked", "did you mean amount?"],
    "expr: body.amount > 1": ["body is not known here"],
    "expr: value > 1": ["value is not known here"],
    "expr: self.amount + 1": ["is never true: a sum is no condition", "`self.amount + 1 > 100`"],
    "expr: self.state": ["is never true: self.state is no condition"],
    "expr: self.amount > 1 && size(self.id)": ["is never true: a number is no condition"],
    "expr: '\"yes\"'": ["is never true: a text"],
    "window: { over: 5m, count: true }, expr: value": ["is never true: a number", "`value > 100`"],
    "aggregate: { count: 1 + 1 }, expr: value > 1": ["aggregate.count", "a sum is no condition"],
    "aggregate: { share: self.id }, expr: value > 1": ["aggregate.share", "self.id is no condition"],
    "sequence: { after: now, followed_by: self.amount > 2, within: 1h }": ["sequence.after", "a time is no condition"],
    "on: observation, expr: '[body.x]'": ["a list is no condition"],
    "expr: self.amount > 1, clear: '!1'": ["clear", "a number is no condition"],
    "expr: self.amount > 1, absent_fro: 5m": ["absent_for"],
    "expr: self.amount > 1, for: soon": ["duration"],
    "expr: self.amount > 1, no_data: maybe": ["no_data", "keep"],
    "expr: self.amount > 1, clear: body.x": ["clear", "body is not known here"],
    "expr: self.amount > 1, by: { r: self.state }": ["goes only with `on: observation`"],
    "expr: self.amount > 1, resolve_after: 5m": ["goes only with `on: observation`"],
    "expr: self.amount > 1, flapping: { fires_max: 3 }": ["within"],
    "expr: self.amount > 1, flapping: { fires_max: 0, within: 1h }": ["fires_max"],
    "expr: self.amount > 1, flapping: { fires_max: 3, within: 0s }": ["flapping.within", "too short"],
    "expr: self.amount > 1, labels: { 'a-b': x }": ["labels"],
    "expr: self.amount > 1, annotations: { summary: '{{ body.x }}' }": ["annotations.summary", "body is not known here"],
    "expr: self.amount > 1, type: ordr": ['no track feeds type "ordr"', "order"],
    "absent_for: 10m, always: true": ["cannot stand beside", "a rule is of one kind"],
    "absent_for: 0s": ["absent_for", "too short"],
    "absent_for: 10m, clear: self.amount < 1": ["goes not with absent_for"],
    "sequence: { after: self.amount > 1, within: 1h }": ["followed_by"],
    "sequence: { after: self.amount > 1, followed_by: self.amount > 2, within: 0s }": ["sequence.within", "too short"],
    "sequence: { after: body.x, followed_by: self.amount > 2, within: 1h }": ["sequence.after", "body is not known here"],
    "sequence: { after: self.amount > 1, followed_by: self.amount > 2, within: 1h }, expr: self.amount > 2": ["goes not with sequence"],
    "sequence: { after: self.amount > 1, followed_by: self.amount > 2, within: 1h }, clear: self.amount > 2": ["goes not with sequence"],
    "sequence: { after: self.amount > 1, followed_by: self.amount > 2, within: 1h }, no_data: keep": ["no_data", "goes not with sequence"],
    "sequence: { after: transition.too == 'x', followed_by: self.amount > 2, within: 1h }": ["sequence.after", "transition has no too; did you mean to?"],
    "change: { value: self.amount, over: 1h }": ["needs `expr`: what is compared with the value"],
    "change: { value: self.amount, over: 500ms }, expr: value > 1": ["change.over", "too short"],
    "change: { value: self.amount, over: 1h, as: speed }, expr: value > 1": ["delta", "ratio"],
    "change: { value: self.amount, over: 1h }, expr: earlier > 1": ["earlier is not known here"],
    "always: true, expr: self.amount > 1": ["goes not with always"],
    "always: true, no_data: alert": ["goes not with always"],
    "on: observation": ["needs `expr`: the condition on an observation"],
    "expect: { ids: [a] }": ["needs `within` or `schedule`"],
    "expect: { ids: [a, a], within: 1h }": ["names one resource twice"],
    "expect: { ids: [a], schedule: { cron: '61 2 * * *' } }": ["cron"],
    "expect: { ids: [a], schedule: { cron: '30 2 * * *', timezone: Mars/Olympus } }": ["timezone", "no time zone"],
    "window: { over: 5m }, expr: value > 1": ["needs exactly one of"],
    "window: { over: 5m, count: true, sum: body.x }, expr: value > 1": ["needs exactly one of", "count and sum"],
    "window: { over: 5m, count: body.x == 1, when: body.y == 1 }, expr: value > 1": ["is said twice"],
    "window: { over: 5m, count: true, by: { alertname: body.x } }, expr: value > 1": ["window.by.alertname", "is a label that every alert has"],
    "aggregate: { count: true, by: { resource_type: self.state } }, expr: value > 1": ["aggregate.by.resource_type", "another name"],
    "on: observation, expr: body.x == 1, by: { alertname: body.x }": ["by.alertname", "another name"],
    "aggregate: { avg: body.amount }, expr: value > 1": ["body is not known here"],
  };
  const unlike: string[] = [];
  for (const [rule, parts] of Object.entries(told)) {
    const message = await wrong(rule);
    if (!parts.every((part) => message.includes(part)) || !/agent\.yaml:\d+/.test(message)) unlike.push(`${rule}: ${message}`);
  }
  assert.deepEqual(unlike, []);
});

test("two rules of one name are told apart by an id", async () => {
  const twice = "expr: self.amount > 1 }, { alert: A, expr: self.amount > 2";
  assert.match(await wrong(twice), /rule "A" is there twice .* give one an `id`/);
  assert.equal(await wrong(`${twice}, id: second`), "");
});

test("what a rule does not say has a sensible answer: severity, summary, limit, condition", async () => {
  const rules = [
    "{ alert: Large, expr: self.amount > 100 }",
    "{ alert: Silent, absent_for: 10m }",
    "{ alert: Unpaid, sequence: { after: self.state == 'x', followed_by: self.state == 'paid', within: 10m } }",
    "{ alert: Jump, change: { value: self.amount, over: 10m }, expr: value > 100.0, labels: { severity: critical } }",
  ];
  await using h = await harness(orders({ rules: `[${rules.join(", ")}]` }));
  await h.send("feed", { id: "a", status: "x", amount: 50 });
  await h.advance(10 * MINUTE);
  await h.send("feed", { id: "a", status: "x", amount: 200 });
  const shown = Object.fromEntries(h.alerts.filter(({ status }) => status === "firing").map(({ alert, annotations, labels, limit }) => [alert, [labels["severity"], limit, annotations["summary"]]]));
  assert.deepEqual(shown, {
    Silent: ["warning", "10m", "Nothing was heard of order a for 10m (limit 10m)"],
    Unpaid: ["warning", "10m", "order a: after self.state == 'x', self.state == 'paid' did not follow within 10m"],
    Large: ["warning", "self.amount > 100", "order a: self.amount > 100"],
    Jump: ["critical", "value > 100.0", "order a: self.amount changed by 150 over 10m"],
  });
});
