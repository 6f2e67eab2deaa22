import type { Expr, Expr_Comprehension } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import type { Failure, Value } from "./expression.ts";
import { TOO_LONG } from "./expression_function.ts";
import { errorAt } from "./expression_node.ts";
import type { Compilation, Node } from "./expression_node.ts";
import { Site } from "./expression_site.ts";
import { isFailure, isJsonMap, isList, LENGTH_MAX, OVER_BUDGET, STEPS_MAX } from "./expression_value.ts";
import type { Fn, Frame, MadeMap } from "./expression_value.ts";

/** What a macro does, read back from what the parser expanded it to. */
type Macro =
  | { readonly kind: "all" | "exists" | "exists_one"; readonly test: Expr }
  | { readonly kind: "map"; readonly test: Expr | undefined; readonly step: Expr };

function callArgs(expr: Expr | undefined, name: string): readonly Expr[] | undefined {
  if (expr?.exprKind.case !== "callExpr" || expr.exprKind.value.function !== name) return undefined;
  return expr.exprKind.value.args;
}

/** The element that `accumulator + [element]` appends. */
function appended(expr: Expr | undefined): Expr | undefined {
  const list = callArgs(expr, "_+_")?.[1];
  return list?.exprKind.case === "listExpr" ? list.exprKind.value.elements[0] : undefined;
}

function recognise(node: Expr_Comprehension): Macro | undefined {
  const { loopStep, accuInit } = node;
  const all = callArgs(loopStep, "_&&_")?.[1];
  if (all !== undefined) return { kind: "all", test: all };
  const any = callArgs(loopStep, "_||_")?.[1];
  if (any !== undefined) return { kind: "exists", test: any };
  const mapped = appended(loopStep);
  if (mapped !== undefined) return { kind: "map", test: undefined, step: mapped };
  const choice = callArgs(loopStep, "_?_:_");
  if (choice === undefined) return undefined;
  if (accuInit?.exprKind.case === "constExpr") return { kind: "exists_one", test: choice[0]! };
  const step = appended(choice[1]);
  return step === undefined ? undefined : { kind: "map", test: choice[0]!, step };
}

/** What a macro goes through: elements of a list, keys of a map. */
function elements(range: Value, frame: Frame): Iterable<Value> | undefined {
  if (isList(range)) return range;
  if (range instanceof Map) return (range as MadeMap).keys();
  if (!isJsonMap(range)) return undefined;
  const keys = Object.keys(range);
  frame.steps += keys.length >> 2;
  return keys;
}

type Each = (items: Iterable<Value>, run: (item: Value) => Value | Failure, frame: Frame) => Value | Failure;

/** `all` stops at false, `exists` at true; a failure counts only if nothing stopped it. */
function quantifier(stop: boolean, site: Site): Each {
  return (items, run, frame) => {
    let failure: Failure | undefined;
    for (const item of items) {
      const result = run(item);
      if (result === stop) return stop;
      if (result === OVER_BUDGET || frame.steps > STEPS_MAX) return OVER_BUDGET;
      if (result !== !stop) failure ??= isFailure(result) ? result : site.overload(result);
    }
    return failure ?? !stop;
  };
}

function existsOne(site: Site): Each {
  return (items, run, frame) => {
    let count = 0;
    for (const item of items) {
      const result = run(item);
      if (frame.steps > STEPS_MAX) return OVER_BUDGET;
      if (isFailure(result)) return result;
      if (typeof result !== "boolean") return site.overload(result);
      if (result) count++;
    }
    return count === 1;
  };
}

function collect(test: Fn | undefined, step: Fn, slot: number, cost: number, site: Site, range: Fn): Fn {
  return (scope, frame) => {
    const over = range(scope, frame);
    if (isFailure(over)) return over;
    const items = elements(over, frame);
    if (items === undefined) return site.overload(over);
    const list: Value[] = [];
    for (const item of items) {
      if ((frame.steps += cost) > STEPS_MAX) return OVER_BUDGET;
      frame.vars[slot] = item;
      const taken = test === undefined ? true : test(scope, frame);
      if (isFailure(taken)) return taken;
      if (typeof taken !== "boolean") return site.overload(taken);
      if (!taken) continue;
      const value = step(scope, frame);
      if (isFailure(value)) return value;
      if (list.push(value) > LENGTH_MAX) return site.fail(TOO_LONG.message);
    }
    return list;
  };
}

/** `all`, `exists`, `exists_one`, `map` and `filter`, which the parser has expanded to folds. */
export function compileMacro(expr: Expr, node: Expr_Comprehension, compilation: Compilation): Node {
  const macro = recognise(node);
  if (macro === undefined || node.iterRange === undefined) throw errorAt(compilation, expr, "not a macro known here");
  const site = new Site(node.iterRange);
  const range = compilation.compile(node.iterRange);
  const slot = compilation.found.slots++;
  const inside: Compilation = { ...compilation, locals: new Map([...compilation.locals, [node.iterVar, slot]]) };
  const compileInside = (part: Expr): Node => compilation.compile(part, inside);
  if (macro.kind === "map") {
    const test = macro.test === undefined ? undefined : compileInside(macro.test);
    const step = compileInside(macro.step);
    const cost = 1 + (test?.cost ?? 0) + step.cost;
    return { fn: collect(test?.fn, step.fn, slot, cost, site, range.fn), constant: undefined, cost: cost + range.cost };
  }
  const test = compileInside(macro.test);
  const each = macro.kind === "exists_one" ? existsOne(site) : quantifier(macro.kind === "exists", site);
  const over = range.fn;
  const cost = test.cost + 1;
  return {
    fn: (scope, frame) => {
      const value = over(scope, frame);
      if (isFailure(value)) return value;
      const items = elements(value, frame);
      if (items === undefined) return site.overload(value);
      return each(items, (item) => {
        if ((frame.steps += cost) > STEPS_MAX) return OVER_BUDGET;
        frame.vars[slot] = item;
        return test.fn(scope, frame);
      }, frame);
    },
    constant: undefined,
    cost: cost + range.cost,
  };
}
