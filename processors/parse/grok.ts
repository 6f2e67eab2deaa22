import type { Json } from "../../src/sdk/observation.ts";
import { closest } from "../../src/sdk/suggest.ts";
import { GROK_PATTERNS } from "./grok_patterns.ts";
import { Unreadable, type Parser } from "./parser.ts";
import { compileRe2, matching } from "./regex.ts";

// Definitions that double each other grow exponentially, so the whole expansion has a limit, not only its depth.
const REFERENCES_MAX = 1_000;
const EXPANDED_CHARS_MAX = 65_536;
const FIELD_DEPTH_MAX = 16;

const REFERENCE = /%\{([A-Za-z0-9_]+)(?::([^:{}]+))?(?::([A-Za-z0-9_]+))?\}/y;
const FORBIDDEN = new Set(["__proto__", "constructor", "prototype"]);

type Convert = (text: string) => Json | undefined;

const number: Convert = (text) => {
  const value = Number(text);
  return text.trim() !== "" && Number.isFinite(value) ? value : undefined;
};

const int: Convert = (text) => {
  const value = number(text);
  return Number.isSafeInteger(value) ? value : undefined;
};

const bool: Convert = (text) => (/^true$/i.test(text) ? true : /^false$/i.test(text) ? false : undefined);

const TYPES: ReadonlyMap<string, Convert> = new Map<string, Convert>([
  ["int", int],
  ["long", int],
  ["float", number],
  ["double", number],
  ["bool", bool],
  ["boolean", bool],
  ["string", (text) => text],
]);

/** Where a group's text goes. */
interface Field {
  /** Name of the group in the expanded expression. */
  readonly group: string;
  readonly path: readonly string[];
  readonly convert: Convert;
  /** What is said when `convert` cannot; made once, so that equal faults read equal. */
  readonly unreadable: Unreadable;
}

interface Expansion {
  readonly definitions: ReadonlyMap<string, string>;
  readonly fields: Field[];
  references: number;
  chars: number;
}

/**
 * A grok expression: `%{NAME}`, `%{NAME:field}`, `%{NAME:field:type}` and RE2 between them, matched anywhere in the text.
 * `a.b` and `[a][b]` name nested fields; `own` definitions go before the standard ones. A group that took no part in the
 * match gives no field. Throws `Error`: unknown name or type, endless reference, what RE2 does not have.
 */
export function grokParser(pattern: string, own: Readonly<Record<string, string>>): Parser {
  const definitions = new Map([...GROK_PATTERNS, ...Object.entries(own)]);
  const expansion: Expansion = { definitions, fields: [], references: 0, chars: 0 };
  const compiled = compileRe2(expand(pattern, expansion, []));
  const groups = compiled.namedGroups();
  const generated = new Set(expansion.fields.map((field) => field.group));
  for (const name of Object.keys(groups)) if (!generated.has(name)) expansion.fields.push(fieldOf(name, name, "string"));
  if (expansion.fields.length === 0) throw new Error("the pattern names no field, such as %{WORD:status}");
  refuseConflicts(expansion.fields);
  const targets = expansion.fields.map((field) => ({ ...field, index: groups[field.group]! }));

  return matching(compiled, (group) => {
    const fields: Record<string, Json> = {};
    for (const { index, path, convert, unreadable } of targets) {
      const text = group(index);
      if (text === undefined) continue;
      const value = convert(text);
      if (value === undefined) return unreadable;
      put(fields, path, value);
    }
    return fields;
  });
}

/** `pattern` with every reference replaced. `within`: the names that are being expanded, outermost first. */
function expand(pattern: string, expansion: Expansion, within: readonly string[]): string {
  let text = "";
  let at = 0;
  for (let start = pattern.indexOf("%{"); start !== -1; start = pattern.indexOf("%{", at)) {
    REFERENCE.lastIndex = start;
    const match = REFERENCE.exec(pattern);
    if (match === null) {
      const near = pattern.slice(start, start + 30);
      throw new Error(`"${near}" is no reference; allowed are %{NAME}, %{NAME:field} and %{NAME:field:type}`);
    }
    text += pattern.slice(at, start) + reference(match, expansion, within);
    at = start + match[0].length;
  }
  text += pattern.slice(at);
  expansion.chars += text.length;
  if (expansion.chars > EXPANDED_CHARS_MAX) throw new Error(`the pattern expands to more than ${EXPANDED_CHARS_MAX} characters`);
  return text;
}

function reference(match: RegExpExecArray, expansion: Expansion, within: readonly string[]): string {
  const [, name, field, type] = match as unknown as [string, string, string | undefined, string | undefined];
  if (within.includes(name)) throw new Error(`pattern ${name} refers to itself: ${[...within, name].join(" > ")}`);
  if (++expansion.references > REFERENCES_MAX) throw new Error(`the pattern expands to more than ${REFERENCES_MAX} references`);
  const definition = expansion.definitions.get(name);
  if (definition === undefined) {
    const near = closest(name, expansion.definitions.keys());
    throw new Error(`pattern ${name} is not known${near === undefined ? "" : `, did you mean ${near}?`}; define it in patterns`);
  }
  if (field === undefined) return `(?:${expand(definition, expansion, [...within, name])})`;
  const group = `grok_${expansion.fields.length}_`;
  expansion.fields.push(fieldOf(group, field, type ?? "string"));
  return `(?P<${group}>${expand(definition, expansion, [...within, name])})`;
}

function fieldOf(group: string, name: string, type: string): Field {
  const bracketed = /^(?:\[[^[\]]+\])+$/.test(name);
  const path = bracketed ? name.slice(1, -1).split("][") : name.split(".");
  if (path.length > FIELD_DEPTH_MAX) throw new Error(`field ${name} has more than ${FIELD_DEPTH_MAX} levels`);
  for (const key of path) {
    if (key === "" || /[[\]]/.test(key)) throw new Error(`field "${name}" is not written name, a.b or [a][b]`);
    if (FORBIDDEN.has(key)) throw new Error(`field ${name}: "${key}" is not allowed as a name`);
  }
  const convert = TYPES.get(type);
  if (convert === undefined) {
    throw new Error(`type ${type} of field ${name} is not known; allowed are ${[...TYPES.keys()].join(", ")}`);
  }
  return { group, path, convert, unreadable: new Unreadable(`field ${name} is no ${type}`) };
}

/** A field may be named twice (in alternatives), but not be text here and hold fields there. */
function refuseConflicts(fields: readonly Field[]): void {
  const leaves = new Set(fields.map((field) => field.path.join("\0")));
  for (const { path } of fields) {
    for (let length = 1; length < path.length; length++) {
      const parent = path.slice(0, length);
      if (leaves.has(parent.join("\0"))) throw new Error(`field ${parent.join(".")} cannot be text and also hold ${path.join(".")}`);
    }
  }
}

function put(fields: Record<string, Json>, path: readonly string[], value: Json): void {
  let target = fields;
  for (let i = 0; i < path.length - 1; i++) {
    const key = path[i]!;
    if (!Object.hasOwn(target, key)) target[key] = {};
    target = target[key] as Record<string, Json>;
  }
  target[path.at(-1)!] = value;
}
