import { PermanentError, RetryLaterError } from "../../src/sdk/errors.ts";
import { refusal, retryAfterMs, type HttpResponse } from "../../src/sdk/http.ts";

const RETRY_AFTER_S_MAX = 3_600;
// Slack's own words (`no_service`, `channel_is_archived`). Anything else may be a page of who knows whom: not repeated.
const CODE = /^[a-z_]{1,64}$/;

/** What an incoming webhook's answer means. Success is 200 with the body `ok`, and nothing else: a proxy's page is 200 as well. */
export function webhookFailure(response: HttpResponse): Error | undefined {
  const body = response.body.toString("utf8").trim();
  if (response.status === 200 && body === "ok") return undefined;
  const code = CODE.test(body) ? body : undefined;
  if (response.status >= 200 && response.status < 300) {
    return new Error(`Slack answered ${response.status} with ${code ?? (body === "" ? "nothing to be understood" : "something")} instead of ok`);
  }
  return slowed(response, refusal(response, code), parsed(body));
}

/** Where Slack's Web API put or changed a message. */
export interface ApiAnswer {
  readonly channel: string;
  readonly ts: string;
}

/** Slack refused a call of its Web API for good; `code` is its word for why. */
export class SlackRefusal extends PermanentError {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * No later attempt at the same call succeeds until somebody changes something: a token, a channel, a message.
 * What is not listed is tried again, since an unknown word is no reason to lose an alert.
 * https://docs.slack.dev/reference/methods/chat.postMessage#errors
 */
const PERMANENT = new Set([
  "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_permission", "missing_scope", "not_allowed_token_type",
  "org_login_required", "ekm_access_denied", "access_denied", "team_access_not_granted", "enterprise_is_restricted", "two_factor_setup_required",
  "channel_not_found", "not_in_channel", "is_archived", "restricted_action", "restricted_action_read_only_channel",
  "restricted_action_thread_only_channel", "restricted_action_non_threadable_channel", "restricted_action_thread_locked", "messages_tab_disabled",
  "cannot_reply_to_message", "thread_not_found", "message_not_found", "cant_update_message", "edit_window_closed", "is_inactive", "block_mismatch",
  "invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "no_text", "invalid_arguments", "invalid_arg_name", "invalid_charset",
  "invalid_form_data", "invalid_post_type", "missing_post_type", "invalid_json", "json_not_object", "invalid_metadata_format", "invalid_array_arg",
  "method_deprecated", "deprecated_endpoint", "unknown_method", "user_not_found",
]);
/** What to do about those that happen to everybody once. */
const HINTS: ReadonlyMap<string, string> = new Map([
  ["not_in_channel", "invite the app to the channel"],
  ["channel_not_found", "to a private channel the app must be invited"],
  ["missing_scope", "the app needs the scope chat:write"],
]);
const SLOW = new Set(["ratelimited", "rate_limited", "message_limit_exceeded"]);

/** `{"ok":true,"channel":"C1","ts":"1.2"}` at status 200, or an error: `{"ok":false,"error":"not_in_channel"}` has status 200 as well. */
export function apiAnswer(method: string, response: HttpResponse): ApiAnswer {
  const body = parsed(response.body.toString("utf8"));
  const code = typeof body["error"] === "string" && CODE.test(body["error"]) ? body["error"] : undefined;
  const succeeded = response.status >= 200 && response.status < 300;
  const { channel, ts } = body;
  if (succeeded && body["ok"] === true && typeof channel === "string" && typeof ts === "string") return { channel, ts };
  if (!succeeded) throw slowed(response, refusal(response, code), body);
  const hint = HINTS.get(code ?? "");
  const message = `Slack's ${method} answered ${code ?? "nothing to be understood"}${hint === undefined ? "" : `: ${hint}`}`;
  if (code !== undefined && PERMANENT.has(code)) throw new SlackRefusal(code, message);
  const error = new Error(message);
  if (code === undefined || !SLOW.has(code)) throw error;
  const waitMs = retryAfterMs(response.headers["retry-after"], response.receivedAt);
  throw waitMs === undefined ? slowed(response, error, body) : new RetryLaterError(message, waitMs);
}

/** `{"retry_after":1,"ok":false,"error":"rate_limited"}`: some say it in the body alone. */
function slowed({ status }: HttpResponse, error: Error, body: Readonly<Record<string, unknown>>): Error {
  if (error instanceof RetryLaterError || error instanceof PermanentError || (status !== 429 && status >= 300)) return error;
  const seconds = body["retry_after"];
  if (typeof seconds !== "number" || !(seconds >= 0)) return error;
  return new RetryLaterError(error.message, Math.min(seconds, RETRY_AFTER_S_MAX) * 1_000);
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
