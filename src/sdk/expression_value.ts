import { Duration, Failure, Timestamp, TypeValue } from "./expression.ts";
import type { Scope, Value } from "./expression.ts";

export { jsonOf } from "./expression_json.ts";

/** More than this and an evaluation fails: about the work of 20 ms. */
export const STEPS_MAX = 1_000_000;
/** No expression makes a longer string or list. */
export const LENGTH_MAX = 4_194_304;
/** Deeper values are neither compared nor rendered. */
const VALUE_DEPTH_MAX = 200;

/** State of one evaluation: the clock, the variables of its macros, the work done so far. */
export interface Frame {
  now: number;
  steps: number;
  readonly vars: Value[];
}

/** A compiled node. Never throws on purpose; what it throws by accident `evaluate` turns into a failure. */
export type Fn = (scope: Scope, frame: Frame) => Value | Failure;

export const OVER_BUDGET = new Failure(`the expression takes more than ${STEPS_MAX.toLocaleString("en")} steps`);

/** A map made by an expression, as against one of JSON. */
export type MadeMap = ReadonlyMap<Value, Value>;
/** A JSON object. Its keys are data: own properties only. */
export type JsonMap = { readonly [key: string]: Value };

export function isFailure(value: Value | Failure): value is Failure {
  return value instanceof Failure;
}

export function isList(value: Value | Failure): value is readonly Value[] {
  return Array.isArray(value);
}

/** A JSON object, not one of our own classes. */
export function isJsonMap(value: Value): value is Value & JsonMap {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Map) &&
    !(value instanceof Timestamp) && !(value instanceof Duration) && !(value instanceof Uint8Array) &&
    !(value instanceof TypeValue)
  );
}

/** The name of its CEL type, as `type(x)` has it. */
export function typeName(value: Value): string {
  switch (typeof value) {
    case "string":
      return "string";
    case "number":
      return "double";
    case "bigint":
      return "int";
    case "boolean":
      return "bool";
    default:
      if (value === null) return "null_type";
      if (Array.isArray(value)) return "list";
      if (value instanceof Timestamp) return "google.protobuf.Timestamp";
      if (value instanceof Duration) return "google.protobuf.Duration";
      if (value instanceof Uint8Array) return "bytes";
      return value instanceof TypeValue ? "type" : "map";
  }
}

/** The type for people. */
export function kindOf(value: Value): string {
  const name = typeName(value);
  if (name === "double") return "number";
  if (name === "null_type") return "null";
  return name.startsWith("google.") ? name.slice("google.protobuf.".length).toLowerCase() : name;
}

/** The value under a name; undefined where there is none, or in what has no names. */
export function fieldOf(value: Value, name: string): Value | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (value instanceof Map) return (value as MadeMap).get(name);
  return isJsonMap(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

/** A map key, so that 1 and 1.0 are the same one; undefined when it can be none. */
export function keyOf(value: Value): Value | undefined {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : undefined;
  return typeof value === "string" || typeof value === "bigint" || typeof value === "boolean" ? value : undefined;
}

/** `value[index]`; undefined where there is none. */
export function indexOf(value: Value, index: Value): Value | undefined {
  if (typeof index === "string") return fieldOf(value, index);
  if (isList(value)) {
    const at = typeof index === "bigint" ? Number(index) : index;
    return typeof at === "number" && Number.isInteger(at) && at >= 0 && at < value.length ? value[at] : undefined;
  }
  if (!(value instanceof Map)) return undefined;
  const key = keyOf(index);
  return key === undefined ? undefined : (value as MadeMap).get(key);
}

/** Number of entries of a map of either kind. */
export function mapSize(value: MadeMap | JsonMap): number {
  return value instanceof Map ? value.size : Object.keys(value).length;
}

function numbersEqual(a: number | bigint, b: number | bigint): boolean {
  if (typeof a === typeof b) return a === b;
  return compareNumbers(Number(a), Number(b)) === 0 && a <= b; // the second is exact beyond 2^53
}

function bytesCompare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** CEL's equality: numbers across types, everything else by type and value; NaN equals nothing. */
export function equal(a: Value, b: Value, frame: Frame, depth = 0): boolean {
  frame.steps += 1;
  if (a === b) return true; // NaN fails this, as it should
  const typeA = typeof a;
  const typeB = typeof b;
  if (typeA === "string") frame.steps += (a as string).length >> 6;
  if (typeA === "number" || typeA === "bigint") {
    return (typeB === "number" || typeB === "bigint") && numbersEqual(a as number, b as number);
  }
  if (typeA !== "object" || typeB !== "object" || a === null || b === null) return false;
  if (frame.steps > STEPS_MAX) return false; // the caller sees that the budget is spent
  if (depth > VALUE_DEPTH_MAX) {
    frame.steps = STEPS_MAX + 1;
    return false;
  }
  if (isList(a)) {
    return isList(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]!, frame, depth + 1));
  }
  if (isList(b)) return false;
  if (a instanceof Timestamp) return b instanceof Timestamp && a.ms === b.ms;
  if (a instanceof Duration) return b instanceof Duration && a.ms === b.ms;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && bytesCompare(a, b) === 0;
  if (a instanceof TypeValue) return b instanceof TypeValue && a.name === b.name;
  if (b instanceof Timestamp || b instanceof Duration || b instanceof Uint8Array || b instanceof TypeValue) return false;
  return mapsEqual(a as MadeMap | JsonMap, b as MadeMap | JsonMap, frame, depth);
}

function mapsEqual(a: MadeMap | JsonMap, b: MadeMap | JsonMap, frame: Frame, depth: number): boolean {
  const size = mapSize(a);
  frame.steps += size >> 2;
  if (size !== mapSize(b)) return false;
  for (const [key, value] of a instanceof Map ? (a as MadeMap) : Object.entries(a)) {
    const other = indexOf(b as Value, key);
    if (other === undefined || !equal(value, other, frame, depth + 1)) return false;
  }
  return true;
}

/** Below zero, zero, above zero; NaN when either is NaN; undefined when they have no order. */
export function compare(a: Value, b: Value): number | undefined {
  const typeA = typeof a;
  const typeB = typeof b;
  if ((typeA === "number" || typeA === "bigint") && (typeB === "number" || typeB === "bigint")) {
    if (typeA !== typeB) return compareNumbers(Number(a), Number(b));
    return a! < b! ? -1 : a! > b! ? 1 : a === b ? 0 : Number.NaN;
  }
  if (typeA === "string" && typeB === "string") return a! < b! ? -1 : a === b ? 0 : 1;
  if (typeA === "boolean" && typeB === "boolean") return Number(a) - Number(b);
  if (a instanceof Timestamp && b instanceof Timestamp) return a.ms - b.ms;
  if (a instanceof Duration && b instanceof Duration) return a.ms - b.ms;
  if (a instanceof Uint8Array && b instanceof Uint8Array) return bytesCompare(a, b);
  return undefined;
}

function compareNumbers(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : a === b ? 0 : Number.NaN;
}
