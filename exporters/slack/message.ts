import type { Alert } from "../../src/sdk/alert.ts";
import { cut, printable, resourceText, summaryText, timeText, valueText } from "../../src/sdk/alert_text.ts";
import { formatDuration } from "../../src/sdk/duration.ts";

// https://docs.slack.dev/reference/block-kit/blocks
const HEADER_MAX = 150;
const SECTION_MAX = 3_000;
const FIELDS_MAX = 10;
// Slack allows 2,000 for a field, but refuses messages whose blocks have more than about 13,000 characters in all.
const FIELD_MAX = 500;
const CONTEXT_MAX = 1_500;
const ALERTS_TEXT_MAX = 9_000;
const TEXT_MAX = 4_000;
const LINK_MAX = 800;
// Shown elsewhere in the message.
const LABELS_SHOWN = new Set(["alertname", "resource_type", "severity"]);

interface Text {
  readonly type: "mrkdwn" | "plain_text";
  readonly text: string;
  readonly verbatim?: true;
  readonly emoji?: true;
}

type Block =
  | { readonly type: "header"; readonly text: Text }
  | { readonly type: "section"; readonly text?: Text; readonly fields?: readonly Text[] }
  | { readonly type: "context"; readonly elements: readonly Text[] };

/** What an incoming webhook takes. `text` is shown in notifications and read aloud; `blocks` is the message. */
export interface SlackMessage {
  readonly text: string;
  readonly blocks: readonly Block[];
}

/** The message about `alerts`, `alertsMax` of them spelled out, within all of Slack's limits. */
export function slackMessage(alerts: readonly Alert[], alertsMax: number, now: number): SlackMessage {
  const shown = alerts.slice(0, alertsMax);
  const hidden = alerts.length - shown.length;
  const more = hidden > 0 ? [`+${hidden} more`] : [];
  const lines = shown.map((alert) => `${word(alert)}: ${alert.alert} ${resourceText(alert)}: ${summaryText(alert)}`);
  const only = alerts.length === 1 ? alerts[0] : undefined;
  const sectionMax = Math.min(SECTION_MAX, Math.floor(ALERTS_TEXT_MAX / Math.max(1, shown.length)));
  return {
    text: escaped([...more, ...lines].join("\n"), TEXT_MAX),
    blocks: [
      { type: "header", text: { type: "plain_text", text: cut(title(alerts), HEADER_MAX), emoji: true } },
      ...shown.map((alert): Block => ({ type: "section", text: mrkdwn(section(alert, only === undefined, sectionMax)) })),
      ...(only === undefined ? [] : about(only, now)),
      ...more.map((text): Block => ({ type: "context", elements: [mrkdwn(text)] })),
    ],
  };
}

function word(alert: Alert): string {
  return alert.status === "resolved" ? "RESOLVED" : "FIRING";
}

function sign(alert: Alert): string {
  return alert.status === "resolved" ? ":large_green_circle:" : ":red_circle:";
}

function title(alerts: readonly Alert[]): string {
  const first = alerts[0]!;
  const same = alerts.every((alert) => alert.alert === first.alert);
  const firing = alerts.filter((alert) => alert.status !== "resolved");
  const lead = firing[0] ?? first;
  if (alerts.length === 1) return `${sign(first)} ${word(first)}: ${printable(first.alert)}`;
  const counts = [[firing.length, "FIRING"], [alerts.length - firing.length, "RESOLVED"]] as const;
  const told = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`).join(", ");
  return `${sign(lead)} ${told}${same ? `: ${printable(first.alert)}` : ""}`;
}

function section(alert: Alert, ofMany: boolean, lengthMax: number): string {
  const head = ofMany ? `${sign(alert)} *${escaped(printable(alert.alert), 80)}* ` : "";
  const id = `${head}\`${escaped(resourceText(alert).replaceAll("`", "'"), Math.floor(lengthMax / 3))}\``;
  const link = ofMany ? "" : runbook(alert);
  const description = ofMany ? "" : alert.annotations["description"]?.trim() ?? "";
  const words = [summaryText(alert), description].filter((text) => text !== "").join("\n");
  return `${id} ${escaped(words, lengthMax - id.length - 1 - link.length)}${link}`;
}

function runbook(alert: Alert): string {
  const url = URL.parse(alert.annotations["runbook_url"] ?? "");
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) return "";
  const link = `\n<${escaped(url.href.replaceAll("|", "%7C"), Infinity)}|Runbook>`;
  return link.length <= LINK_MAX ? link : "";
}

/** What the one who is paged wants to know next: severity, since when, how long, the details; below, the other labels. */
function about(alert: Alert, now: number): Block[] {
  const { active_at, fired_at, resolved_at, reason, details, labels } = alert;
  const resolved = alert.status === "resolved" && resolved_at !== undefined;
  const facts: [string, string][] = [
    ["severity", labels["severity"] ?? "none"],
    [resolved ? "was firing for" : "true for", formatDuration(resolved ? resolved_at - (fired_at ?? active_at) : now - active_at)],
    ...(resolved ? [["resolved", `${timeText(resolved_at)}${reason === undefined ? "" : ` (${reason})`}`] as [string, string]] : []),
    ...Object.entries(details).map(([name, value]): [string, string] => [name, valueText(value)]),
  ];
  if (!Object.hasOwn(details, "since")) facts.splice(2, 0, ["since", timeText(active_at)]);
  const fields = facts.slice(0, FIELDS_MAX).map(([name, value]) =>
    mrkdwn(`*${escaped(printable(name), 60)}*\n${escaped(printable(value), FIELD_MAX - 64)}`));
  const others = Object.entries(labels).filter(([name]) => !LABELS_SHOWN.has(name)).map(([name, value]) => `${name}=${value}`);
  const context = escaped(printable(others.join(" · ")), CONTEXT_MAX);
  return [
    { type: "section", fields },
    ...(context === "" ? [] : [{ type: "context", elements: [mrkdwn(context)] } as const]),
  ];
}

/** `verbatim`: Slack turns no name or address in it into a link or a mention by itself. */
function mrkdwn(text: string): Text {
  return { type: "mrkdwn", text, verbatim: true };
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

/**
 * Text in which Slack sees no markup of its own (`<!channel>`, `<@U1>`, `<https://…|…>`), at most `lengthMax` long.
 * Cut before an entity, never within. https://docs.slack.dev/messaging/formatting-message-text#escaping
 */
export function escaped(text: string, lengthMax: number): string {
  let result = "";
  let fitting = "";
  for (const character of text.toWellFormed()) {
    result += ENTITIES[character] ?? character;
    if (result.length > lengthMax) return lengthMax < 1 ? "" : `${fitting}…`;
    if (result.length < lengthMax) fitting = result;
  }
  return result;
}
