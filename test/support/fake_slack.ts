import type { IncomingMessage } from "node:http";
import { scriptedServer, type Answer, type ScriptedServer } from "./scripted_server.ts";

const PATH = "/services/T0/B0/hook-secret-0123456789";
const TEXT_MAX = 4_000;
const BLOCKS_MAX = 50;
// Observed, not documented: beyond about this many characters in all blocks Slack refuses the message.
const BLOCKS_TEXT_MAX = 13_000;
const LIMITS: Readonly<Record<string, number>> = { header: 150, section: 3_000, field: 2_000, context: 3_000 };

/** A text object of a message. */
export interface SlackText {
  readonly type: string;
  readonly text: string;
  readonly verbatim?: boolean;
  readonly emoji?: boolean;
}

export interface SlackPost {
  readonly text: string;
  readonly blocks: readonly {
    readonly type: string;
    readonly text?: SlackText;
    readonly fields?: readonly SlackText[];
    readonly elements?: readonly SlackText[];
  }[];
}

/** A message that a bot has posted. */
export interface SlackPosted extends SlackPost {
  readonly channel: string;
  readonly ts: string;
  /** Of the message that it replies to. */
  readonly thread_ts?: string;
  /** How often it was changed in place. */
  readonly edits: number;
}

/** Slack's incoming webhook and Web API, stricter than the real ones: they refuse what they do not know, and every mention. */
export interface FakeSlack extends ScriptedServer {
  /** The webhook; its path is the secret. */
  readonly url: string;
  readonly posts: readonly SlackPost[];
  readonly refused: readonly string[];
  /** Base of the Web API. */
  readonly apiUrl: string;
  /** The bot's messages as they stand, oldest first. */
  readonly messages: readonly SlackPosted[];
  /** Methods that were called, in order. */
  readonly calls: readonly string[];
  /** Somebody deletes a message. */
  remove(ts: string): void;
}

export const BOT_TOKEN = "xoxb-secret-0123456789";
/** Of the bot's channels: names by id. It is in `C0OPS` and `C0DEV`; `C0ALONE` exists without it. */
const CHANNELS: Readonly<Record<string, string>> = { C0OPS: "ops", C0DEV: "dev", C0ALONE: "alone" };
const POST_KEYS = new Set(["channel", "text", "blocks", "thread_ts", "unfurl_links", "unfurl_media"]);
const UPDATE_KEYS = new Set(["channel", "ts", "text", "blocks"]);

export async function fakeSlack(): Promise<FakeSlack> {
  const posts: SlackPost[] = [];
  const refused: string[] = [];
  const messages: SlackPosted[] = [];
  const calls: string[] = [];
  let seconds = 1_767_236_520;

  function webhook(request: IncomingMessage, body: Buffer): Answer {
    const plain = (status: number, text: string): Answer => ({ status, body: text, headers: { "content-type": "text/plain" } });
    const wrong = request.method === "POST" ? problem(request, body) : `${request.method} is not POST`;
    if (wrong !== undefined) {
      refused.push(wrong);
      return plain(400, wrong === "no_text" ? wrong : "invalid_payload");
    }
    posts.push(JSON.parse(body.toString("utf8")) as SlackPost);
    return plain(200, "ok");
  }

  /** Errors have status 200: https://docs.slack.dev/apis/web-api/#responses */
  function api(method: string, request: IncomingMessage, body: Buffer): Answer {
    const no = (error: string, why = error): Answer => {
      refused.push(`${method}: ${why}`);
      return { status: 200, body: JSON.stringify({ ok: false, error }), headers: { "content-type": "application/json" } };
    };
    calls.push(method);
    if (request.headers.authorization !== `Bearer ${BOT_TOKEN}`) return no("invalid_auth");
    if (method !== "chat.postMessage" && method !== "chat.update") return no("unknown_method");
    const wrong = problem(request, body, method === "chat.update" ? UPDATE_KEYS : POST_KEYS);
    if (wrong !== undefined) return no(wrong === "no_text" ? wrong : "invalid_blocks", wrong);
    const { channel, ts, thread_ts, text, blocks } = JSON.parse(body.toString("utf8")) as Partial<SlackPosted> & SlackPost;
    // Only the first post may go by name.
    const named = Object.keys(CHANNELS).find((id) => id === channel || (ts === undefined && thread_ts === undefined && CHANNELS[id] === channel?.replace(/^#/, "")));
    if (named === undefined) return no("channel_not_found");
    if (named === "C0ALONE") return no("not_in_channel");
    const thread = messages.find((message) => message.channel === named && message.ts === (ts ?? thread_ts));
    if (method === "chat.update") {
      if (thread === undefined) return no("message_not_found");
      messages[messages.indexOf(thread)] = { ...thread, text, blocks, edits: thread.edits + 1 };
    } else if (thread_ts !== undefined && thread === undefined) return no("thread_not_found");
    const at = ts ?? `${seconds++}.000100`;
    if (ts === undefined) messages.push({ channel: named, ts: at, ...(thread_ts === undefined ? {} : { thread_ts }), text, blocks, edits: 0 });
    return { status: 200, body: JSON.stringify({ ok: true, channel: named, ts: at }), headers: { "content-type": "application/json" } };
  }

  const server = await scriptedServer((request: IncomingMessage, body: Buffer): Answer => {
    if (request.url === PATH) return webhook(request, body);
    const method = /^\/api\/([a-z.A-Z]+)$/.exec(request.url ?? "")?.[1];
    return method === undefined ? { status: 404, body: "no_service", headers: { "content-type": "text/plain" } } : api(method, request, body);
  });
  return {
    ...server,
    get requests() {
      return server.requests;
    },
    url: `${server.origin}${PATH}`, posts, refused,
    apiUrl: `${server.origin}/api`, messages, calls,
    remove: (ts) => void messages.splice(messages.findIndex((message) => message.ts === ts), 1),
  };
}

const WEBHOOK_KEYS: ReadonlySet<string> = new Set(["text", "blocks"]);

function problem(request: IncomingMessage, body: Buffer, keys = WEBHOOK_KEYS): string | undefined {
  if (!String(request.headers["content-type"]).startsWith("application/json")) return "content type";
  let post: SlackPost;
  try {
    post = JSON.parse(body.toString("utf8")) as SlackPost;
  } catch {
    return "not JSON";
  }
  const unknown = Object.keys(post).find((key) => !keys.has(key));
  if (unknown !== undefined) return `unknown key ${unknown}`;
  if (typeof post.text !== "string" || post.text === "") return "no_text";
  if (post.text.length > TEXT_MAX) return `text of ${post.text.length}`;
  if (!Array.isArray(post.blocks) || post.blocks.length === 0 || post.blocks.length > BLOCKS_MAX) return "number of blocks";
  const texts: SlackText[] = [{ type: "mrkdwn", text: post.text }];
  for (const block of post.blocks) {
    const wrong = blockProblem(block);
    if (wrong !== undefined) return wrong;
    texts.push(...[block.text ?? [], block.fields ?? [], block.elements ?? []].flat());
  }
  const total = texts.slice(1).reduce((sum, { text }) => sum + text.length, 0);
  if (total > BLOCKS_TEXT_MAX) return `${total} characters in all blocks`;
  return texts.filter(({ type }) => type === "mrkdwn").map(({ text }) => markupProblem(text)).find((wrong) => wrong !== undefined);
}

function blockProblem({ type, text, fields, elements }: SlackPost["blocks"][number]): string | undefined {
  const tooLong = (kind: string, all: readonly SlackText[]): string | undefined => {
    const bad = all.find((t) => typeof t.text !== "string" || t.text === "" || t.text.length > LIMITS[kind]!);
    return bad === undefined ? undefined : `${kind} text of ${bad.text?.length}`;
  };
  switch (type) {
    case "header":
      return text?.type === "plain_text" && fields === undefined && elements === undefined ? tooLong("header", [text]) : "header";
    case "section":
      if (text === undefined && fields === undefined) return "section without text";
      if (fields !== undefined && (fields.length === 0 || fields.length > 10)) return "number of fields";
      return tooLong("section", text === undefined ? [] : [text]) ?? tooLong("field", fields ?? []);
    case "context":
      if (elements === undefined || elements.length === 0 || elements.length > 10) return "number of elements";
      return tooLong("context", elements);
    default:
      return `block ${type}`;
  }
}

/** In Slack's markup `<` begins a mention, a command or a link; only links are ours, and `&` begins an entity. */
function markupProblem(text: string): string | undefined {
  const rest = text.replace(/<https?:\/\/[^<>|\s]+\|[^<>|]+>/g, "");
  if (/[<>]/.test(rest)) return `markup in ${rest}`;
  if (/&(?!amp;|lt;|gt;)/.test(text)) return `bare & in ${text}`;
  return undefined;
}
