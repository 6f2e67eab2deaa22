import type { Agent } from "../pipeline/agent.ts";
import type { Alert } from "../sdk/alert.ts";
import { HttpError } from "../sdk/listeners.ts";
import { formatTime } from "../sdk/time.ts";
import type { Clock } from "../sdk/clock.ts";
import type { Transition } from "../sdk/resource.ts";
import { json, page } from "./answers.ts";
import { readBody } from "./body.ts";
import { showDelivery } from "./deliveries.ts";
import { noQuery, readQuery, shown } from "./query.ts";
import type { Endpoint } from "./router.ts";
import { smallest } from "../sdk/smallest.ts";

const STATUSES = ["pending", "firing", "resolved"];
/** Deliveries shown with one alert. */
const DELIVERIES_MAX = 20;

/** Place in the listing: open before resolved, each by `active_at`. Both never change but from open to resolved. */
type Place = readonly [resolved: number, activeAt: number, type: string, rule: string, resource: string];

/**
 * Open alerts, and those resolved a moment ago.
 *
 * Guarantee: who turns the pages to the end misses no alert that was there from the first page to the last; one that
 * resolves meanwhile may be seen twice, for it moves towards the end.
 */
export function alertEndpoints(agent: Agent, clock: Clock): Endpoint[] {
  const { alerts, committer } = agent.services;

  function find(key: string): Alert {
    const found = alerts.get(key);
    if (found === undefined) throw new HttpError(404, `there is no alert with the key ${shown(key)}, neither open nor resolved a moment ago`);
    return found;
  }

  return [{
    method: "GET",
    path: "/api/v1/alerts",
    answer({ query }) {
      const { filter, limit, after } = readQuery(query, ["status", "type", "alert"], ["number", "number", "string", "string", "string"]);
      const { status, type, alert } = filter;
      if (status !== undefined && !STATUSES.includes(status)) {
        throw new HttpError(400, `status is ${shown(status)}; allowed: ${STATUSES.join(", ")}`);
      }
      const found = alerts.list().filter((one) =>
        (status === undefined || one.status === status)
        && (type === undefined || one.resource.type === type)
        && (alert === undefined || one.alert === alert)
        && (after === undefined || comparePlaces(placeOf(one), after as unknown as Place) > 0));
      return page(smallest(found, limit + 1, compare), limit, (one) => listed(agent, one), placeOf);
    },
  }, {
    method: "GET",
    path: "/api/v1/alerts/{dedup_key}",
    async answer({ query }, key) {
      noQuery(query);
      return json(await explain(agent, find(key!)));
    },
  }, {
    method: "POST",
    path: "/api/v1/alerts/{dedup_key}/acknowledge",
    async answer(request, key) {
      noQuery(request.query);
      const { by, comment } = await readBody(request, { by: "text", comment: "optional text" });
      const { status } = find(key!);
      const acknowledged = alerts.acknowledge(key!, { by: bounded(by), comment: bounded(comment ?? ""), at: clock.now() });
      if (acknowledged === undefined) throw new HttpError(409, `the alert is ${status}: only a firing one can be acknowledged`);
      await committer.committed(true);
      return json(show(acknowledged));
    },
  }];
}

const TEXT_LENGTH_MAX = 1_000;

function bounded(text: string): string {
  if (text.length > TEXT_LENGTH_MAX) throw new HttpError(400, `by and comment may have at most ${TEXT_LENGTH_MAX} characters`);
  return text;
}

/** All that is known of one alert: for `sojourn explain`, and for whoever follows the link in a message. */
async function explain(agent: Agent, alert: Alert): Promise<object> {
  const { resources, alerts, deliveries } = agent.services;
  const { resource, rule, dedup_key } = alert;
  const external = agent.wanted?.service.api.external_url;
  // Without its history the rest is worth showing all the same.
  const transitions = alert.group === undefined ? await resources.transitions(resource.type, resource.id).catch((): Transition[] => []) : [];
  const current = alert.group === undefined ? resources.get(resource.type, resource.id) : undefined;
  return {
    ...listed(agent, alert),
    // `details` are of when it fired, or was over.
    current: current === undefined ? null : { state: current.state || null, since: formatTime(current.since), last_seen: formatTime(current.last_seen), attributes: current.attributes },
    url: external === undefined ? null : `${external.replace(/\/$/, "")}/api/v1/alerts/${dedup_key}`,
    transitions: transitions.map(({ from, to, at, duration }) => ({ from: from || null, to: to || null, at: formatTime(at), duration_seconds: duration / 1_000 })),
    others: alerts.firingOf(resource.type, rule) - (alert.status === "firing" ? 1 : 0),
    deliveries: deliveries.list(undefined, DELIVERIES_MAX, undefined, dedup_key).map(showDelivery),
  };
}

/** With why it would not be told if it were new. */
function listed(agent: Agent, alert: Alert): object {
  const { silences, inhibited, mutedBy } = alert.status === "resolved" ? { silences: [], inhibited: false, mutedBy: [] } : agent.services.dispatcher.suppressionOf(alert);
  return { ...show(alert), silenced_by: silences, inhibited, muted_by: mutedBy };
}

function show(alert: Alert): object {
  const { rule, status, resource, group, labels, annotations, value, limit, active_at, fired_at, resolved_at, reason } = alert;
  const { dedup_key, details, stale_since, flapping, observation, acknowledged, trace_id } = alert;
  return {
    alert: alert.alert, rule, status, resource, group: group ?? null, labels, annotations, value, limit: limit ?? null,
    active_at: formatTime(active_at), fired_at: time(fired_at), resolved_at: time(resolved_at), reason: reason ?? null,
    dedup_key, details, stale_since: time(stale_since), flapping, trace_id,
    observation: observation === undefined ? null : { ...observation, id: observation.id ?? null, time: formatTime(observation.time) },
    acknowledged: acknowledged === undefined ? null : { ...acknowledged, at: formatTime(acknowledged.at) },
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
