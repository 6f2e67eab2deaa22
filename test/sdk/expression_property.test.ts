import assert from "node:assert/strict";
import { test } from "node:test";
import { celEnv, isCelError, isCelList, isCelMap, parse, plan } from "@bufbuild/cel";
import type { CelInput } from "@bufbuild/cel";
import fc from "fast-check";
import { Failure } from "../../src/sdk/expression.ts";
import { compileExpression, INTENDED_DIFFERENCES } from "../../src/sdk/expression_compile.ts";
import { bodyOf } from "../../src/sdk/observation.ts";
import type { Json } from "../../src/sdk/observation.ts";

/*
 * Generated within INTENDED_DIFFERENCES: arithmetic never has an int beside a double (an expression is of the
 * "int" or of the "double" world; comparisons, lists and conditions mix them), there is no % of doubles, no uint,
 * has() asks one level only, and no conversion has a constant argument. Nor does double() have text, of which the
 * reference makes NaN where the specification has an error.
 */
type World = "int" | "double";

const literalText = fc.constantFrom('""', '"a"', '"pending"', '"é😀"', "'it'");
const key = fc.constantFrom("a", "b", "n", "s", "list", "missing");

function expressions(world: World): fc.Arbitrary<string> {
  const other: World = world === "int" ? "double" : "int";
  const number = world === "int"
    ? fc.oneof(fc.integer({ min: -9, max: 9 }).map(String), fc.constantFrom("size(body.words)", "9223372036854775807", "size(body.s)", "body.s.size()"))
    : fc.oneof(fc.constantFrom("1.5", "-0.0", "2.0", "1e300"), fc.constantFrom("body.n", "body.m", "body.o.n", "body.list[0]", "double(body.m)"));
  return fc.letrec<{ any: string; leaf: string; bool: string }>((tie) => {
    const any = tie("any");
    const bool = tie("bool");
    const pair = (signs: readonly string[]): fc.Arbitrary<string> =>
      fc.tuple(any, fc.constantFrom(...signs), any).map(([a, sign, b]) => `(${a} ${sign} ${b})`);
    const mixed = fc.tuple(any, fc.constantFrom("==", "!=", "<", "<=", ">", ">="), world === "int" ? expressionsLeaf(other) : expressionsLeaf("int"));
    return {
      leaf: fc.oneof(
        number, number, literalText,
        fc.constantFrom("body.s", "body.t", "body.flag", "body.nul", "body.o", "body.words", "body.missing", "true", "false", "null", "[]"),
        ...(world === "double" ? [key.map((name) => `body.o.${name}`)] : []), fc.constantFrom('body["s"]', 'body["words"]', 'body["missing"]'),
      ),
      bool: fc.oneof(
        { depthSize: "small" },
        fc.constantFrom("body.flag", "true", "false", "body.missing", "has(body.o)"),
        key.map((name) => `has(body.${name})`),
        pair(["==", "!=", "<", "<=", ">", ">="]),
        mixed.map(([a, sign, b]) => `(${a} ${sign} ${b})`),
        fc.tuple(bool, fc.constantFrom("&&", "||"), bool).map(([a, sign, b]) => `(${a} ${sign} ${b})`),
        bool.map((a) => `(!(${a}))`),
        fc.tuple(any, fc.array(any, { maxLength: 3 })).map(([a, list]) => `(${a} in [${list.join(", ")}])`),
        fc.tuple(any, fc.constantFrom("body.words", "body.list", "body.o", "body.s")).map(([a, b]) => `(${a} in ${b})`),
        fc.tuple(any, fc.constantFrom("contains", "startsWith", "endsWith"), any).map(([a, name, b]) => `${a}.${name}(${b})`),
        fc.constantFrom('body.s.matches("^p.*g$")', 'body.t.matches("[a-c]+")', "body.s.matches(body.t)"),
        fc.tuple(fc.constantFrom("all", "exists", "exists_one"), fc.constantFrom("body.words", "body.list", "body.o", "body.s"), bool)
          .map(([name, range, test]) => `${range}.${name}(x, x == body.t || ${test})`),
      ),
      any: fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        tie("leaf"), tie("leaf"), bool,
        pair(world === "int" ? ["+", "-", "*", "/", "%"] : ["+", "-", "*", "/"]),
        fc.tuple(bool, any, any).map(([c, a, b]) => `(${c} ? ${a} : ${b})`),
        any.map((a) => `(-(${a}))`),
        fc.array(any, { maxLength: 3 }).map((list) => `[${list.join(", ")}]`),
        fc.tuple(key, any, any).map(([name, a, b]) => `{"${name}": ${a}, "z": ${b}}`),
        fc.tuple(any, key).map(([a, name]) => `{"a": ${a}}.${name}`),
        fc.tuple(fc.constantFrom("body.words", "body.list", "body.o"), bool).map(([range, test]) => `${range}.filter(x, x == "a" || ${test})`),
        fc.tuple(fc.constantFrom("body.words", "body.o"), any).map(([range, a]) => `${range}.map(x, [x, ${a}])`),
        fc.constantFrom("body.s", "body.nul", "body.flag", "body.words", "body.missing", ...(world === "int" ? ["size(body.words)"] : ["body.n"]))
          .map((a) => `string(${a})`),
        any.map((a) => `type(${a}) == ${world}`),
      ),
    };
  }).any;
}

function expressionsLeaf(world: World): fc.Arbitrary<string> {
  return world === "int" ? fc.integer({ min: -3, max: 12 }).map(String) : fc.constantFrom("body.n", "body.m", "1.5", "0.0");
}

const scalar = fc.oneof(fc.constantFrom<Json>("a", "pending", "", "é😀", "7", null, true), fc.double({ noNaN: true, noDefaultInfinity: true, min: -100, max: 100 }), fc.integer({ min: -9, max: 9 }));
const bodies: fc.Arbitrary<Json> = fc.record({
  n: fc.oneof(fc.integer({ min: -5, max: 12 }), fc.double({ noNaN: true, min: -5, max: 20 })),
  m: fc.integer({ min: -3, max: 3 }),
  s: fc.constantFrom("pending", "a", "7", "it's long"),
  t: fc.constantFrom("a", "end", "p"),
  flag: fc.boolean(),
  nul: fc.constant(null),
  words: fc.array(fc.constantFrom("a", "b", "end"), { maxLength: 4 }),
  list: fc.array(scalar, { maxLength: 4 }),
  o: fc.dictionary(key, scalar, { maxKeys: 4, noNullPrototype: true }),
}, { requiredKeys: ["n", "m", "s", "t", "flag", "nul", "words", "list"] , noNullPrototype: true });

/** Either evaluator's value in one form, ints and doubles apart; every error is one. */
function plain(value: unknown): unknown {
  if (value instanceof Failure || isCelError(value)) return "error";
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number") return Object.is(value, -0) ? 0 : value;
  if (typeof value !== "object" || value === null) return typeof value === "string" ? `'${value}'` : value;
  if (isCelList(value) || Array.isArray(value)) return Array.from(value as Iterable<unknown>, plain);
  const entries = isCelMap(value) || value instanceof Map ? [...(value as ReadonlyMap<unknown, unknown>)] : Object.entries(value);
  return Object.fromEntries(entries.map(([name, item]) => [String(plain(name)), plain(item)]));
}

const environment = celEnv();

for (const world of ["int", "double"] as const) {
  test(`closures and the reference evaluator agree on expressions of ${world}s`, () => {
    let errors = 0;
    let runs = 0;
    fc.assert(
      fc.property(expressions(world), bodies, (text, body) => {
        const reference = plain(plan(environment, parse(text))({ body: body as CelInput }));
        const ours = plain(compileExpression(text, ["body"]).evaluate({ body: bodyOf(body) }, 0));
        runs++;
        if (reference === "error") errors++;
        assert.deepEqual(ours, reference, text);
      }),
      { numRuns: 1_500 },
    );
    assert.ok(errors < runs * 0.8, `${errors} of ${runs} were errors: the test has become blind`);
  });
}

test("every intended difference from CEL is written down", () => {
  assert.ok(INTENDED_DIFFERENCES.length >= 10);
  assert.equal(new Set(INTENDED_DIFFERENCES).size, INTENDED_DIFFERENCES.length);
});
