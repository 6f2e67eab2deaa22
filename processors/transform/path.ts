import type { Json } from "../../src/sdk/observation.ts";

/** A place in an observation that can be written: `keys` lead from `root` to it. */
export interface Path {
  /** As configured. */
  readonly text: string;
  readonly root: "body" | "attributes" | "time";
  /** Empty: the whole root. For attributes exactly one. */
  readonly keys: readonly string[];
}

const KEYS_MAX = 32;
const FORBIDDEN = new Set(["__proto__", "constructor", "prototype"]);
const ROOT = /^[A-Za-z_]\w*/;
const STEP = /\.([A-Za-z_$][\w$-]*)|\["((?:[^"\\]|\\["\\])*)"\]|\['((?:[^'\\]|\\['\\])*)'\]/y;

/**
 * Reads `body.order.total`, `attributes["log.file.path"]`, `time`. Names that lead to a prototype are refused here, so that
 * nothing written later has to look. Throws `Error`: what is wrong, and what is allowed.
 */
export function parsePath(text: string): Path {
  const root = ROOT.exec(text)?.[0];
  if (root !== "body" && root !== "attributes" && root !== "time") {
    throw new Error(`"${text}" cannot be changed; allowed are body, body.name, attributes.name and time`);
  }
  const keys: string[] = [];
  for (STEP.lastIndex = root.length; STEP.lastIndex < text.length; ) {
    const at = STEP.lastIndex;
    const step = STEP.exec(text);
    if (step === null) throw new Error(stepMistake(text, at));
    keys.push(step[1] ?? (step[2] ?? step[3]!).replace(/\\(["'\\])/g, "$1"));
    if (FORBIDDEN.has(keys.at(-1)!)) throw new Error(`"${keys.at(-1)}" cannot be a part of a path`);
    if (keys.length > KEYS_MAX) throw new Error(`a path has at most ${KEYS_MAX} parts`);
  }
  if (root === "time" && keys.length > 0) throw new Error("time has no fields");
  if (root === "attributes" && keys.length !== 1) {
    throw new Error(`an attribute has one name; write attributes["${keys.length > 0 ? keys.join(".") : "name"}"]`);
  }
  return { text, root, keys };
}

function stepMistake(text: string, at: number): string {
  if (/^\[\d/.test(text.slice(at))) return `"${text}" names an element of a list; set the whole list instead, by an expression`;
  return `"${text}" is no path from character ${at + 1} on; write body.name or body["odd name"]`;
}

/** Why a value cannot be put where a path leads. Returned, not thrown. */
export class Obstacle {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

type JsonObject = { readonly [key: string]: Json };

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at `keys`; undefined where there is none. Own properties only. */
export function valueAt(root: Json, keys: readonly string[]): Json | undefined {
  let value: Json | undefined = root;
  for (const key of keys) {
    if (!isObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

/**
 * `root` with `value` at the path. Only the objects on the way are copied, missing ones (and nulls) are made; `root` itself
 * does not change. Text, numbers and lists on the way are an obstacle, not overwritten.
 */
export function withValue(root: Json, { text, keys }: Path, value: Json, depth = 0): Json | Obstacle {
  if (depth === keys.length) return value;
  if (!isObject(root) && root !== null) return new Obstacle(`${text}: ${described(keys, root, depth)}`);
  const key = keys[depth]!;
  const child = root !== null && Object.hasOwn(root, key) ? root[key]! : null;
  const changed = withValue(child, { text, keys, root: "body" }, value, depth + 1);
  if (changed instanceof Obstacle) return changed;
  // Spreading and a literal define own properties; `key` is no name of a prototype.
  return { ...root, [key]: changed };
}

function described(keys: readonly string[], value: Json, depth: number): string {
  const kind = typeof value === "string" ? "text" : Array.isArray(value) ? "a list" : `a ${typeof value}`;
  if (depth === 0) return `the body is ${kind}, not an object${typeof value === "string" ? "; parse it before" : ""}`;
  return `${keys.slice(0, depth).join(".")} is ${kind}, not an object`;
}

/** `root` without what is at `keys` (at least one); `root` itself when there is nothing. */
export function withoutValue(root: Json, keys: readonly string[], depth = 0): Json {
  const key = keys[depth]!;
  if (!isObject(root) || !Object.hasOwn(root, key)) return root;
  if (depth < keys.length - 1) {
    const child = withoutValue(root[key]!, keys, depth + 1);
    return child === root[key] ? root : { ...root, [key]: child };
  }
  const { [key]: _, ...rest } = root;
  return rest;
}
