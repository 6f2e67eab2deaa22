import { isUtf8 } from "node:buffer";
import { exactJson, JSON_DEPTH_MAX, nestsTooDeep } from "../../src/sdk/json_text.ts";
import type { Json } from "../../src/sdk/observation.ts";

/** A value that is not what the encoding says. */
export class Undecodable {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

/** What the bytes from `start` to `end` say. Synchronous, and never throws for what they hold. */
export type Decode = (bytes: Buffer, start: number, end: number) => Json | Undecodable;

const NOT_UTF8 = new Undecodable("not UTF-8");
const NOT_JSON = new Undecodable("not JSON");
const EMPTY = new Undecodable("empty text is not JSON");
const TOO_DEEP = new Undecodable(`JSON nested deeper than ${JSON_DEPTH_MAX} levels`);
const BYTE_ORDER_MARK = 0xfeff;

export function decodeText(bytes: Buffer, start: number, end: number): string | Undecodable {
  const text = bytes.toString("utf8", start, end);
  // What is no UTF-8 became U+FFFD, which may as well have been sent: only then the bytes are looked at.
  return text.includes("\ufffd") && !isUtf8(bytes.subarray(start, end)) ? NOT_UTF8 : text;
}

/** JSON; a whole number that a double does not hold keeps its digits, as text. */
export const decodeJson: Decode = (bytes, start, end) => jsonOf(bytes, start, end, true);

/** JSON; any number that a double does not hold keeps its digits, as text. */
export const decodeExactJson: Decode = (bytes, start, end) => jsonOf(bytes, start, end, false);

function jsonOf(bytes: Buffer, start: number, end: number, integers: boolean): Json | Undecodable {
  const text = decodeText(bytes, start, end);
  if (typeof text !== "string") return text;
  if (nestsTooDeep(text)) return TOO_DEEP;
  try {
    return exactJson(text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text, integers);
  } catch {
    // V8's message quotes the text, which may hold secrets.
    return text.trim() === "" ? EMPTY : NOT_JSON;
  }
}

export function decodeRaw(bytes: Buffer, start: number, end: number): string {
  return bytes.toString("base64", start, end);
}

/** A key or a header as text: as it is where it is UTF-8, else in base64. */
export function textOrBase64(bytes: Buffer, start: number, end: number): string {
  const text = decodeText(bytes, start, end);
  return typeof text === "string" ? text : bytes.toString("base64", start, end);
}
