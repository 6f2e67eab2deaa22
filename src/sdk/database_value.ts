import type { Json } from "./observation.ts";

/*
 * What a column of a database becomes in a body: the same by query, replication and binlog. No digit is lost: a number that
 * a double holds exactly is a number, so that rules can compare it; any other keeps its text.
 */

const DECIMAL = /^-?\d{1,400}(?:\.\d{1,400})?$/;

/** The decimal as a number where that says the same, else its text: `"10.50"` is 10.5, `"9007199254740993"` stays text. */
export function exactNumber(text: string): number | string {
  if (!DECIMAL.test(text)) return text;
  const value = Number(text);
  // A double may hold it by chance, but not its neighbours: an id must not be a number for one row and text for the next.
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) return text;
  if (value === 0) return canonical(text) === "0" ? 0 : text;
  return String(value) === canonical(text) ? value : text;
}

/** The shortest decimal that is this 32-bit float: 0.1, not 0.10000000149011612. */
export function shortestFloat(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return shorter;
  }
  return value;
}

/** Without leading zeros, and without trailing ones behind the point. */
function canonical(text: string): string {
  const sign = text.startsWith("-") ? "-" : "";
  const [whole = "", fraction = ""] = text.slice(sign.length).split(".");
  const rest = fraction.replace(/0+$/, "");
  const front = whole.replace(/^0+(?=\d)/, "");
  if (front === "0" && rest === "") return "0";
  return `${sign}${front}${rest === "" ? "" : `.${rest}`}`;
}

const TIMESTAMP = /^(\d{4,6}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?:Z|([+-])(\d\d)(?::?(\d\d))?(?::\d\d)?)?$/;

/**
 * A timestamp as databases write it (`2026-11-22 10:00:00.123456+00`) in RFC 3339, with every digit of its fraction. Without
 * an offset it is taken for UTC. Anything else (`infinity`, `0000-00-00 00:00:00`, years before Christ) stays as it is.
 */
export function rfc3339(text: string): string {
  const match = TIMESTAMP.exec(text);
  if (match === null || match[1]!.startsWith("0000") || match[1]!.includes("-00")) return text;
  const [, date, time, sign, hours, minutes] = match;
  const offset = sign === undefined || (hours === "00" && (minutes ?? "00") === "00") ? "Z" : `${sign}${hours}:${minutes ?? "00"}`;
  return `${date}T${time}${offset}`;
}

/** Binary columns: base64, as JSON has no bytes. */
export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** A column that holds JSON, as text: decoded where it is JSON and loses no digit, else the text. */
export function jsonValue(text: string): Json {
  try {
    return JSON.parse(text, (_key, value: Json, context?: { readonly source?: string }) =>
      typeof value === "number" && context?.source !== undefined ? exactNumber(context.source) : value) as Json;
  } catch {
    return text;
  }
}
