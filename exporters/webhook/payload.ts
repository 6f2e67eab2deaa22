import type { Alert, Notification } from "../../src/sdk/alert.ts";
import { fingerprintOf, generatorUrl, identityLabels, storyAnnotations } from "../../src/sdk/alert_labels.ts";
import { timeText } from "../../src/sdk/alert_text.ts";
import type { Json } from "../../src/sdk/observation.ts";

/** What Alertmanager says of an alert that is not over. */
const NO_TIME = "0001-01-01T00:00:00Z";
const PAYLOAD_CHARS_MAX = 4_000_000;

type Texts = Readonly<Record<string, string>>;

/** An alert as Alertmanager's webhook tells of it. */
export interface WebhookAlert {
  readonly status: "firing" | "resolved";
  readonly labels: Texts;
  readonly annotations: Texts;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly generatorURL: string;
  readonly fingerprint: string;
}

/** Version 4 of Alertmanager's webhook. */
export interface WebhookPayload {
  readonly version: "4";
  readonly groupKey: string;
  readonly truncatedAlerts: number;
  readonly status: "firing" | "resolved";
  readonly receiver: string;
  readonly groupLabels: Texts;
  readonly commonLabels: Texts;
  readonly commonAnnotations: Texts;
  readonly externalURL: string;
  readonly alerts: readonly WebhookAlert[];
}

/**
 * The notification as Alertmanager would send it; `receiver` is the exporter's id. At most `alertsMax` alerts, and no more
 * than make four megabytes; firing ones first, so those stay.
 * https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
 */
export function payloadOf({ alerts, group, key, more = 0, status }: Notification, receiver: string, alertsMax: number): WebhookPayload {
  const told: WebhookAlert[] = [];
  let chars = 0;
  for (const alert of alerts.slice(0, alertsMax)) {
    const one = webhookAlert(alert);
    chars += JSON.stringify(one).length;
    if (told.length > 0 && chars > PAYLOAD_CHARS_MAX) break;
    told.push(one);
  }
  const commonLabels = common(told.map(({ labels }) => labels));
  return {
    version: "4",
    groupKey: key,
    truncatedAlerts: alerts.length - told.length + more,
    status,
    receiver,
    // An alert on its own is, to Alertmanager, a group by all its labels; of a storm's, what they share tells it apart.
    groupLabels: Object.keys(group).length > 0 ? group : commonLabels,
    commonLabels,
    commonAnnotations: common(told.map(({ annotations }) => annotations)),
    externalURL: originOf(told[0]?.generatorURL),
    alerts: told,
  };
}

function webhookAlert(alert: Alert): WebhookAlert {
  const labels = identityLabels(alert);
  return {
    status: alert.status === "resolved" ? "resolved" : "firing",
    labels,
    annotations: storyAnnotations(alert),
    startsAt: timeText(alert.fired_at ?? alert.active_at),
    endsAt: alert.resolved_at === undefined ? NO_TIME : timeText(alert.resolved_at),
    generatorURL: generatorUrl(alert),
    fingerprint: fingerprintOf(labels),
  };
}

/** What templates read as `value`: the payload, with what only we know of the notification and of each alert. */
export function templateValue(notification: Notification, payload: WebhookPayload): Json {
  const alerts = payload.alerts.map((told, n) => {
    const { acknowledged, active_at, alert, dedup_key, details, flapping, limit, reason, resource, stale_since, story, trace_id, value } = notification.alerts[n]!;
    return {
      ...told, alert, resource, value, limit: limit ?? null, active_at: timeText(active_at), reason: reason ?? null, dedup_key, details, flapping, trace_id,
      stale_since: stale_since === undefined ? null : timeText(stale_since),
      acknowledged_by: acknowledged?.by ?? null,
      others: story?.others ?? 0,
    };
  });
  const { id, key, cause } = notification;
  return { ...payload, id, key, cause, alerts } as unknown as Json;
}

/** What all agree in, by name. */
function common(all: readonly Texts[]): Texts {
  const [first = {}, ...others] = all;
  return Object.fromEntries(Object.entries(first).filter(([name, text]) => others.every((other) => Object.hasOwn(other, name) && other[name] === text)));
}

function originOf(url: string | undefined): string {
  return URL.parse(url ?? "")?.origin ?? "";
}
