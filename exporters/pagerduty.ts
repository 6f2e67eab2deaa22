import { defineExporter } from "../src/sdk/component.ts";
import { ConfigError, PermanentError } from "../src/sdk/errors.ts";
import { createHttpClient, refusal, type HttpResponse } from "../src/sdk/http.ts";
import { portableJson } from "../src/sdk/json_text.ts";
import { notificationOptions } from "../src/sdk/notification_options.ts";
import type { Json } from "../src/sdk/observation.ts";
import { eventOf } from "./pagerduty/event.ts";

const ANSWER_BYTES_MAX = 64 * 1_024;
const ROUTING_KEY_LENGTH = 32;

/**
 * Opens, updates and resolves PagerDuty incidents by Events API v2: one event for each notification, one incident for each
 * episode however often it is sent, since PagerDuty deduplicates by `dedup_key`.
 *
 * Without `group_by` each alert is its own incident. With it a group is one: PagerDuty adds to that silently and pages
 * nobody when further alerts join it (https://github.com/prometheus/alertmanager/issues/1587), so group only what one
 * person repairs in one go.
 *
 * The receipt keeps the routing key that opened the incident, for only that one can resolve it, whatever is configured
 * meanwhile. It never leaves the agent's database but for PagerDuty.
 *
 * An alert's label `severity` becomes PagerDuty's: critical (also page, emergency, fatal), error, warning (also warn,
 * ticket), info (also informational, notice, none); anything else is error. A group has the highest of its alerts.
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
        type: "string", writeOnly: true, minLength: ROUTING_KEY_LENGTH, maxLength: ROUTING_KEY_LENGTH,
        description: "Integration key of the service (Events API v2), 32 characters; a secret.",
      },
      url: {
        type: "string", default: "https://events.pagerduty.com/v2/enqueue",
        description: "Where events are sent; the EU's is https://events.eu.pagerduty.com/v2/enqueue.",
      },
      ...notificationOptions,
      group_by: {
        ...notificationOptions.group_by,
        description: "Alerts that agree in these labels are one incident: PagerDuty pages nobody when further ones join it. Default: each alert is an incident of its own.",
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
    const agent = Object.values(context.externalLabels).join("/");

    async function send(event: ReturnType<typeof eventOf>, routing_key: string, signal: AbortSignal): Promise<void> {
      const response = await client.send({
        url: config.url,
        method: "POST",
        headers: { "content-type": "application/json" },
        body: portableJson({ routing_key, ...event }),
        signal,
        bodyBytesMax: ANSWER_BYTES_MAX,
        bodyOptional: true,
      });
      const { accepted, errors } = answerOf(response);
      if (response.status === 202 || (response.status >= 200 && response.status < 300 && accepted)) return;
      if (response.status < 300) throw new Error(`${response.name} answered ${response.status}, but accepted nothing`);
      throw refusal(response, errors.replaceAll(routing_key, "REDACTED").replaceAll(config.routing_key, "REDACTED"));
    }

    return {
      deduplicates: true,
      // A vendor's figure that the developer documentation does not state; the true limit moves with the service's load.
      limits: { messagesPerMinute: 120, burst: 30 },
      async notify(notification, signal) {
        const event = eventOf(notification, agent);
        const routing_key = routingKeyOf(notification.receipt) ?? config.routing_key;
        try {
          await send(event, routing_key, signal);
          return { routing_key };
        } catch (error) {
          const refused = error instanceof PermanentError && routing_key !== config.routing_key;
          if (!refused || event["event_action"] !== "trigger") throw error;
          // The old key is gone, and what still fires must be known to somebody: then it opens an incident under the new one.
          await send(event, config.routing_key, signal);
          return { routing_key: config.routing_key };
        }
      },
      render: (notification) => eventOf(notification, agent),
      stop: () => client.close(),
    };
  },
});

/** The routing key under which the incident was opened. */
function routingKeyOf(receipt: Json | undefined): string | undefined {
  if (typeof receipt !== "object" || receipt === null || !("routing_key" in receipt)) return undefined;
  const { routing_key } = receipt as { readonly routing_key: unknown };
  return typeof routing_key === "string" && routing_key.length === ROUTING_KEY_LENGTH ? routing_key : undefined;
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
