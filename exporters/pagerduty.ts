import type { Alert } from "../src/sdk/alert.ts";
import { cut, resourceText, summaryText, timeText } from "../src/sdk/alert_text.ts";
import { defineExporter } from "../src/sdk/component.ts";
import { ConfigError } from "../src/sdk/errors.ts";
import { createHttpClient, refusal, type HttpResponse } from "../src/sdk/http.ts";

const ANSWER_BYTES_MAX = 64 * 1_024;
// https://developer.pagerduty.com/docs/events-api-v2-overview#size-limits
const EVENT_BYTES_MAX = 512_000;
const SUMMARY_MAX = 1_024;
const FIELD_MAX = 255;

type Severity = "critical" | "error" | "warning" | "info";

// PagerDuty knows four. What is not among these words is `error`: still urgent, but it hides nothing critical.
const SEVERITIES: ReadonlyMap<string, Severity> = new Map([
  ["critical", "critical"], ["page", "critical"], ["emergency", "critical"], ["fatal", "critical"],
  ["error", "error"],
  ["warning", "warning"], ["warn", "warning"], ["ticket", "warning"],
  ["info", "info"], ["informational", "info"], ["notice", "info"], ["none", "info"],
]);

/**
 * Opens and resolves PagerDuty incidents by Events API v2: one incident for each episode of an alert, however often it
 * is sent, since PagerDuty deduplicates by `dedup_key`.
 *
 * An alert's label `severity` becomes PagerDuty's: critical (also page, emergency, fatal), error, warning (also warn,
 * ticket), info (also informational, notice, none); anything else is error.
 * https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
 */
export const pagerduty = defineExporter({
  type: "pagerduty",
  summary: "Opens and resolves PagerDuty incidents (Events API v2).",
  stability: "beta",
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["routing_key"],
    properties: {
      routing_key: {
        type: "string", writeOnly: true, minLength: 32, maxLength: 32,
        description: "Integration key of the service (Events API v2), 32 characters; a secret.",
      },
      url: {
        type: "string", default: "https://events.pagerduty.com/v2/enqueue",
        description: "Where events are sent; the EU's is https://events.eu.pagerduty.com/v2/enqueue.",
      },
    },
    examples: [{ routing_key: "0123456789abcdef0123456789abcdef" }],
  },
  create(config, context) {
    const url = URL.parse(config.url);
    if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
      throw new ConfigError("/url", "must be an http or https URL");
    }
    const client = createHttpClient({ clock: context.clock });
    const group = Object.values(context.externalLabels).join("/");

    async function send(alert: Alert, signal: AbortSignal): Promise<void> {
      const response = await client.send({
        url: config.url,
        method: "POST",
        headers: { "content-type": "application/json" },
        body: eventBody(alert, config.routing_key, group),
        signal,
        bodyBytesMax: ANSWER_BYTES_MAX,
      });
      const answer = answerOf(response);
      if (response.status === 202 || (response.status >= 200 && response.status < 300 && answer.accepted)) return;
      const error = response.status < 300 ? new Error(`${response.name} answered ${response.status}, but accepted nothing`)
        : refusal(response, answer.errors.replaceAll(config.routing_key, "REDACTED"));
      throw error;
    }

    return {
      deduplicates: true,
      async notify(notification, signal) {
        // One event each. When one fails all are sent again: those that PagerDuty has are then no news to it.
        for (const alert of notification.alerts) await send(alert, signal);
        return undefined;
      },
      stop: () => client.close(),
    };
  },
});

/** The event as JSON, never above PagerDuty's limit: details that are too large give way to a note, the page goes out. */
function eventBody(alert: Alert, routing_key: string, group: string): string {
  if (alert.status === "resolved") return JSON.stringify({ routing_key, event_action: "resolve", dedup_key: alert.dedup_key });
  const event = (custom_details: object): string => JSON.stringify({
    routing_key,
    event_action: "trigger",
    dedup_key: alert.dedup_key,
    client: "Sojourn",
    payload: {
      summary: cut(summaryText(alert), SUMMARY_MAX),
      source: cut(resourceText(alert), FIELD_MAX),
      severity: SEVERITIES.get(alert.labels["severity"]?.toLowerCase() ?? "") ?? "error",
      timestamp: timeText(alert.fired_at ?? alert.active_at),
      component: cut(alert.resource.type, FIELD_MAX),
      ...(group === "" ? {} : { group: cut(group, FIELD_MAX) }),
      class: cut(alert.alert, FIELD_MAX),
      custom_details,
    },
  });
  const body = event({
    details: alert.details,
    value: alert.value,
    active_at: timeText(alert.active_at),
    labels: alert.labels,
    annotations: alert.annotations,
  });
  const bytes = Buffer.byteLength(body);
  if (bytes <= EVENT_BYTES_MAX) return body;
  return event({ error: `the details are left out: with them the event has ${bytes} bytes, and PagerDuty takes ${EVENT_BYTES_MAX}` });
}

/** `{"status":"success"}`, or `{"status":"invalid event","message":…,"errors":[…]}` */
function answerOf(response: HttpResponse): { accepted: boolean; errors: string } {
  try {
    const answer = JSON.parse(response.body.toString("utf8")) as { status?: unknown; message?: unknown; errors?: unknown } | null;
    const errors = Array.isArray(answer?.errors) ? answer.errors : [];
    const words = [answer?.message, ...errors].filter((text) => typeof text === "string");
    return { accepted: answer?.status === "success", errors: words.join("; ") };
  } catch {
    return { accepted: false, errors: "" };
  }
}
