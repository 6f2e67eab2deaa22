import type { Json } from "../sdk/observation.ts";
import type { Schema } from "./schema_walk.ts";
import { matcherError } from "../sdk/matchers.ts";
import { oneOf, suggestion } from "../sdk/suggest.ts";
import { regexError, type Finding } from "./validator.ts";

const KINDS: Readonly<Record<string, string>> = {
  string: "a text",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  object: "a map",
  array: "a list",
  null: "empty",
};

const FORMATS: Readonly<Record<string, string>> = {
  duration: "is not a duration; allowed: a number with a unit, such as 500ms, 30s, 30m, 1h30m or 7d",
  size: "is not a size; allowed: a number with a unit, such as 500kB, 1MiB or 2GiB",
  address: "is not an address; allowed: host:port, :port or [v6]:port",
  glob: "is not a glob; allowed: a path with * ? ** [a-z] or {a,b}",
  matcher: "is not a matcher; allowed: name=value, name!=value, name=~regex or name!~regex",
  "date-time": "is not a time; allowed: RFC 3339, such as 2026-01-31T12:00:00Z",
};

const kind = (type: unknown): string => KINDS[String(type)] ?? String(type);

function either(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? "nothing") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

function kindOf(value: unknown): string {
  if (value === null) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "number") return "a number";
  if (typeof value === "boolean") return String(value);
  return typeof value === "object" ? "a map" : "a text";
}

const YES_NO = /^(?:on|off|yes|no)$/i;

/** YAML 1.1 had more words for true and false; a text in quotes is a text. */
function unquoting(types: readonly string[], value: unknown): string {
  if (typeof value !== "string") return "";
  if (types.includes("boolean") && YES_NO.test(value)) return `; write ${/^(?:on|yes)$/i.test(value) ? "true" : "false"}`;
  const bare = (types.includes("boolean") && /^(?:true|false)$/.test(value)) || (/^\d+$/.test(value) && types.some((type) => type === "integer" || type === "number"));
  return bare ? "; leave out its quotes" : "";
}

/** What the schema says that the value is for, as a parting help. */
function wanted(types: readonly string[], value: unknown): string {
  const help = types.includes("string") && (typeof value === "number" || typeof value === "boolean") ? "; put it in quotes" : unquoting(types, value);
  return `must be ${either(types.map(kind))}, not ${kindOf(value)}${help}`;
}

const literal = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

function enumeration(allowed: readonly unknown[], shown: string | undefined, value: unknown): string {
  const words = allowed.map(literal);
  const said = shown === undefined ? "is not one of the values known here" : `${shown} is not known here`;
  return `${said}; ${typeof value === "string" && shown !== undefined ? suggestion(value, words) : `allowed: ${oneOf(words)}`}`;
}

const plural = (count: unknown, one: string): string => `${String(count)} ${one}${count === 1 ? "" : "s"}`;

/**
 * Says what is wrong and what is allowed. `shown` is the value as it may be printed; undefined when it may not:
 * it is secret, or no scalar.
 */
export function worded(finding: Finding, shown: string | undefined): string {
  const { keyword, params, schema, parent, value } = finding;
  const it = shown === undefined ? "it" : shown;
  // A pattern is no word for people; its title is.
  const patterns = Object.values(parent.patternProperties ?? {}).flatMap(({ title }) => (title === undefined ? [] : [title]));
  const allowedKeys = (): string[] => [...Object.keys(parent.properties ?? {}), ...patterns];
  switch (keyword) {
    case "type":
      return typeof value === "number" && FORMATS[String(parent["format"])] !== undefined
        ? `${it} ${FORMATS[String(parent["format"])]}`
        : wanted([schema].flat().map(String), value);
    case "required":
      return `${String(params["missingProperty"])} is missing${inBrackets(parent.properties?.[String(params["missingProperty"])]?.description)}`;
    case "additionalProperties":
    case "unevaluatedProperties": {
      const key = String(params["additionalProperty"] ?? params["unevaluatedProperty"]);
      return `is not known here; ${suggestion(key, (params["allowed"] as string[] | undefined) ?? allowedKeys())}`;
    }
    case "propertyNames":
      return `this name is not allowed here; ${nameRule(params["inner"], schema)}`;
    case "enum":
      return enumeration(schema as Json[], shown, value);
    case "const":
      return enumeration([schema], shown, value);
    case "format":
      if (schema === "regex" && typeof value === "string") {
        return `is not a regular expression${shown === undefined ? "" : `: ${regexError(value) ?? ""}`}; allowed: RE2 syntax`;
      }
      if (schema === "matcher" && typeof value === "string" && shown !== undefined) return `${quoted(shown)} ${matcherError(value) ?? ""}`;
      return `${quoted(shown)} ${FORMATS[String(schema)] ?? `is no ${String(schema)}`}`;
    case "expression":
      return shown === undefined ? "is no CEL expression" : String(params["reason"]);
    case "template":
      return shown === undefined ? "is no template" : String(params["reason"]);
    case "minimum":
    case "exclusiveMinimum":
      return `${it} is too small; allowed: ${keyword === "minimum" ? "at least" : "more than"} ${String(schema)}`;
    case "maximum":
    case "exclusiveMaximum":
      return `${it} is too large; allowed: ${keyword === "maximum" ? "at most" : "less than"} ${String(schema)}`;
    case "multipleOf":
      return `${it} must be a multiple of ${String(schema)}`;
    case "minLength":
      return schema === 1 ? "must not be empty" : `is too short; allowed: at least ${plural(schema, "character")}`;
    case "maxLength":
      return `is too long; allowed: at most ${plural(schema, "character")}`;
    case "pattern":
      return `${quoted(shown)} has the wrong form; allowed: text that matches ${String(schema)}${inBrackets(parent.description)}`;
    case "minItems":
      return schema === 1 ? "must not be empty" : `has too few entries; allowed: at least ${String(schema)}`;
    case "maxItems":
      return `has too many entries; allowed: at most ${String(schema)}`;
    case "uniqueItems":
      return `entries ${String(params["j"])} and ${String(params["i"])} are the same`;
    case "minProperties":
      if (schema !== 1) return `has too few keys; allowed: at least ${String(schema)}`;
      return `must not be empty${parent.properties === undefined ? "" : `; allowed: ${oneOf(allowedKeys())}`}`;
    case "maxProperties":
      return schema === 1 ? "takes exactly one key" : `has too many keys; allowed: at most ${String(schema)}`;
    case "dependentRequired":
    case "dependencies":
      return `${String(params["missingProperty"])} is missing; ${String(params["property"])} needs it`;
    case "not":
      return "is not allowed in this combination";
    case "exclusive":
      return exclusive(params["branches"] as Schema[], value);
    case "oneRequired":
      return `one of these is missing: ${oneOf((params["names"] as string[]) ?? [])}`;
    case "kinds":
      return kinds(params["findings"] as Finding[], shown, value);
    default:
      return `does not satisfy ${keyword}`;
  }
}

function nameRule(inner: unknown, schema: unknown): string {
  if (inner === "pattern") return `allowed: names that match ${String(schema)}`;
  if (inner === "enum") return `allowed: ${oneOf((schema as unknown[]).map(String))}`;
  return inner === "maxLength" ? `allowed: at most ${plural(schema, "character")}` : "it must not be empty";
}

const quoted = (shown: string | undefined): string => (shown === undefined ? "it" : `"${shown}"`);

const inBrackets = (description: string | undefined): string => (description === undefined ? "" : ` (${description.replace(/\.$/, "")})`);

function exclusive(branches: readonly Schema[], value: unknown): string {
  const names = branches.flatMap((branch) => branch.required ?? []);
  const given = [...new Set(names)].filter((name) => typeof value === "object" && value !== null && Object.hasOwn(value, name));
  return given.length > 1 ? `${given.join(" and ")} exclude each other; give one` : "fits several forms at once; give one";
}

function kinds(findings: readonly Finding[], shown: string | undefined, value: unknown): string {
  const words = findings.filter((f) => f.keyword !== "type").flatMap((f) => (f.keyword === "const" ? [f.schema] : (f.schema as unknown[])));
  const types = [...new Set(findings.filter((f) => f.keyword === "type").flatMap((f) => [f.schema].flat().map(String)))];
  if (types.length === 0) return enumeration(words, shown, value);
  if (words.length === 0) return wanted(types, value);
  return `must be ${either([...types.map(kind), ...words.map(literal)])}`;
}
