import assert from "node:assert/strict";
import { test } from "node:test";
import { Duration, Failure, Timestamp } from "../../src/sdk/expression.ts";
import type { Scope, ScopeName, Value } from "../../src/sdk/expression.ts";
import { compileExpression, ExpressionError } from "../../src/sdk/expression_compile.ts";
import { jsonOf } from "../../src/sdk/expression_json.ts";
import { bodyOf, LazyBody } from "../../src/sdk/observation.ts";
import type { Json } from "../../src/sdk/observation.ts";
import type { ResourceView } from "../../src/sdk/resource.ts";

const ALL: readonly ScopeName[] = ["body", "attributes", "time", "source", "self", "transition"];
const NOW = Date.parse("2026-11-03T10:00:00Z");
const ATTRIBUTES: Readonly<Record<string, Json>> = { amount: 12_000, region: "eu", tags: ["vip"] };

const self: ResourceView = {
  type: "order",
  id: "o1",
  state: "pending",
  since: NOW - 31 * 60_000,
  first_seen: NOW - 3_600_000,
  last_seen: NOW - 1_000,
  incarnation: 2,
  attribute: (name) => (Object.hasOwn(ATTRIBUTES, name) ? ATTRIBUTES[name] : undefined),
};

const scope: Scope = {
  body: bodyOf({
    id: "o1", status: "paid", count: 7, ratio: 0.5, zero: 0, flag: true, nothing: null, name: "Zoë 😀", when: "2026-11-03T09:30:00+01:00",
    epoch: 1_762_162_200, items: [{ sku: "a", n: 1 }, { sku: "b", n: 3 }], words: ["x", "y"], order: { id: "deep", lines: [null] },
    "odd key": 1,
  }),
  attributes: { "http.request.header.x-event": "order", name: "n" },
  time: NOW - 5_000,
  source: "webhook/orders",
  self,
  transition: { from: "new", to: "pending", at: NOW - 31 * 60_000, duration: 90_000 },
};

function evaluate(text: string, given: Scope = scope): Value | Failure {
  return compileExpression(text, ALL).evaluate(given, NOW);
}

function failure(text: string, given: Scope = scope): string {
  const value = evaluate(text, given);
  assert.ok(value instanceof Failure, `${text} gave ${String(value as string)}`);
  return value.message;
}

function refusal(text: string, names: readonly ScopeName[] = ALL): ExpressionError {
  try {
    compileExpression(text, names);
  } catch (error) {
    assert.ok(error instanceof ExpressionError, text);
    return error;
  }
  assert.fail(`${text} was accepted`);
}

function table(rows: readonly (readonly [text: string, expected: Value])[]): void {
  for (const [text, expected] of rows) assert.deepEqual(evaluate(text), expected, text);
}

test("a JSON number and an int literal mix as people expect", () => {
  table([
    ["body.count + 1", 8], ["1 + body.count", 8], ["body.count - 1", 6], ["10 - body.count", 3], ["body.count * 2", 14],
    ["body.count / 2", 3.5], ["14 / body.count", 2], ["body.count % 2", 1], ["body.count + size(body.words)", 9],
    ["body.count > 5", true], ["body.count >= 7", true], ["body.count < 7", false], ["5 < body.count", true],
    ["body.count == 7", true], ["7 == body.count", true], ["body.count != 7", false], ["body.ratio == 0.5", true],
    ["body.count in [1, 7]", true], ["body.count in [1.0, 7.0]", true], ["body.ratio in [0, 1]", false], ["7 in [body.count]", true],
    ["size(body.items) > 1", true], ["body.items.size() == 2", true], ["size(body.items) > body.ratio", true],
    ["body.words[body.zero]", "x"], ["body.name.substring(body.zero, 3)", "Zoë"], ["-body.count", -7], ["7 / 2", 3n], ["7.0 / 2.0", 3.5],
    ["math.greatest(1, body.count)", 7], ["math.least([3, 2])", 2n],
  ]);
});

test("fields are read by name, by key and by index", () => {
  table([
    ["body.order.id", "deep"], ['body["order"].id', "deep"], ['body["odd key"]', 1], ["body.items[1].sku", "b"], ["body.order.lines[0]", null],
    ["attributes.name", "n"], ['attributes["http.request.header.x-event"]', "order"], ['"name" in attributes', true],
    ["source", "webhook/orders"], ["body[attributes.name + 'ame']", "Zoë 😀"], ['"id" in body', true], ['"x" in body.words', true],
    ['{"a": {"b": 1}}.a.b', 1n], ["{1: 'a'}[1.0]", "a"],
  ]);
});

test("has() is false for what is missing, at any depth, and true for null", () => {
  table([
    ["has(body.status)", true], ["has(body.nope)", false], ["has(body.nope.deeper)", false], ["has(body.nothing)", true],
    ["has(body.status.x)", false], ["has(body.items[0].sku)", true], ["has(body.items[0].nope)", false],
    ["has(self.amount)", true], ["has(self.nope)", false], ["has(self.state)", true], ["has(transition.from)", true],
    ["has(body.items.length)", false], ["has(attributes.name)", true], ["body.items.filter(i, has(i.n) && i.n > 1).size()", 1n],
  ]);
  assert.equal(evaluate("has(transition.from)", { self }), false);
  assert.equal(evaluate("has(self.state)", { self: { ...self, state: "" } }), false);
});

test("self and transition have their types", () => {
  table([
    ["self.state == 'pending'", true], ["self.id", "o1"], ["self.type", "order"], ["self.incarnation", 2n], ["self.incarnation > 1", true],
    ["self.amount > 10000", true], ["'vip' in self.tags", true], ["self['region']", "eu"],
    ["now - self.since > duration('30m')", true], ["now - self.since > duration('32m')", false], ["self.since", new Timestamp(self.since)],
    ["transition.from", "new"], ["transition.duration", new Duration(90_000)], ["transition.duration > duration('1m')", true],
    ["transition.at == self.since", true], ["time < now", true], ["now - time", new Duration(5_000)],
  ]);
  assert.equal(failure("transition.from", { self }), "no such field: transition.from");
  assert.equal(failure("self.nope"), "no such field: self.nope");
});

test("times are compared, added and taken apart", () => {
  table([
    ["timestamp(body.when) == timestamp('2026-11-03T08:30:00Z')", true], ["timestamp(body.epoch) < now", true],
    ["timestamp(body.epoch) == timestamp(body.epoch * 1000)", true], ["now + duration('1d')", new Timestamp(NOW + 86_400_000)],
    ["now.getFullYear()", 2026n], ["now.getMonth()", 10n], ["now.getHours('Europe/Berlin')", 11n], ["now.getHours('-02:30')", 7n],
    ["now.getDayOfWeek()", 2n], ["duration('90m').getHours()", 1n], ["duration('90m').getMinutes()", 90n], ["string(duration('90m'))", "5400s"],
    ["string(now)", "2026-11-03T10:00:00Z"], ["int(now)", BigInt(NOW / 1_000)], ["duration('1h30m') == duration('90m')", true],
    ["-duration('1h')", new Duration(-3_600_000)],
  ]);
  assert.match(failure("timestamp(body.status)"), /^not a time.*timestamp\(body\.status\)$/);
  assert.match(failure("now.getHours(body.status)"), /time zone/);
});

test("text functions do what Kubernetes users know", () => {
  table([
    ["body.status.startsWith('pa')", true], ["body.status.matches('^p.*d$')", true], ["matches(body.status, 'a')", true],
    ["body.status.matches(body.id)", false], ["'A-b'.lowerAscii()", "a-b"], ["'a-b'.upperAscii()", "A-B"], ["' a\t'.trim()", "a"],
    ["'a,b,c'.split(',')", ["a", "b", "c"]], ["'a,b,c'.split(',', 2)", ["a", "b,c"]], ["'a.b.c'.replace('.', '-')", "a-b-c"],
    ["'a.b.c'.replace('.', '-', 1)", "a-b.c"], ["body.name.substring(4)", "😀"], ["body.name.size()", 5n], ["body.name.charAt(4)", "😀"],
    ["'hello'.indexOf('l')", 2n], ["'hello'.lastIndexOf('l')", 3n], ["body.words.join('+')", "x+y"], ["body.status + '!'", "paid!"],
    ["string(body.count)", "7"], ["string(1e6)", "1000000"], ["string(body.ratio)", "0.5"], ["int('42')", 42n], ["double('1e3')", 1_000],
    ["int(body.ratio)", 0n], ["bool('true')", true], ["type(body.count) == double", true], ["type(now) == google.protobuf.Timestamp", true],
  ]);
  assert.match(failure("body.name.substring(9)"), /out of bounds/);
  assert.match(failure("int(body.status)"), /^not an integer: int\(body\.status\)$/);
});

test("macros go through lists and the keys of maps", () => {
  table([
    ["body.items.exists(i, i.n > 2)", true], ["body.items.all(i, i.n > 2)", false], ["body.items.exists_one(i, i.n > 2)", true],
    ["body.items.map(i, i.sku)", ["a", "b"]], ["body.items.map(i, i.n > 1, i.sku)", ["b"]], ["body.items.filter(i, i.n > 1).size()", 1n],
    ["body.order.all(k, size(k) > 1)", true], ["[1, 2].map(x, [3, 4].map(y, x * y))", [[3n, 4n], [6n, 8n]]],
    ["body.items.exists(i, i.missing == 1 || i.sku == 'b')", true], ["[1].map(body, body)", [1n]],
  ]);
});

test("an error on one side of && and || yields to the other side", () => {
  table([
    ["body.nope == 1 || true", true], ["true || body.nope == 1", true], ["body.nope == 1 && false", false], ["false && 1 / 0 > 0", false],
    ["body.flag ? 1 : body.nope", 1n],
  ]);
  assert.equal(failure("body.nope == 1 || false"), "no such field: body.nope");
  assert.equal(failure("body.nope ? 1 : 2"), "no such field: body.nope");
});

test("a failure says what is missing or does not fit, and never shows a literal", () => {
  assert.equal(failure("body.amount > 5"), "no such field: body.amount");
  assert.equal(failure("body.items[5]"), "index out of bounds: body.items[5]");
  assert.equal(failure("body.items.length"), "no such field: body.items.length");
  assert.equal(failure('body.count < "s3cret"'), 'no such operation on number and string: body.count < "…"');
  assert.match(failure("body.status && true"), /on string/);
  assert.match(failure("1 / 0"), /divide by zero/);
  assert.match(failure("body.count % 0"), /modulus by zero/);
  assert.equal(failure("body.status", { body: bodyOf("only text") }), "no such field: body.status");
  assert.equal(failure("body.status", {}), "no such field: body.status");
});

test("a failure is made once for each place", () => {
  const expression = compileExpression("body.amount > 5", ALL);
  assert.equal(expression.evaluate({ body: bodyOf({}) }, 0), expression.evaluate({ body: bodyOf({ x: 1 }) }, 0));
  const typed = compileExpression("body.amount > 5", ALL);
  assert.equal(typed.evaluate({ body: bodyOf({ amount: "a" }) }, 0), typed.evaluate({ body: bodyOf({ amount: "b" }) }, 0));
});

test("a mistake is found when the text is compiled, with its place and what is allowed", () => {
  const rows: readonly (readonly [text: string, offset: number, message: RegExp])[] = [
    ["status == 'x'", 0, /unknown name: status; did you mean body\.status\? known here: body, attributes/],
    ["true && bodi.x", 8, /did you mean body\?/],
    ["resource.id", 0, /did you mean self\?/],
    ["body.x.startswith('a')", 6, /unknown method: startswith; did you mean startsWith\?/],
    ["sise(body.x)", 0, /unknown function: sise; did you mean size\?/],
    ["contains(body.x, 'a')", 0, /contains is a method: write x\.contains/],
    ["body.x.int()", 6, /int is not a method: write int\(x\)/],
    ["size(body.x, 1)", 0, /size takes 1 argument, not 2/],
    ["has(body)", 0, /has is written has\(body\.amount\)/],
    ["body.items.exists(x)", 10, /exists is written/],
    ["body.x.matches('(')", 6, /not a regular expression in RE2 syntax/],
    ["duration('soon')", 0, /not a duration/],
    ["attributes.http.route", 15, /write attributes\["http\.route"\]/],
    ["transition.form", 10, /transition has no form; did you mean from\?/],
    ["self", 0, /read a field of it/],
    ["transition", 0, /has\(transition\.to\)/],
    ["Foo{a: 1}", 0, /there are none here/],
    ["body.a = 1", 7, /to compare, write ==/],
    ["body.a and body.b", 7, /write && instead of and/],
    ["$labels.x", 0, /not Prometheus's/],
    ["", 0, /empty/],
    ["99999999999999999999", 0, /64 bits/],
  ];
  for (const [text, offset, message] of rows) {
    const error = refusal(text);
    assert.match(error.message, message, text);
    assert.ok(Math.abs(error.offset - offset) <= 1, `${text}: ${error.offset}`);
  }
  assert.match(refusal("self.state == 'x'", ["body"]).message, /self is known only after a track processor; known here: body, now/);
  assert.match(refusal("body.x", ["self"]).message, /body is not known here; known here: self, now/);
});

test("what an expression reads is known", () => {
  const reads = (text: string) => compileExpression(text, ALL).reads;
  assert.deepEqual([...reads('body.a.b[0].c == 1 && body["d"].e > 1 && has(body.f.g)').body], ["a.b", "d.e", "f.g"]);
  assert.deepEqual(reads("body['a.b'].c").bodyPaths, [["a.b", "c"]]);
  assert.deepEqual([...reads("body[body.k]").body].sort(), ["", "k"]);
  assert.deepEqual([...reads("size(body)").body], [""]);
  assert.deepEqual([...reads("body.list.length").body], ["list"]);
  assert.deepEqual([...reads("self.amount > 1 && self.state == 'x'").self], ["amount", "state"]);
  assert.deepEqual([...reads("self.amount > 1 && has(transition.to) && time < now").scope], ["self", "transition", "time"]);
  assert.equal(reads("now > time").now, true);
  assert.equal(reads("time > time").now, false);
  assert.deepEqual([...reads("[1].exists(body, body == 1)").scope], []);
});

test("two paths that look alike with dots are both read", () => {
  const { bodyPaths } = compileExpression("body['a.b'] == body.a.b", ALL).reads;
  assert.deepEqual(bodyPaths, [["a.b"], ["a", "b"]]);
});

test("of a lazy body only the fields that are named get decoded", () => {
  const asked: string[] = [];
  class Fields extends LazyBody {
    at(path: readonly string[]): Json | undefined {
      asked.push(path.join("/"));
      return path.join(".") === "order.total" ? 5 : undefined;
    }
    whole(): Json {
      return assert.fail("the whole body was decoded");
    }
  }
  assert.equal(evaluate("body.order.total > 3 && !has(body.nope.x)", { body: bodyOf(new Fields()) }), true);
  assert.deepEqual(asked, ["order/total", "nope/x"]);
});

test("a value becomes JSON", () => {
  const json = (text: string): Json => jsonOf(evaluate(text) as Value);
  assert.deepEqual(json("{'n': size(body.items), 'at': now, 'for': duration('90s'), 'list': body.items.map(i, {'s': i.sku}), 'b': b'a'}"),
    { n: 2, at: "2026-11-03T10:00:00Z", for: "90s", list: [{ s: "a" }, { s: "b" }], b: "YQ==" });
  assert.equal(json("9007199254740993"), "9007199254740993");
});
