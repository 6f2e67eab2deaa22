import type { Constant, Expr, Expr_CreateStruct } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import { ExpressionError, Failure } from "./expression.ts";
import type { Expression, Reads, ScopeName, Value } from "./expression.ts";
import { compileCall } from "./expression_calls.ts";
import { int64 } from "./expression_function.ts";
import { compileMacro } from "./expression_macros.ts";
import { constantNode, errorAt, nodeOver } from "./expression_node.ts";
import type { Compilation, Found, Node } from "./expression_node.ts";
import { EXPRESSION_DEPTH_MAX, parseExpression, TOO_DEEP } from "./expression_parse.ts";
import { compileField, compileHas } from "./expression_fields.ts";
import { compileName } from "./expression_scope.ts";
import { Site } from "./expression_site.ts";
import { isFailure, keyOf, OVER_BUDGET, STEPS_MAX } from "./expression_value.ts";
import type { Frame } from "./expression_value.ts";

export { ExpressionError };

/**
 * Where expressions do not do what CEL does, and why. The property test holds everything else to the reference
 * evaluator. https://github.com/google/cel-spec/blob/master/doc/langdef.md
 */
export const INTENDED_DIFFERENCES: readonly string[] = [
  "An int beside a double becomes a double in + - * / %: JSON numbers are doubles, and `body.count + 1` must work.",
  "Doubles have %, as `body.count % 2` must work; % by zero fails for them as for ints.",
  "A number without fraction will do where a function takes an int: `body.name.substring(0, body.length)`.",
  "uint is another name of int, of 63 bits: `1u` is 1, and uint(x) fails below zero.",
  "Unknown names, functions and methods are refused when the configuration is loaded, wherever they stand.",
  "Fields in backquotes are not parsed; `attributes[\"content-type\"]` is.",
  "has(a.b.c) is false, not an error, where a.b is missing.",
  "has(self.state) is false for a resource that has no state.",
  "timestamp(x) takes epoch numbers (s, ms, µs, ns by magnitude) and their text, and a space instead of the T.",
  "duration(x) knows d and w, and takes no bare int; a duration can be negated.",
  "Timestamps have a resolution of milliseconds, durations one of about a nanosecond and a range of 10,000 years.",
  "Text is at most 4 Mi characters long, a list as many elements; a longer one is an error.",
  "An evaluation takes at most a million steps, then fails; so does a match of a large pattern with a long text.",
  "Conversions of constants that must fail, such as duration(\"soon\"), are refused when the configuration is loaded.",
  "Protocol buffer messages, enums and optional types are not known.",
];

function literal(expr: Expr, constant: Constant, compilation: Compilation): Node {
  const { constantKind: kind } = constant;
  switch (kind.case) {
    case "nullValue":
      return constantNode(null);
    case "int64Value":
    case "uint64Value":
      if (!isFailure(int64(kind.value))) return constantNode(kind.value);
      throw errorAt(compilation, expr, "the integer does not fit 64 bits");
    case "boolValue":
    case "doubleValue":
    case "stringValue":
    case "bytesValue":
      return constantNode(kind.value);
    default:
      throw errorAt(compilation, expr, "unknown kind of literal");
  }
}

function list(elements: readonly Expr[], compilation: Compilation): Node {
  const nodes = elements.map((element) => compilation.compile(element));
  const fns = nodes.map((node) => node.fn);
  return nodeOver(nodes, (scope, frame) => {
    const values: Value[] = [];
    for (const fn of fns) {
      const value = fn(scope, frame);
      if (isFailure(value)) return value;
      values.push(value);
    }
    return values;
  });
}

function map(expr: Expr, struct: Expr_CreateStruct, compilation: Compilation): Node {
  if (struct.messageName !== "") {
    const message = `${struct.messageName}{…} is a message, and there are none here; a map is {"name": value}`;
    throw errorAt(compilation, expr, message);
  }
  const site = new Site(expr);
  const nodes = struct.entries.flatMap(({ keyKind, value }) => {
    if (keyKind.case !== "mapKey" || value === undefined) throw errorAt(compilation, expr, 'a map is {"name": value}');
    return [compilation.compile(keyKind.value), compilation.compile(value)];
  });
  return nodeOver(nodes, (scope, frame) => {
    const made = new Map<Value, Value>();
    for (let i = 0; i < nodes.length; i += 2) {
      const name = nodes[i]!.fn(scope, frame);
      if (isFailure(name)) return name;
      const value = nodes[i + 1]!.fn(scope, frame);
      if (isFailure(value)) return value;
      const key = keyOf(name);
      if (key === undefined) return site.fail("not a key of a map");
      if (made.has(key)) return site.fail("a key twice");
      made.set(key, value);
    }
    return made;
  });
}

function compileNode(expr: Expr, compilation: Compilation): Node {
  const { exprKind: kind } = expr;
  switch (kind.case) {
    case "constExpr":
      return literal(expr, kind.value, compilation);
    case "identExpr":
      return compileName(expr, compilation);
    case "selectExpr":
      return kind.value.testOnly ? compileHas(expr, compilation) : compileField(expr, compilation);
    case "callExpr":
      return compileCall(expr, kind.value, compilation);
    case "listExpr":
      return list(kind.value.elements, compilation);
    case "structExpr":
      return map(expr, kind.value, compilation);
    case "comprehensionExpr":
      return compileMacro(expr, kind.value, compilation);
    default:
      throw errorAt(compilation, expr, "not an expression");
  }
}

function readsOf(found: Found): Reads {
  const bodyPaths = [...found.bodyPaths.values()];
  return {
    body: new Set(bodyPaths.map((path) => path.join("."))),
    bodyPaths,
    self: found.self,
    scope: found.scope,
    now: found.now,
  };
}

/** Parses, checks (names, functions, arity) and compiles. Throws `ExpressionError`. */
export function compileExpression(text: string, scope: readonly ScopeName[]): Expression {
  const { expr, offsetOf } = parseExpression(text);
  const found: Found = { bodyPaths: new Map(), self: new Set(), scope: new Set(), now: false, slots: 0 };
  let depth = 0;
  const root: Compilation = {
    names: new Set(scope),
    locals: new Map(),
    found,
    offsetOf,
    compile(this: Compilation, part, inside = this) {
      if (++depth > EXPRESSION_DEPTH_MAX) {
        throw new ExpressionError(TOO_DEEP, offsetOf(part));
      }
      const node = compileNode(part, inside);
      depth--;
      return node;
    },
  };
  const { fn } = root.compile(expr);
  const frame: Frame = { now: 0, steps: 0, vars: Array.from({ length: found.slots }, () => null) };
  return {
    text,
    reads: readsOf(found),
    evaluate(given, now) {
      frame.now = now;
      frame.steps = 0;
      try {
        const value = fn(given, frame);
        return frame.steps > STEPS_MAX ? OVER_BUDGET : value;
      } catch (error) {
        return new Failure(`cannot be evaluated: ${error instanceof Error ? error.name : "error"}`);
      } finally {
        // Variables of macros would keep a body alive.
        if (found.slots > 0) frame.vars.fill(null);
      }
    },
  };
}
