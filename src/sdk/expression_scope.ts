import type { Expr } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import { Duration, Failure, Timestamp } from "./expression.ts";
import type { ScopeName } from "./expression.ts";
import { LIBRARY, TYPE_NAMES } from "./expression_library.ts";
import { constantNode, errorAt } from "./expression_node.ts";
import type { Compilation, MaybeFn, Node } from "./expression_node.ts";
import type { Fn } from "./expression_value.ts";
import { wholeBody } from "./observation.ts";
import { closest } from "./suggest.ts";

const SCOPE_NAMES: readonly ScopeName[] = ["body", "attributes", "time", "source", "self", "transition", "value", "earlier", "group"];
const TRANSITION_FIELDS = ["from", "to", "at", "duration"] as const;

const noData = new Failure("there is no data");
const noEarlier = new Failure("there is no data from earlier");

/** The failure of a field that is not there. */
export const missing = (what: string): Failure => new Failure(`no such field: ${what}`);

/** The name of a scope variable, unless a macro's variable hides it. */
export function scopeRoot(expr: Expr, compilation: Compilation): string | undefined {
  if (expr.exprKind.case !== "identExpr") return undefined;
  const name = expr.exprKind.value.name.replace(/^\./, "");
  return compilation.locals.has(name) ? undefined : name;
}

/** Notes that a name is read. Throws where it is not known. */
export function use(name: ScopeName, expr: Expr, compilation: Compilation): void {
  if (!compilation.names.has(name)) throw unknownName(name, expr, compilation);
  compilation.found.scope.add(name);
}

function unknownName(name: string, expr: Expr, compilation: Compilation): Error {
  const known = [...compilation.names, "now"];
  const here = `known here: ${known.join(", ")}`;
  if (name === "self" || name === "transition") {
    return errorAt(compilation, expr, `${name} is known only after a track processor; ${here}`);
  }
  if ((SCOPE_NAMES as readonly string[]).includes(name)) {
    return errorAt(compilation, expr, `${name} is not known here; ${here}`);
  }
  const isSelf = name === "resource" && compilation.names.has("self");
  const near = isSelf ? "self" : closest(name, [...known, ...compilation.locals.keys()]);
  const root = compilation.names.has("body") ? "body" : compilation.names.has("self") ? "self" : undefined;
  const meant = near ?? (LIBRARY.has(name) ? `${name}(…)` : root === undefined ? undefined : `${root}.${name}`);
  const suggestion = meant === undefined ? "" : `did you mean ${meant}? `;
  return errorAt(compilation, expr, `unknown name: ${name}; ${suggestion}${here}`);
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
      compilation.found.bodyPaths.set("[]", []);
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
    case "value":
      use(name, expr, compilation);
      return leaf(({ value }) => value ?? noData);
    case "earlier":
      use(name, expr, compilation);
      return leaf(({ earlier }) => earlier ?? noEarlier);
    case "group":
      use(name, expr, compilation);
      return leaf(({ group }) => group ?? none);
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

/** A field of `self`. */
export function selfField(field: string, found: Compilation["found"]): MaybeFn {
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

/** A field of `transition`. */
export function transitionField(field: string, expr: Expr, compilation: Compilation): MaybeFn {
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
      const near = closest(field, TRANSITION_FIELDS);
      const suggestion = near === undefined ? "" : `did you mean ${near}? `;
      const message = `transition has no ${field}; ${suggestion}known: ${TRANSITION_FIELDS.join(", ")}`;
      throw errorAt(compilation, expr, message);
    }
  }
}
