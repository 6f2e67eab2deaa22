import { Duration, Timestamp, type Value } from "./expression.ts";
import { formatDuration } from "./duration.ts";
import type { Json } from "./observation.ts";

const DEPTH_MAX = 64;

/**
 * A value of an expression as JSON: an integer beyond 2^53 and bytes become text, a timestamp RFC 3339, a duration
 * what people write (`1h30m`). Own keys only; deeper than 64 levels is cut to null.
 */
export function toJson(value: Value, depth = 0): Json {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (depth >= DEPTH_MAX) return null;
  if (value instanceof Timestamp) return rfc3339(value.ms);
  if (value instanceof Duration) return formatDuration(value.ms);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return (value as readonly Value[]).map((item) => toJson(item, depth + 1));
  const entries: Iterable<[unknown, Value]> = value instanceof Map ? value : Object.entries(value as Record<string, Value>);
  const made: [string, Json][] = [];
  for (const [key, item] of entries) made.push([String(key), toJson(item, depth + 1)]);
  return Object.fromEntries(made); // defines own properties, `__proto__` too
}

/** RFC 3339 in UTC with milliseconds; the epoch where the time cannot be shown. */
export function rfc3339(ms: number): string {
  return Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : "1970-01-01T00:00:00.000Z";
}
