import type { Notification, Receipt } from "../../src/sdk/alert.ts";
import type { HttpClient } from "../../src/sdk/http.ts";
import type { Json } from "../../src/sdk/observation.ts";
import { apiAnswer, SlackRefusal, type ApiAnswer } from "./answer.ts";
import type { SlackMessage } from "./message.ts";
import { membersOf, slackReply } from "./reply.ts";

const ANSWER_BYTES_MAX = 1_024 * 1_024;

/** The message can be changed or answered no more (deleted, another app's, the app has left its channel): a new one says it instead. */
const GONE = new Set([
  "message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed", "cannot_reply_to_message", "restricted_action_thread_locked",
  "is_inactive", "channel_not_found", "not_in_channel", "is_archived", "restricted_action_read_only_channel",
]);

export interface BotOptions {
  readonly client: HttpClient;
  /** Without a slash at its end. */
  readonly apiUrl: string;
  readonly token: string;
  readonly channel: string;
  readonly alertsMax: number;
  readonly messageOf: (notification: Notification) => SlackMessage;
}

/** Where the incident's message is, and who fired when it was written. */
interface BotReceipt extends ApiAnswer {
  readonly members: string;
}

/** The calls that tell of a notification: a new message, or a change in place and a reply in its thread. */
interface Calls {
  readonly post: SlackMessage;
  readonly update: SlackMessage | undefined;
  readonly reply: SlackMessage | undefined;
}

/**
 * Delivers by Slack's Web API. An incident is one message: changed in place, since that is what people look at, and each
 * change told in its thread, since a change in place notifies nobody. The reply comes last. So an attempt that fails
 * before it and is made again shows nothing twice, for an update says the same; only a reply, or a first message, whose
 * answer got lost may appear twice, since Slack has no key to recognise it by.
 */
export function createBot({ alertsMax, apiUrl, channel, client, messageOf, token }: BotOptions) {
  async function call(method: string, body: object, signal: AbortSignal): Promise<ApiAnswer> {
    const response = await client.send({
      url: `${apiUrl}/${method}`,
      name: "Slack",
      method: "POST",
      headers: { "content-type": "application/json; charset=utf-8", authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
      signal,
      bodyBytesMax: ANSWER_BYTES_MAX,
      bodyOptional: true,
    });
    return apiAnswer(method, response);
  }

  function callsFor(notification: Notification, receipt: BotReceipt | undefined): Calls {
    const post = messageOf(notification);
    if (receipt === undefined) return { post, update: undefined, reply: undefined };
    const reply = slackReply(notification, receipt.members, alertsMax);
    return { post, update: notification.cause === "repeat" ? undefined : post, reply };
  }

  async function change({ update, reply }: Calls, { channel: where, ts }: BotReceipt, signal: AbortSignal): Promise<boolean> {
    try {
      if (update !== undefined) await call("chat.update", { channel: where, ts, ...update }, signal);
      if (reply !== undefined) await call("chat.postMessage", { channel: where, thread_ts: ts, ...reply, ...PLAIN }, signal);
      return true;
    } catch (error) {
      if (error instanceof SlackRefusal && GONE.has(error.code)) return false;
      throw error;
    }
  }

  return {
    async notify(notification: Notification, signal: AbortSignal): Promise<Receipt> {
      const before = receiptOf(notification);
      const calls = callsFor(notification, before);
      const members = membersOf(notification);
      if (before !== undefined && (await change(calls, before, signal))) return { ...before, members };
      const { channel: where, ts } = await call("chat.postMessage", { channel, ...calls.post, ...PLAIN }, signal);
      // A test is no incident: nothing will ever change its message.
      return notification.cause === "test" ? undefined : { channel: where, ts, members };
    },
    render(notification: Notification): Json {
      const before = receiptOf(notification);
      const { post, update, reply } = callsFor(notification, before);
      if (before === undefined) return { channel, ...post } as unknown as Json;
      return {
        ...(update === undefined ? {} : { update: { channel: before.channel, ts: before.ts, ...update } }),
        ...(reply === undefined ? {} : { reply: { channel: before.channel, thread_ts: before.ts, ...reply } }),
      } as unknown as Json;
    },
  };
}

/** Links are shown as they are, not as pictures of what is behind them. */
const PLAIN = { unfurl_links: false, unfurl_media: false };

function receiptOf({ cause, receipt }: Notification): BotReceipt | undefined {
  if (cause === "test" || typeof receipt !== "object" || receipt === null) return undefined;
  const { channel, members, ts } = receipt as Readonly<Record<string, Json>>;
  if (typeof channel !== "string" || typeof ts !== "string" || typeof members !== "string") return undefined;
  return { channel, ts, members };
}
