import { cut, jsonLine, printable } from "../../sdk/alert_text.ts";
import type { Json } from "../../sdk/observation.ts";

const SHOWN_LENGTH_MAX = 200;
/** Of a map or list with all it holds. */
const WHOLE_LENGTH_MAX = 1_000;
/** What YAML reads as the same text without quotes, also within `{ }`. */
const PLAIN = /^(?!(?:true|false|null|yes|no|on|off|[-+.]?\d[\d_.eE+-]*)$)[A-Za-z0-9_./][\w./+@-]*(?: [\w./+@-]+)*$/i;

/** A value as it may be written in the configuration; on one line that no terminal obeys. */
export function shown(value: Json | undefined): string {
  if (value === undefined) return "nothing";
  if (typeof value === "string") return cut(PLAIN.test(value) ? value : jsonLine(value), SHOWN_LENGTH_MAX);
  if (value === null || typeof value !== "object") return String(value);
  if (Array.isArray(value)) return cut(`[${(value as readonly Json[]).map(shown).join(", ")}]`, WHOLE_LENGTH_MAX);
  return cut(shownMap(Object.entries(value).map(([key, item]) => [key, shown(item as Json)])), WHOLE_LENGTH_MAX);
}

/** `{ a: 1, b: x }`, as in YAML. */
export function shownMap(entries: Iterable<readonly [string, string]>): string {
  const parts = [...entries].map(([key, text]) => `${printable(PLAIN.test(key) ? key : JSON.stringify(key))}: ${text}`);
  return parts.length === 0 ? "{}" : `{ ${parts.join(", ")} }`;
}
