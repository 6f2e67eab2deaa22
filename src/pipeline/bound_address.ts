import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../sdk/clock.ts";
import { messageOf } from "../sdk/errors.ts";
import { HttpError, type HttpAnswer, type HttpHandler } from "../sdk/listeners.ts";
import type { Logger } from "../sdk/log.ts";
import { answerOf, exchangeOf, type Exchange } from "./http_exchange.ts";

const CONNECTIONS_MAX = 1_000;
const HEADER_BYTES_MAX = 16 * 2 ** 10;
const HEADERS_MS_MAX = 10_000;
// Above what `bytes` allows for a body plus what a request may be parked.
const REQUEST_MS_MAX = 75_000;
const IDLE_MS_MAX = 120_000;
// Longer than the idle time of common load balancers (60 s), so that they close first and never hit a closed connection.
const KEEP_ALIVE_MS = 65_000;
const CHECK_MS = 5_000;
const PARKED_MAX = 500;
const PARKED_MS_MAX = 30_000;

/** Answers whoever still waits when the agent stops. */
export const STOPPING = new HttpError(503, "stopping", { "retry-after": "1" });
const RELOADING = new HttpError(503, "reloading", { "retry-after": "1" });

/** A route that answers. */
export interface Live {
  readonly owner: string;
  readonly handler: HttpHandler;
  readonly underWay: Set<Exchange>;
  /** Called once `underWay` is empty. */
  readonly idle: (() => void)[];
}

/** One address with its server: it finds the route of each request. */
export interface BoundAddress {
  readonly server: Server;
  readonly routes: Map<string, Live>;
  /** Paths whose route closed during this reload, with the requests that wait for a successor. */
  readonly parked: Map<string, Set<() => void>>;
  /** Connections, each with how many of its requests are under way. */
  readonly sockets: Map<Socket, number>;
  /** Once true, a connection ends with the answer under way. */
  closing: boolean;
}

/** A server with the agent's limits, not yet listening. */
export function createAddress(clock: Clock, log: Logger): BoundAddress {
  const server = createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: HEADERS_MS_MAX,
    requestTimeout: REQUEST_MS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: CHECK_MS,
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.timeout = IDLE_MS_MAX;
  const bound: BoundAddress = { server, routes: new Map(), parked: new Map(), sockets: new Map(), closing: false };
  server.on("connection", (socket) => {
    bound.sockets.set(socket, 0);
    socket.once("close", () => bound.sockets.delete(socket));
  });
  server.on("request", (incoming, response) => void serve(incoming, response, false));
  server.on("checkContinue", (incoming, response) => void serve(incoming, response, true));

  async function serve(incoming: IncomingMessage, response: ServerResponse, continues: boolean): Promise<void> {
    const { socket } = incoming;
    bound.sockets.set(socket, (bound.sockets.get(socket) ?? 0) + 1);
    const exchange = exchangeOf(incoming, response, clock, continues);
    try {
      await dispatch(exchange);
    } catch (error) {
      // Only an answer that cannot be sent as it is (a header with a line break) gets here.
      log.error({ path: exchange.request.path }, `answer: ${messageOf(error)}`);
      socket.destroy();
    }
    const left = (bound.sockets.get(socket) ?? 1) - 1;
    if (bound.sockets.has(socket)) bound.sockets.set(socket, left);
    if (bound.closing && left === 0) socket.destroySoon();
  }

  async function dispatch(exchange: Exchange): Promise<void> {
    let live: Live | undefined;
    // Again after each wait: the successor may have closed too, or never came and a wider route is left.
    for (;;) {
      const pattern = match(bound, exchange.request.path);
      if (pattern === undefined) return exchange.answer({ status: 404, body: "not found\n" });
      live = bound.routes.get(pattern);
      if (live !== undefined) break;
      const refused = await parked(bound.parked.get(pattern)!, exchange);
      if (refused !== undefined) return exchange.answer(answerOf(refused));
    }
    live.underWay.add(exchange);
    try {
      await exchange.answer(await outcomeOf(live, exchange));
    } finally {
      live.underWay.delete(exchange);
      if (live.underWay.size === 0) for (const idle of live.idle.splice(0)) idle();
    }
  }

  /** Waits until the path is decided; resolves with an error when that takes too long, or too many wait. */
  function parked(waiting: Set<() => void>, exchange: Exchange): Promise<HttpError | undefined> {
    if (waiting.size >= PARKED_MAX) return Promise.resolve(RELOADING);
    const { signal } = exchange.request;
    return new Promise((resolve) => {
      const settle = (refused: HttpError | undefined): void => {
        timer.cancel();
        waiting.delete(onDecided);
        signal.removeEventListener("abort", onAbort);
        resolve(refused);
      };
      const onDecided = (): void => settle(undefined);
      const onAbort = (): void => settle(STOPPING);
      const timer = clock.at(clock.now() + PARKED_MS_MAX, () => settle(RELOADING));
      signal.addEventListener("abort", onAbort);
      waiting.add(onDecided);
    });
  }

  async function outcomeOf(live: Live, exchange: Exchange): Promise<HttpAnswer> {
    const { givenUp } = exchange;
    let onAbort!: () => void;
    // When the listener gives up on a request the handler may not notice: the answer does not wait for it.
    const stopped = new Promise<never>((_, reject) => {
      onAbort = () => reject(STOPPING);
      givenUp.addEventListener("abort", onAbort);
    });
    try {
      return await Promise.race([live.handler(exchange.request), stopped]);
    } catch (error) {
      if (!(error instanceof HttpError)) log.error({ component: live.owner }, `request failed: ${messageOf(error)}`);
      return answerOf(error);
    } finally {
      givenUp.removeEventListener("abort", onAbort);
    }
  }

  return bound;
}

/** Lets the requests parked on a path look again. */
export function decide(bound: BoundAddress, pattern: string): void {
  const waiting = [...bound.parked.get(pattern) ?? []];
  bound.parked.delete(pattern);
  for (const onDecided of waiting) onDecided();
}

/** The most specific pattern for `path` among live and parked routes: itself, else the longest `…/*` above it. */
function match(bound: BoundAddress, path: string): string | undefined {
  if (bound.routes.has(path) || bound.parked.has(path)) return path;
  let best: string | undefined;
  for (const patterns of [bound.routes.keys(), bound.parked.keys()]) {
    for (const pattern of patterns) {
      if (!pattern.endsWith("/*") || !path.startsWith(pattern.slice(0, -1))) continue;
      if (best === undefined || pattern.length > best.length) best = pattern;
    }
  }
  return best;
}
