import type { Json } from "./observation.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * Values within values, deeper than anybody means. `JSON.parse` has no limit, but who walks the value later does:
 * `JSON.stringify` overflows the stack at some thousands.
 */
export const JSON_DEPTH_MAX = 200;

/** True when more than `JSON_DEPTH_MAX` brackets of a JSON text are open at once, those inside strings not counted. */
export function nestsTooDeep(text: string): boolean {
  // Only a text this long can open and close so many brackets, so the usual line costs nothing more than its parsing.
  if (text.length <= 2 * JSON_DEPTH_MAX) return false;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      i = endOfString(text, i);
    } else if (code === OPEN_BRACKET || code === OPEN_BRACE) {
      if (++depth > JSON_DEPTH_MAX) return true;
    } else if (code === CLOSE_BRACKET || code === CLOSE_BRACE) {
      depth--;
    }
  }
  return false;
}

/** Where the quoted string that opens at `start` closes, backslashes escaping; the end of the text if it does not. */
export function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}

/**
 * JSON that every parser takes: half a surrogate pair and NUL, which RFC 8259 leaves to each and many refuse with the whole
 * text, are U+FFFD. What comes from outside must not decide whether an alert is delivered.
 * https://www.rfc-editor.org/rfc/rfc8259#section-8.2
 */
export function portableJson(value: Json): string {
  // Each escape whole, so that a backslash that is itself escaped begins none; a pair stands as it is, never escaped.
  return JSON.stringify(value).replace(/\\(?:u(?:d[89a-f][\da-f]{2}|0000)|.)/g, (escape) => (escape.length > 2 ? "\\ufffd" : escape));
}
