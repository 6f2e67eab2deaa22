import { rfc3339 } from "../../src/sdk/database_value.ts";
import { timeMs } from "../../src/sdk/time.ts";
import type { Cell, Column, Dialect, Param } from "./session.ts";

/** A value of the tracking column, as the database writes it: no digit and no microsecond is lost. */
export interface Mark {
  readonly kind: "number" | "time" | "text";
  readonly value: string;
}

const NUMBER = /^[+-]?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:e[+-]?\d{1,3})?$/i;
const TIME = /^\d{4,6}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?.*)?$/;
/** Later than any clock is fast, or any time zone ahead, but sooner than `infinity` and 2099. */
const AHEAD_MS_MAX = 86_400_000;

/** The mark of a cell. Throws for bytes: they are compared in no way that can be written down. */
export function markOf(cell: Exclude<Cell, null>, { name, numeric }: Column): Mark {
  if (cell instanceof Uint8Array) throw new Error(`${name}: a tracking_column holds numbers, times or text, not bytes`);
  const value = String(cell);
  if (numeric || typeof cell !== "string") return { kind: "number", value };
  return { kind: TIME.test(value) ? "time" : "text", value };
}

/** The mark of `tracking_start`. */
export function startMark(text: string): Mark {
  return { kind: NUMBER.test(text) ? "number" : TIME.test(text) ? "time" : "text", value: text };
}

/**
 * True when the cursor may move from `cursor` to `mark`, which the database sorts after it. A value that is out of line (infinity,
 * NaN, the year 9999, text among numbers or times) would hide every row to come.
 */
export function advances(mark: Mark, cursor: Mark | undefined, now: number): boolean {
  if (/^-?infinity$/i.test(mark.value) || (mark.kind === "number" && !NUMBER.test(mark.value))) return false;
  if (cursor !== undefined && cursor.kind !== mark.kind && cursor.kind !== "text") return false;
  if (mark.kind !== "time") return true;
  const ms = timeMs(rfc3339(mark.value)) ?? timeMs(`${mark.value}T00:00:00Z`);
  return ms === undefined || ms <= now + AHEAD_MS_MAX;
}

/** A mark in a query: a parameter, or a literal of nothing but digits where the database is particular about types. */
export function written(mark: Mark, dialect: Dialect, params: Param[]): string {
  if (dialect.typed && mark.kind === "number" && NUMBER.test(mark.value)) return mark.value;
  params.push(mark.value);
  return dialect.placeholder(params.length);
}
