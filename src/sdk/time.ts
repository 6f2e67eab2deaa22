import { Timestamp } from "./expression.ts";

const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,12}))? ?(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)$/;
// Fewer digits before the point are a year or a counter, not an instant.
const EPOCH_TEXT = /^-?\d{9,20}(?:\.\d{1,12})?$/;

/** Years 0001 to 9999: what RFC 3339 and CEL can say. */
const TIME_MIN_MS = -62_135_596_800_000;
const TIME_MAX_MS = 253_402_300_799_999;

function inRange(ms: number): number | undefined {
  return ms >= TIME_MIN_MS && ms <= TIME_MAX_MS ? Math.floor(ms) : undefined;
}

/**
 * Milliseconds of an epoch number by its magnitude: below 1e11 seconds (until the year 5138), below 1e14
 * milliseconds, below 1e17 microseconds, else nanoseconds.
 */
function epochMs(value: number): number | undefined {
  const size = Math.abs(value);
  if (size < 1e11) return inRange(Math.round(value * 1e6) / 1e3);
  if (size < 1e14) return inRange(value);
  if (size < 1e17) return inRange(value / 1e3);
  return inRange(value / 1e6);
}

const ZERO = 48;
let knownDay = "";
let knownDayMs = 0;

/** Two digits as a number; NaN where there are none. */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - ZERO;
  const ones = text.charCodeAt(at + 1) - ZERO;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : NaN;
}

/**
 * What nearly every log line has, `2026-11-03T10:15:00Z` or with milliseconds, at a tenth of the price of the expression:
 * the day is remembered, since the next line is most likely of the same one. Undefined: not this shape, or not valid.
 */
function plainMs(text: string): number | undefined {
  const { length } = text;
  if ((length !== 20 && length !== 24) || text[length - 1] !== "Z") return undefined;
  if (text[10] !== "T" || text[13] !== ":" || text[16] !== ":") return undefined;
  let ms = 0;
  if (length === 24) {
    const hundreds = text.charCodeAt(20) - ZERO;
    if (text[19] !== "." || !(hundreds >= 0 && hundreds <= 9)) return undefined;
    ms = hundreds * 100 + twoDigits(text, 21);
  }
  const hour = twoDigits(text, 11);
  const minute = twoDigits(text, 14);
  const second = twoDigits(text, 17);
  if (!(hour <= 23 && minute <= 59 && second <= 59 && ms <= 999)) return undefined;
  if (!text.startsWith(knownDay) || knownDay === "") {
    const day = text.slice(0, 10);
    const dayMs = anyMs(`${day}T00:00:00Z`);
    if (dayMs === undefined) return undefined;
    knownDay = day;
    knownDayMs = dayMs;
  }
  return knownDayMs + ((hour * 60 + minute) * 60 + second) * 1_000 + ms;
}

function rfc3339Ms(text: string): number | undefined {
  return plainMs(text) ?? anyMs(text);
}

function anyMs(text: string): number | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  // 60 is a leap second.
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  // A month 13 or a 30th of February would have rolled over.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const offsetHours = Number(match[10] ?? 0);
  const offsetMinutes = Number(match[11] ?? 0);
  if (offsetHours > 23 || offsetMinutes > 59) return undefined;
  const offsetMs = (offsetHours * 60 + offsetMinutes) * 60_000 * (match[9] === "-" ? -1 : 1);
  const fractionMs = match[7] === undefined ? 0 : Math.floor(Number(`0.${match[7]}`) * 1_000 + 1e-9);
  return inRange(date.getTime() + ((hour * 60 + minute) * 60 + second) * 1_000 + fractionMs - offsetMs);
}

/**
 * Milliseconds since the epoch of anything that names an instant: RFC 3339 text (with an offset or Z; a space
 * instead of the T will do), an epoch number or its text (s, ms, µs or ns by magnitude), a CEL timestamp.
 * Undefined when it is none: text without an offset names no instant.
 * https://www.rfc-editor.org/rfc/rfc3339#section-5.6
 */
export function timeMs(value: unknown): number | undefined {
  switch (typeof value) {
    case "number":
      return Number.isFinite(value) ? epochMs(value) : undefined;
    case "bigint":
      return epochMs(Number(value));
    case "string": {
      if (value.length > 48) return undefined;
      const text = value.trim();
      return EPOCH_TEXT.test(text) ? epochMs(Number(text)) : rfc3339Ms(text);
    }
    default:
      return value instanceof Timestamp ? value.ms : undefined;
  }
}

/** RFC 3339 in UTC, with a fraction only where there is one: `2026-11-03T10:15:00Z`. */
export function formatTime(ms: number): string {
  if (!(ms >= TIME_MIN_MS && ms <= TIME_MAX_MS)) return String(ms);
  return new Date(ms).toISOString().replace(/\.?0*Z$/, "Z");
}

/** A duration as CEL and protobuf's JSON write it: `1800s`, `-0.5s`. */
export function durationText(ms: number): string {
  return `${Number((ms / 1_000).toFixed(9))}s`;
}
