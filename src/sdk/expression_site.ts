import type { Expr } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import { Failure } from "./expression.ts";
import type { Value } from "./expression.ts";
import { kindOf, OVER_BUDGET } from "./expression_value.ts";

const OPERATORS: Readonly<Record<string, string>> = {
  "_==_": "==", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">=", "_+_": "+", "_-_": "-",
  "_*_": "*", "_/_": "/", "_%_": "%", "_&&_": "&&", "_||_": "||", "@in": "in",
};

/** The operator's sign, or the function's name. */
export function callName(name: string): string {
  return OPERATORS[name] ?? (name === "!_" ? "!" : name === "-_" ? "-" : name);
}

function keyText(expr: Expr | undefined): string | undefined {
  if (expr?.exprKind.case !== "constExpr") return undefined;
  const { constantKind } = expr.exprKind.value;
  return constantKind.case === "stringValue" ? JSON.stringify(constantKind.value.slice(0, 80)) : undefined;
}

/** The expression for people, shortened. */
export function describe(expr: Expr | undefined, depth = 0): string {
  if (expr === undefined || depth > 4) return "…";
  const { exprKind: kind } = expr;
  switch (kind.case) {
    case "identExpr":
      return kind.value.name;
    case "selectExpr":
      return `${describe(kind.value.operand, depth + 1)}.${kind.value.field}`;
    case "constExpr": {
      const { value } = kind.value.constantKind;
      if (kind.value.constantKind.case === "nullValue") return "null";
      // A literal may hold a secret that was interpolated: only names are shown.
      return typeof value === "string" || value instanceof Uint8Array ? '"…"' : String(value as number);
    }
    case "callExpr": {
      const { function: name, args, target } = kind.value;
      const [a, b] = args.map((arg) => describe(arg, depth + 1));
      if (name === "_[_]") return `${a}[${keyText(args[1]) ?? b}]`;
      if (name === "_?_:_") return `${a} ? … : …`;
      if (OPERATORS[name] !== undefined) return `${a} ${OPERATORS[name]} ${b}`;
      if (name === "!_" || name === "-_") return `${callName(name)}${a}`;
      const list = args.map((arg) => describe(arg, depth + 1)).join(", ");
      return target === undefined ? `${name}(${list})` : `${describe(target, depth + 1)}.${name}(${list})`;
    }
    case "listExpr":
      return "[…]";
    case "structExpr":
      return "{…}";
    default:
      return "…";
  }
}

// Reasons come from code, not from data, so that these maps stay small.
const KINDS_MAX = 100;

/** A place in the source, with the failures that it has given so far: each is made once. */
export class Site {
  readonly what: string;
  readonly #failures = new Map<string, Failure>();
  constructor(expr: Expr) {
    this.what = describe(expr).slice(0, 120);
  }

  /** `reason: what`. */
  fail(reason: string): Failure {
    let failure = this.#failures.get(reason);
    if (failure === undefined) {
      failure = new Failure(`${reason}: ${this.what}`);
      if (this.#failures.size < KINDS_MAX) this.#failures.set(reason, failure);
    }
    return failure;
  }

  /** The values have types that the operation does not take. */
  overload(...values: readonly Value[]): Failure {
    return this.fail(`no such operation on ${values.map(kindOf).join(" and ")}`);
  }
}

/** A failure without its place gets one. */
export function finish(result: Value | Failure | undefined, site: Site, ...values: readonly Value[]): Value | Failure {
  if (result === undefined) return site.overload(...values);
  return result instanceof Failure && result !== OVER_BUDGET ? site.fail(result.message) : result;
}
