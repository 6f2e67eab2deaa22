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

/** Slack's incoming webhook, stricter than the real one: it refuses what it does not know, and every mention. */
export interface FakeSlack extends ScriptedServer {
  /** The webhook; its path is the secret. */
  readonly url: string;
  readonly posts: readonly SlackPost[];
  readonly refused: readonly string[];
}

export async function fakeSlack(): Promise<FakeSlack> {
  const posts: SlackPost[] = [];
  const refused: string[] = [];
  const server = await scriptedServer((request: IncomingMessage, body: Buffer): Answer => {
    const plain = (status: number, text: string): Answer => ({ status, body: text, headers: { "content-type": "text/plain" } });
    if (request.url !== PATH) return plain(404, "no_service");
    const wrong = request.method === "POST" ? problem(request, body) : `${request.method} is not POST`;
    if (wrong !== undefined) {
      refused.push(wrong);
      return plain(400, wrong === "no_text" ? wrong : "invalid_payload");
    }
    posts.push(JSON.parse(body.toString("utf8")) as SlackPost);
    return plain(200, "ok");
  });
  return {
    ...server,
    get requests() {
      return server.requests;
    },
    url: `${server.origin}${PATH}`, posts, refused,
  };
}

function problem(request: IncomingMessage, body: Buffer): string | undefined {
  if (!String(request.headers["content-type"]).startsWith("application/json")) return "content type";
  let post: SlackPost;
  try {
    post = JSON.parse(body.toString("utf8")) as SlackPost;
  } catch {
    return "not JSON";
  }
  const unknown = Object.keys(post).find((key) => key !== "text" && key !== "blocks");
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
