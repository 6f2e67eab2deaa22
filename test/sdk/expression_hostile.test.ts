import assert from "node:assert/strict";
import { test } from "node:test";
import { Failure } from "../../src/sdk/expression.ts";
import type { Value } from "../../src/sdk/expression.ts";
import { compileExpression, ExpressionError } from "../../src/sdk/expression_compile.ts";
import { jsonOf, jsonText } from "../../src/sdk/expression_json.ts";
import { compileTemplate } from "../../src/sdk/template_compile.ts";
import { bodyOf } from "../../src/sdk/observation.ts";
import type { Json } from "../../src/sdk/observation.ts";

/** Generous, as machines are shared; what it guards against takes minutes. */
const SOON_MS = 3_000;

function soon<T>(what: string, run: () => T): T {
  const start = performance.now();
  const result = run();
  const took = performance.now() - start;
  assert.ok(took < SOON_MS, `${what.slice(0, 80)} took ${took} ms`);
  return result;
}

const evaluate = (text: string, body: Json): Value | Failure =>
  soon(text, () => compileExpression(text, ["body"]).evaluate({ body: bodyOf(body) }, 0));

function fails(text: string, body: Json, message: RegExp): void {
  const value = evaluate(text, body);
  assert.ok(value instanceof Failure, `${text.slice(0, 80)} gave a value`);
  assert.match(value.message, message);
}

test("text that is nested too deeply or too long is refused at once", () => {
  const texts = [
    "(".repeat(5_000) + "1" + ")".repeat(5_000), "[".repeat(5_000), "{1:".repeat(3_000) + "1" + "}".repeat(3_000), "-(".repeat(3_000),
    "!".repeat(9_999) + "x", "-".repeat(9_999) + "x", "true ? 1 : ".repeat(900) + "1", `body${".a".repeat(4_900)}`, "1" + "+1".repeat(4_900),
    "size(".repeat(1_900) + "''" + ")".repeat(1_900), "x".repeat(10_001), "[1].map(x, ".repeat(400) + "1" + ")".repeat(400), "'".repeat(9_999), "(".repeat(9_999),
  ];
  for (const text of texts) {
    const accepted = soon(text, () => {
      try {
        return compileExpression(text, ["body"]);
      } catch (error) {
        assert.ok(error instanceof ExpressionError, String(error));
        return undefined;
      }
    });
    if (accepted !== undefined) soon(text, () => accepted.evaluate({ body: bodyOf({}) }, 0)); // a long path is no nesting
  }
});

test("long conditions of many terms are no nesting", () => {
  const text = Array.from({ length: 500 }, (_, i) => `body.n == ${i}`).join(" || ");
  assert.equal(evaluate(text, { n: 499 }), true);
});

test("a pattern that makes backtracking engines hang matches in linear time", () => {
  assert.equal(evaluate('body.s.matches("(a+)+$")', { s: `${"a".repeat(100_000)}!` }), false);
  assert.equal(evaluate('body.s.matches("(x+x+)+y")', { s: "x".repeat(100_000) }), false);
});

test("a large pattern against a long text fails rather than block", () => {
  fails('body.s.matches("^(a?){900}a{900}$")', { s: "a".repeat(100_000) }, /too long for this pattern/);
  fails("body.s.matches(body.p)", { s: "a", p: "a".repeat(501) }, /pattern of more than/);
  fails("body.s.matches(body.p)", { s: "a", p: "(" }, /not a regular expression/);
  fails("body.list.exists(p, body.s.matches(p))", { s: "b", list: Array.from({ length: 20_000 }, (_, i) => `(a{1,40}|b${i}){20}c`) }, /steps/);
});

test("nested macros over a large body run out of steps soon", () => {
  const list = Array.from({ length: 5_000 }, (_, i) => i);
  fails("body.l.exists(a, body.l.exists(b, body.l.exists(c, a + b + c < 0)))", { l: list }, /more than 1,000,000 steps/);
  fails("body.l.map(a, body.l.map(b, body.l.map(c, c)))", { l: list }, /more than 1,000,000 steps/);
  fails("body.l.all(a, body.l == body.m)", { l: list, m: [...list] }, /steps/);
  fails("body.l.all(a, body.l + body.l != [])", { l: list }, /steps/);
  fails("body.l.all(a, !(-1 in body.l))", { l: list }, /steps/);
  fails("body.l.all(a, body.o.all(k, true))", { l: list, o: Object.fromEntries(list.map((i) => [`k${i}`, i])) }, /steps/);
});

test("long texts cannot be scanned or grown without end", () => {
  const l = Array.from({ length: 50_000 }, (_, i) => i);
  const s = "é".repeat(500_000);
  for (const work of ["size(body.s) > 0", "body.s.lowerAscii() != ''", "!body.s.contains('x')", "body.s.indexOf('x') < 0", "body.s.split('x').size() == 1",
    "body.s.replace('x', 'y') != ''", "body.s + 'x' > body.s", "bytes(body.s) != b''", "body.s.trim() != ''"]) {
    fails(`body.l.all(a, ${work})`, { l, s }, /steps/);
  }
  fails(`size(${Array.from({ length: 40 }, () => "body.s").join(" + ")}) > 0`, { s }, /longer than/);
  fails("body.s.replace('', body.s).size() > 0", { s: "a".repeat(100_000) }, /longer than/);
  fails("body.l.map(a, body.s).join() != ''", { l, s }, /longer than/);
});

test("a body nested without end is neither compared nor written in full", () => {
  const deep = JSON.parse("[".repeat(100_000) + "]".repeat(100_000)) as Json;
  const again = JSON.parse("[".repeat(100_000) + "]".repeat(100_000)) as Json;
  fails("body.a == body.b", { a: deep, b: again }, /steps/);
  assert.throws(() => jsonOf(deep as Value), RangeError);
  assert.ok(jsonText(deep as Value, 1_000).length < 2_000);
});

test("one large value named a thousand times is not written a thousand times", () => {
  const body: Json = { l: Array.from({ length: 1_000 }, (_, i) => i), s: "x".repeat(100_000) };
  const value = evaluate("body.l.map(i, body)", body);
  assert.throws(() => soon("jsonOf", () => jsonOf(value as Value)), RangeError);
  const rendered = soon("render", () => compileTemplate("{{ body.l.map(i, body) }}", ["body"]).render({ body: bodyOf(body) }, 0));
  assert.equal(rendered.length, 16_384);
});

test("no name reaches a prototype", () => {
  for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"]) {
    fails(`body.${name}`, {}, /no such field/);
    fails(`body.o["${name}"]`, { o: {} }, /no such field/);
    fails("body.o[body.k]", { o: {}, k: name }, /no such field/);
    fails(`body.o.${name}.${name}`, { o: { a: 1 } }, /no such field/);
    fails(`[body.o].map(x, x.${name})`, { o: {} }, /no such field/);
    assert.equal(evaluate(`has(body.o.${name})`, { o: {} }), false);
    assert.equal(evaluate(`"${name}" in body.o`, { o: {} }), false);
    assert.throws(() => compileExpression(name, ["body"]), ExpressionError);
    assert.throws(() => compileExpression(`${name}(body)`, ["body"]), ExpressionError);
    assert.throws(() => compileExpression(`body.${name}()`, ["body"]), ExpressionError);
    assert.throws(() => compileExpression(`math.${name}(1)`, ["body"]), ExpressionError);
    const attributes = compileExpression(`attributes["${name}"]`, ["attributes"]).evaluate({ attributes: {} }, 0);
    assert.ok(attributes instanceof Failure);
  }
  const own = JSON.parse('{"__proto__": {"a": 1}}') as Json;
  assert.equal(evaluate("body.__proto__.a", own), 1);
  const made = jsonOf(evaluate('{"__proto__": {"polluted": true}}', {}) as Value);
  assert.equal(Object.getPrototypeOf(made), Object.prototype);
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
});

test("an evaluation keeps nothing of the body", async () => {
  const expression = compileExpression("body.l.exists(x, x.n == 1)", ["body"]);
  const seen = ((): WeakRef<object> => {
    const item = { n: 1 };
    expression.evaluate({ body: bodyOf({ l: [item] }) }, 0);
    return new WeakRef(item);
  })();
  const { setFlagsFromString } = await import("node:v8");
  const { runInNewContext } = await import("node:vm");
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let i = 0; i < 20 && seen.deref() !== undefined; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  assert.equal(seen.deref(), undefined);
});
