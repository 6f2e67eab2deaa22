import type { Expr } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import { parseExpression } from "./expression_parse.ts";
import { RESOURCE_FIELDS } from "./resource.ts";

/** What these give is never true or false. */
const CALLS: Readonly<Record<string, string>> = {
  "_+_": "a sum", "_-_": "a difference", "_*_": "a product", "_/_": "a quotient", "_%_": "a remainder", "-_": "a number",
  size: "a number", int: "a number", uint: "a number", double: "a number", string: "a text", bytes: "bytes",
  timestamp: "a time", duration: "a duration", type: "a type",
};
const NAMES: Readonly<Record<string, string>> = {
  now: "a time", time: "a time", source: "a text", attributes: "a map", self: "a resource", transition: "a move", group: "a map",
  value: "a number", earlier: "a number",
};
/**
 * What a condition, or a part that it needs, is instead of true or false, where its text alone shows that: `a sum`; undefined
 * where nothing is proved (a field may hold anything). Of an expression that compiles; `value` and `earlier` are numbers.
 */
export function neverBoolean(text: string): string | undefined {
  return kindOf(parseExpression(text).expr);
}

function kindOf(expr: Expr | undefined): string | undefined {
  const kind = expr?.exprKind;
  switch (kind?.case) {
    case "constExpr":
      switch (kind.value.constantKind.case) {
        case "boolValue":
          return undefined;
        case "stringValue":
          return "a text";
        case "nullValue":
          return "null";
        default:
          return "a number";
      }
    case "listExpr":
      return "a list";
    case "structExpr":
      return "a map";
    case "identExpr":
      return Object.hasOwn(NAMES, kind.value.name) ? NAMES[kind.value.name] : undefined;
    case "selectExpr": {
      const { operand, field, testOnly } = kind.value;
      const ofSelf = operand?.exprKind.case === "identExpr" && operand.exprKind.value.name === "self";
      return !testOnly && ofSelf && (RESOURCE_FIELDS as readonly string[]).includes(field) ? `self.${field}` : undefined;
    }
    case "callExpr": {
      const { function: name, target, args } = kind.value;
      if (name === "_?_:_") return kindOf(args[1]) === undefined ? undefined : kindOf(args[2]);
      // False && 3 is false, but nothing makes it true; true || 3 is.
      if (name === "_&&_" || name === "!_") return args.map(kindOf).find((found) => found !== undefined);
      if (name === "_||_") return args.every((arg) => kindOf(arg) !== undefined) ? kindOf(args[0]) : undefined;
      return target === undefined && Object.hasOwn(CALLS, name) ? CALLS[name] : undefined;
    }
    default:
      return undefined;
  }
}
