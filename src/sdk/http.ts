import { STATUS_CODES } from "node:http";
import type { Agent, Dispatcher } from "undici";
import type { Clock } from "./clock.ts";
import { PermanentError, RetryLaterError } from "./errors.ts";
import { discard, headersOf, isPassing, redirected, redirection, targetOf, whole } from "./http_message.ts";
import { safeUrl } from "./safe_url.ts";
import { tlsOptions, type TlsConfig } from "./tls.ts";

const CONNECT_MS_MAX = 10_000;
const RETRY_AFTER_MS_MAX = 3_600_000;
const HEADER_BYTES_MAX = 64 * 2 ** 10;

/** One request to the outside. */
export interface OutboundRequest {
  /** http or https. Credentials in it become basic authentication. */
  readonly url: string;
  /** Default GET. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** The only time limit: every request needs one (`deadline` of clock.ts). */
  readonly signal: AbortSignal;
  /** Beyond this, compressed or not, the answer is an error; of one whose status asks to come back, the body counts as empty. */
  readonly bodyBytesMax: number;
  /**
   * The status says what matters: whatever it is, a body that is too large, broken off or not to be decoded counts as empty.
   * For whoever sends: what was taken must not count as refused, nor a proxy's page as the destination's last word.
   */
  readonly bodyOptional?: boolean;
  /** Redirects that are followed, for GET and HEAD. Default 0: then a redirect is the answer. */
  readonly redirectsMax?: number;
  /** What messages call the destination, where the URL's path is itself a secret. Default: `safeUrl(url)`. */
  readonly name?: string;
}

/** An answer with its whole body, decompressed. */
export interface HttpResponse {
  readonly status: number;
  /** Lower-case names; repeated headers joined by comma. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
  /** What messages call who answered. */
  readonly name: string;
  /** By the clock, in ms since the epoch. */
  readonly receivedAt: number;
}

/**
 * What carries requests in the network's place: `sojourn test` answers by it. It gives any answer as it is, and rejects
 * when there is none, or with the signal's reason.
 */
export interface Transport {
  send(request: OutboundRequest): Promise<HttpResponse>;
}

/** Connections to the outside, kept open between requests. */
export interface HttpClient {
  /**
   * One attempt. Any answer resolves, whatever its status: see `refusal`. Rejects with `PermanentError` when the answer is too
   * large or leads where it must not, else with an `Error` whose cause is what went wrong, or the signal's reason.
   * No message holds a URL's credentials or query, nor a header's value.
   */
  send(request: OutboundRequest): Promise<HttpResponse>;
  /** Ends what is under way; afterwards no handle is open. Harmless twice. */
  close(): Promise<void>;
}

/** Connections made with one reading of the files of `tls`; `users` requests are under way. */
interface Connections {
  readonly agent: Promise<Agent>;
  users: number;
}

export interface HttpClientOptions {
  readonly clock: Clock;
  readonly tls?: TlsConfig | undefined;
  readonly connectionsMax?: number;
  /** Used instead of the network; a redirect is then the answer. */
  readonly transport?: Transport | undefined;
}

/** A client of its own: what one component has open never holds up another. No side effect before the first `send`. */
export function createHttpClient({ clock, tls, connectionsMax = 16, transport }: HttpClientOptions): HttpClient {
  let current: Connections | undefined;
  let closed = false;
  /** Those that were open and are not destroyed yet. */
  const open = new Set<Connections>();

  async function connect(): Promise<Agent> {
    const [undici, options] = await Promise.all([import("undici"), tlsOptions(tls ?? {})]);
    return new undici.Agent({
      connections: connectionsMax,
      maxHeaderSize: HEADER_BYTES_MAX,
      connectTimeout: CONNECT_MS_MAX,
      allowH2: false,
      connect: { ...options, timeout: CONNECT_MS_MAX },
    });
  }

  function connections(): Connections {
    if (current === undefined) open.add((current = { agent: connect(), users: 0 }));
    return current;
  }

  /** The next request reads the files of `tls` again: certificates get renewed while the agent runs. Others end undisturbed. */
  function retire(old: Connections): void {
    if (current === old) current = undefined;
  }

  /** Nobody will ask by them any more, or (`forced`) may. */
  async function release(old: Connections, forced = false): Promise<void> {
    if (!forced && (old === current || old.users > 0)) return;
    await old.agent.then((a) => a.destroy(), () => {});
    open.delete(old);
  }

  async function attempt(url: URL, request: OutboundRequest, headers: Record<string, string>, by: Connections): Promise<Dispatcher.ResponseData> {
    try {
      return await (await by.agent).request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: (request.method ?? "GET") as Dispatcher.HttpMethod,
        headers,
        body: request.body ?? null,
        signal: request.signal,
      });
    } catch (error) {
      if (request.signal.aborted) throw request.signal.reason;
      if (url.protocol === "https:" || !(await isOpen(by.agent))) retire(by);
      throw error;
    }
  }

  async function send(request: OutboundRequest): Promise<HttpResponse> {
    let url = targetOf(request.url);
    const headers = headersOf(request.headers ?? {}, url);
    const name = request.name ?? safeUrl(url);
    const method = request.method ?? "GET";
    let by: Connections | undefined;
    try {
      if (closed) throw new Error("the client is closed");
      if (transport !== undefined) return await carried(transport, request);
      by = connections();
      by.users++;
      for (let redirects = 0; ; redirects++) {
        const response = await attempt(url, request, headers, by);
        const location = redirection(method, response);
        if (location === undefined || (request.redirectsMax ?? 0) === 0) {
          return { ...(await whole(response, request)), name, receivedAt: clock.now() };
        }
        discard(response);
        if (redirects >= request.redirectsMax!) throw new PermanentError(`more than ${request.redirectsMax} redirects`);
        url = redirected(url, location, headers, tls?.cert_file !== undefined);
      }
    } catch (error) {
      if (request.signal.aborted) throw new Error(`${method} ${name}`, { cause: request.signal.reason });
      if (error instanceof PermanentError) throw new PermanentError(`${method} ${name}: ${error.message}`, { cause: error.cause });
      throw new Error(`${method} ${name} failed`, { cause: error });
    } finally {
      if (by !== undefined && --by.users === 0) void release(by);
    }
  }

  async function carried(by: Transport, request: OutboundRequest): Promise<HttpResponse> {
    const response = await by.send(request);
    if (response.body.length <= request.bodyBytesMax) return response;
    if (request.bodyOptional === true) return { ...response, body: Buffer.alloc(0) };
    throw new PermanentError(`the answer is larger than ${request.bodyBytesMax} bytes`);
  }

  return {
    send,
    async close() {
      closed = true;
      current = undefined;
      await Promise.all([...open].map((one) => release(one, true)));
    },
  };
}

/**
 * What to throw for an answer that is not 2xx: retrying a 4xx cannot succeed, except 408, 425 and 429; `Retry-After` is
 * honoured up to an hour. `detail` is what the destination said, already free of secrets.
 */
export function refusal(response: Pick<HttpResponse, "status" | "headers" | "name" | "receivedAt">, detail?: string): Error {
  const { status, name } = response;
  const reason = STATUS_CODES[status];
  const message = `${name} answered ${status}${reason === undefined ? "" : ` ${reason}`}${detail ? `: ${detail.slice(0, 300)}` : ""}`;
  if (!isPassing(status)) return new PermanentError(message);
  const waitMs = retryAfterMs(response.headers["retry-after"], response.receivedAt);
  return waitMs === undefined ? new Error(message) : new RetryLaterError(message, waitMs);
}

/** ms of a Retry-After header: seconds or an HTTP date, between 0 and an hour; undefined when there is none to be understood. */
export function retryAfterMs(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  const date = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /.test(text) ? Date.parse(text) : Number.NaN;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : date - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_MS_MAX);
}

async function isOpen(agent: Promise<Agent>): Promise<boolean> {
  return await agent.then(() => true, () => false);
}
