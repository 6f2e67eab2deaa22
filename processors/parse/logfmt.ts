import { endOfString } from "../../src/sdk/json_text.ts";
import type { Json } from "../../src/sdk/observation.ts";
import { setOwn, Unreadable } from "./parser.ts";

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", f: "\f" };

// Sticky, and each decides by its next character, so a line is read in one pass whatever it holds.
const KEY = /[^\s="]+/y;
const BARE_VALUE = /[^\s"]*/y;
const SPACE = /\s*/y;

// Without the place: a reason that differs from line to line would be logged for each.
const KEY_MISSING = new Unreadable("logfmt: a key is missing before = or a quote");
const NOT_CLOSED = new Unreadable("logfmt: a quote is not closed");
const SPACE_MISSING = new Unreadable("logfmt: a space is missing after a value");
const NO_PAIR = new Unreadable("logfmt: no key=value");

/**
 * One line of `key=value key="quoted \"value\"" bare`, as logfmt libraries write it
 * (https://pkg.go.dev/github.com/go-logfmt/logfmt). Values stay text; a bare key is true; the last of equal keys wins.
 * A line without any `=` is refused: it is prose, and not a list of bare keys.
 */
export function parseLogfmt(text: string): Json | Unreadable {
  const fields: Record<string, Json> = {};
  let pairs = 0;
  let at = skip(SPACE, text, 0);
  while (at < text.length) {
    const afterKey = skip(KEY, text, at);
    if (afterKey === at) return KEY_MISSING;
    const key = text.slice(at, afterKey);
    at = afterKey;
    if (text[at] !== "=") {
      setOwn(fields, key, true);
    } else if (text[at + 1] === '"') {
      const end = endOfString(text, at + 1);
      if (end === text.length) return NOT_CLOSED;
      setOwn(fields, key, unescape(text.slice(at + 2, end)));
      at = end + 1;
      pairs++;
    } else {
      const end = skip(BARE_VALUE, text, at + 1);
      setOwn(fields, key, text.slice(at + 1, end));
      at = end;
      pairs++;
    }
    const next = skip(SPACE, text, at);
    if (next === at && at < text.length) return SPACE_MISSING;
    at = next;
  }
  return pairs > 0 ? fields : NO_PAIR;
}

/** Where `pattern` ends when it is matched at `at`; `at` itself when it does not match there. */
function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

function unescape(quoted: string): string {
  if (!quoted.includes("\\")) return quoted;
  return quoted.replace(/\\(?:u([0-9a-fA-F]{4})|([^]))/g, (_, hex: string | undefined, other: string) =>
    hex === undefined ? (ESCAPES[other] ?? other) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
