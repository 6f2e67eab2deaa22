import { defineExporter } from "../src/sdk/component.ts";
import { ConfigError, PermanentError, RetryLaterError } from "../src/sdk/errors.ts";
import { createHttpClient, refusal, type HttpResponse } from "../src/sdk/http.ts";
import { slackMessage } from "./slack/message.ts";

const ANSWER_BYTES_MAX = 64 * 1_024;
const RETRY_AFTER_S_MAX = 3_600;
// Slack's own words (`no_service`, `channel_is_archived`). Anything else may be a page of who knows whom: not repeated.
const CODE = /^[a-z_]{1,64}$/;

/**
 * Posts alerts to a Slack incoming webhook, one message for each notification.
 *
 * The URL is itself the credential: messages call it "Slack". Slack gives no message id, so a message can neither be
 * changed nor recognised: only one whose answer got lost may appear twice.
 * https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
 */
export const slack = defineExporter({
  type: "slack",
  summary: "Posts alerts to a Slack channel by an incoming webhook.",
  stability: "beta",
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["webhook_url"],
    properties: {
      webhook_url: { type: "string", writeOnly: true, minLength: 1, description: "URL of the incoming webhook; a secret." },
      alerts_max: {
        type: "integer", minimum: 1, maximum: 40, default: 20,
        description: "Alerts spelled out in one message; the others are counted.",
      },
    },
    examples: [{ webhook_url: "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX" }],
  },
  create(config, context) {
    const url = URL.parse(config.webhook_url);
    if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
      throw new ConfigError("/webhook_url", "must be an http or https URL (its value is a secret and not shown)");
    }
    const client = createHttpClient({ clock: context.clock });

    return {
      async notify(notification, signal) {
        const message = slackMessage(notification.alerts, config.alerts_max, context.clock.now());
        const response = await client.send({
          url: config.webhook_url,
          name: "Slack",
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(message),
          signal,
          bodyBytesMax: ANSWER_BYTES_MAX,
        });
        const error = failureOf(response);
        if (error !== undefined) throw error;
        return undefined;
      },
      stop: () => client.close(),
    };
  },
});

/** Success is 200 with the body `ok`, and nothing else: a proxy's page is 200 as well. */
function failureOf(response: HttpResponse): Error | undefined {
  const body = response.body.toString("utf8").trim();
  if (response.status === 200 && body === "ok") return undefined;
  const code = CODE.test(body) ? body : undefined;
  if (response.status >= 200 && response.status < 300) {
    return new Error(`Slack answered ${response.status} with ${code ?? "something"} instead of ok`);
  }
  const error = refusal(response, code);
  if (response.status !== 429 || error instanceof RetryLaterError || error instanceof PermanentError) return error;
  const seconds = retryAfterS(body);
  return seconds === undefined ? error : new RetryLaterError(error.message, Math.min(seconds, RETRY_AFTER_S_MAX) * 1_000);
}

/** `{"retry_after":1,"ok":false,"error":"rate_limited"}` */
function retryAfterS(body: string): number | undefined {
  try {
    const seconds = (JSON.parse(body) as { retry_after?: unknown } | null)?.retry_after;
    return typeof seconds === "number" && seconds >= 0 ? seconds : undefined;
  } catch {
    return undefined;
  }
}
