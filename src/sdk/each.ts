import { Duration, Failure, Timestamp, type Value } from "./expression.ts";
import type { Json } from "./observation.ts";
import { toJson } from "./value.ts";

/** The items of what an `each` expression gave, as bodies; a failure when it is no list. */
export function eachOf(value: Value | Failure): readonly Json[] | Failure {
  if (value instanceof Failure) return value;
  return Array.isArray(value) ? (value as readonly Value[]).map(bodyItem) : NO_LIST;
}

const NO_LIST = new Failure("gives no list");

/** Maps of a decoded body are JSON already and may be big: only what the expression made is converted. */
function bodyItem(value: Value): Json {
  const made = typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Map ||
    value instanceof Uint8Array || value instanceof Timestamp || value instanceof Duration;
  return made ? toJson(value) : value as Json;
}
