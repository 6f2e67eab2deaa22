import type { ObservationBehind } from "./alert.ts";
import { cut } from "./alert_text.ts";
import { wholeBody, type Attributes, type Json, type Observation } from "./observation.ts";

const SECRET_NAME = /authorization|cookie|token|secret|passw(?:or)?d|passphrase|api[-_]?key|private[-_]?key|signature|credential/i;
/** The same in text, with what follows: `token=…`, `"api_key": "…"`, and to the end of the line what follows `Authorization:`. */
const SECRET_TEXT =
  /((?:token|secret|passw(?:or)?d|passphrase|api[-_]?key|private[-_]?key|signature|credential)[\w-]{0,32}\\{0,4}["']?\s{0,4}[=:]\s{0,4})(?:\\{0,4}"[^"]*"?|'[^']*'?|[^\s&,;]+)/gi;
const SECRET_HEADER = /((?:authorization|cookie)[\w-]{0,32}\\{0,4}["']?\s{0,4}[=:]\s{0,4})(?:\\{0,4}"[^"]*"?|'[^']*'?|[^\r\n]+)/gi;
const REDACTED = "[redacted]";

/** What an excerpt holds at most: JSON text of attributes and body together, about (UTF-16 units). */
const LENGTH_MAX = 2_048;
const STRING_LENGTH_MAX = 1_024;
const ITEMS_MAX = 50;
const DEPTH_MAX = 8;
const CUT = "…";

/** Attributes without those whose name says that they are secret. */
export function withoutSecrets(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => !SECRET_NAME.test(name)));
}

/**
 * An observation for people, to be kept with an alert: without what looks like a secret, by its name, and about 2 KiB of JSON
 * at most. What is left out shows as `…`. Costs as much as the body is large: not for the hot path.
 */
export function observationExcerpt({ source, time, id, attributes, body }: Observation): ObservationBehind {
  const room = { left: LENGTH_MAX };
  const shown = shorten(withoutSecrets(attributes), room, 0);
  return { source, time, id: id === undefined ? undefined : cut(id, 200), attributes: shown as Record<string, Json>, body: shorten(wholeBody(body), room, 0) };
}

/** A copy that takes no more than there is room. */
function shorten(value: Json, room: { left: number }, depth: number): Json {
  if (room.left <= 0) return CUT;
  if (typeof value === "string") {
    const fits = Math.max(1, Math.min(STRING_LENGTH_MAX, room.left));
    const begun = cut(value, fits);
    // A control character takes six in JSON.
    const text = (JSON.stringify(begun).length > 2 * fits ? cut(begun, Math.ceil(fits / 6)) : begun).replace(SECRET_HEADER, `$1${REDACTED}`).replace(SECRET_TEXT, `$1${REDACTED}`);
    room.left -= JSON.stringify(text).length + 1;
    return text;
  }
  if (value === null || typeof value !== "object") {
    room.left -= String(value).length + 1;
    return value;
  }
  room.left -= 2;
  if (depth >= DEPTH_MAX) return CUT;
  return Array.isArray(value) ? items(value as readonly Json[], room, depth) : fields(value as { readonly [key: string]: Json }, room, depth);
}

function items(list: readonly Json[], room: { left: number }, depth: number): Json {
  const shown: Json[] = [];
  for (const item of list) {
    if (room.left <= 0 || shown.length >= ITEMS_MAX) {
      shown.push(CUT);
      break;
    }
    shown.push(shorten(item, room, depth + 1));
  }
  return shown;
}

function fields(from: { readonly [key: string]: Json }, room: { left: number }, depth: number): Json {
  const shown: [string, Json][] = [];
  for (const name in from) {
    if (!Object.hasOwn(from, name)) continue;
    if (room.left <= 0 || shown.length >= ITEMS_MAX) {
      shown.push([CUT, CUT]);
      break;
    }
    const key = cut(name, 100);
    room.left -= JSON.stringify(key).length + 1;
    shown.push([key, SECRET_NAME.test(name) ? REDACTED : shorten(from[name]!, room, depth + 1)]);
  }
  // Defines them, whatever their names: `__proto__` is a field as any other.
  return Object.fromEntries(shown);
}
