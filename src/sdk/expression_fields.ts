import type { Expr } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import { Failure } from "./expression.ts";
import type { Value } from "./expression.ts";
import { TYPE_NAMES } from "./expression_library.ts";
import { constantNode, errorAt } from "./expression_node.ts";
import type { Compilation, MaybeFn, Node } from "./expression_node.ts";
import { missing, scopeRoot, selfField, transitionField, use } from "./expression_scope.ts";
import { describe } from "./expression_site.ts";
import { fieldOf } from "./expression_value.ts";
import { bodyAt } from "./observation.ts";
import { NO_STATE } from "./resource.ts";

/** The field that a select, or an index by constant text, names. */
function fieldName(expr: Expr): { operand: Expr; field: string } | undefined {
  const { exprKind: kind } = expr;
  if (kind.case === "selectExpr" && !kind.value.testOnly && kind.value.operand !== undefined) {
    return { operand: kind.value.operand, field: kind.value.field };
  }
  if (kind.case !== "callExpr" || kind.value.function !== "_[_]") return undefined;
  const [operand, index] = kind.value.args;
  if (operand === undefined || index?.exprKind.case !== "constExpr") return undefined;
  const { constantKind } = index.exprKind.value;
  return constantKind.case === "stringValue" ? { operand, field: constantKind.value } : undefined;
}

// `bodyAt` walks own properties, and a list owns `length` and `0`: these are looked up as fields of a value instead.
const isListKey = (field: string): boolean => field === "length" || /^\d+$/.test(field);

/** Keys below `body` when the expression is nothing but a path there. */
function bodyPath(expr: Expr, compilation: Compilation): readonly string[] | undefined {
  const path: string[] = [];
  for (let at = expr; ; ) {
    const step = fieldName(at);
    if (step === undefined) return scopeRoot(at, compilation) === "body" ? path.reverse() : undefined;
    if (isListKey(step.field)) return undefined;
    path.push(step.field);
    at = step.operand;
  }
}

/** A field, giving undefined where it is missing; undefined when the expression is no field. */
function compileMaybe(expr: Expr, compilation: Compilation): { maybe: MaybeFn; cost: number } | undefined {
  const step = fieldName(expr);
  if (step === undefined) return undefined;
  const { operand, field } = step;
  const path = bodyPath(expr, compilation);
  if (path !== undefined) {
    use("body", operand, compilation);
    compilation.found.bodyPaths.set(JSON.stringify(path), path);
    return { maybe: ({ body }) => (body === undefined ? undefined : bodyAt(body, path)), cost: 1 };
  }
  const root = scopeRoot(operand, compilation);
  if (root === "self") {
    use("self", operand, compilation);
    return { maybe: selfField(field, compilation.found), cost: 1 };
  }
  if (root === "transition") {
    use("transition", operand, compilation);
    return { maybe: transitionField(field, expr, compilation), cost: 1 };
  }
  if (root === "attributes") {
    use("attributes", operand, compilation);
    return {
      maybe: ({ attributes }) =>
        attributes !== undefined && Object.hasOwn(attributes, field) ? attributes[field] : undefined,
      cost: 1,
    };
  }
  checkFlat(expr, operand, field, compilation);
  const below = compileMaybe(operand, compilation);
  if (below !== undefined) {
    const { maybe } = below;
    return {
      maybe: (scope, frame) => {
        const value = maybe(scope, frame);
        return value === undefined || value instanceof Failure ? value : fieldOf(value, field);
      },
      cost: below.cost + 1,
    };
  }
  const { fn, cost } = compilation.compile(operand);
  return {
    maybe: (scope, frame) => {
      const value = fn(scope, frame);
      return value instanceof Failure ? value : fieldOf(value, field);
    },
    cost: cost + 1,
  };
}

/** Attributes are flat: `attributes.http.route` can never be, and is easily written. */
function checkFlat(expr: Expr, operand: Expr, field: string, compilation: Compilation): void {
  const names = [field];
  for (let step = fieldName(operand), at = operand; step !== undefined; step = fieldName(at)) {
    names.push(step.field);
    at = step.operand;
    if (scopeRoot(at, compilation) === "attributes") {
      const name = JSON.stringify(names.reverse().join("."));
      throw errorAt(compilation, expr, `attributes are not nested: write attributes[${name}]`);
    }
  }
}

/** The qualified name of a type, `google.protobuf.Timestamp`. */
function qualifiedType(expr: Expr, compilation: Compilation): Value | undefined {
  const step = fieldName(expr);
  if (step === undefined || (step.field !== "Timestamp" && step.field !== "Duration")) return undefined;
  const inner = fieldName(step.operand);
  return inner !== undefined && inner.field === "protobuf" && scopeRoot(inner.operand, compilation) === "google"
    ? TYPE_NAMES.get(`google.protobuf.${step.field}`)
    : undefined;
}

/** `x.field`, or `x["field"]`. */
export function compileField(expr: Expr, compilation: Compilation): Node {
  const type = qualifiedType(expr, compilation);
  if (type !== undefined) return constantNode(type);
  const field = compileMaybe(expr, compilation);
  if (field === undefined) throw errorAt(compilation, expr, "not a field");
  const { maybe, cost } = field;
  const none = missing(describe(expr));
  return {
    fn: (scope, frame) => {
      const value = maybe(scope, frame);
      return value === undefined ? none : value;
    },
    constant: undefined,
    cost,
  };
}

/** `has(x.field)`. */
export function compileHas(expr: Expr, compilation: Compilation): Node {
  if (expr.exprKind.case !== "selectExpr") throw errorAt(compilation, expr, "has() takes a field");
  const plain: Expr = { ...expr, exprKind: { case: "selectExpr", value: { ...expr.exprKind.value, testOnly: false } } };
  const field = compileMaybe(plain, compilation);
  if (field === undefined) throw errorAt(compilation, expr, "has() takes a field, as in has(body.amount)");
  const { maybe, cost } = field;
  const step = fieldName(plain)!;
  const isState = step.field === "state" && scopeRoot(step.operand, compilation) === "self";
  return {
    fn: (scope, frame) => {
      const value = maybe(scope, frame);
      if (value instanceof Failure) return value;
      return value !== undefined && !(isState && value === NO_STATE);
    },
    constant: undefined,
    cost,
  };
}
