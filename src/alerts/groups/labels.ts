import { createHash } from "node:crypto";
import { cut, timeText } from "../../sdk/alert_text.ts";
import { Duration, Failure, Timestamp, type Expression, type Scope, type Value } from "../../sdk/expression.ts";
import { jsonOf } from "../../sdk/expression_json.ts";

/** Labels of a group, sorted by name. */
export type Labels = Readonly<Record<string, string>>;

/** What further groups are called once a rule has as many as it may. */
export const OTHER = "__other__";

const LABEL_LENGTH_MAX = 1_024;
const KEY_LENGTH_MAX = 500;

/** The same text for the same labels, at most 500 characters: what is longer ends in a hash. */
export function groupKey(labels: Labels): string {
  const text = JSON.stringify(labels);
  return text.length <= KEY_LENGTH_MAX ? text : `${cut(text, 400)}${createHash("sha256").update(text).digest("hex")}`;
}

/** Labels by name; `Object.fromEntries` defines them, whatever their names. */
export function labelsOf(entries: Iterable<readonly [string, string]>): Labels {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The group that `scope` belongs to; a Failure where a label cannot be said. */
export function labelsBy(by: ReadonlyMap<string, Expression>, scope: Scope, now: number): Labels | Failure {
  if (by.size === 0) return NONE;
  const entries: [string, string][] = [];
  for (const [name, expression] of by) {
    const value = expression.evaluate(scope, now);
    if (value instanceof Failure) return value;
    const text = labelText(value);
    if (text === undefined) return NO_LABEL;
    entries.push([name, text]);
  }
  return labelsOf(entries);
}

const NONE: Labels = Object.freeze({});
const NO_LABEL = new Failure("a label is no text, number or boolean");

function labelText(value: Value): string | undefined {
  switch (typeof value) {
    case "string":
      return cut(value, LABEL_LENGTH_MAX);
    case "number":
    case "bigint":
    case "boolean":
      return String(value);
    default:
      return value instanceof Timestamp ? timeText(value.ms) : undefined;
  }
}

/** A number to be measured: durations count in seconds. Undefined for anything else. */
export function numberOf(value: Value | Failure): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (typeof value === "bigint") return Number(value);
  return value instanceof Duration ? value.ms / 1_000 : undefined;
}

/** Different text for different values, bounded; undefined where it is no value to be told apart. */
export function distinctText(value: Value | Failure): string | undefined {
  if (value instanceof Failure) return undefined;
  let text: string;
  switch (typeof value) {
    case "string":
      text = `s${value}`;
      break;
    case "number":
    case "bigint":
      // One and 1.0 are one value.
      text = `n${Number(value)}`;
      break;
    default:
      try {
        text = `j${JSON.stringify(jsonOf(value))}`;
      } catch {
        return undefined;
      }
  }
  return text.length <= 64 ? text : `h${createHash("sha256").update(text).digest("base64")}`;
}
