import { parse } from "@bufbuild/cel";
import type { Expr } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import { ExpressionError } from "./expression.ts";

/** Longest text of an expression, in UTF-16 units. */
export const EXPRESSION_LENGTH_MAX = 10_000;
/** Deepest nesting of an expression. */
export const EXPRESSION_DEPTH_MAX = 100;

/** What is said of text that is nested deeper. */
export const TOO_DEEP = `nested too deeply (at most ${EXPRESSION_DEPTH_MAX} levels)`;

/** A parsed expression: the standard tree, and where each node is in the text. */
export interface Parsed {
  readonly expr: Expr;
  readonly offsetOf: (expr: Expr) => number;
}

/** Brackets outside string literals, so that nesting is refused before a recursive parser meets it. */
function bracketDepthOffset(text: string): number | undefined {
  let depth = 0;
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (quote !== "") {
      if (char === "\\") i++;
      else if (char === quote) quote = "";
    } else if (char === "'" || char === '"') quote = char;
    else if (char === "(" || char === "[" || char === "{") {
      if (++depth > EXPRESSION_DEPTH_MAX) return i;
    } else if (char === ")" || char === "]" || char === "}") depth--;
  }
  return undefined;
}

/** A hint for what people bring from other languages. */
function hint(text: string, offset: number): string {
  const rest = text.slice(offset);
  const before = text.slice(0, offset).trimEnd();
  if (/^\s*[$.]/.test(text)) return "; this is CEL, not Prometheus's template language: self.id, self.amount";
  if (/^=(?!=)/.test(rest)) return "; to compare, write ==";
  if (/^and\b/.test(rest)) return "; write && instead of and";
  if (/^or\b/.test(rest)) return "; write || instead of or";
  if (/\b(?:not)$/.test(before)) return "; write ! instead of not";
  if (/^\|(?!\|)/.test(rest)) return "; CEL has no pipes: call a function or method";
  if (/^\.?\?/.test(rest)) return "; write has(body.x) ? body.x : default";
  if (/^%?['"]/.test(rest) || rest.startsWith("`")) return "; is a quote missing?";
  return "";
}

function syntaxError(text: string, error: unknown): ExpressionError {
  const { location, message } = error as { location?: { start?: { offset?: unknown } }; message?: unknown };
  const offset = typeof location?.start?.offset === "number" ? location.start.offset : 0;
  if (text.trim() === "") return new ExpressionError("the expression is empty", 0);
  if (error instanceof RangeError) return new ExpressionError(TOO_DEEP, 0);
  if (location === undefined) {
    const reason = typeof message === "string" ? message.slice(0, 200) : "cannot be parsed";
    return new ExpressionError(`not a CEL expression: ${reason}`, 0);
  }
  const found = /^\s*[\w.]+|^\s*\S/.exec(text.slice(offset))?.[0].trim().slice(0, 20) ?? "";
  const what = found === "" ? "unexpected end" : `unexpected ${found}`;
  return new ExpressionError(`not a CEL expression: ${what}${hint(text, offset)}`, offset);
}

/** Parses within bounds. Throws `ExpressionError`. */
export function parseExpression(text: string): Parsed {
  if (text.length > EXPRESSION_LENGTH_MAX) {
    const message = `${text.length} characters are too many for an expression (at most ${EXPRESSION_LENGTH_MAX})`;
    throw new ExpressionError(message, EXPRESSION_LENGTH_MAX);
  }
  const deep = bracketDepthOffset(text);
  if (deep !== undefined) throw new ExpressionError(TOO_DEEP, deep);
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(text);
  } catch (error) {
    throw syntaxError(text, error);
  }
  const { expr, sourceInfo } = parsed;
  if (expr === undefined) throw new ExpressionError("the expression is empty", 0);
  const positions = sourceInfo?.positions ?? {};
  return { expr, offsetOf: (node) => positions[String(node.id)] ?? 0 };
}
