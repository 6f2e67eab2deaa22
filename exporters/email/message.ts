import { createHash } from "node:crypto";
import type { Alert, Notification } from "../../src/sdk/alert.ts";
import { backgroundOf, descriptionOf, factsOf, linkOf, namesOf, noteOf, onlyOf, runbookOf, statusOf, titleOf, type Fact } from "../../src/sdk/alert_story.ts";
import { cut, printable, summaryText, valueText } from "../../src/sdk/alert_text.ts";
import { htmlOf } from "./html.ts";
import { textOf } from "./text.ts";

const SUBJECT_MAX = 200;
const SUMMARY_MAX = 1_000;
const DESCRIPTION_MAX = 4_000;
const BODY_MAX = 2_000;
/** In all alerts of one mail, as plain text; further ones are counted. */
const ALERTS_TEXT_MAX = 200_000;

/** A mail's content, written by `textOf` and `htmlOf`; all of it is bounded and on one line each but `description`. */
export interface Page {
  readonly title: string;
  readonly note: string | undefined;
  readonly sections: readonly Section[];
  /** Alerts that find no place. */
  readonly hidden: number;
  readonly footer: string;
}

/** One alert. */
export interface Section {
  readonly resolved: boolean;
  readonly heading: string;
  readonly summary: string;
  /** May have several lines. */
  readonly description: string;
  readonly facts: readonly Fact[];
  readonly links: readonly { readonly title: string; readonly url: string }[];
  /** What was observed, as JSON. */
  readonly body: string;
}

/** What a mail says. */
export interface Mail {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

export interface MailOptions {
  readonly subjectPrefix: string;
  readonly alertsMax: number;
  /** ms since the epoch. */
  readonly now: number;
  /** Who sends: labels of the agent. */
  readonly agent: string;
}

export function mailOf(notification: Notification, { subjectPrefix, alertsMax, now, agent }: MailOptions): Mail {
  const { alerts } = notification;
  const title = printable(`${statusOf(notification)}: ${namesOf(notification)}`);
  const only = onlyOf(notification);
  const subject = only === undefined ? title : `${statusOf(notification)}: ${titleOf(only)}: ${printable(summaryText(only))}`;
  const sections: Section[] = [];
  let length = 0;
  for (const alert of alerts.slice(0, alertsMax)) {
    const section = sectionOf(alert, now);
    length += JSON.stringify(section).length;
    if (length > ALERTS_TEXT_MAX && sections.length > 0) break;
    sections.push(section);
  }
  const page: Page = {
    title: cut(title, SUBJECT_MAX),
    note: noteOf(notification),
    sections,
    hidden: alerts.length - sections.length + (notification.more ?? 0),
    footer: printable(`Sent by Sojourn${agent === "" ? "" : ` (${cut(agent, SUBJECT_MAX)})`}.`),
  };
  const prefix = subjectPrefix === "" ? "" : `${subjectPrefix} `;
  return { subject: cut(`${prefix}${subject}`, SUBJECT_MAX), text: textOf(page), html: htmlOf(page) };
}

function sectionOf(alert: Alert, now: number): Section {
  const { observation } = alert;
  const [runbook, story] = [runbookOf(alert), linkOf(alert)];
  return {
    resolved: alert.status === "resolved",
    heading: cut(`${alert.status === "resolved" ? "RESOLVED" : "FIRING"} ${titleOf(alert)}`, SUBJECT_MAX),
    summary: cut(printable(summaryText(alert)), SUMMARY_MAX),
    description: cut(descriptionOf(alert), DESCRIPTION_MAX),
    facts: [...factsOf(alert, now), ...backgroundOf(alert), ...labelsOf(alert)].map(({ name, text }) => ({ name: printable(name), text: printable(text) })),
    links: [...(runbook === undefined ? [] : [{ title: "Runbook", url: runbook }]), ...(story === undefined ? [] : [{ title: "Details", url: story }])],
    body: observation === undefined ? "" : cut(printable(valueText(observation.body)), BODY_MAX),
  };
}

function labelsOf({ labels }: Alert): Fact[] {
  const others = Object.entries(labels).filter(([name]) => name !== "alertname" && name !== "severity");
  return others.length === 0 ? [] : [{ name: "labels", text: cut(others.map(([name, value]) => `${name}=${value}`).join(", "), BODY_MAX) }];
}

/**
 * Ids of the mail and of the conversation that it belongs to. The mail's is the same for every attempt at this delivery, so
 * that mail systems recognise one that comes twice; different for each delivery ever, so that they drop no other. The
 * conversation's names no mail: all mails of an incident answer to it, whichever of them was first.
 */
export function idsOf(notification: Notification, from: string, now: number): { messageId: string; thread: string } {
  const { alerts, cause, id, key, status } = notification;
  const domain = /@([A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)>?\s*$/.exec(from)?.[1] ?? "sojourn.invalid";
  const { fired_at, resolved_at } = alerts[0]!;
  // Every test is another, whatever it is about.
  const delivery = [id, key, status, cause, fired_at ?? null, resolved_at ?? null, cause === "test" ? now : null];
  return { messageId: `<${digest(delivery)}@${domain}>`, thread: `<incident.${digest([key])}@${domain}>` };
}

function digest(value: readonly (string | number | null)[]): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 32);
}
