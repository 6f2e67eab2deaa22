import type { Expr, Expr_Call } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import { Failure } from "./expression.ts";
import { arithmetic, negate } from "./expression_arithmetic.ts";
import type { CelFunction } from "./expression_function.ts";
import { LIBRARY } from "./expression_library.ts";
import { errorAt, nodeOver } from "./expression_node.ts";
import type { Compilation, Node } from "./expression_node.ts";
import { conditional, equality, logic, membership, not, ordering } from "./expression_operators.ts";
import { compileField } from "./expression_fields.ts";
import { finish, Site } from "./expression_site.ts";
import { compilePattern, matchPattern } from "./expression_pattern.ts";
import { indexOf, isFailure, isList, OVER_BUDGET, STEPS_MAX } from "./expression_value.ts";
import type { Fn, Frame } from "./expression_value.ts";
import { closest } from "./suggest.ts";

const MACROS: Readonly<Record<string, string>> = {
  has: "has(body.amount)",
  all: "list.all(x, x > 0)",
  exists: "list.exists(x, x > 0)",
  exists_one: "list.exists_one(x, x > 0)",
  existsOne: "list.exists_one(x, x > 0)",
  map: "list.map(x, x.id)",
  filter: "list.filter(x, x > 0)",
};

function index(expr: Expr, args: readonly Expr[], compilation: Compilation): Node {
  const [operand, at] = args as [Expr, Expr];
  const constant = at.exprKind.case === "constExpr" ? at.exprKind.value.constantKind.case : undefined;
  if (constant === "stringValue") return compileField(expr, compilation);
  const [left, right] = [compilation.compile(operand), compilation.compile(at)];
  const site = new Site(expr);
  return nodeOver([left, right], (scope, frame) => {
    const value = left.fn(scope, frame);
    if (isFailure(value)) return value;
    const key = right.fn(scope, frame);
    if (isFailure(key)) return key;
    const found = indexOf(value, key);
    return found === undefined ? site.fail(isList(value) ? "index out of bounds" : "no such field") : found;
  });
}

function operator(name: string, expr: Expr, args: readonly Expr[], compilation: Compilation): Node | undefined {
  if (name === "_[_]") return index(expr, args, compilation);
  const site = new Site(expr);
  const at = (i: number): Node => compilation.compile(args[i]!);
  switch (name) {
    case "_&&_":
      return logic(at(0), at(1), false, site);
    case "_||_":
      return logic(at(0), at(1), true, site);
    case "!_":
      return not(at(0), site);
    case "-_":
      return negate(at(0), site);
    case "_?_:_":
      return conditional(at(0), at(1), at(2), site);
    case "_==_":
      return equality(at(0), at(1), true);
    case "_!=_":
      return equality(at(0), at(1), false);
    case "@in":
      return membership(at(0), at(1), site);
    case "_<_":
    case "_<=_":
    case "_>_":
    case "_>=_":
      return ordering(name, at(0), at(1), site);
    case "_+_":
    case "_-_":
    case "_*_":
    case "_/_":
    case "_%_":
      return arithmetic(name, at(0), at(1), site);
    default:
      return undefined;
  }
}

function unknownFunction(name: string, isMethod: boolean, expr: Expr, compilation: Compilation): Error {
  if (name in MACROS) return errorAt(compilation, expr, `${name} is written ${MACROS[name]}`);
  const known = LIBRARY.get(name);
  if (known !== undefined) {
    const message = isMethod ? `${name} is not a method: write ${name}(x)` : `${name} is a method: write x.${name}(…)`;
    return errorAt(compilation, expr, message);
  }
  const names = [...LIBRARY].filter(([, f]) => (isMethod ? f.method : f.call) !== undefined).map(([key]) => key);
  names.push(...Object.keys(MACROS));
  const near = closest(name, names);
  const allowed = near === undefined ? `known: ${names.sort().join(", ")}` : `did you mean ${near}?`;
  return errorAt(compilation, expr, `unknown ${isMethod ? "method" : "function"}: ${name}; ${allowed}`);
}

type Bounds = readonly [number, number];

function checkArity(name: string, [min, max]: Bounds, count: number, expr: Expr, compilation: Compilation): void {
  if (count >= min && count <= max) return;
  const wanted = min === max ? `${min}` : `${min} to ${max}`;
  throw errorAt(compilation, expr, `${name} takes ${wanted} argument${min === 1 && max === 1 ? "" : "s"}, not ${count}`);
}

/** Predicates of text against a constant, which are what most conditions are. */
function textTest(name: string, args: readonly Node[], expr: Expr, compilation: Compilation, rest: Fn): Fn | undefined {
  const part = args[1]?.constant;
  const text = args[0]!.fn;
  if (typeof part !== "string") return undefined;
  const test = (holds: (value: string, frame: Frame) => boolean | Failure): Fn => (scope, frame) => {
    const value = text(scope, frame);
    if (typeof value !== "string") return isFailure(value) ? value : rest(scope, frame);
    frame.steps += value.length >> 4;
    return frame.steps > STEPS_MAX ? OVER_BUDGET : holds(value, frame);
  };
  switch (name) {
    case "contains":
      return test((value) => value.includes(part));
    case "startsWith":
      return test((value) => value.startsWith(part));
    case "endsWith":
      return test((value) => value.endsWith(part));
    case "matches":
      try {
        const pattern = compilePattern(part);
        const site = new Site(expr);
        return test((value, frame) => {
          const found = matchPattern(pattern, value, frame);
          return typeof found === "boolean" ? found : site.fail(found.message);
        });
      } catch (error) {
        const reason = error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : "cannot be parsed";
        throw errorAt(compilation, expr, `not a regular expression in RE2 syntax: ${reason.slice(0, 100)}`);
      }
    default:
      return undefined;
  }
}

function invoke(name: string, fun: CelFunction, args: readonly Node[], expr: Expr, compilation: Compilation): Node {
  const site = new Site(expr);
  const fns = args.map((arg) => arg.fn);
  const [only] = fns;
  const run: Fn =
    fns.length === 1
      ? (scope, frame) => {
          const value = only!(scope, frame);
          if (isFailure(value)) return value;
          return frame.steps > STEPS_MAX ? OVER_BUDGET : finish(fun.run([value], frame), site, value);
        }
      : (scope, frame) => {
          const values = [];
          for (const fn of fns) {
            const value = fn(scope, frame);
            if (isFailure(value)) return value;
            values.push(value);
          }
          return frame.steps > STEPS_MAX ? OVER_BUDGET : finish(fun.run(values, frame), site, ...values);
        };
  const node = nodeOver(args, textTest(name, args, expr, compilation, run) ?? run);
  // duration("30 minutes") can never work: better said when the configuration is loaded than at night.
  if (fun.conversion === true && node.constant === undefined && args.every((arg) => arg.constant !== undefined)) {
    const result = run({}, { now: 0, steps: 0, vars: [] });
    if (result instanceof Failure) throw errorAt(compilation, expr, result.message);
  }
  return node;
}

/** An operator, a function or a method. */
export function compileCall(expr: Expr, call: Expr_Call, compilation: Compilation): Node {
  const { function: name, target, args } = call;
  if (target === undefined) {
    const node = operator(name, expr, args, compilation);
    if (node !== undefined) return node;
  }
  const space = target?.exprKind.case === "identExpr" ? target.exprKind.value.name : undefined;
  const qualified = space === undefined || compilation.locals.has(space) ? undefined : `${space}.${name}`;
  const spaced = qualified === undefined ? undefined : LIBRARY.get(qualified);
  if (spaced !== undefined || space === "math") {
    if (spaced?.call === undefined) throw unknownFunction(qualified ?? name, false, expr, compilation);
    checkArity(qualified!, spaced.call, args.length, expr, compilation);
    return invoke(qualified!, spaced, args.map((arg) => compilation.compile(arg)), expr, compilation);
  }
  const fun = LIBRARY.get(name);
  const bounds = target === undefined ? fun?.call : fun?.method;
  if (fun === undefined || bounds === undefined) throw unknownFunction(name, target !== undefined, expr, compilation);
  checkArity(name, bounds, args.length, expr, compilation);
  const parts = target === undefined ? args : [target, ...args];
  return invoke(name, fun, parts.map((part) => compilation.compile(part)), expr, compilation);
}
