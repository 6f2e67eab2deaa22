import type { Notification } from "../src/sdk/alert.ts";
import { deadline } from "../src/sdk/clock.ts";
import { defineExporter } from "../src/sdk/component.ts";
import { durationMs } from "../src/sdk/duration.ts";
import { ConfigError } from "../src/sdk/errors.ts";
import { createHttpClient, refusal, type HttpResponse } from "../src/sdk/http.ts";
import { authorization, authSchema, checkAuth } from "../src/sdk/http_auth.ts";
import { secretsSent, withoutSecrets } from "../src/sdk/http_secrets.ts";
import { portableJson } from "../src/sdk/json_text.ts";
import { notificationOptions } from "../src/sdk/notification_options.ts";
import type { Json } from "../src/sdk/observation.ts";
import { tlsSchema } from "../src/sdk/tls.ts";
import { bodySecrets, bodyTemplate, shownBody, type BodyTemplate } from "./webhook/body_template.ts";
import { payloadOf, templateValue } from "./webhook/payload.ts";
import { deliveryId, signer } from "./webhook/signature.ts";

const ANSWER_BYTES_MAX = 64 * 1_024;

/**
 * Posts alerts to a URL as Alertmanager's webhook does (version 4 of its payload), so that what takes those takes these; or
 * with a body of one's own.
 *
 * Each attempt at a notification has the same header `webhook-id`, by which a receiver knows a repeat: it comes where an
 * answer got lost. One that does not look at it tells by `groupKey`, `status` and each alert's `fingerprint` and `startsAt`.
 * The URL is likely a credential: messages name its origin alone. Any 2xx is success.
 * https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
 */
export const webhook = defineExporter({
  type: "webhook",
  summary: "Posts alerts to a URL, as Alertmanager's webhook or with a body of one's own; signed if wanted.",
  stability: "beta",
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url"],
    properties: {
      url: { type: "string", writeOnly: true, minLength: 1, description: "Where to post; often a secret itself." },
      method: { type: "string", enum: ["POST", "PUT", "PATCH"], default: "POST", description: "HTTP method." },
      headers: {
        type: "object",
        propertyNames: { pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" },
        additionalProperties: { type: "string", pattern: "^[\\t\\x20-\\x7E\\x80-\\xFF]*$", writeOnly: true },
        default: {},
        description: "Sent with each request, as an API key.",
      },
      auth: authSchema("Files are read for each notification, so that a rotated secret is used at once."),
      tls: tlsSchema,
      timeout: { type: "string", format: "duration", default: "10s", description: "Limit for one request." },
      signing_secret: {
        type: "string", minLength: 1, writeOnly: true,
        description: "Signs each request by Standard Webhooks (HMAC-SHA256); base64, with or without `whsec_`.",
      },
      body: {
        type: ["object", "array", "string"],
        description: "Sent instead of Alertmanager's payload: JSON, or text. Its texts may hold CEL in {{ }}, which reads `value`, the payload, "
          + "as in {{ value.alerts[0].labels.alertname }}, and `group`, the labels that the alerts share by group_by. A text that is one {{ }} alone "
          + "becomes what it gives: a number, a list, a map. Besides, `value` has `id`, `key` and `cause` (fired, changed, repeat, resolved, test), "
          + "and each of its alerts `alert`, `resource` (`type`, `id`), `value`, `limit`, `active_at`, `reason`, `details`, `dedup_key`, `trace_id`, "
          + "`flapping`, `stale_since`, `acknowledged_by` and `others`. Secrets belong into `headers` or `url`.",
      },
      alerts_max: {
        type: "integer", minimum: 1, maximum: 10_000, default: 1_000,
        description: "Alerts in one request; the others are counted in `truncatedAlerts`.",
      },
      ...notificationOptions,
    },
    examples: [
      { url: "https://oncall.example/webhooks/sojourn", signing_secret: "${env:ONCALL_SIGNING_SECRET}" },
      {
        url: "https://chat.example/hooks/T0/B0", group_by: ["alertname"],
        body: { text: "{{ value.status }}: {{ value.alerts[0].annotations.summary }}", count: "{{ value.alerts.size() }}" },
      },
    ],
  },
  create(config, context) {
    const { clock } = context;
    const url = URL.parse(config.url);
    if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
      throw new ConfigError("/url", "must be an http or https URL (its value is a secret and not shown)");
    }
    const timeoutMs = durationMs(config.timeout);
    if (timeoutMs <= 0) throw new ConfigError("/timeout", "must be longer than 0");
    if (config.auth !== undefined) checkAuth(config.auth);
    const sign = config.signing_secret === undefined ? undefined : signer(config.signing_secret);
    const given = config.body as Json | undefined;
    const template = given === undefined ? undefined : bodyTemplate(given, context);
    const client = createHttpClient({ clock, tls: config.tls });
    let templateFails = false;

    function bodyOf(notification: Notification, failed: (message: string) => void): Json {
      const payload = payloadOf(notification, context.id, config.alerts_max);
      return template === undefined ? payload as unknown as Json : filled(template, notification, templateValue(notification, payload), failed);
    }

    async function headersOf(contentType: string): Promise<Record<string, string>> {
      const all: Record<string, string> = { "content-type": contentType };
      for (const [name, value] of Object.entries(config.headers)) all[name.toLowerCase()] = value;
      if (config.auth === undefined) return all;
      try {
        return { ...all, authorization: await authorization(config.auth) };
      } catch (error) {
        // The file may be in the middle of being renewed: no alert is given up for that.
        throw new Error("no request can be authorized", { cause: error });
      }
    }

    /** An alert with a gap in its text is better than none: it goes out, and what failed is said. */
    function noteTemplate(failures: readonly string[]): void {
      if (failures.length > 0) context.report(new Error(`body: ${failures[0]}`));
      else if (templateFails) context.healed();
      templateFails = failures.length > 0;
    }

    return {
      deduplicates: true,
      limits: { messagesPerMinute: 600, burst: 50 },
      async notify(notification, signal) {
        const failures: string[] = [];
        const content = bodyOf(notification, (message) => void failures.push(message));
        const isText = typeof content === "string";
        const body = isText ? content : portableJson(content);
        const id = deliveryId(notification.id);
        const headers = await headersOf(isText ? "text/plain; charset=utf-8" : "application/json");
        const limit = deadline(clock, timeoutMs, signal);
        try {
          const response = await client.send({
            url: config.url,
            name: url.origin,
            method: config.method,
            headers: { ...headers, "webhook-id": id, ...sign?.(id, body, clock.now()) },
            body,
            signal: limit.signal,
            bodyBytesMax: ANSWER_BYTES_MAX,
            bodyOptional: true,
          });
          if (response.status < 200 || response.status > 299) {
            const secrets = [...secretsSent(headers, url, true), ...bodySecrets(given), ...(config.signing_secret === undefined ? [] : [config.signing_secret])];
            throw refusal(response, withoutSecrets(secrets, textOf(response)));
          }
        } finally {
          limit.clear();
        }
        noteTemplate(failures);
        return undefined;
      },
      render: (notification) => shownBody(bodyOf(notification, () => {})),
      stop: () => client.close(),
    };
  },
});

function filled(template: BodyTemplate, { group }: Notification, value: Json, failed: (message: string) => void): Json {
  return template({ value, group }, failed);
}

/** What it says for itself, unless it is a page for browsers. */
function textOf({ body, headers }: HttpResponse): string {
  return /^text\/html\b/i.test(headers["content-type"] ?? "") ? "" : body.toString("utf8");
}
