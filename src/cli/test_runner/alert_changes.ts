import type { Alert } from "../../sdk/alert.ts";
import type { Json } from "../../sdk/observation.ts";
import { listDifferences, type Happened, type Kind } from "./list_differences.ts";

/** An alert that began to fire or was resolved. */
export interface Change extends Happened {
  readonly alert: Alert;
}

/** One of `expect.alerts`, validated. What is not given is not compared. */
export interface ExpectedAlert {
  readonly alert?: string;
  readonly rule?: string;
  readonly status?: "firing" | "resolved";
  readonly resource?: string | { readonly type?: string; readonly id?: string };
  readonly group?: Readonly<Record<string, string>>;
  readonly type?: string;
  readonly severity?: string;
  readonly reason?: string;
  readonly value?: Json;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly summary?: string;
}

/** An alert in the words in which it is expected. */
export function seenAlert(alert: Alert, { resource }: ExpectedAlert): Json {
  const { labels, annotations } = alert;
  return defined({
    alert: alert.alert,
    rule: alert.rule,
    resource: typeof resource === "object" ? { ...alert.resource } : resource === `${alert.resource.type}/${alert.resource.id}` ? resource : alert.resource.id,
    group: alert.group,
    type: alert.resource.type,
    status: alert.status,
    reason: alert.reason,
    severity: own(labels, "severity"),
    value: alert.value,
    summary: own(annotations, "summary"),
    labels,
    annotations,
  });
}

/** Without what is not there. */
export function defined(map: Readonly<Record<string, Json | undefined>>): Record<string, Json> {
  return Object.fromEntries(Object.entries(map).filter((entry): entry is [string, Json] => entry[1] !== undefined));
}

function own(map: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(map, name) ? map[name] : undefined;
}

/** The keys by which an alert is known. */
export function usualAlert({ group }: Alert): ExpectedAlert {
  return group === undefined ? { alert: "", resource: "", status: "firing" } : { alert: "", group, status: "firing" };
}

const CHANGES: Kind<ExpectedAlert, Change> = {
  one: "change of alerts",
  many: "changes of alerts",
  usual: ({ alert }) => usualAlert(alert),
  seen: ({ alert }, expected) => seenAlert(alert, expected),
  related: (expected, differing) => (["alert", "rule", "resource", "group"] as const).some((key) => expected[key] !== undefined && !differing.has(key)),
};

/** What differs between the changes of alerts and those expected, for people; empty when nothing does. */
export function alertDifferences(expected: readonly ExpectedAlert[], changes: readonly Change[]): readonly string[] {
  return listDifferences(CHANGES, expected, changes);
}
