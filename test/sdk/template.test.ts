import assert from "node:assert/strict";
import { test } from "node:test";
import type { Scope, ScopeName } from "../../src/sdk/expression.ts";
import { ExpressionError } from "../../src/sdk/expression_compile.ts";
import { compileTemplate, TEMPLATE_OUTPUT_MAX } from "../../src/sdk/template_compile.ts";
import { bodyOf } from "../../src/sdk/observation.ts";

const NAMES: readonly ScopeName[] = ["body", "attributes", "time"];
const NOW = Date.parse("2026-11-03T10:00:00Z");
const scope: Scope = {
  body: bodyOf({ id: "o1", amount: 12_000, ratio: 0.1, big: 1e21, nothing: null, list: [1, "a"], order: { x: { y: 1 } } }),
  attributes: {},
  time: NOW - 125 * 60_000,
};

function render(text: string): string {
  return compileTemplate(text, NAMES).render(scope, NOW, (message) => assert.fail(message));
}

function refusal(text: string): ExpressionError {
  try {
    compileTemplate(text, NAMES);
  } catch (error) {
    assert.ok(error instanceof ExpressionError, String(error));
    return error;
  }
  assert.fail(`${text} was accepted`);
}

test("values are rendered for people", () => {
  const rows: readonly (readonly [text: string, expected: string])[] = [
    ["Order {{ body.id }} is worth {{ body.amount }}", "Order o1 is worth 12000"],
    ["{{body.id}}{{body.id}}", "o1o1"],
    ["{{ body.ratio + 0.2 }}", "0.3"],
    ["{{ size(body.list) }} {{ body.amount > 1 }} [{{ body.nothing }}]", "2 true []"],
    ["{{ time }}", "2026-11-03T07:55:00Z"],
    ["{{ now - time }} {{ time - now }}", "2h5m -2h5m"],
    ["{{ body.list }} {{ body.order }} {{ {'a': [now]} }}", '[1,"a"] {"x":{"y":1}} {"a":["2026-11-03T10:00:00Z"]}'],
    ["{{ type(body.id) }}", '"string"'],
    ["no expression, } and { and }} stay", "no expression, } and { and }} stay"],
    ["", ""],
  ];
  for (const [text, expected] of rows) assert.equal(render(text), expected, text);
});

test("braces inside literals and maps do not end an expression", () => {
  const rows: readonly (readonly [text: string, expected: string])[] = [
    ["{{ '}}' + \"{{\" }}!", "}}{{!"],
    ["{{ {'a': {'b': 'c'}}.a.b }}!", "c!"],
    ["{{{'a': {'b': 'c'}}}}!", '{"a":{"b":"c"}}!'],
    ["{{ 'it\\'s }}' }}", "it's }}"],
    ["{{ '''a'}}b''' }}", "a'}}b"],
    ['{{ r"\\" }}{{ body.id }}', "\\o1"],
    ["{{ '{{ body.id }}' }}", "{{ body.id }}"],
  ];
  for (const [text, expected] of rows) assert.equal(render(text), expected, text);
});

test("what data brings is never taken for a template", () => {
  const template = compileTemplate("{{ body.text }}", NAMES);
  assert.equal(template.render({ body: bodyOf({ text: "{{ body.secret }}", secret: "s" }) }, NOW), "{{ body.secret }}");
});

test("an expression that fails shows so in its place, and is reported", () => {
  const messages: string[] = [];
  const template = compileTemplate("a {{ body.nope }} b {{ body.id }}", NAMES);
  assert.equal(template.render(scope, NOW, (message) => messages.push(message)), "a <error: no such field: body.nope> b o1");
  assert.deepEqual(messages, ["no such field: body.nope"]);
  assert.equal(template.render(scope, NOW), "a <error: no such field: body.nope> b o1");
});

test("a mistake is found when the template is compiled, with its place in the whole text", () => {
  const text = "Order {{ body.id }} is {{ bodi.x }}";
  const error = refusal(text);
  assert.equal(error.offset, text.indexOf("bodi"));
  assert.match(error.message, /did you mean body\?/);
  assert.match(refusal("a {{ body.id").message, /\{\{ without \}\}/);
  assert.equal(refusal("a {{ body.id").offset, 2);
  assert.match(refusal("{{ 'open }}").message, /\{\{ without \}\}/);
  assert.match(refusal("{{ }}").message, /empty/);
  assert.match(refusal("{{ $labels.instance }}").message, /not Prometheus's/);
  assert.match(refusal("x".repeat(70_000)).message, /too many/);
});

test("what a template reads is what all its expressions read", () => {
  const { reads } = compileTemplate("{{ body.id }} {{ body.order.x }} {{ body.id }} {{ now }}", NAMES);
  assert.deepEqual([...reads.body], ["id", "order.x"]);
  assert.deepEqual(reads.bodyPaths, [["id"], ["order", "x"]]);
  assert.deepEqual([...reads.scope], ["body"]);
  assert.equal(reads.now, true);
  assert.equal(compileTemplate("plain", NAMES).reads.bodyPaths.length, 0);
});

test("the output is bounded", () => {
  const body = bodyOf({ s: "x".repeat(100_000), list: Array.from({ length: 50_000 }, () => "y") });
  for (const text of ["{{ body.s }}", "{{ body.list }}", "{{ body.s }}".repeat(100), "z".repeat(20_000)]) {
    const output = compileTemplate(text, NAMES).render({ body }, NOW);
    assert.equal(output.length, TEMPLATE_OUTPUT_MAX);
    assert.ok(output.endsWith("…"));
  }
});
