import type { AddressInfo } from "node:net";
import { createAddress, decide, STOPPING, type BoundAddress, type Live } from "./bound_address.ts";
import type { Clock } from "../sdk/clock.ts";
import { messageOf } from "../sdk/errors.ts";
import type { HttpHandler, Listeners, Route } from "../sdk/listeners.ts";
import type { Logger } from "../sdk/log.ts";
import type { Exchange } from "./http_exchange.ts";
import { bindError, canonicalAddress, parseAddress } from "./listen_address.ts";

// How long a request under way may hold up the closing of its route before it gets 503.
const CLOSE_MS_MAX = 5_000;
// … and how long its peer may take to read that.
const CUT_MS = 1_000;

/** What the agent does with its listeners; components see only `Listeners`. */
export interface AgentListeners extends Listeners {
  /** A reload begins: from now on addresses stay bound, and requests to a closed path wait for its successor. */
  hold(): void;
  /** The reload is over: what still waits is answered 404, addresses without a route close. */
  release(): Promise<void>;
  /** Ends everything; requests under way get 503. Nothing can be opened afterwards. */
  close(): Promise<void>;
}

interface Bound extends BoundAddress {
  /** Settles when the server listens, or cannot. */
  readonly ready: Promise<void>;
}

/** The agent's HTTP servers. `log` gets what handlers throw that is no `HttpError`. */
export function createListeners({ clock, log }: { readonly clock: Clock; readonly log: Logger }): AgentListeners {
  const addresses = new Map<string, Bound>();
  const closings = new Map<string, Promise<void>>();
  let holding = false;
  let ended = false;

  function bind(key: string): Bound {
    const { host, port } = parseAddress(key);
    const bound = createAddress(clock, log);
    const listening = (): Promise<void> => new Promise((resolve, reject) => {
      bound.server.once("error", (error) => reject(bindError(key, error, samePort(key, port))));
      bound.server.listen({ port, host, backlog: 511 }, () => {
        bound.server.on("error", (error) => log.error({ address: key }, `listener: ${messageOf(error)}`));
        resolve();
      });
    });
    // The same address may still be closing.
    const ready = (closings.get(key) ?? Promise.resolve()).then(listening);
    return Object.assign(bound, { ready });
  }

  function samePort(key: string, port: number): string | undefined {
    return [...addresses.keys()].find((other) => other !== key && parseAddress(other).port === port);
  }

  async function unbind(key: string, bound: Bound): Promise<void> {
    addresses.delete(key);
    bound.closing = true;
    const closed = new Promise<void>((resolve) => void bound.server.close(() => resolve()));
    closings.set(key, closed);
    // A connection without a request under way may be silent for ever; the others end with their answer.
    for (const [socket, underWay] of bound.sockets) if (underWay === 0) socket.destroySoon();
    const timer = clock.at(clock.now() + CLOSE_MS_MAX, () => bound.server.closeAllConnections());
    await closed;
    timer.cancel();
    if (closings.get(key) === closed) closings.delete(key);
  }

  /** Settles when no request of the route is under way, at the latest when those left were cut off. */
  async function quiet(live: Live): Promise<void> {
    if (live.underWay.size === 0) return;
    const each = (run: (exchange: Exchange) => void) => () => live.underWay.forEach(run);
    const ending = clock.at(clock.now() + CLOSE_MS_MAX, each((exchange) => exchange.abort(STOPPING)));
    const cutting = clock.at(clock.now() + CLOSE_MS_MAX + CUT_MS, each((exchange) => exchange.cut()));
    await new Promise<void>((resolve) => void live.idle.push(resolve));
    ending.cancel();
    cutting.cancel();
  }

  function route(address: string, path: string, owner: string, handler: HttpHandler): Route {
    const key = canonicalAddress(address);
    const live: Live = { owner, handler, underWay: new Set(), idle: [] };
    let bound: Bound | undefined;
    let opening: Promise<void> = Promise.resolve();

    async function open(): Promise<void> {
      if (ended) throw new Error("the agent is stopping");
      const at = addresses.get(key) ?? bind(key);
      const taken = at.routes.get(path);
      if (taken !== undefined) throw new Error(`${path} on ${key} is already taken by ${taken.owner}; choose another path`);
      addresses.set(key, at);
      at.routes.set(path, live);
      bound = at;
      try {
        await at.ready;
        decide(at, path);
      } catch (error) {
        at.routes.delete(path);
        if (addresses.get(key) === at) addresses.delete(key);
        bound = undefined;
        throw error;
      }
    }

    async function close(): Promise<void> {
      await opening.catch(() => {});
      const at = bound;
      if (at === undefined) return quiet(live);
      bound = undefined;
      at.routes.delete(path);
      if (holding) at.parked.set(path, new Set());
      await quiet(live);
      if (!holding && at.routes.size === 0 && !at.closing && addresses.get(key) === at) await unbind(key, at);
    }

    return { open: () => (opening = open()), close };
  }

  return {
    route,
    port(address) {
      const info = addresses.get(canonicalAddress(address))?.server.address() as AddressInfo | null | undefined;
      return info?.port;
    },
    hold: () => void (holding = true),
    async release() {
      holding = false;
      const unused: Promise<void>[] = [];
      for (const [key, bound] of addresses) {
        for (const pattern of bound.parked.keys()) decide(bound, pattern);
        if (bound.routes.size === 0) unused.push(unbind(key, bound));
      }
      await Promise.all(unused);
    },
    async close() {
      ended = true;
      holding = false;
      const all = [...addresses].map(([key, bound]) => {
        for (const pattern of bound.parked.keys()) decide(bound, pattern);
        for (const live of bound.routes.values()) for (const exchange of live.underWay) exchange.abort(STOPPING);
        bound.routes.clear();
        return unbind(key, bound);
      });
      await Promise.all([...all, ...closings.values()]);
    },
  };
}
