import type { Notification } from "../../sdk/alert.ts";
import type { Json } from "../../sdk/observation.ts";
import { defined, seenAlert, usualAlert, type ExpectedAlert } from "./alert_changes.ts";
import { listDifferences, type Happened, type Kind } from "./list_differences.ts";
import { likeExpected } from "./subset.ts";

/** What an exporter took. */
export interface Sent extends Happened {
  /** Id of the exporter. */
  readonly to: string;
  readonly notification: Notification;
  /** What the real exporter would have sent; undefined where it does not say. */
  readonly body: Json | undefined;
}

/** One of `expect.notifications`, validated, `to` as an id. What is not given is not compared. */
export interface ExpectedNotification {
  readonly to?: string;
  readonly status?: Notification["status"];
  readonly cause?: Notification["cause"];
  readonly alerts?: readonly (string | ExpectedAlert)[];
  readonly group?: Readonly<Record<string, string>>;
  readonly body?: Json;
  readonly text?: string;
}

const TEXT_SEPARATOR = " | ";

/** A notification in the words in which it is expected. */
function seen({ to, notification, body }: Sent, expected: ExpectedNotification): Json {
  const { status, cause, alerts, group } = notification;
  return defined({
    to,
    status,
    cause,
    group,
    alerts: alerts.map((alert, i) => {
      const wanted = expected.alerts?.[i] ?? expected.alerts?.at(-1) ?? alert.alert;
      if (typeof wanted === "string") return alert.alert;
      // One that is too many is known by its usual keys: nobody says which to show.
      return i < (expected.alerts?.length ?? 0) ? seenAlert(alert, wanted) : likeExpected(seenAlert(alert, usualAlert(alert)), usualAlert(alert) as Json);
    }),
    body,
    text: expected.text === undefined ? undefined : textIn(body, expected.text),
  });
}

/** The text itself where a text of the body holds it, else all its texts. */
function textIn(body: Json | undefined, text: string): string | undefined {
  if (body === undefined) return undefined;
  const texts = [...textsOf(body)];
  return texts.some((one) => one.includes(text)) ? text : texts.join(TEXT_SEPARATOR);
}

function* textsOf(body: Json): Iterable<string> {
  if (typeof body === "string") yield body;
  else if (body !== null && typeof body === "object") for (const item of Object.values(body)) yield* textsOf(item as Json);
}

const NOTIFICATIONS: Kind<ExpectedNotification, Sent> = {
  one: "notification",
  many: "notifications",
  usual: ({ notification }) => ({ to: "", status: "firing", cause: "fired", alerts: notification.alerts.map(usualAlert) }),
  seen,
  related: (expected, differing) => expected.to === undefined || !differing.has("to"),
};

/** What differs between what exporters were sent and what was expected, for people; empty when nothing does. */
export function notificationDifferences(expected: readonly ExpectedNotification[], sent: readonly Sent[]): readonly string[] {
  return listDifferences(NOTIFICATIONS, expected, sent);
}
