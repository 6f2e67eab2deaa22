import type { Agent } from "../pipeline/agent.ts";
import type { Alert } from "../sdk/alert.ts";
import { HttpError } from "../sdk/listeners.ts";
import { formatTime } from "../sdk/time.ts";
import { page } from "./answers.ts";
import { readQuery, shown } from "./query.ts";
import type { Endpoint } from "./router.ts";
import { smallest } from "../sdk/smallest.ts";

const STATUSES = ["pending", "firing", "resolved"];

/** Place in the listing: open before resolved, each by `active_at`. Both never change but from open to resolved. */
type Place = readonly [resolved: number, activeAt: number, type: string, rule: string, resource: string];

/**
 * Open alerts, and those resolved a moment ago.
 *
 * Guarantee: who turns the pages to the end misses no alert that was there from the first page to the last; one that
 * resolves meanwhile may be seen twice, for it moves towards the end.
 */
export function alertEndpoints(agent: Agent): Endpoint[] {
  return [{
    method: "GET",
    path: "/api/v1/alerts",
    answer({ query }) {
      const { filter, limit, after } = readQuery(query, ["status", "type", "alert"], ["number", "number", "string", "string", "string"]);
      const { status, type, alert } = filter;
      if (status !== undefined && !STATUSES.includes(status)) {
        throw new HttpError(400, `status is ${shown(status)}; allowed: ${STATUSES.join(", ")}`);
      }
      const found = agent.services.alerts.list().filter((one) =>
        (status === undefined || one.status === status)
        && (type === undefined || one.resource.type === type)
        && (alert === undefined || one.alert === alert)
        && (after === undefined || comparePlaces(placeOf(one), after as unknown as Place) > 0));
      return page(smallest(found, limit + 1, compare), limit, show, placeOf);
    },
  }];
}

function show(alert: Alert): object {
  const { rule, status, resource, labels, annotations, value, active_at, fired_at, resolved_at, reason } = alert;
  return {
    alert: alert.alert, rule, status, resource, group: null, labels, annotations, value,
    active_at: formatTime(active_at), fired_at: time(fired_at), resolved_at: time(resolved_at), reason: reason ?? null,
  };
}

function time(ms: number | undefined): string | null {
  return ms === undefined ? null : formatTime(ms);
}

function placeOf({ status, active_at, resource, rule }: Alert): Place {
  return [status === "resolved" ? 1 : 0, active_at, resource.type, rule, resource.id];
}

function compare(a: Alert, b: Alert): number {
  // Most differ here; places are only made of those that do not.
  if (a.active_at !== b.active_at && (a.status === "resolved") === (b.status === "resolved")) return a.active_at - b.active_at;
  return comparePlaces(placeOf(a), placeOf(b));
}

function comparePlaces(a: Place, b: Place): number {
  for (let i = 0; i < a.length; i++) {
    if (a[i]! < b[i]!) return -1;
    if (a[i]! > b[i]!) return 1;
  }
  return 0;
}
