import { exactNumber } from "./database_value.ts";
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

const DIGITS_SAFE_MAX = 15;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const SPACE = 0x20;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;

/**
 * `JSON.parse`, but a number that `exactNumber` keeps as text is text: `{"id":9007199254740993}` has the id
 * `"9007199254740993"`. `integers`: only whole numbers do, and the digits of a fraction beyond a double's are dropped as usual.
 * Throws what `JSON.parse` throws; how deep the text nests is for the caller to ask (`nestsTooDeep`).
 */
export function exactJson(text: string, integers = false): Json {
  return JSON.parse(hasLongNumber(text) ? quoteInexact(text, integers) : text) as Json;
}

/** Whether so many digits stand in a row anywhere that a double may not hold them: one character in sixteen is looked at. */
function hasLongNumber(text: string): boolean {
  for (let at = DIGITS_SAFE_MAX; at < text.length; at += DIGITS_SAFE_MAX + 1) {
    if (!isDigit(text.charCodeAt(at))) continue;
    let start = at;
    let end = at + 1;
    while (start > 0 && isDigit(text.charCodeAt(start - 1))) start--;
    while (end < text.length && isDigit(text.charCodeAt(end))) end++;
    if (end - start > DIGITS_SAFE_MAX) return true;
  }
  return false;
}

function isDigit(code: number): boolean {
  return (code >= ZERO && code <= NINE) || code === POINT;
}

/**
 * The text with quotes around what a double does not hold, where JSON has values: no key and nothing within a string is touched, and
 * what is no JSON does not become any. One pass by character: numbers stand close together, and so do strings.
 */
function quoteInexact(text: string, integers: boolean): string {
  let quoted = "";
  let done = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      for (at++; at < text.length; at++) {
        const inside = text.charCodeAt(at);
        if (inside === QUOTE) break;
        if (inside === BACKSLASH) at++;
      }
    } else if (isDigit(code)) {
      const start = at > 0 && text.charCodeAt(at - 1) === MINUS ? at - 1 : at;
      while (isDigit(text.charCodeAt(at + 1))) at++;
      if (at - start < DIGITS_SAFE_MAX) continue;
      const number = text.slice(start, at + 1);
      if (integers && number.includes(".")) continue;
      if (!NUMBER.test(number) || exactNumber(number) !== number || !isValue(text, start - 1, at + 1)) continue;
      quoted += `${text.slice(done, start)}"${number}"`;
      done = at + 1;
    }
  }
  return done === 0 ? text : quoted + text.slice(done);
}

/** Whether what stands between these two places is a value: after a colon, a comma or a bracket, and not before a colon. */
function isValue(text: string, before: number, after: number): boolean {
  while (before >= 0 && text.charCodeAt(before) <= SPACE) before--;
  while (after < text.length && text.charCodeAt(after) <= SPACE) after++;
  return (before < 0 || ":,[".includes(text[before]!)) && (after === text.length || ",]}".includes(text[after]!));
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
