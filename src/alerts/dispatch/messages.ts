import { createHash } from "node:crypto";
import type { Alert, Notification } from "../../sdk/alert.ts";
import type { Json } from "../../sdk/observation.ts";
import type { Message } from "./lane.ts";
import type { Incident, Member } from "./members.ts";

/** Alerts listed in one message, and how many of them may be over; of further ones the number is told. */
const LISTED_MAX = 1_000;
const ENDED_LISTED_MAX = 200;
/** A dead letter is cut to this; what is needed to send it again must fit. */
const LETTER_LENGTH_MAX = 15_000;

type Labels = Readonly<Record<string, string>>;

/** An alert on its own. */
export function singleMessage(alert: Alert, cause: Notification["cause"] = alert.status === "firing" ? "fired" : "resolved"): Message {
  return { key: alert.dedup_key, status: alert.status === "firing" ? "firing" : "resolved", cause, alerts: [alert], group: {} };
}

/** Several alerts that share an incident. `firing` and `ended` are read as far as they are listed. */
export function groupMessage(key: string, group: Labels, cause: Notification["cause"], firing: readonly Alert[], ended: readonly Alert[]): Message {
  const listedEnded = Math.min(ended.length, Math.max(ENDED_LISTED_MAX, LISTED_MAX - firing.length));
  const alerts = [...firing.slice(0, LISTED_MAX - listedEnded), ...ended.slice(0, listedEnded)];
  const more = firing.length + ended.length - alerts.length;
  return { key, status: firing.length > 0 ? "firing" : "resolved", cause, alerts, group, ...counted(more, firing.length > 0 ? ended.length - listedEnded : 0) };
}

/** What is told of an incident now: what is new to it, what fired before, and what is over since. */
export function messageOf({ kind, key, labels, open, members }: Incident, news: readonly Member[], ended: readonly Member[]): Message {
  const firing = news.map(({ alert }) => alert);
  for (const { state, alert } of members) if (state === "told") firing.push(alert);
  if (kind === "single") return singleMessage(firing[0]!, "repeat");
  const cause = !open ? "fired" : news.length + ended.length > 0 ? "changed" : "repeat";
  return groupMessage(key, labels, cause, firing, ended.map(({ alert }) => alert));
}

/** Alerts that are not listed, and how many of them are over where others fire. */
function counted(more: number, over: number): Pick<Message, "more" | "more_resolved"> {
  return { ...(more > 0 ? { more } : {}), ...(over > 0 ? { more_resolved: over } : {}) };
}

/** The later message of an incident where the one before did not leave: what that one alone would have told is in it, too. */
export function superseding(before: Message, message: Message): Message {
  const keys = new Set(message.alerts.map(({ dedup_key }) => dedup_key));
  const ended = before.alerts.filter(({ status, dedup_key }) => status === "resolved" && !keys.has(dedup_key));
  const cause = before.cause === "fired" || message.cause === "repeat" ? before.cause : message.cause;
  const room = Math.max(0, LISTED_MAX - message.alerts.length);
  return { ...message, cause, alerts: [...message.alerts, ...ended.slice(0, room)] };
}

/** Names the incident of a group: the same over restarts and from any replica. */
export function groupKey(externalLabels: Labels, kind: string, identity: readonly string[]): string {
  const labels = Object.entries(externalLabels).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify([labels, kind, identity])).digest("hex");
}

/** What a dead letter keeps of a message: enough to send it again. */
export function letterOf(message: Message): Json {
  const { alerts, more = 0, more_resolved = 0, ...rest } = message;
  for (let count = alerts.length; ; count = Math.floor(count / 2)) {
    const over = rest.status === "firing" ? more_resolved + alerts.slice(count).filter(({ status }) => status === "resolved").length : 0;
    const cut = { kind: "notification", ...rest, alerts: alerts.slice(0, count), ...counted(more + alerts.length - count, over) };
    if (count <= 1 || JSON.stringify(cut).length <= LETTER_LENGTH_MAX) return cut as unknown as Json;
  }
}

/** The message of a dead letter; undefined where it is of something else, or was too large. */
export function messageOfLetter(content: Json): Message | undefined {
  const { kind, ...message } = (typeof content === "object" && content !== null ? content : {}) as Partial<Message> & { kind?: unknown };
  if (kind !== "notification" || !Array.isArray(message.alerts)) return undefined;
  return message as Message;
}
