import type { Notification } from "../../sdk/alert.ts";
import type { Json } from "../../sdk/observation.ts";
import { defined, seenAlert, type ExpectedAlert } from "./alert_changes.ts";
import { listDifferences, type Happened, type Kind } from "./list_differences.ts";

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
const USUAL_ALERT: ExpectedAlert = { alert: "", resource: "", status: "firing" };

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
      return i < (expected.alerts?.length ?? 0) ? seenAlert(alert, wanted) : only(seenAlert(alert, USUAL_ALERT), USUAL_ALERT);
    }),
    body,
    text: expected.text === undefined ? undefined : textIn(body, expected.text),
  });
}

const only = (seen: Json, { ...keys }: ExpectedAlert): Json =>
  Object.fromEntries(Object.entries(seen as Record<string, Json>).filter(([key]) => Object.hasOwn(keys, key)));

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
  usual: { to: "", status: "firing", cause: "fired", alerts: [USUAL_ALERT] },
  seen,
  related: (expected, differing) => expected.to === undefined || !differing.has("to"),
};

/** What differs between what exporters were sent and what was expected, for people; empty when nothing does. */
export function notificationDifferences(expected: readonly ExpectedNotification[], sent: readonly Sent[]): readonly string[] {
  return listDifferences(NOTIFICATIONS, expected, sent);
}
