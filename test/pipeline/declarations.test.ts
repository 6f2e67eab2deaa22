import assert from "node:assert/strict";
import { test } from "node:test";
import { defineReceiver } from "../../src/sdk/component.ts";
import { observation } from "../../src/sdk/observation.ts";
import { harness, orders, type Harness } from "../support/agent.ts";

const at = String.raw`/agent\.yaml:\d+:\d+ `;

/** The message with which an agent refuses to run this. */
async function refusal(yaml: string): Promise<string> {
  try {
    await using _ = await harness(yaml);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("it runs");
}

/** How many rules there are beside those about receivers. */
function ownRules(h: Harness): number {
  return h.now.agent.graph.declared.rules.filter(({ declaration }) => declaration.kind !== "failing").length;
}

function withSecond(track: string, first = ""): string {
  return orders({ track: first }).replace("exporters: { recorder: {} }", `  track/b: { type: order, id: body.ref, ${track} }\nexporters: { recorder: {} }`)
    + "    other: { receivers: [feed], processors: [track/b], exporters: [] }\n";
}

test("two different declarations of one type's states are an error that names both places; equal ones are one", async () => {
  const first = "states: { pending: { stuck_after: 30m, terminal: false }, paid: {} }";
  assert.match(await refusal(withSecond("states: { pending: { stuck_after: 31m } }", first)), new RegExp(`${at}.*type order has other states at .*agent\\.yaml:\\d+; .*leave them out`));
  await using h = await harness(withSecond("states: { paid: {}, pending: { terminal: false, stuck_after: 30m } }", first));
  assert.equal(ownRules(h), 1);
});

test("a track that is silent about states leaves their limits alone", async () => {
  await using h = await harness(withSecond("attributes: { x: body.x }", "expire_terminal_after: 1h\nexpire_after: 2h\nstates: { done: { terminal: true } }"));
  const [type] = h.now.agent.graph.declared.types;
  assert.deepEqual([type!.expireTerminalAfterMs, type!.expireAfterMs, [...type!.attributes]], [3_600_000, 7_200_000, ["amount", "x"]]);
});

test("a rule on an attribute that is not tracked is an error with a suggestion, said once", async () => {
  const message = await refusal(orders({ rules: "[{ alert: A, expr: self.amuont > 1 }]" }) + "    again: { receivers: [feed], processors: [track/order, threshold/order], exporters: [] }\n");
  assert.match(message, new RegExp(`${at}.*self\\.amuont is not tracked for type order; .*amount`));
  assert.equal(message.split("\n").length, 1);
});

test("a rule on a type that nobody tracks is an error with a suggestion", async () => {
  assert.match(await refusal(orders({ rules: "[{ alert: A, type: oder, expr: 'true' }]" })), new RegExp(`${at}.*no track feeds type "oder"; .*order`));
});

test("a rule without a type must stand behind a track", async () => {
  const yaml = orders({ rules: "[{ alert: A, expr: 'true' }]" }).replace("[track/order, threshold/order]", "[threshold/order, track/order]");
  assert.match(await refusal(yaml), /rule "A" has no type: put it after a track processor, or give it a `type`/);
});

test("two rules of one id are an error, also where one names the type and the other does not", async () => {
  for (const rules of ["[{ alert: A, expr: 'true' }, { alert: A, expr: 'false' }]", "[{ alert: A, expr: 'true' }, { alert: A, type: order, expr: 'false' }]"]) {
    assert.match(await refusal(orders({ rules })), /rule "A".*give one an `id`/);
  }
  await using h = await harness(orders({ rules: "[{ alert: A, expr: 'true' }, { alert: A, id: A2, expr: 'false' }]" }));
  assert.equal(ownRules(h), 2);
});

test("each receiver has a rule of its own, told to those who are told of what it feeds", async () => {
  await using h = await harness(orders({ receivers: "feed: {}, feed/b: {}", exporters: "recorder: {}, sink: {}" }) + "    other: { receivers: [feed/b], processors: [], exporters: [sink] }\n");
  const rules = h.now.agent.graph.declared.rules.map(({ declaration, exporters, receivers }) => [declaration.kind, declaration.id, exporters, receivers]);
  assert.deepEqual(rules, [
    ["failing", "ReceiverFailing/feed", ["recorder"], ["feed"]],
    ["failing", "ReceiverFailing/feed/b", ["recorder"], ["feed/b"]],
  ]);
});

test("a rule on many may read only what its type tracks, in its measure, its groups and its condition", async () => {
  for (const [rule, at] of [
    ["aggregate: { sum: self.amuont }, expr: value > 1", "aggregate.sum"],
    ["aggregate: { count: true, when: self.amuont > 1 }, expr: value > 1", "aggregate.when"],
    ["aggregate: { count: true, by: { a: self.amuont } }, expr: value > 1", "aggregate.by.a"],
    ["expect: { within: 1h }, expr: self.amuont > 1", "expr"],
    ["window: { sum: self.amuont, over: 5m }, expr: value > 1", "window.sum"],
    ["sequence: { after: self.amuont > 1, followed_by: 'true', within: 1h }", "sequence.after"],
  ]) {
    const message = await refusal(orders({ rules: `[{ alert: A, ${rule} }]` }));
    assert.match(message, new RegExp(`rules(\\.|\\[)0\\]?\\.${at}.*self\\.amuont is not tracked for type order; .*amount`));
    assert.equal(message.split("\n").length, 1);
  }
});

test("a window over observations, and a rule that fires always, need no track; a window there reads no resource", async () => {
  const untracked = (rules: string): string => orders({ rules }).replace("[track/order, threshold/order]", "[threshold/order]");
  await using h = await harness(untracked("[{ alert: A, window: { count: true, over: 5m }, expr: value > 1 }, { alert: B, always: true }]"));
  assert.deepEqual(h.now.agent.graph.declared.rules.slice(0, 2).map(({ declaration }) => declaration.type), ["", ""]);
  assert.match(await refusal(untracked("[{ alert: A, window: { count: self.amount > 1, over: 5m }, expr: value > 1 }]")), /self and transition are known only after a track/);
  for (const rule of ["aggregate: { count: true }, expr: value > 1", "expect: { within: 1h }"]) {
    assert.match(await refusal(untracked(`[{ alert: A, ${rule} }]`)), /rule "A" has no type: put it after a track processor/);
  }
});

test("a receiver whose source others share cannot feed a track", async () => {
  const shared = defineReceiver({
    type: "shared", summary: "Reads what others read, too.", stability: "alpha",
    schema: { type: "object", additionalProperties: false, properties: { by: { type: "string", description: "Whom." } } },
    create: () => ({ untrackable: { pointer: "/by", reason: "leave it out" } }),
  });
  const yaml = orders({ receivers: "feed: {}, shared: { by: all }" });
  await assert.rejects(harness(yaml, undefined, [shared]), new RegExp(`${at}.*it feeds track/order: leave it out`));
  await using _ = await harness(yaml.replace("processors: [track/order]", "processors: []"), undefined, [shared]);
});

test("what a receiver cannot decode is a dead letter, in the commit of what comes after it", async () => {
  await using h = await harness(orders());
  const feed = h.receiver("feed");
  feed.deadLetter(observation("{broken", { source: "feed", time: h.clock.now(), attributes: { "http.request.header.authorization": "secret" } }), "not JSON");
  await h.send("feed", { id: "o1", status: "new" });
  await h.restart();
  const letter = h.now.agent.services.deadLetters.list(undefined, 10)[0]!;
  assert.deepEqual([letter.component, letter.reason, (letter.content as { body: string }).body], ["feed", "not JSON", "{broken"]);
  assert.doesNotMatch(JSON.stringify(letter), /secret/);
});
