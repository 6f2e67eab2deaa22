import { createHash } from "node:crypto";
import type { Alert, Notification } from "../../src/sdk/alert.ts";
import { noteOf, statusOf, titleOf } from "../../src/sdk/alert_story.ts";
import { printable, summaryText } from "../../src/sdk/alert_text.ts";
import type { SlackMessage } from "./message.ts";
import { escaped, mrkdwn } from "./text.ts";

const REPLY_MAX = 2_900;
const LINE_MAX = 400;
const ID_LENGTH = 8;
const MEMBERS_MAX = 1_000;

/** Who fires, as text of a bounded length to be kept with the incident: so that the next message knows who is new. */
export function membersOf({ alerts }: Notification): string {
  return alerts.filter(firing).slice(0, MEMBERS_MAX).map(memberId).join("");
}

function memberId(alert: Alert): string {
  return createHash("sha256").update(alert.dedup_key).digest("hex").slice(0, ID_LENGTH);
}

function firing({ status }: Alert): boolean {
  return status !== "resolved";
}

/** What changed since those members fired, as a reply in the message's thread; undefined when nothing did. */
export function slackReply(notification: Notification, members: string, alertsMax: number): SlackMessage | undefined {
  const { alerts, cause } = notification;
  const known = new Set(members.match(/.{8}/g));
  const news = cause === "repeat" ? [] : alerts.filter((alert) => firing(alert) && !known.has(memberId(alert)));
  const over = cause === "repeat" ? [] : alerts.filter((alert) => !firing(alert));
  const note = noteOf(notification);
  if (note === undefined && news.length === 0 && over.length === 0) return undefined;
  const text = within([
    ...(note === undefined ? [] : [escaped(note, LINE_MAX)]),
    ...(cause === "repeat" || notification.status === "resolved" ? [`*${escaped(statusOf(notification), LINE_MAX)}*`] : []),
    ...listed("*new*", ":red_circle:", news, alertsMax),
    ...listed("*over*", ":large_green_circle:", over, alertsMax),
  ]);
  return { text, blocks: [{ type: "section", text: mrkdwn(text) }] };
}

function listed(what: string, sign: string, alerts: readonly Alert[], alertsMax: number): string[] {
  const lines = alerts.slice(0, alertsMax).map((alert) => {
    const reason = alert.reason === undefined ? "" : ` (${alert.reason})`;
    return `${sign} ${what} ${escaped(printable(`${titleOf(alert)}: ${summaryText(alert)}${reason}`), LINE_MAX)}`;
  });
  return alerts.length > lines.length ? [...lines, `+${alerts.length - lines.length} more`] : lines;
}

/** As many lines as Slack takes in one section; how many are not shown. */
function within(lines: readonly string[]): string {
  let length = 0;
  const count = lines.findIndex((line) => (length += line.length + 1) > REPLY_MAX);
  return count < 0 ? lines.join("\n") : [...lines.slice(0, count), "…"].join("\n");
}
