import type { Alert, Notification } from "../../src/sdk/alert.ts";
import { backgroundOf, firingSince, headlineOf, hiddenOf, linkOf, namesOf, noteOf, runbookOf, statusOf, subjectOf, type Fact } from "../../src/sdk/alert_story.ts";
import { cut, printable, summaryText, timeText } from "../../src/sdk/alert_text.ts";
import type { Json } from "../../src/sdk/observation.ts";

// https://developer.pagerduty.com/docs/events-api-v2-overview#size-limits
const EVENT_BYTES_MAX = 512_000;
const SUMMARY_MAX = 1_024;
const FIELD_MAX = 255;
const ALERTS_MAX = 50;
const LINKS_MAX = 10;

type Severity = "critical" | "error" | "warning" | "info";
type Details = Record<string, Json>;

// PagerDuty knows four. What is not among these words is `error`: still urgent, but it hides nothing critical.
const SEVERITIES: ReadonlyMap<string, Severity> = new Map([
  ["critical", "critical"], ["page", "critical"], ["emergency", "critical"], ["fatal", "critical"],
  ["error", "error"],
  ["warning", "warning"], ["warn", "warning"], ["ticket", "warning"],
  ["info", "info"], ["informational", "info"], ["notice", "info"], ["none", "info"],
]);
const WORST_FIRST: readonly Severity[] = ["critical", "error", "warning", "info"];

/** An event of Events API v2, but for its routing key. */
export type PagerDutyEvent = Readonly<Record<string, Json>>;

/**
 * The event that tells PagerDuty of the notification. Never above its limits: alerts, and what is known of the first, give
 * way to a count or a note; the page goes out.
 */
export function eventOf(notification: Notification, agent: string): PagerDutyEvent {
  const dedup_key = notification.key;
  if (notification.status === "resolved") return { event_action: "resolve", dedup_key };
  const firing = notification.alerts.filter(({ status }) => status !== "resolved");
  // A message that says it fires but names nothing that does still pages.
  const alerts = firing.length > 0 ? firing : notification.alerts;
  const links = linksOf(alerts);
  const client_url = alerts.map(linkOf).find((url) => url !== undefined);
  const event = (custom_details: Details): PagerDutyEvent => ({
    event_action: "trigger",
    dedup_key,
    client: "Sojourn",
    ...(client_url === undefined ? {} : { client_url }),
    ...(links.length === 0 ? {} : { links }),
    payload: payloadOf(notification, alerts, agent, custom_details),
  });
  let bytes = 0;
  for (const details of detailsOf(notification, alerts)) {
    const fitting = event(details);
    const size = Buffer.byteLength(JSON.stringify(fitting)) + FIELD_MAX;
    if (size <= EVENT_BYTES_MAX) return fitting;
    bytes ||= size;
  }
  return event({ error: `the details are left out: with them the event has ${bytes} bytes, and PagerDuty takes ${EVENT_BYTES_MAX}` });
}

function payloadOf(notification: Notification, alerts: readonly Alert[], agent: string, custom_details: Details): Details {
  const first = alerts[0]!;
  const types = new Set(alerts.map(({ resource }) => resource.type));
  const component = types.size === 1 ? first.resource.type : "";
  const test = notification.cause === "test" ? "TEST: " : "";
  const field = (name: string, text: string): Details => (text === "" ? {} : { [name]: cut(printable(text), FIELD_MAX) });
  return {
    summary: cut(printable(`${test}${headlineOf(notification)}`), SUMMARY_MAX),
    // PagerDuty wants one, and an alert about no resource has only its name.
    source: cut(alerts.length === 1 ? subjectOf(first) : printable(sourceOf(notification, component)), FIELD_MAX),
    severity: worst(alerts),
    // Years before 0 are no ISO 8601 that PagerDuty reads; it would refuse the page.
    timestamp: timeText(Math.max(0, firingSince(alerts))),
    ...field("component", component),
    ...field("group", agent),
    ...field("class", namesOf({ alerts, group: {} })),
    custom_details,
  };
}

function sourceOf({ alerts, group }: Notification, component: string): string {
  const labels = Object.entries(group).map(([name, value]) => `${name}=${value}`).join(" ");
  return labels || component || namesOf({ alerts, group: {} });
}

function worst(alerts: readonly Alert[]): Severity {
  const severities = new Set(alerts.map(({ labels }) => SEVERITIES.get(labels["severity"]?.toLowerCase() ?? "") ?? "error"));
  return WORST_FIRST.find((severity) => severities.has(severity)) ?? "error";
}

function linksOf(alerts: readonly Alert[]): { href: string; text: string }[] {
  const links = new Map<string, string>();
  for (const alert of alerts) {
    if (links.size >= LINKS_MAX) break;
    const [runbook, story] = [runbookOf(alert), linkOf(alert)];
    if (runbook !== undefined) links.set(runbook, cut(printable(`Runbook of ${alert.alert}`), FIELD_MAX));
    if (story !== undefined) links.set(story, cut(subjectOf(alert), FIELD_MAX));
  }
  return [...links].slice(0, LINKS_MAX).map(([href, text]) => ({ href, text }));
}

/** Details, best first: each is tried until one fits. */
function* detailsOf(notification: Notification, alerts: readonly Alert[]): Generator<Details> {
  const note = noteOf(notification);
  const common: Details = {
    ...(note === undefined ? {} : { note }),
    ...(Object.keys(notification.group).length === 0 ? {} : { group: notification.group }),
  };
  const hidden = hiddenOf(notification);
  if (alerts.length + hidden.firing === 1) {
    yield { ...common, ...whole(alerts[0]!), ...over(notification) };
    yield { ...common, ...brief(alerts[0]!), ...over(notification) };
    return;
  }
  for (const [told, alertsMax] of [[whole, ALERTS_MAX], [whole, 12], [brief, ALERTS_MAX], [brief, 12]] as const) {
    const named = alerts.slice(0, alertsMax);
    const more = alerts.length - named.length + hidden.firing;
    yield {
      ...common,
      status: statusOf(notification),
      alerts: named.map((alert) => ({ ...about(alert), ...told(alert) })),
      ...(more > 0 ? { more: `+${more} more` } : {}),
      ...over(notification),
    };
  }
}

function about(alert: Alert): Details {
  return { alert: cut(alert.alert, FIELD_MAX), resource: cut(subjectOf(alert), FIELD_MAX), summary: cut(summaryText(alert), SUMMARY_MAX) };
}

/** Which of the group have ended since it was told of last. */
function over(notification: Notification): Details {
  const ended = notification.alerts.filter(({ status }) => status === "resolved");
  if (ended.length === 0) return {};
  const named = ended.slice(0, ALERTS_MAX).map((alert) => cut(`${subjectOf(alert)} (${alert.reason ?? "over"})`, FIELD_MAX));
  const more = ended.length - named.length + hiddenOf(notification).over;
  return { resolved: more > 0 ? [...named, `+${more} more`] : named };
}

function whole(alert: Alert): Details {
  const { observation } = alert;
  return {
    ...brief(alert),
    details: alert.details,
    labels: alert.labels,
    annotations: alert.annotations,
    ...(observation === undefined ? {} : { observation: { ...observation, id: observation.id ?? null, time: timeText(observation.time) } }),
  };
}

function brief(alert: Alert): Details {
  const { active_at, flapping, limit, stale_since, value } = alert;
  return {
    value: bounded(value),
    ...(limit === undefined ? {} : { limit: cut(limit, SUMMARY_MAX) }),
    active_at: timeText(active_at),
    ...(stale_since === undefined ? {} : { stale: `last known ${timeText(stale_since)}: its sources are failing` }),
    ...(flapping ? { flapping } : {}),
    ...named(backgroundOf(alert)),
  };
}

function bounded(value: Json): Json {
  const text = JSON.stringify(value);
  return text.length <= SUMMARY_MAX ? value : cut(text, SUMMARY_MAX);
}

function named(facts: readonly Fact[]): Details {
  return Object.fromEntries(facts.map(({ name, text }) => [name.replaceAll(" ", "_"), text]));
}
