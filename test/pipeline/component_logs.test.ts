import assert from "node:assert/strict";
import { test } from "node:test";
import { harness, type Harness } from "../support/agent.ts";

/** Pipelines by name, each with its receivers; one exporter takes what they all bring. */
function yaml(pipelines: Readonly<Record<string, string>>): string {
  const lines = Object.entries(pipelines).map(([name, receivers]) => `    ${name}: { receivers: [${receivers}], exporters: [recorder/ops] }`);
  return `receivers: { feed/a: {}, feed/b: {} }\nexporters: { recorder/ops: {} }\nservice:\n  pipelines:\n${lines.join("\n")}\n`;
}

/** What was logged since the last look, with its fields. */
function look(h: Harness): [string, object][] {
  const fields = h.logFields.splice(0);
  return h.log.splice(0).map((text, i) => [text, fields[i]!]);
}

test("a component's line names it and its pipelines as they are then; one when something breaks, one when it heals", async () => {
  await using h = await harness(yaml({ orders: "feed/a, feed/b", refunds: "feed/b" }));
  look(h);
  for (let i = 0; i < 3; i++) h.component("feed/a").report(new Error("refused"));
  h.component("feed/b").report(new Error("refused too"));
  assert.deepEqual(look(h), [
    ["warn feed/a: refused", { component: "feed/a", pipeline: "orders" }],
    ["warn feed/b: refused too", { component: "feed/b", pipeline: "orders, refunds" }],
  ]);
  await h.reload(yaml({ orders: "feed/b", returns: "feed/a" }));
  assert.deepEqual(h.lifecycle.filter((step) => step.startsWith("stop")), [], "all are the instances of before");
  look(h);
  for (let i = 0; i < 2; i++) h.component("feed/a").healed();
  h.component("feed/b").report(new Error("something else"));
  h.component("recorder/ops").log.child({ attempt: 2 }).info({}, "hello");
  assert.deepEqual(look(h), [
    ["info feed/a: works again", { component: "feed/a", pipeline: "returns", was: "refused" }],
    ["warn feed/b: something else", { component: "feed/b", pipeline: "orders" }],
    ["info recorder/ops: hello", { component: "recorder/ops", pipeline: "orders, returns", attempt: 2 }],
  ]);
});

test("a source that fails and a component that crashes name their pipeline too", async () => {
  await using h = await harness(yaml({ orders: "feed/a, feed/b" }));
  look(h);
  h.receiver("feed/a").failing("broker unreachable");
  h.component("feed/b").crashed(new Error("out of sockets"));
  h.receiver("feed/a").failing(undefined);
  const lines = look(h);
  assert.deepEqual(lines.map(([, fields]) => fields), ["feed/a", "feed/b", "feed/a"].map((component) => ({ component, pipeline: "orders" })));
  assert.deepEqual(lines.map(([text]) => text.slice(0, 20)), ["warn feed/a: the sou", "error feed/b: stoppe", "info feed/a: the sou"]);
});
