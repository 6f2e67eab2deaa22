import type { Clock } from "../../src/sdk/clock.ts";
import type { ExporterContext } from "../../src/sdk/component.ts";
import { ConfigError } from "../../src/sdk/errors.ts";
import { Failure, type Expression, type Scope, type ScopeName } from "../../src/sdk/expression.ts";
import { jsonOf } from "../../src/sdk/expression_json.ts";
import type { Json } from "../../src/sdk/observation.ts";

const SCOPE: readonly ScopeName[] = ["value", "group"];
const SECRET_KEY = /authorization|token|secret|passw|api[-_]?key|private[-_]?key|credential|routing[-_]?key/i;

/** Makes a body, or a part of one. `failed` hears of each expression that fails; its place then says `<error: …>`. */
export type BodyTemplate = (scope: Scope, failed: (message: string) => void) => Json;

/**
 * Compiles `body`. A text that is one `{{ }}` and nothing else becomes what its expression gives: a number, a list, a map;
 * any other is a text with its `{{ }}` filled in. Throws `ConfigError` with the text's place.
 */
export function bodyTemplate(body: Json, context: Pick<ExporterContext, "clock" | "expression" | "template">, pointer = "/body"): BodyTemplate {
  if (typeof body === "string") return textTemplate(body, context, pointer);
  if (body === null || typeof body !== "object") return () => body;
  if (Array.isArray(body)) {
    const items = (body as readonly Json[]).map((item, n) => bodyTemplate(item, context, `${pointer}/${n}`));
    return (scope, failed) => items.map((item) => item(scope, failed));
  }
  const entries = Object.entries(body).map(([key, item]): [string, BodyTemplate] =>
    [key, bodyTemplate(item as Json, context, `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`)]);
  // Defines own properties, `__proto__` too.
  return (scope, failed) => Object.fromEntries(entries.map(([key, item]) => [key, item(scope, failed)]));
}

function textTemplate(text: string, context: Pick<ExporterContext, "clock" | "expression" | "template">, pointer: string): BodyTemplate {
  if (!text.includes("{{")) return () => text;
  const alone = loneExpression(text, context, pointer);
  if (alone !== undefined) return valueOf(alone, context.clock);
  const template = context.template(pointer, text, SCOPE);
  return (scope, failed) => template.render(scope, context.clock.now(), failed);
}

/** The expression of a text that is `{{ expression }}`; `{{ a }} and {{ b }}` is none, since `a }} and {{ b` is no CEL. */
function loneExpression(text: string, context: Pick<ExporterContext, "expression">, pointer: string): Expression | undefined {
  const [, inner] = /^\s*\{\{(.*)\}\}\s*$/s.exec(text) ?? [];
  if (inner === undefined) return undefined;
  try {
    return context.expression(pointer, inner, SCOPE);
  } catch (error) {
    // Compiled as a template it fails again, and says where, or is one after all.
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

function valueOf(expression: Expression, clock: Clock): BodyTemplate {
  return (scope, failed) => {
    const value = expression.evaluate(scope, clock.now());
    if (value instanceof Failure) {
      failed(value.message);
      return `<error: ${value.message}>`;
    }
    try {
      return jsonOf(value);
    } catch (error) {
      const { message } = error as Error;
      failed(message);
      return `<error: ${message}>`;
    }
  };
}

/** A body as it may be shown: what stands under a key that names a secret is masked. */
export function shownBody(body: Json): Json {
  if (body === null || typeof body !== "object") return body;
  if (Array.isArray(body)) return (body as readonly Json[]).map(shownBody);
  return Object.fromEntries(Object.entries(body).map(([key, item]) => [key, SECRET_KEY.test(key) && typeof item === "string" ? "(redacted)" : shownBody(item as Json)]));
}

/** Texts of a configured body that `shownBody` masks. */
export function bodySecrets(body: Json | undefined): string[] {
  if (body === undefined || body === null || typeof body !== "object") return [];
  return Object.entries(body).flatMap(([key, item]: [string, Json]) => (SECRET_KEY.test(key) && typeof item === "string" ? [item] : bodySecrets(item)));
}
