import type { Alert, Notification } from "./alert.ts";
import { summaryText, timeText } from "./alert_text.ts";
import type { Json } from "./observation.ts";

/**
 * An alert as JSON for machines: what `console` prints and `kafka` sends. Programs read it, so names stay and nothing is left out:
 * null where there is none. Only `story` (the last moves of the resource, other alerts of its rule, a link) may be absent. Times are
 * RFC 3339 in UTC.
 */
export function alertValue(alert: Alert, cause: Notification["cause"]): Readonly<Record<string, Json>> {
  const { acknowledged, observation, story } = alert;
  return {
    status: alert.status,
    cause,
    alert: alert.alert,
    rule: alert.rule,
    resource: alert.resource,
    group: alert.group ?? null,
    summary: summaryText(alert),
    labels: alert.labels,
    annotations: alert.annotations,
    value: alert.value,
    limit: alert.limit ?? null,
    active_at: time(alert.active_at),
    fired_at: time(alert.fired_at),
    resolved_at: time(alert.resolved_at),
    reason: alert.reason ?? null,
    stale_since: time(alert.stale_since),
    flapping: alert.flapping,
    acknowledged: acknowledged === undefined ? null : { ...acknowledged, at: time(acknowledged.at) },
    details: alert.details,
    observation: observation === undefined ? null : { ...observation, id: observation.id ?? null, time: time(observation.time) },
    ...(story === undefined ? {} : { story: storyValue(story) }),
    trace_id: alert.trace_id,
    dedup_key: alert.dedup_key,
  };
}

function storyValue({ others, transitions, url }: NonNullable<Alert["story"]>): Json {
  const moves = transitions.map(({ from, to, at, duration }) => ({ from, to, at: timeText(at), duration_seconds: duration / 1_000 }));
  return { transitions: moves, others, url: url ?? null };
}

function time(ms: number | undefined): string | null {
  return ms === undefined ? null : timeText(ms);
}
