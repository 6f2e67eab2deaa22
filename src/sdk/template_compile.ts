import { Duration, Failure, Timestamp } from "./expression.ts";
import type { Expression, Reads, Scope, ScopeName, Value } from "./expression.ts";
import { compileExpression, ExpressionError } from "./expression_compile.ts";
import { jsonText } from "./expression_json.ts";
import { formatDuration } from "./duration.ts";
import type { Template } from "./template.ts";
import { formatTime } from "./time.ts";

/** Longest text that a template makes, in UTF-16 units; the rest is cut. */
export const TEMPLATE_OUTPUT_MAX = 16_384;
/** Longest text of a template. */
export const TEMPLATE_LENGTH_MAX = 65_536;

/** Where the expression that starts at `start` ends: at the `}}` outside its own literals and maps. */
function expressionEnd(text: string, start: number): number | undefined {
  let braces = 0;
  for (let i = start; i < text.length; i++) {
    const char = text[i]!;
    if (char === '"' || char === "'") {
      i = literalEnd(text, i, start);
      if (i < 0) return undefined;
    } else if (char === "{") braces++;
    else if (char === "}") {
      if (braces > 0) braces--;
      else if (text[i + 1] === "}") return i;
    }
  }
  return undefined;
}

/** The last character of the string literal at `at`: quoted once or thrice, raw or not; -1 when it never ends. */
function literalEnd(text: string, at: number, start: number): number {
  const quote = text.startsWith(text[at]!.repeat(3), at) ? text[at]!.repeat(3) : text[at]!;
  const raw = /(?:^|[^\w])(?:[rR]|[bB][rR]|[rR][bB])$/.test(text.slice(Math.max(start, at - 3), at));
  for (let i = at + quote.length; i < text.length; i++) {
    if (text[i] === "\\" && !raw) i++;
    else if (text.startsWith(quote, i)) return i + quote.length - 1;
  }
  return -1;
}

/** A value for people: times as RFC 3339, durations as `2h5m`, null as nothing, lists and maps as JSON. */
export function renderValue(value: Value): string {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
      // 15 digits: 0.1 + 0.2 is 0.3 for people.
      return String(Number.isFinite(value) && !Number.isInteger(value) ? Number(value.toPrecision(15)) : value);
    case "bigint":
    case "boolean":
      return String(value);
    default:
      if (value === null) return "";
      if (value instanceof Timestamp) return formatTime(value.ms);
      if (value instanceof Duration) return value.ms < 0 ? `-${formatDuration(-value.ms)}` : formatDuration(value.ms);
      return jsonText(value, TEMPLATE_OUTPUT_MAX);
  }
}

function joinReads(all: readonly Reads[]): Reads {
  return {
    body: new Set(all.flatMap((reads) => [...reads.body])),
    bodyPaths: [...new Map(all.flatMap((reads) => reads.bodyPaths).map((path) => [JSON.stringify(path), path])).values()],
    self: new Set(all.flatMap((reads) => [...reads.self])),
    scope: new Set(all.flatMap((reads) => [...reads.scope])),
    now: all.some((reads) => reads.now),
  };
}

function compilePart(text: string, offset: number, scope: readonly ScopeName[]): Expression {
  try {
    return compileExpression(text, scope);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    throw new ExpressionError(error.message, offset + error.offset);
  }
}

/** Parses text with `{{ CEL }}` in it. Throws `ExpressionError` with the offset in the whole text. */
export function compileTemplate(text: string, scope: readonly ScopeName[]): Template {
  if (text.length > TEMPLATE_LENGTH_MAX) {
    const message = `${text.length} characters are too many for a template (at most ${TEMPLATE_LENGTH_MAX})`;
    throw new ExpressionError(message, TEMPLATE_LENGTH_MAX);
  }
  const parts: (string | Expression)[] = [];
  let at = 0;
  for (let open = text.indexOf("{{"); open >= 0; open = text.indexOf("{{", at)) {
    const end = expressionEnd(text, open + 2);
    if (end === undefined) throw new ExpressionError("{{ without }}", open);
    if (open > at) parts.push(text.slice(at, open));
    parts.push(compilePart(text.slice(open + 2, end), open + 2, scope));
    at = end + 2;
  }
  if (at < text.length) parts.push(text.slice(at));
  const expressions = parts.filter((part) => typeof part !== "string");

  function renderPart(part: Expression, given: Scope, now: number, onError?: (message: string) => void): string {
    const value = part.evaluate(given, now);
    if (!(value instanceof Failure)) return renderValue(value);
    onError?.(value.message);
    return `<error: ${value.message}>`;
  }

  return {
    text,
    reads: joinReads(expressions.map((part) => part.reads)),
    render(given, now, onError) {
      let output = "";
      for (const part of parts) {
        output += typeof part === "string" ? part : renderPart(part, given, now, onError);
        if (output.length > TEMPLATE_OUTPUT_MAX) return `${output.slice(0, TEMPLATE_OUTPUT_MAX - 1)}…`;
      }
      return output;
    },
  };
}
