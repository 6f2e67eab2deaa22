import { exactJson, JSON_DEPTH_MAX, nestsTooDeep } from "../../src/sdk/json_text.ts";
import type { Json } from "../../src/sdk/observation.ts";
import { Unreadable } from "./parser.ts";

const BYTE_ORDER_MARK = 0xfeff;

/**
 * One JSON value. Keys become own properties, `__proto__` too: that is how `JSON.parse` makes them. A whole number that a double
 * does not hold stays text, every number does in `exact`: two ids must not become one.
 */
export function parseJson(text: string, exact = false): Json | Unreadable {
  if (nestsTooDeep(text)) return new Unreadable(`JSON nested deeper than ${JSON_DEPTH_MAX} levels`);
  try {
    // A file may begin with a byte order mark: https://www.rfc-editor.org/rfc/rfc8259#section-8.1
    return exactJson(text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text, !exact);
  } catch {
    // V8's message quotes the text: it would differ from line to line, and may show what must not be shown.
    return new Unreadable(text.trim() === "" ? "empty text is not JSON" : "not JSON");
  }
}
