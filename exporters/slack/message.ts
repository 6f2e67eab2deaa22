import type { Alert, Notification } from "../../src/sdk/alert.ts";
import { backgroundOf, descriptionOf, factsOf, firingSince, linkOf, namesOf, noteOf, onlyOf, runbookOf, statusOf, subjectOf, titleOf, type Fact } from "../../src/sdk/alert_story.ts";
import { cut, printable, summaryText, timeText } from "../../src/sdk/alert_text.ts";
import { escaped, link, mrkdwn, type Text } from "./text.ts";

// https://docs.slack.dev/reference/block-kit/blocks
const HEADER_MAX = 150;
const SECTION_MAX = 3_000;
const FIELDS_MAX = 10;
// Slack allows 2,000 for a field, but refuses messages whose blocks have more than about 13,000 characters in all.
const FIELD_MAX = 400;
const BACKGROUND_MAX = 2_400;
const CONTEXT_MAX = 1_000;
const ALERTS_TEXT_MAX = 9_000;
const ALERT_TEXT_MAX = 2_400;
const TEXT_MAX = 4_000;
const LINK_MAX = 800;
// Of a message about several alerts: what has no place in their lines.
const SEVERITIES_MAX = 4;
const RUNBOOKS_MAX = 2;
// Shown elsewhere in the message.
const LABELS_SHOWN = new Set(["alertname", "resource_id", "resource_type", "severity"]);

export type Block =
  | { readonly type: "header"; readonly text: Text }
  | { readonly type: "section"; readonly text?: Text; readonly fields?: readonly Text[] }
  | { readonly type: "context"; readonly elements: readonly Text[] };

/** What Slack takes. `text` is shown in notifications and read aloud; `blocks` is the message. */
export interface SlackMessage {
  readonly text: string;
  readonly blocks: readonly Block[];
}

/** The message about a notification, `alertsMax` of its alerts spelled out, within all of Slack's limits. */
export function slackMessage(notification: Notification, alertsMax: number, now: number): SlackMessage {
  const { alerts } = notification;
  const shown = alerts.slice(0, alertsMax);
  const hidden = alerts.length - shown.length + (notification.more ?? 0);
  const more = hidden > 0 ? [`+${hidden} more`] : [];
  const note = noteOf(notification);
  const only = onlyOf(notification);
  const title = `${statusOf(notification)}: ${namesOf(notification)}`;
  const lines = only === undefined
    ? [title, ...more, ...shown.map((alert) => `${word(alert)}: ${titleOf(alert)}: ${summaryText(alert)}`)]
    : [`${statusOf(notification)}: ${titleOf(only)}: ${summaryText(only)}`];
  const sectionMax = Math.min(SECTION_MAX, only === undefined ? Math.floor(ALERTS_TEXT_MAX / shown.length) : ALERT_TEXT_MAX);
  return {
    text: escaped(lines.map(printable).join("\n"), TEXT_MAX),
    blocks: [
      { type: "header", text: { type: "plain_text", text: cut(`${sign(notification.status)} ${printable(title)}`, HEADER_MAX), emoji: true } },
      ...(note === undefined ? [] : [{ type: "section", text: mrkdwn(`*${escaped(note, 500)}*`) } as const]),
      ...(only === undefined ? [together(notification)] : []),
      ...shown.map((alert): Block => ({ type: "section", text: mrkdwn(section(alert, only === undefined, sectionMax)) })),
      ...(only === undefined ? [] : about(only, now)),
      ...more.map((text): Block => ({ type: "context", elements: [mrkdwn(text)] })),
    ],
  };
}

function word(alert: Alert): string {
  return alert.status === "resolved" ? "RESOLVED" : "FIRING";
}

/** Red as long as one of them fires. */
function sign(status: Alert["status"]): string {
  return status === "resolved" ? ":large_green_circle:" : ":red_circle:";
}

function section(alert: Alert, ofMany: boolean, lengthMax: number): string {
  const head = ofMany ? `${sign(alert.status)} *${escaped(printable(alert.alert), 80)}* ` : "";
  const id = `${head}\`${escaped(subjectOf(alert).replaceAll("`", "'"), Math.floor(lengthMax / 3))}\``;
  const links = [link(runbookOf(alert), "Runbook", LINK_MAX), link(linkOf(alert), "Details", LINK_MAX)].filter((text) => text !== "").join(" · ");
  const below = ofMany || links === "" ? "" : `\n${links}`;
  const more = ofMany ? oddities(alert) : descriptionOf(alert).split(/\r?\n/);
  const words = [summaryText(alert), ...more].filter((text) => text !== "").map(printable).join("\n");
  return `${id} ${escaped(words, lengthMax - id.length - 1 - below.length)}${below}`;
}

/** Of many alerts only what changes how one reads the summary. */
function oddities({ flapping, reason, stale_since }: Alert): string[] {
  const words = [
    ...(reason === undefined || reason === "recovered" ? [] : [reason]),
    ...(stale_since === undefined ? [] : ["its sources are failing"]),
    ...(flapping ? ["flapping"] : []),
  ];
  return words.length === 0 ? [] : [`(${words.join(", ")})`];
}

/** What several alerts have in common: how bad, since when, where to read on. */
function together({ alerts }: Notification): Block {
  const firing = alerts.filter(({ status }) => status !== "resolved");
  const told = firing.length > 0 ? firing : alerts;
  const severities = [...new Set(told.map(({ labels }) => labels["severity"] ?? "none"))].slice(0, SEVERITIES_MAX).map((text) => escaped(printable(text), 60));
  const runbooks = new Map<string, string>();
  for (const alert of told) {
    const url = runbookOf(alert);
    if (url !== undefined && runbooks.size < RUNBOOKS_MAX && !runbooks.has(url)) runbooks.set(url, alert.alert);
  }
  const first = told.find((alert) => linkOf(alert) !== undefined);
  const links = [
    ...[...runbooks].map(([url, name]) => link(url, `Runbook of ${escaped(printable(name), 60)}`, LINK_MAX)),
    ...(first === undefined ? [] : [link(linkOf(first), `Details of ${escaped(subjectOf(first), 60)}`, LINK_MAX)]),
  ];
  const since = `*${firing.length > 0 ? "firing since" : "fired"}* ${timeText(firingSince(told))}`;
  return { type: "section", text: mrkdwn([`*severity* ${severities.join(", ")}`, since, ...links].filter((text) => text !== "").join(" · ")) };
}

/** What the one who is paged wants to know next: severity, since when, the details; how it got there; the other labels. */
function about(alert: Alert, now: number): Block[] {
  const facts = factsOf(alert, now);
  const fields = facts.slice(0, FIELDS_MAX).map(({ name, text }) =>
    mrkdwn(`*${escaped(printable(name), 60)}*\n${escaped(printable(text), FIELD_MAX - 64)}`));
  // What finds no place among the fields is told in lines.
  const background = [...backgroundOf(alert), ...facts.slice(FIELDS_MAX)].map(line).join("\n");
  const others = Object.entries(alert.labels).filter(([name]) => !LABELS_SHOWN.has(name)).map(([name, value]) => `${name}=${value}`);
  const context = escaped(printable(others.join(" · ")), CONTEXT_MAX);
  return [
    { type: "section", fields },
    { type: "section", text: mrkdwn(whole(background, BACKGROUND_MAX)) },
    ...(context === "" ? [] : [{ type: "context", elements: [mrkdwn(context)] } as const]),
  ];
}

function line({ name, text }: Fact): string {
  return `*${escaped(printable(name), 60)}* ${escaped(printable(text), 700)}`;
}

/** Escaped lines, as many as fit. */
function whole(lines: string, lengthMax: number): string {
  return lines.length <= lengthMax ? lines : lines.slice(0, lines.lastIndexOf("\n", lengthMax));
}
