import type { Alert } from "./alert.ts";
import type { Json } from "./observation.ts";

// What a terminal obeys, or what reorders or breaks a line of text; ids and bodies come from outside.
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
const DATE_MS_MAX = 8.64e15;

/** Text on one line that no terminal obeys: control and direction characters as `\n`, `\u001b`. */
export function printable(text: string): string {
  return text.toWellFormed().replace(UNPRINTABLE, (c) => SHORT[c] ?? unicodeEscape(c));
}

/** JSON on one line that no terminal obeys: JSON itself escapes only some of those characters. */
export function jsonLine(value: Json): string {
  return JSON.stringify(value).replace(UNPRINTABLE, unicodeEscape);
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** At most `lengthMax` UTF-16 units (so at most as many code points), cut between code points, then ending with `…`. */
export function cut(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text.toWellFormed();
  // A pair that the cut divides leaves a lone half, which goes too.
  return `${text.slice(0, lengthMax - 1).replace(/[\ud800-\udbff]$/, "").toWellFormed()}…`;
}

/** RFC 3339 in UTC, with milliseconds. */
export function timeText(ms: number): string {
  return Math.abs(ms) <= DATE_MS_MAX ? new Date(ms).toISOString() : String(ms);
}

/** A value for people: text as it is, anything else as JSON. */
export function valueText(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** `type/id`, printable; for a group's alert the type and the group's labels: `order region=eu`. Empty where there is neither. */
export function resourceText({ resource, group }: Pick<Alert, "resource"> & Partial<Pick<Alert, "group">>): string {
  if (resource.id !== "") return printable(`${resource.type}/${resource.id}`);
  const labels = Object.entries(group ?? {}).map(([name, value]) => `${name}=${value}`);
  return printable([resource.type, ...labels].filter((text) => text !== "").join(" "));
}

/** The annotation `summary`, else the resource and what was observed. */
export function summaryText(alert: Alert): string {
  const summary = alert.annotations["summary"]?.trim() ?? "";
  if (summary !== "") return summary;
  const about = resourceText(alert) || alert.alert;
  return alert.value === null ? about : `${about}: ${valueText(alert.value)}`;
}
