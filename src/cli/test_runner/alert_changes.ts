import { isDeepStrictEqual } from "node:util";
import type { Alert } from "../../sdk/alert.ts";
import type { Json } from "../../sdk/observation.ts";
import { formatTime } from "../../sdk/time.ts";
import { align, type Aligned } from "./align.ts";
import type { Change } from "./bench.ts";
import { shown, shownMap } from "./shown.ts";

/** One of `expect.alerts`, validated. What is not given is not compared. */
export interface ExpectedAlert {
  readonly alert?: string;
  readonly rule?: string;
  readonly status?: "firing" | "resolved";
  readonly resource?: string | { readonly type?: string; readonly id?: string };
  readonly type?: string;
  readonly severity?: string;
  readonly reason?: string;
  readonly value?: Json;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly summary?: string;
}

/** A key and what it should be and is. */
type Difference = readonly [key: string, expected: Json | undefined, got: Json | undefined];

const LINES_MAX = 60;
/** What an alert is known by, when nothing was expected in its place. */
const USUAL: ExpectedAlert = { alert: "", resource: "", status: "firing" };

/** What an expected alert gives, beside what the alert has in its place. */
function* compared(expected: ExpectedAlert, alert: Alert): Iterable<Difference> {
  const { resource, labels, annotations } = expected;
  if (expected.alert !== undefined) yield ["alert", expected.alert, alert.alert];
  if (expected.rule !== undefined) yield ["rule", expected.rule, alert.rule];
  if (typeof resource === "string") yield ["resource", resource, resource === `${alert.resource.type}/${alert.resource.id}` ? resource : alert.resource.id];
  else if (resource?.type !== undefined) yield ["resource.type", resource.type, alert.resource.type];
  if (typeof resource === "object" && resource.id !== undefined) yield ["resource.id", resource.id, alert.resource.id];
  if (expected.type !== undefined) yield ["type", expected.type, alert.resource.type];
  if (expected.status !== undefined) yield ["status", expected.status, alert.status];
  if (expected.reason !== undefined) yield ["reason", expected.reason, alert.reason];
  if (expected.severity !== undefined) yield ["severity", expected.severity, own(alert.labels, "severity")];
  if (expected.value !== undefined) yield ["value", expected.value, alert.value];
  if (expected.summary !== undefined) yield ["summary", expected.summary, own(alert.annotations, "summary")];
  for (const [name, value] of Object.entries(labels ?? {})) yield [`labels.${name}`, value, own(alert.labels, name)];
  for (const [name, value] of Object.entries(annotations ?? {})) yield [`annotations.${name}`, value, own(alert.annotations, name)];
}

function own(map: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(map, name) ? map[name] : undefined;
}

const differences = (expected: ExpectedAlert, alert: Alert): Difference[] =>
  [...compared(expected, alert)].filter(([, wanted, got]) => !isDeepStrictEqual(wanted, got));

/** What differs, where it is the same alert or the same resource; with nothing in common that would say nothing. */
function explained(expected: ExpectedAlert, alert: Alert): Difference[] {
  const found = differences(expected, alert);
  const same = (key: keyof ExpectedAlert): boolean => expected[key] !== undefined && !found.some(([differing]) => differing.split(".")[0] === key);
  return same("alert") || same("rule") || same("resource") ? found : [];
}

/** An alert as an expectation of it could be written, by the keys of `like`. */
function written(alert: Alert, like: ExpectedAlert): string {
  const entries = new Map<string, string>();
  const nested = new Map<string, [string, string][]>();
  for (const [key, , got] of compared(like, alert)) {
    const dot = key.indexOf(".");
    if (dot < 0) entries.set(key, shown(got));
    else {
      const inner = nested.get(key.slice(0, dot)) ?? [];
      if (got !== undefined) inner.push([key.slice(dot + 1), shown(got)]);
      nested.set(key.slice(0, dot), inner);
      entries.set(key.slice(0, dot), shownMap(inner));
    }
  }
  return shownMap(entries);
}

function writtenExpected(expected: ExpectedAlert): string {
  return shownMap(Object.entries(expected).map(([key, value]) => [key, typeof value === "object" && value !== null && key !== "value"
    ? shownMap(Object.entries(value as Record<string, string>).map(([name, text]) => [name, shown(text)]))
    : shown(value as Json)]));
}

/**
 * Compares what changed with what was expected, in order. Empty when all is as expected; otherwise what differs, for people:
 * `-` was expected and did not happen, `+` happened and was not expected, each written as in the configuration.
 */
export function alertDifferences(expected: readonly ExpectedAlert[], changes: readonly Change[]): readonly string[] {
  const aligned = align(expected, changes, (wanted, { alert }) => differences(wanted, alert).length === 0);
  if (aligned.every(({ a, b }) => a !== undefined && b !== undefined)) return [];
  const [should, is] = [expected.length, changes.length];
  const others = should !== is ? "" : is === 1 ? ", but not this one" : ", but not these";
  const lines = [`expected ${should} ${should === 1 ? "change" : "changes"} of alerts, got ${is}${others}:`];
  const gap: Aligned<ExpectedAlert, Change>[] = [];
  let asExpected: string[] = [];
  const flush = (): void => {
    lines.push(...gapLines(gap.splice(0)));
  };
  for (const pair of aligned) {
    if (pair.a !== undefined && pair.b !== undefined) {
      flush();
      asExpected.push(`  ${written(pair.b.alert, pair.a)}`);
      continue;
    }
    lines.push(...shortened(asExpected));
    asExpected = [];
    gap.push(pair);
  }
  flush();
  lines.push(...shortened(asExpected));
  if (lines.length > LINES_MAX) lines.splice(LINES_MAX, lines.length, `… and ${lines.length - LINES_MAX} lines more`);
  return lines;
}

function shortened(asExpected: readonly string[]): readonly string[] {
  return asExpected.length <= 4 ? asExpected : [asExpected[0]!, `  … ${asExpected.length - 2} more as expected`, asExpected.at(-1)!];
}

/** What stands between two that are as expected: the first missing beside the first unexpected, and so on. */
function gapLines(gap: readonly Aligned<ExpectedAlert, Change>[]): string[] {
  const missing = gap.flatMap(({ a }) => a ?? []);
  const surplus = gap.flatMap(({ b }) => b ?? []);
  const lines: string[] = [];
  for (let i = 0; i < Math.max(missing.length, surplus.length); i++) {
    const wanted = missing[i];
    const change = surplus[i];
    if (wanted !== undefined) lines.push(`- ${writtenExpected(wanted)}`);
    if (change === undefined) continue;
    lines.push(`+ ${written(change.alert, wanted ?? USUAL)}   # ${formatTime(change.at)}`);
    for (const [key, should, is] of wanted === undefined ? [] : explained(wanted, change.alert)) lines.push(`    ${key}: expected ${shown(should)}, got ${shown(is)}`);
  }
  return lines;
}
