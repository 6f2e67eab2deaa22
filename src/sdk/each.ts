import { Duration, Failure, Timestamp, type Value } from "./expression.ts";
import { jsonOf } from "./expression_json.ts";
import type { Json } from "./observation.ts";

const NO_LIST = new Failure("gives no list");
const TOO_LARGE = new Failure("gives an item that is too large or nested too deeply");

/** The items of what an `each` expression gave, as bodies; a failure when it is no list, or one cannot be a body. */
export function eachOf(value: Value | Failure): readonly Json[] | Failure {
  if (value instanceof Failure) return value;
  if (!Array.isArray(value)) return NO_LIST;
  try {
    return (value as readonly Value[]).map(bodyItem);
  } catch {
    return TOO_LARGE; // the only reason why a value has no JSON
  }
}

/** Text and maps of a decoded body are JSON already and may be big: only what the expression made is converted. */
function bodyItem(value: Value): Json {
  if (typeof value === "string") return value;
  const made = typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Map ||
    value instanceof Uint8Array || value instanceof Timestamp || value instanceof Duration;
  return made ? jsonOf(value) : value as Json;
}
