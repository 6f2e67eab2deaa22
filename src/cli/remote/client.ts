import { realClock } from "../../sdk/clock.ts";
import { messageOf } from "../../sdk/errors.ts";
import { createHttpClient } from "../../sdk/http.ts";

const ANSWER_BYTES_MAX = 64 * 2 ** 20;
const TIMEOUT_MS = 30_000;

export const API_DEFAULT = "http://127.0.0.1:9465";

/** What an agent says of a path, or of a method, that it does not have. */
const UNKNOWN = /^there is nothing at |is not allowed here;/;

/** A running agent, by its API. */
export interface RemoteAgent {
  /** Answers as JSON. Rejects (`RemoteError`) when nobody answers, or with what the agent says is wrong. */
  get(path: string): Promise<unknown>;
  /** The same; `body` as JSON. */
  post(path: string, body: object): Promise<unknown>;
  /** Every item of a listing, page after page, at most `max`. */
  list(path: string, max: number): Promise<unknown[]>;
  close(): Promise<void>;
}

/** What a command ends with: one line for whoever typed it. */
export class RemoteError extends Error {
  override name = "RemoteError";
  /** HTTP status; undefined when nobody answered. */
  readonly status: number | undefined;
  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

/** Asks the agent at `base`, an http URL without a path. Throws `RemoteError` when it is none. */
export function remoteAgent(base: string): RemoteAgent {
  const url = URL.parse(base);
  if (url === null || url.protocol !== "http:") throw new RemoteError(`--api ${base} is no URL of an agent; allowed: one such as ${API_DEFAULT}`);
  const client = createHttpClient({ clock: realClock });

  async function ask(method: "GET" | "POST", path: string, body?: object): Promise<unknown> {
    const response = await client.send({
      url: new URL(path, url!).href,
      method,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
      bodyBytesMax: ANSWER_BYTES_MAX,
    }).catch((error: unknown) => {
      throw new RemoteError(`no agent answers at ${url!.origin} (${messageOf(error)}); is it running? --api or SOJOURN_API names another address`);
    });
    const answer = parsed(response.body.toString("utf8"));
    if (response.status >= 200 && response.status < 300) return answer;
    const detail = (answer as { detail?: unknown } | undefined)?.detail;
    if ((response.status === 404 || response.status === 405) && (typeof detail !== "string" || UNKNOWN.test(detail))) {
      throw new RemoteError(`${url!.origin} does not know ${method} ${path.split("?")[0]!}: ${typeof detail === "string" ? "the agent there is of another version than this command" : "is it a Sojourn agent?"}`, response.status);
    }
    throw new RemoteError(typeof detail === "string" ? detail : `the agent answered ${response.status}`, response.status);
  }

  return {
    get: (path) => ask("GET", path),
    post: (path, body) => ask("POST", path, body),
    async list(path, max) {
      const items: unknown[] = [];
      let cursor: string | null = null;
      do {
        const next: string = cursor === null ? path : `${path}${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}`;
        const page = (await ask("GET", next)) as { items?: unknown; next?: string | null } | undefined;
        if (!Array.isArray(page?.items)) throw new RemoteError(`${url!.origin} gives no list at ${path.split("?")[0]!}: is it a Sojourn agent, and of this version?`);
        items.push(...(page.items as unknown[]));
        cursor = page.next ?? null;
      } while (cursor !== null && items.length < max);
      return items.slice(0, max);
    },
    close: () => client.close(),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
