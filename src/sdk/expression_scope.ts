import type { Expr } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import { Duration, Failure, Timestamp } from "./expression.ts";
import type { ScopeName, Value } from "./expression.ts";
import { LIBRARY, TYPE_NAMES } from "./expression_library.ts";
import { constantNode, errorAt, nearest } from "./expression_node.ts";
import type { Compilation, MaybeFn, Node } from "./expression_node.ts";
import { describe } from "./expression_site.ts";
import { fieldOf } from "./expression_value.ts";
import type { Fn } from "./expression_value.ts";
import { bodyAt, wholeBody } from "./observation.ts";
import { NO_STATE } from "./resource.ts";

const SCOPE_NAMES: readonly ScopeName[] = ["body", "attributes", "time", "source", "self", "transition"];
const TRANSITION_FIELDS = ["from", "to", "at", "duration"] as const;

const missing = (what: string): Failure => new Failure(`no such field: ${what}`);

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

/** The name of a scope variable, unless a macro's variable hides it. */
function scopeRoot(expr: Expr, compilation: Compilation): string | undefined {
  if (expr.exprKind.case !== "identExpr") return undefined;
  const name = expr.exprKind.value.name.replace(/^\./, "");
  return compilation.locals.has(name) ? undefined : name;
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

function use(name: ScopeName, expr: Expr, compilation: Compilation): void {
  if (!compilation.names.has(name)) throw unknownName(name, expr, compilation);
  compilation.found.scope.add(name);
}

function unknownName(name: string, expr: Expr, compilation: Compilation): Error {
  const known = [...compilation.names, "now"];
  const here = `known here: ${known.join(", ")}`;
  if (name === "self" || name === "transition") {
    return errorAt(compilation, expr, `${name} is known only after a track processor; ${here}`);
  }
  if ((SCOPE_NAMES as readonly string[]).includes(name)) return errorAt(compilation, expr, `${name} is not known here; ${here}`);
  const near = name === "resource" && compilation.names.has("self") ? "self" : nearest(name, [...known, ...compilation.locals.keys()]);
  const root = compilation.names.has("body") ? "body" : compilation.names.has("self") ? "self" : undefined;
  const meant = near ?? (LIBRARY.has(name) ? `${name}(…)` : root === undefined ? undefined : `${root}.${name}`);
  return errorAt(compilation, expr, `unknown name: ${name}${meant === undefined ? "" : `; did you mean ${meant}?`} ${here}`.replace(/([^?]) known/, "$1; known"));
}

const leaf = (fn: Fn): Node => ({ fn, constant: undefined, cost: 1 });

/** A name alone. */
export function compileName(expr: Expr, compilation: Compilation): Node {
  if (expr.exprKind.case !== "identExpr") throw errorAt(compilation, expr, "not a name");
  const name = expr.exprKind.value.name.replace(/^\./, "");
  const slot = compilation.locals.get(name);
  if (slot !== undefined) return leaf((_, frame) => frame.vars[slot]!);
  if (name === "now") {
    compilation.found.now = true;
    return leaf((_, frame) => new Timestamp(frame.now));
  }
  const type = TYPE_NAMES.get(name);
  if (type !== undefined) return constantNode(type);
  const none = missing(name);
  switch (name) {
    case "body":
      use(name, expr, compilation);
      compilation.found.bodyPaths.set("", []);
      return leaf(({ body }) => (body === undefined ? none : wholeBody(body)));
    case "attributes":
      use(name, expr, compilation);
      return leaf(({ attributes }) => attributes ?? none);
    case "source":
      use(name, expr, compilation);
      return leaf(({ source }) => source ?? none);
    case "time":
      use(name, expr, compilation);
      return leaf(({ time }) => (time === undefined ? none : new Timestamp(time)));
    case "self":
    case "transition":
      use(name, expr, compilation);
      throw errorAt(compilation, expr, name === "self"
        ? "self is no value of its own: read a field of it, such as self.state or self.amount"
        : "transition is no value of its own: read a field of it, such as transition.to, or ask has(transition.to)");
    default:
      throw unknownName(name, expr, compilation);
  }
}

function selfField(field: string, found: Compilation["found"]): MaybeFn {
  found.self.add(field);
  switch (field) {
    case "type":
      return ({ self }) => self?.type;
    case "id":
      return ({ self }) => self?.id;
    case "state":
      return ({ self }) => self?.state;
    case "since":
      return ({ self }) => (self === undefined ? undefined : new Timestamp(self.since));
    case "first_seen":
      return ({ self }) => (self === undefined ? undefined : new Timestamp(self.first_seen));
    case "last_seen":
      return ({ self }) => (self === undefined ? undefined : new Timestamp(self.last_seen));
    case "incarnation":
      return ({ self }) => (self === undefined ? undefined : BigInt(self.incarnation));
    default:
      return ({ self }) => self?.attribute(field);
  }
}

function transitionField(field: string, expr: Expr, compilation: Compilation): MaybeFn {
  switch (field) {
    case "from":
      return ({ transition }) => transition?.from;
    case "to":
      return ({ transition }) => transition?.to;
    case "at":
      return ({ transition }) => (transition === undefined ? undefined : new Timestamp(transition.at));
    case "duration":
      return ({ transition }) => (transition === undefined ? undefined : new Duration(transition.duration));
    default: {
      const near = nearest(field, TRANSITION_FIELDS);
      throw errorAt(compilation, expr,
        `transition has no ${field}${near === undefined ? "" : `; did you mean ${near}?`} It has ${TRANSITION_FIELDS.join(", ")}`);
    }
  }
}

/** A field, giving undefined where it is missing; undefined when the expression is no field. */
export function compileMaybe(expr: Expr, compilation: Compilation): { maybe: MaybeFn; cost: number } | undefined {
  const step = fieldName(expr);
  if (step === undefined) return undefined;
  const { operand, field } = step;
  const path = bodyPath(expr, compilation);
  if (path !== undefined) {
    use("body", operand, compilation);
    compilation.found.bodyPaths.set(path.join("."), path);
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
    return { maybe: ({ attributes }) => (attributes === undefined || !Object.hasOwn(attributes, field) ? undefined : attributes[field]), cost: 1 };
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
      throw errorAt(compilation, expr, `attributes are not nested: write attributes[${JSON.stringify(names.reverse().join("."))}]`);
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
