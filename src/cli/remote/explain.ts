import { printable, timeText, valueText } from "../../sdk/alert_text.ts";
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
  readonly annotations: Readonly<Record<string, string>>;
  readonly active_at: string;
  readonly resolved_at: string | null;
  readonly stale_since: string | null;
  readonly acknowledged: { readonly by: string; readonly comment: string; readonly at: string } | null;
  /** Ids of the silences that hold for it now. */
  readonly silenced_by: readonly string[];
  /** Another alert that fires keeps it from being told. */
  readonly inhibited: boolean;
  /** Ids of exporters that were to tell of it, and have a muted time now. */
  readonly muted_by: readonly string[];
  readonly dedup_key: string;
}

/** `GET /api/v1/alerts/{dedup_key}`. Times in RFC 3339. */
export interface ExplainedAlert extends ListedAlert {
  readonly value: Json;
  readonly limit: string | null;
  readonly fired_at: string | null;
  readonly reason: string | null;
  readonly details: Readonly<Record<string, Json>>;
  readonly flapping: boolean;
  readonly observation: { readonly source: string; readonly time: string; readonly attributes: Json; readonly body: Json } | null;
  /** The resource as it is now; null for a group, and where it is forgotten. */
  readonly current: { readonly state: string | null; readonly since: string; readonly last_seen: string } | null;
  readonly trace_id: string;
  readonly url: string | null;
  readonly transitions: readonly { readonly from: string | null; readonly to: string | null; readonly at: string; readonly duration_seconds: number }[];
  readonly others: number;
  readonly deliveries: readonly { readonly at: string; readonly exporter: string; readonly cause: string; readonly result: string; readonly answer: string | null }[];
}

/** What an agent of an earlier version does not say. */
const UNSAID = {
  group: null, annotations: {}, resolved_at: null, stale_since: null, acknowledged: null, silenced_by: [], inhibited: false, muted_by: [],
  value: null, limit: null, fired_at: null, reason: null, details: {}, flapping: false, observation: null, current: null, trace_id: "", url: null,
  transitions: [], others: 0, deliveries: [],
} as const;

/** The alerts that an agent of any version knows. */
export async function listedAlerts(agent: RemoteAgent, max: number): Promise<ListedAlert[]> {
  return ((await agent.list("/api/v1/alerts?limit=1000", max)) as ListedAlert[]).map((alert) => ({ ...UNSAID, ...alert }));
}

/** All that an agent of any version says of one. */
export async function askedAlert(agent: RemoteAgent, key: string): Promise<ExplainedAlert> {
  return { ...UNSAID, ...((await agent.get(`/api/v1/alerts/${key}`)) as ExplainedAlert) };
}

/**
 * The alert that is meant: a dedup key or its beginning (6 characters or more), a name, a name and a resource
 * (`OrderStuckInPending/4711`), a resource (`order/4711`), or a group as the listing shows it (`order region=eu`). Throws `RemoteError` when it is none, or several.
 */
export async function findAlert(agent: RemoteAgent, meant: string): Promise<ListedAlert> {
  const all = await listedAlerts(agent, SEARCHED_MAX);
  const isMeant = ({ alert, resource, group, dedup_key }: ListedAlert): boolean =>
    alert === meant || `${alert}/${resource.id}` === meant || `${resource.type}/${resource.id}` === meant || resource.id === meant
    || (group !== null && [subjectText(resource, group), labelsText(group), ...Object.values(group), `${resource.type}/${group["id"] ?? ""}`].includes(meant))
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
  return printable(`${status.toUpperCase().padEnd(8)} ${(labels["severity"] ?? "").padEnd(8)} ${alert} ${subjectText(resource, group)}`).trimEnd();
}

/** The same, and since when, what is wrong, and who knows already. */
export function listedLine(alert: ListedAlert, now: number): string {
  const { annotations, active_at, acknowledged, silenced_by, inhibited, muted_by, stale_since } = alert;
  const notes = [
    ...(acknowledged === null ? [] : [`acknowledged by ${acknowledged.by}`]),
    ...(silenced_by.length === 0 ? [] : ["silenced"]),
    ...(inhibited ? ["inhibited"] : []),
    ...(muted_by.length === 0 ? [] : ["muted"]),
    ...(stale_since === null ? [] : ["stale"]),
  ];
  const summary = annotations["summary"] ?? "";
  return printable(`${alert.dedup_key.slice(0, 12)}  ${lineOf(alert)}  for ${formatDuration(Math.max(0, now - Date.parse(active_at)))}`
    + `${summary === "" ? "" : `: ${summary}`}${notes.length === 0 ? "" : ` (${notes.join(", ")})`}`);
}

const labelsText = (group: Readonly<Record<string, string>>): string => Object.entries(group).map(([name, value]) => `${name}=${value}`).join(", ");

function subjectText(resource: ListedAlert["resource"], group: ListedAlert["group"]): string {
  if (group === null) return `${resource.type}/${resource.id}`;
  return [resource.type, labelsText(group)].filter((text) => text !== "").join(" ");
}

/** The story of an alert for a terminal, `now` in ms. */
export function explained(alert: ExplainedAlert, now: number): string {
  const rows: [string, string][] = [];
  const add = (name: string, ...texts: readonly (string | undefined)[]): void => {
    for (const [i, text] of texts.filter((one): one is string => (one ?? "") !== "").entries()) rows.push([i === 0 ? name : "", printable(text)]);
  };
  const at = (time: string): string => timeText(Date.parse(time));
  const ago = (time: string): string => `${at(time)} (${formatDuration(Math.max(0, now - Date.parse(time)))} ago)`;
  const { details, annotations, observation, acknowledged, transitions, current, deliveries } = alert;

  add("what", annotations["summary"], annotations["description"]);
  add("since", ago(alert.active_at));
  if (alert.fired_at !== null) add("fired", ago(alert.fired_at));
  if (alert.resolved_at !== null) add("resolved", `${ago(alert.resolved_at)}${alert.reason === null ? "" : `, ${alert.reason}`}`);
  if (alert.value !== null) add("value", valueText(alert.value));
  if (alert.limit !== null) add("limit", alert.limit);
  if (alert.stale_since !== null) add("stale", `its sources fail since ${ago(alert.stale_since)}: this is the last that is known`);
  if (alert.flapping) add("flapping", "it came and went too often; it stays until it has been quiet for a while");
  if (current !== null) add("now", `${current.state === null ? "" : `${current.state} since ${ago(current.since)}, `}last seen ${ago(current.last_seen)}`);
  add("path", ...transitions.map(({ from, to, at: moved, duration_seconds }) => `${at(moved)}  ${from ?? "-"} → ${to ?? "-"}  after ${formatDuration(duration_seconds * 1_000)}`));
  add("details", ...Object.entries(details).map(([name, value]) => `${name}: ${value === null ? "-" : valueText(value)}`));
  if (observation !== null) {
    add("because", `${observation.source} said at ${at(observation.time)}: ${valueText(observation.body)}`);
    if (Object.keys(observation.attributes as object).length > 0) add("where", valueText(observation.attributes));
  }
  if (alert.others > 0) add("others", `${alert.others} more ${alert.others === 1 ? "alert" : "alerts"} of this rule`);
  add("labels", Object.entries(alert.labels).map(([name, value]) => `${name}=${value}`).join(" "));
  for (const id of alert.silenced_by) add("silenced", `by ${id} (sojourn silence list)`);
  if (alert.inhibited) add("inhibited", "by another alert that fires (service.inhibit_rules)");
  for (const exporter of alert.muted_by) add("muted", `${exporter} tells nothing new at this time (mute_time_intervals, active_time_intervals); if it still fires, when that ends`);
  add("sent", ...deliveries.map((one) => `${at(one.at)}  ${one.exporter}  ${one.cause}: ${one.result}${one.answer === null ? "" : ` (${one.answer})`}`));
  if (deliveries.length === 0) add("sent", "nothing that is on record");
  if (acknowledged !== null) add("ack", `by ${acknowledged.by} ${ago(acknowledged.at)}${acknowledged.comment === "" ? "" : `: ${acknowledged.comment}`}`);
  add("runbook", annotations["runbook_url"]);
  add("url", alert.url ?? undefined);
  add("trace", alert.trace_id);
  add("key", alert.dedup_key);
  return [lineOf(alert), ...rows.map(([name, text]) => `  ${name.padEnd(9)} ${text}`)].join("\n");
}
