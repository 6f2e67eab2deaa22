import { printable, valueText } from "../../sdk/alert_text.ts";
import { formatDuration } from "../../sdk/duration.ts";
import type { Json } from "../../sdk/observation.ts";
import { RemoteError, type RemoteAgent } from "./client.ts";

const FOUND_SHOWN_MAX = 20;
const SEARCHED_MAX = 100_000;

/** An alert as a listing of the API has it. */
export interface ListedAlert {
  readonly alert: string;
  readonly status: "pending" | "firing" | "resolved";
  readonly resource: { readonly type: string; readonly id: string };
  readonly group: Readonly<Record<string, string>> | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly dedup_key: string;
}

/** `GET /api/v1/alerts/{dedup_key}`. Times in RFC 3339. */
export interface ExplainedAlert extends ListedAlert {
  readonly annotations: Readonly<Record<string, string>>;
  readonly value: Json;
  readonly limit: string | null;
  readonly active_at: string;
  readonly fired_at: string | null;
  readonly resolved_at: string | null;
  readonly reason: string | null;
  readonly details: Readonly<Record<string, Json>>;
  readonly stale_since: string | null;
  readonly flapping: boolean;
  readonly observation: { readonly source: string; readonly time: string; readonly attributes: Json; readonly body: Json } | null;
  readonly acknowledged: { readonly by: string; readonly comment: string; readonly at: string } | null;
  readonly trace_id: string;
  readonly url: string | null;
  readonly transitions: readonly { readonly from: string | null; readonly to: string | null; readonly at: string; readonly duration_seconds: number }[];
  readonly others: number;
  /** Ids of the silences that hold for it now. */
  readonly silenced_by: readonly string[];
  readonly deliveries: readonly { readonly at: string; readonly exporter: string; readonly cause: string; readonly result: string; readonly answer: string | null }[];
}

/**
 * The alert that is meant: a dedup key or its beginning (6 characters or more), a name, a name and a resource
 * (`OrderStuckInPending/4711`), or a resource (`order/4711`). Throws `RemoteError` when it is none, or several.
 */
export async function findAlert(agent: RemoteAgent, meant: string): Promise<ListedAlert> {
  const all = (await agent.list("/api/v1/alerts?limit=1000", SEARCHED_MAX)) as ListedAlert[];
  const isMeant = ({ alert, resource, dedup_key }: ListedAlert): boolean =>
    alert === meant || `${alert}/${resource.id}` === meant || `${resource.type}/${resource.id}` === meant || resource.id === meant
    || (meant.length >= 6 && dedup_key.startsWith(meant));
  const found = all.filter(isMeant);
  const open = found.filter(({ status }) => status !== "resolved");
  const [only, ...others] = open.length > 0 ? open : found;
  if (only === undefined) {
    throw new RemoteError(all.length === 0 ? "there is no alert, neither open nor resolved a moment ago" : `no alert ${meant}; sojourn alerts lists them`);
  }
  if (others.length === 0) return only;
  const lines = [only, ...others].slice(0, FOUND_SHOWN_MAX).map((one) => `  ${one.dedup_key.slice(0, 12)}  ${lineOf(one)}`);
  throw new RemoteError(`${others.length + 1} alerts are meant; name one by its key:\n${lines.join("\n")}${others.length >= FOUND_SHOWN_MAX ? "\n  …" : ""}`);
}

/** One alert on one line. */
export function lineOf({ alert, status, resource, group, labels }: ListedAlert): string {
  return printable(`${status.toUpperCase().padEnd(8)} ${(labels["severity"] ?? "").padEnd(8)} ${alert} ${subjectText(resource, group)}`);
}

function subjectText(resource: ListedAlert["resource"], group: ListedAlert["group"]): string {
  if (group === null) return `${resource.type}/${resource.id}`;
  const labels = Object.entries(group).map(([name, value]) => `${name}=${value}`).join(", ");
  return [resource.type, labels].filter((text) => text !== "").join(" ");
}

/** The story of an alert for a terminal, `now` in ms. */
export function explained(alert: ExplainedAlert, now: number): string {
  const rows: [string, string][] = [];
  const add = (name: string, ...texts: readonly (string | undefined)[]): void => {
    for (const [i, text] of texts.filter((one): one is string => (one ?? "") !== "").entries()) rows.push([i === 0 ? name : "", printable(text)]);
  };
  const ago = (time: string): string => `${time} (${formatDuration(Math.max(0, now - Date.parse(time)))} ago)`;
  const { details, annotations, observation, acknowledged, transitions } = alert;

  add("what", annotations["summary"], annotations["description"]);
  add("since", ago(alert.active_at));
  if (alert.fired_at !== null) add("fired", ago(alert.fired_at));
  if (alert.resolved_at !== null) add("resolved", `${ago(alert.resolved_at)}${alert.reason === null ? "" : `, ${alert.reason}`}`);
  add("value", valueText(alert.value));
  if (alert.limit !== null) add("limit", alert.limit);
  if (alert.stale_since !== null) add("stale", `its sources fail since ${ago(alert.stale_since)}: this is the last that is known`);
  if (alert.flapping) add("flapping", "it came and went too often; it stays until it has been quiet for a while");
  add("path", ...transitions.map(({ from, to, at, duration_seconds }) => `${at}  ${from ?? "-"} → ${to ?? "-"}  after ${formatDuration(duration_seconds * 1_000)}`));
  add("details", ...Object.entries(details).map(([name, value]) => `${name}: ${valueText(value)}`));
  if (observation !== null) {
    add("because", `${observation.source} said at ${observation.time}: ${valueText(observation.body)}`);
    if (Object.keys(observation.attributes as object).length > 0) add("where", valueText(observation.attributes));
  }
  if (alert.others > 0) add("others", `${alert.others} more ${alert.others === 1 ? "alert" : "alerts"} of this rule`);
  add("labels", Object.entries(alert.labels).map(([name, value]) => `${name}=${value}`).join(" "));
  for (const id of alert.silenced_by) add("silenced", `by ${id} (sojourn silence list)`);
  add("sent", ...alert.deliveries.map(({ at, exporter, cause, result, answer }) => `${at}  ${exporter}  ${cause}: ${result}${answer === null ? "" : ` (${answer})`}`));
  if (acknowledged !== null) add("ack", `by ${acknowledged.by} ${ago(acknowledged.at)}: ${acknowledged.comment}`);
  add("runbook", annotations["runbook_url"]);
  add("url", alert.url ?? undefined);
  add("trace", alert.trace_id);
  add("key", alert.dedup_key);
  return [lineOf(alert), ...rows.map(([name, text]) => `  ${name.padEnd(9)} ${text}`)].join("\n");
}
