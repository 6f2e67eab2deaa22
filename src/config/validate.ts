import type { Json } from "../sdk/observation.ts";
import { ISSUES_PER_FILE_MAX } from "./issues.ts";
import type { Place, Problem } from "./model.ts";
import { isSecret, redactJson, redactText } from "./redact.ts";
import { below, flatten, withDefaults, type Schema } from "./schema_walk.ts";
import { placeholderFor } from "./placeholder.ts";
import { find, locate, locateKey, placeInText, pointerKeys, toJson, type Entry, type Scalar, type Tree } from "./tree.ts";
import type { Finding, Validator } from "./validator.ts";
import { worded } from "./wording.ts";

/** A valid value with defaults, and its redacted copy; or what is wrong. */
export interface Validated {
  readonly value: Json;
  readonly redacted: Json;
  readonly problems: readonly Problem[];
}

/** Checks what is written against a schema: conversion of interpolated text, every error, defaults, redaction. */
export function validate(validator: Validator, root: Schema, written: Tree): Validated {
  const tree = converted({ root, accepts: validator.accepts }, [root], written);
  const plain = toJson(tree);
  // Wording each takes time: see Issues.
  const findings = validator.check(root, plain).slice(0, ISSUES_PER_FILE_MAX + 1);
  const problems = findings.map((finding) => problemOf(root, tree, finding));
  if (problems.length > 0) return { value: plain, redacted: null, problems: unique(problems) };
  const value = withDefaults(root, root, plain, validator.accepts);
  return { value, redacted: redactJson(root, value, tree), problems };
}

interface By {
  readonly root: Schema;
  readonly accepts: Validator["accepts"];
}

/**
 * Text that came from a variable or a file becomes a number or boolean where the schema takes no text.
 * What is written as text in YAML stays text.
 */
function converted(by: By, schemas: readonly Schema[], tree: Tree): Tree {
  const parts = schemas.flatMap((schema) => flatten(by.root, schema));
  if (tree.kind === "list") return { ...tree, items: tree.items.map((item, i) => converted(by, below(parts, i), item)) };
  if (tree.kind === "map") {
    const entries = new Map<string, Entry>();
    for (const [key, entry] of tree.entries) entries.set(key, { place: entry.place, value: converted(by, below(parts, key), entry.value) });
    return { ...tree, entries };
  }
  if (!tree.interpolated || typeof tree.value !== "string") return tree;
  if (tree.placeholder === true) return { ...tree, value: placeholderFor(tree, parts, (schema, value) => by.accepts(by.root, schema, value)) };
  const value = convertedText(tree.value, takes(parts));
  return value === tree.value ? tree : { ...tree, value };
}

/** Types that some branch of the schema takes. */
function takes(parts: readonly Schema[]): ReadonlySet<string> {
  const types = parts.flatMap((schema) => schema.type ?? []);
  for (const schema of parts) {
    for (const value of [...(schema.enum ?? []), ...(schema.const === undefined ? [] : [schema.const])]) types.push(typeof value);
  }
  return new Set(types);
}

function convertedText(text: string, types: ReadonlySet<string>): Scalar["value"] {
  if (types.size === 0 || types.has("string")) return text;
  if (types.has("boolean") && (text === "true" || text === "false")) return text === "true";
  const number = types.has("number") || types.has("integer");
  if (number && text.length <= 40 && /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/.test(text)) return Number(text);
  return text;
}

function problemOf(root: Schema, tree: Tree, finding: Finding): Problem {
  const { keyword, params } = finding;
  if (keyword === "additionalProperties" || keyword === "unevaluatedProperties") {
    const key = String(params["additionalProperty"] ?? params["unevaluatedProperty"]);
    const pointer = `${finding.pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    return { ...locateKey(tree, pointer), message: worded(finding, undefined) };
  }
  if (keyword === "propertyNames") return { ...locateKey(tree, finding.pointer), message: worded(finding, undefined) };
  const found = find(tree, finding.pointer);
  const { path } = locate(tree, finding.pointer);
  const place = placeOf(found.tree, params["offset"]);
  return { place, path, message: worded(finding, shown(root, tree, finding)) };
}

function placeOf(tree: Tree, offset: unknown): Place {
  return tree.kind === "scalar" && typeof offset === "number" ? placeInText(tree, offset) : tree.place;
}

const SHOWN_CHARS_MAX = 80;

/** The value as a message may repeat it. */
function shown(root: Schema, tree: Tree, finding: Finding): string | undefined {
  const { value } = finding;
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") return undefined;
  if (isSecret(root, pointerKeys(finding.pointer), tree)) return undefined;
  const text = redactText(String(value)).replace(/\s+/g, " ");
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text;
}

/** Branches of a schema may find the same thing twice. */
function unique(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>();
  return problems.filter((problem) => {
    const key = `${problem.place.line}:${problem.place.column} ${problem.path} ${problem.message}`;
    return seen.size < seen.add(key).size;
  });
}
