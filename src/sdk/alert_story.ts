import type { Alert, Notification, ObservationBehind } from "./alert.ts";
import { cut, printable, resourceText, summaryText, timeText, valueText } from "./alert_text.ts";
import { formatDuration } from "./duration.ts";
import type { Transition } from "./resource.ts";

const NAME_MAX = 60;
const TEXT_MAX = 500;
const DETAILS_MAX = 24;
const TRANSITIONS_MAX = 10;
const ATTRIBUTES_MAX = 6;
const URL_LENGTH_MAX = 2_000;
const NAMES_MAX = 3;

/** One thing that is known of an alert: what it is, and how it stands. Both bounded, neither escaped for any medium. */
export interface Fact {
  readonly name: string;
  readonly text: string;
}

/** What whoever is paged asks first: how bad, for how long, whether it is still known, the details. At most 32. */
export function factsOf(alert: Alert, now: number): Fact[] {
  const { details, labels, limit, value } = alert;
  const has = (name: string): boolean => Object.hasOwn(details, name);
  const shown = Object.entries(details).slice(0, DETAILS_MAX);
  return [
    fact("severity", labels["severity"] ?? "none"),
    ...timing(alert, now),
    ...(has("since") ? [] : [fact("since", timeText(alert.active_at))]),
    ...(alert.stale_since === undefined ? [] : [fact("stale", `last known ${timeText(alert.stale_since)}: its sources are failing`)]),
    ...(alert.flapping ? [fact("flapping", "it came and went too often, and stays until it has been quiet")] : []),
    ...shown.map(([name, said]) => fact(name, said === null ? "none" : valueText(said))),
    ...(has("value") || value === null || value === details["state"] ? [] : [fact("value", valueText(value))]),
    ...(has("limit") || has("condition") || limit === undefined ? [] : [fact("limit", limit)]),
  ];
}

function timing({ active_at, fired_at, resolved_at, reason, status }: Alert, now: number): Fact[] {
  if (status !== "resolved" || resolved_at === undefined) return [fact("true for", formatDuration(now - active_at))];
  return [
    fact("was firing for", formatDuration(resolved_at - (fired_at ?? active_at))),
    fact("resolved", `${timeText(resolved_at)}${reason === undefined ? "" : ` (${reason})`}`),
  ];
}

/** What comes next: how it got there, how many others there are, what was observed and where, the trace. At most 5. */
export function backgroundOf({ acknowledged, observation, story, trace_id }: Alert): Fact[] {
  const path = story === undefined ? "" : pathText(story.transitions);
  return [
    ...(path === "" ? [] : [fact("path", path)]),
    ...(story !== undefined && story.others > 0 ? [fact("others firing", String(story.others))] : []),
    ...(acknowledged === undefined ? [] : [fact("acknowledged", acknowledgedText(acknowledged))]),
    ...(observation === undefined ? [] : [fact("observed", observationText(observation))]),
    fact("trace", trace_id),
  ];
}

function acknowledgedText({ by, comment, at }: NonNullable<Alert["acknowledged"]>): string {
  return `by ${by} at ${timeText(at)}${comment === "" ? "" : `: ${comment}`}`;
}

/** The states it went through and how long it stayed: `pending (31m) → paid (2h) → shipped`; the last ten moves. */
export function pathText(transitions: readonly Transition[]): string {
  const last = transitions.slice(-TRANSITIONS_MAX);
  let text = last.length < transitions.length ? "… → " : "";
  let at: string | undefined;
  for (const { from, to, duration } of last) {
    // Moves that nobody saw lie between.
    if (at !== undefined && at !== from) text += `${at} → … → `;
    text += `${from} (${formatDuration(duration)}) → `;
    at = to;
  }
  return at === undefined ? "" : `${text}${at}`;
}

/** Which receiver told of it, when, and where that stands: file and offset, topic and partition. */
export function observationText({ attributes, id, source, time }: ObservationBehind): string {
  const where = Object.entries(attributes).slice(0, ATTRIBUTES_MAX).map(([name, value]) => `${name}=${cut(valueText(value), 200)}`);
  return [`${source} at ${timeText(time)}`, ...(id === undefined ? [] : [`id=${id}`]), ...where].join(", ");
}

/** The annotation `runbook_url`, if it is one for a browser. */
export function runbookOf(alert: Alert): string | undefined {
  return browsable(alert.annotations["runbook_url"]);
}

/** Where the API shows the alert, if it is known from where it can be reached. */
export function linkOf(alert: Alert): string | undefined {
  return browsable(alert.story?.url);
}

function browsable(text: string | undefined): string | undefined {
  const url = text === undefined ? null : URL.parse(text.trim());
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) return undefined;
  return url.href.length <= URL_LENGTH_MAX ? url.href : undefined;
}

/** The annotation `description`, trimmed; empty where there is none. */
export function descriptionOf(alert: Alert): string {
  return alert.annotations["description"]?.trim() ?? "";
}

/** Alerts that the notification only counts: how many of them fire, how many are over. */
export function hiddenOf({ more = 0, more_resolved, status }: Pick<Notification, "more" | "more_resolved" | "status">): { firing: number; over: number } {
  const over = Math.min(more, status === "resolved" ? more : more_resolved ?? 0);
  return { firing: more - over, over };
}

/** `FIRING`, `STILL FIRING`, `RESOLVED after 12m`, `37 FIRING, 2 RESOLVED`; a test says so first. */
export function statusOf(notification: Notification): string {
  const { alerts, cause, more = 0, status } = notification;
  const test = cause === "test" ? "TEST " : "";
  const word = cause === "repeat" ? "STILL FIRING" : "FIRING";
  const after = status === "resolved" ? ` after ${formatDuration(firedForMs(alerts))}` : "";
  // What fires may be none of those that are told of.
  if (status === "firing" && alerts.every((alert) => alert.status === "resolved") && hiddenOf(notification).firing === 0) {
    return `${test}${word}, ${alerts.length + more} RESOLVED`;
  }
  if (alerts.length + more === 1) return `${test}${alerts[0]!.status === "resolved" ? `RESOLVED${after}` : word}`;
  const over = alerts.filter((alert) => alert.status === "resolved").length + hiddenOf(notification).over;
  const firing = alerts.length + more - over;
  const parts = [...(firing > 0 ? [`${firing} ${word}`] : []), ...(over > 0 ? [`${over} RESOLVED${after}`] : [])];
  return `${test}${parts.join(", ")}`;
}

function firedForMs(alerts: readonly Alert[]): number {
  const end = alerts.reduce((latest, alert) => Math.max(latest, alert.resolved_at ?? 0), 0);
  return Math.max(0, end - firingSince(alerts));
}

/** When the first of them fired, ms. */
export function firingSince(alerts: readonly Alert[]): number {
  return alerts.reduce((first, { active_at, fired_at }) => Math.min(first, fired_at ?? active_at), Infinity);
}

/** What everybody should know before the rest: that it is a test, or that it was told before; undefined when there is no such thing. */
export function noteOf({ alerts, cause }: Notification): string | undefined {
  if (cause === "test") return "TEST: somebody tried whether this gets through; nothing is wrong.";
  if (cause !== "repeat") return undefined;
  return `Still firing since ${timeText(firingSince(alerts.filter((alert) => alert.status !== "resolved")))}.`;
}

/** One alert and nothing beside it. */
export function onlyOf({ alerts, more = 0 }: Pick<Notification, "alerts" | "more">): Alert | undefined {
  return alerts.length + more === 1 ? alerts[0] : undefined;
}

/** Names of the alerts: `OrderStuckInPending`, `OrderStuckInPending, OrderFailed (region=eu)`. */
export function namesOf({ alerts, group }: Pick<Notification, "alerts" | "group">): string {
  const names = [...new Set(alerts.map(({ alert }) => alert))];
  const more = names.length > NAMES_MAX ? ` and ${names.length - NAMES_MAX} more` : "";
  return `${names.slice(0, NAMES_MAX).join(", ")}${more}${groupText(alerts, group)}`;
}

function groupText(alerts: readonly Alert[], group: Readonly<Record<string, string>>): string {
  // One alert shows its labels itself; an alert's name stands before.
  const labels = alerts.length === 1 ? [] : Object.entries(group).filter(([name]) => name !== "alertname");
  return labels.length === 0 ? "" : ` (${labels.map(([name, value]) => `${name}=${cut(value, 100)}`).join(", ")})`;
}

/**
 * The whole notification in a few words: an alert's summary; of several `37 orders stuck in pending (region=eu)`,
 * counting those that fire, or those that are over when none does.
 */
export function headlineOf(notification: Pick<Notification, "alerts" | "group" | "more" | "more_resolved" | "status">): string {
  const { alerts, group } = notification;
  const hidden = hiddenOf(notification);
  const firing = alerts.filter((alert) => alert.status !== "resolved");
  const told = firing.length > 0 ? firing : alerts;
  const first = told[0]!;
  const same = told.every(({ alert, resource }) => alert === first.alert && resource.type === first.resource.type);
  const count = told.length + (firing.length > 0 ? hidden.firing : hidden.firing + hidden.over);
  if (count === 1) return summaryText(first);
  return same ? `${manyText(count, first)}${groupText(alerts, group)}` : `${count} alerts: ${namesOf({ alerts: told, group })}`;
}

/** `37 orders stuck in pending` for OrderStuckInPending of orders; `37 × DiskFull` for a name that does not begin with its type. */
function manyText(count: number, { alert, resource }: Alert): string {
  const words = alert.split(/(?<=[a-z\d])(?=[A-Z])/);
  const type = resource.type.split(/[^A-Za-z\d]+/);
  const begins = resource.id !== "" && words.length > type.length && type.every((word, n) => word.toLowerCase() === words[n]!.toLowerCase());
  if (!begins) return `${count} × ${alert}`;
  return `${count} ${plural(type.join(" ").toLowerCase())} ${words.slice(type.length).join(" ").toLowerCase()}`;
}

function plural(noun: string): string {
  if (/(?:s|x|ch|sh)$/.test(noun)) return `${noun}es`;
  return /[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`;
}

/** What it is about: `order/o1`, `order region=eu`; the alert's name where there is nothing else. Printable, never empty. */
export function subjectOf(alert: Alert): string {
  const text = resourceText(alert);
  return text === "" ? alert.alert : text;
}

/** Its name, and what it is about where there is such a thing: `OrderStuckInPending order/o1`, `Watchdog`. Printable. */
export function titleOf(alert: Alert): string {
  const about = resourceText(alert);
  return `${printable(alert.alert)}${about === "" ? "" : ` ${about}`}`;
}

function fact(name: string, text: string): Fact {
  return { name: cut(name, NAME_MAX), text: cut(text, TEXT_MAX) };
}
