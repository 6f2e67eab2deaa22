import type { Json } from "../../src/sdk/observation.ts";
import { endOfString, Unreadable } from "./parser.ts";

/**
 * Values within values, as in bodies that receivers decode. `JSON.parse` has no limit, but who walks the value later does:
 * `JSON.stringify` overflows the stack at some thousands.
 */
const DEPTH_MAX = 200;

const BYTE_ORDER_MARK = 0xfeff;
const QUOTE = 0x22;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** One JSON value. Keys become own properties, `__proto__` too: that is how `JSON.parse` makes them. */
export function parseJson(text: string): Json | Unreadable {
  // Only a text this long can hold so many brackets, so the usual line costs nothing more than its parsing.
  if (text.length > 2 * DEPTH_MAX && nestsDeeper(text, DEPTH_MAX)) {
    return new Unreadable(`JSON nested deeper than ${DEPTH_MAX} levels`);
  }
  try {
    // A file may begin with a byte order mark: https://www.rfc-editor.org/rfc/rfc8259#section-8.1
    return JSON.parse(text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text) as Json;
  } catch {
    // V8's message quotes the text: it would differ from line to line, and may show what must not be shown.
    return new Unreadable(text.trim() === "" ? "empty text is not JSON" : "not JSON");
  }
}

/** True when more than `max` brackets are open at once, those inside strings not counted. */
function nestsDeeper(text: string, max: number): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      i = endOfString(text, i);
    } else if (code === OPEN_BRACKET || code === OPEN_BRACE) {
      if (++depth > max) return true;
    } else if (code === CLOSE_BRACKET || code === CLOSE_BRACE) {
      depth--;
    }
  }
  return false;
}
