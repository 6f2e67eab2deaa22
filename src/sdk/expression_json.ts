import { Duration, Timestamp, TypeValue } from "./expression.ts";
import type { Value } from "./expression.ts";
import type { Json } from "./observation.ts";
import { durationText, formatTime } from "./time.ts";

/** Deeper values are not converted. */
const DEPTH_MAX = 200;
/** Longest text of a value as JSON, roughly. */
const JSON_LENGTH_MAX = 16_777_216;
const CUT = "…";

/**
 * What may still be written, in characters. An expression may name one large value a thousand times,
 * so what counts is what would be written, not what is there.
 */
interface Budget {
  left: number;
  /** Cut what is too much, rather than refuse it. */
  readonly cuts: boolean;
}

function list(value: readonly Value[], budget: Budget, depth: number): Json {
  const items: Json[] = [];
  for (const item of value) {
    items.push(convert(item, budget, depth + 1));
    if (budget.left < 0) break;
  }
  return items;
}

function map(value: ReadonlyMap<Value, Value> | { readonly [key: string]: Value }, budget: Budget, depth: number): Json {
  const entries: [string, Json][] = [];
  for (const [key, item] of value instanceof Map ? (value as ReadonlyMap<Value, Value>) : Object.entries(value)) {
    const name = String(key as string);
    budget.left -= name.length;
    entries.push([name, convert(item, budget, depth + 1)]);
    if (budget.left < 0) break;
  }
  // fromEntries defines, so that a key `__proto__` is a key.
  return Object.fromEntries(entries);
}

function convert(value: Value, budget: Budget, depth: number): Json {
  budget.left -= 1 + (typeof value === "string" ? value.length : value instanceof Uint8Array ? value.length * 2 : 0);
  if (budget.left < 0 || depth > DEPTH_MAX) {
    if (!budget.cuts) throw new RangeError("too large or nested too deeply");
    return typeof value === "string" ? value.slice(0, Math.max(0, budget.left + value.length)) + CUT : CUT;
  }
  switch (typeof value) {
    case "bigint":
      return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "object":
      if (value === null) return null;
      if (Array.isArray(value)) return list(value as readonly Value[], budget, depth);
      if (value instanceof Timestamp) return formatTime(value.ms);
      if (value instanceof Duration) return durationText(value.ms);
      if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
      return value instanceof TypeValue ? value.name : map(value as { readonly [key: string]: Value }, budget, depth);
    default:
      return value;
  }
}

/**
 * A value as JSON: an int as a number (as text beyond 2^53), a timestamp as RFC 3339, a duration as `1800s`,
 * bytes as base64. Throws a `RangeError` when it is nested too deeply or longer than about 16 Mi characters.
 */
export function jsonOf(value: Value): Json {
  return convert(value, { left: JSON_LENGTH_MAX, cuts: false }, 0);
}

/** A value as JSON text for people: what goes beyond about `length` characters is cut. */
export function jsonText(value: Value, length: number): string {
  return JSON.stringify(convert(value, { left: length, cuts: true }, 0));
}
