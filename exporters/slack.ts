import type { Notification } from "../src/sdk/alert.ts";
import { defineExporter } from "../src/sdk/component.ts";
import { ConfigError } from "../src/sdk/errors.ts";
import { createHttpClient } from "../src/sdk/http.ts";
import { notificationOptions } from "../src/sdk/notification_options.ts";
import type { Json } from "../src/sdk/observation.ts";
import { webhookFailure } from "./slack/answer.ts";
import { createBot } from "./slack/bot.ts";
import { slackMessage } from "./slack/message.ts";

const ANSWER_BYTES_MAX = 64 * 1_024;

/**
 * Tells of alerts in a Slack channel, one message for each notification, in one of two ways:
 *
 * `webhook_url`: an incoming webhook. The URL is itself the credential: messages call it "Slack". Slack gives no message
 * id, so a message can neither be changed nor recognised: only one whose answer got lost may appear twice.
 * https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
 *
 * `bot_token` and `channel`: the Web API, with the scope `chat:write`. An incident is one message, changed in place when
 * something changes and when it is over, with each change in its thread (see slack/bot.ts).
 * https://docs.slack.dev/reference/methods/chat.postMessage
 */
export const slack = defineExporter({
  type: "slack",
  summary: "Tells of alerts in a Slack channel, by an incoming webhook or as a bot that updates its messages.",
  stability: "beta",
  schema: {
    type: "object",
    additionalProperties: false,
    properties: {
      webhook_url: { type: "string", writeOnly: true, minLength: 1, description: "URL of the incoming webhook; a secret. This or bot_token." },
      bot_token: {
        type: "string", writeOnly: true, minLength: 1, pattern: "^[\\x21-\\x7e]*$",
        description: "The bot's token (xoxb-…) with the scope chat:write; a secret. One message for each incident, updated in place.",
      },
      channel: { type: "string", minLength: 1, maxLength: 100, description: "With bot_token: id or name of the channel, of which the app is a member." },
      api_url: { type: "string", default: "https://slack.com/api", description: "With bot_token: where Slack's Web API is; GovSlack's is https://slack-gov.com/api." },
      alerts_max: {
        type: "integer", minimum: 1, maximum: 40, default: 20,
        description: "Alerts spelled out in one message; the others are counted.",
      },
      ...notificationOptions,
    },
    dependentRequired: { bot_token: ["channel"], channel: ["bot_token"] },
    examples: [
      { webhook_url: "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX" },
      { bot_token: "${env:SLACK_BOT_TOKEN}", channel: "#ops" },
    ],
  },
  create(config, context) {
    const { alerts_max, bot_token, channel, webhook_url } = config;
    if ((webhook_url === undefined) === (bot_token === undefined)) {
      throw new ConfigError("", "needs either webhook_url, or bot_token and channel");
    }
    checkUrl("/webhook_url", webhook_url);
    checkUrl("/api_url", config.api_url);
    const client = createHttpClient({ clock: context.clock });
    const messageOf = (notification: Notification) => slackMessage(notification, alerts_max, context.clock.now());
    const stop = (): Promise<void> => client.close();

    if (bot_token !== undefined && channel !== undefined) {
      const bot = createBot({ client, apiUrl: config.api_url.replace(/\/+$/, ""), token: bot_token, channel, alertsMax: alerts_max, messageOf });
      // chat.update: Tier 3, 50 a minute. https://docs.slack.dev/apis/web-api/rate-limits
      return { ...bot, limits: { messagesPerMinute: 50, burst: 10 }, stop };
    }

    return {
      // One message a second in each channel, short bursts are tolerated.
      limits: { messagesPerMinute: 60, burst: 10 },
      async notify(notification, signal) {
        const response = await client.send({
          url: webhook_url ?? "",
          name: "Slack",
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(messageOf(notification)),
          signal,
          bodyBytesMax: ANSWER_BYTES_MAX,
          bodyOptional: true,
        });
        const error = webhookFailure(response);
        if (error !== undefined) throw error;
        return undefined;
      },
      render: (notification) => messageOf(notification) as unknown as Json,
      stop,
    };
  },
});

function checkUrl(pointer: string, text: string | undefined): void {
  if (text === undefined) return;
  const url = URL.parse(text);
  if (url !== null && (url.protocol === "https:" || url.protocol === "http:")) return;
  throw new ConfigError(pointer, pointer === "/webhook_url" ? "must be an http or https URL (its value is a secret and not shown)" : "must be an http or https URL");
}
