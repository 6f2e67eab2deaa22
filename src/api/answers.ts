import { STATUS_CODES } from "node:http";
import type { HttpAnswer } from "../sdk/listeners.ts";

/** A page ends before its items have more characters than this, so that no request holds up the event loop for long. */
const PAGE_LENGTH_MAX = 4 * 2 ** 20;

// Everything here is a state at an instant: a cache would only show an old one.
const HEADERS = { "cache-control": "no-store", "x-content-type-options": "nosniff" };

/** JSON, as it is at this moment. */
export function json(value: unknown): HttpAnswer {
  return jsonText(JSON.stringify(value));
}

/**
 * An error as problem+json; `more` are members beside the standard ones.
 * https://www.rfc-editor.org/rfc/rfc9457
 */
export function problem(status: number, detail: string, more: object = {}, headers: Readonly<Record<string, string>> = {}): HttpAnswer {
  const body = { type: "about:blank", title: STATUS_CODES[status] ?? "Error", status, detail, ...more };
  return { status, headers: { ...HEADERS, ...headers, "content-type": "application/problem+json" }, body: `${JSON.stringify(body)}\n` };
}

/**
 * `{"items": […], "next": cursor | null}` of what was found, at most `limit`; what is found beyond shows that there is
 * more. A page of large items is cut short, never empty.
 */
export function page<T>(
  found: readonly T[], limit: number, show: (item: T) => unknown, cursorOf: (item: T) => readonly (string | number)[],
): HttpAnswer {
  const texts: string[] = [];
  let length = 0;
  for (const item of found.slice(0, limit)) {
    const text = JSON.stringify(show(item));
    length += text.length;
    if (texts.length > 0 && length > PAGE_LENGTH_MAX) break;
    texts.push(text);
  }
  const next = texts.length < found.length ? encodeCursor(cursorOf(found[texts.length - 1]!)) : null;
  return jsonText(`{"items":[${texts.join(",")}],"next":${JSON.stringify(next)}}`);
}

function jsonText(text: string): HttpAnswer {
  return { status: 200, headers: { ...HEADERS, "content-type": "application/json; charset=utf-8" }, body: `${text}\n` };
}

function encodeCursor(parts: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}
