import type { Alert } from "../../sdk/alert.ts";
import type { Incident } from "./members.ts";
import type { Policy } from "./policy.ts";

/** A storm's group is told of anew at most this often, and draws in what fires this long after room ran out. */
export const STORM_INTERVAL_MS = 60_000;
/** A repetition that is suppressed is looked at again after this. */
const REPEAT_LATER_MS = 5 * 60_000;
const REPEAT_MS_MIN = 1_000;

/** When an incident that was told just now, or as `sentAt` says, is to be told again although nothing changed; ms. */
export function repeatAt({ sentAt }: Incident, policy: Policy | undefined): number {
  return policy?.repeatIntervalMs === undefined ? Infinity : sentAt + Math.max(REPEAT_MS_MIN, policy.repeatIntervalMs);
}

/** When something of an incident is to be told; ms, Infinity: not before something changes. */
export function dueAt(incident: Incident, { groupWaitMs, groupIntervalMs }: Policy): number {
  const { kind, told, waiting, ending, open, sentAt, waitsSince } = incident;
  if (kind === "single") return told > 0 ? incident.repeatAt : Infinity;
  // All of it is over: that is told at once.
  if (told + waiting === 0) return 0;
  const storm = kind === "storm";
  if (!open) return (waitsSince ?? 0) + (storm ? 0 : groupWaitMs);
  const change = waiting > 0 ? sentAt + (storm ? STORM_INTERVAL_MS : groupIntervalMs) : ending > 0 ? sentAt + groupIntervalMs : Infinity;
  return told > 0 ? Math.min(change, incident.repeatAt) : change;
}

/** Whether an incident is to be told again now; plans when to look again, if not. */
export function repeats(incident: Incident, now: number, mayHear: (alert: Alert) => boolean): boolean {
  if (incident.repeatAt > now) return false;
  const unseen = [...incident.members].filter(({ state, alert }) => state === "told" && alert.acknowledged === undefined);
  const heard = unseen.some(({ alert }) => mayHear(alert));
  if (!heard) incident.repeatAt = unseen.length === 0 ? Infinity : now + REPEAT_LATER_MS;
  return heard;
}
