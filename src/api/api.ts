import type { ServiceConfig } from "../config/model.ts";
import type { Agent } from "../pipeline/agent.ts";
import { canonicalAddress, parseAddress } from "../pipeline/listen_address.ts";
import type { Clock } from "../sdk/clock.ts";
import { ConfigError, messageOf } from "../sdk/errors.ts";
import type { HttpHandler, Listeners, Route } from "../sdk/listeners.ts";
import { alertEndpoints } from "./alerts.ts";
import { json } from "./answers.ts";
import { configEndpoints } from "./config.ts";
import { deadLetterEndpoint, healthEndpoints, reloadEndpoint, type ReloadOutcome } from "./control.ts";
import { deliveryEndpoints } from "./deliveries.ts";
import { guard, isLoopback } from "./guard.ts";
import { resourceEndpoints } from "./resources.ts";
import { router, type Endpoint } from "./router.ts";
import { silenceEndpoints } from "./silences.ts";

export interface ApiParts {
  readonly agent: Agent;
  readonly listeners: Listeners;
  readonly clock: Clock;
  /** Loads the configuration again and runs it; never rejects for what the files hold. */
  readonly reload: () => Promise<ReloadOutcome>;
}

/** The agent's own HTTP interface. */
export interface Api {
  /**
   * Serves on the addresses of `service`. Again with others: the new ones are open before the old ones close, which is
   * not waited for, since the request that asked for the reload may be under way there. Rejects, and leaves everything
   * as it was, when an address cannot be bound (`ConfigError` with its pointer within `service`) or the API's would let other machines in.
   */
  open(service: ServiceConfig): Promise<void>;
  /** Settles when no request is under way. Harmless twice. */
  close(): Promise<void>;
}

/** Nothing is served before `open`. */
export function createApi({ agent, listeners, clock, reload }: ApiParts): Api {
  const serve = router([
    ...resourceEndpoints(agent, clock),
    ...alertEndpoints(agent, clock),
    ...silenceEndpoints(agent),
    ...deliveryEndpoints(agent),
    ...configEndpoints(agent),
    deadLetterEndpoint(agent),
    ...healthEndpoints(agent, false),
    reloadEndpoint(agent, reload),
    indexEndpoint(),
  ], guard);
  // Probes come by whatever name the orchestrator has for this machine.
  const serveHealth = router(healthEndpoints(agent, true), () => {});

  let routes = new Map<string, Route>();
  const closing = new Map<string, Promise<void>>();
  let turn: Promise<void> = Promise.resolve();

  function claims(service: ServiceConfig): Map<string, Route> {
    const { host } = parseAddress(service.api.listen);
    if (host === undefined || !isLoopback(host)) {
      throw new Error(`service.api.listen ${service.api.listen} would let other machines in; allowed: 127.0.0.1:port, localhost:port or [::1]:port`);
    }
    const claimed = new Map<string, Route>();
    const claim = (pointer: string, address: string, path: string, handler: HttpHandler): void => {
      const route = listeners.route(address, path, "the API", handler);
      const open = (): Promise<void> => route.open().catch((error: unknown) => {
        throw new ConfigError(pointer, messageOf(error), { cause: error });
      });
      claimed.set(`${canonicalAddress(address)} ${path}`, { open, close: () => route.close() });
    };
    claim("/api/listen", service.api.listen, "/*", serve);
    const health = service.health.listen;
    if (health !== undefined && canonicalAddress(health) !== canonicalAddress(service.api.listen)) {
      for (const path of ["/-/healthy", "/-/ready"]) claim("/health/listen", health, path, serveHealth);
    }
    return claimed;
  }

  function leave(key: string, route: Route): void {
    const closed = route.close().finally(() => closing.delete(key));
    closing.set(key, closed);
  }

  async function change(claimed: ReadonlyMap<string, Route>): Promise<void> {
    const next = new Map<string, Route>();
    const opened = new Map<string, Route>();
    try {
      for (const [key, route] of claimed) {
        const running = routes.get(key);
        next.set(key, running ?? route);
        if (running !== undefined) continue;
        await closing.get(key);
        await route.open();
        opened.set(key, route);
      }
    } catch (error) {
      for (const [key, route] of opened) leave(key, route);
      throw error;
    }
    for (const [key, route] of routes) if (!next.has(key)) leave(key, route);
    routes = next;
  }

  function inTurn(run: () => Promise<void>): Promise<void> {
    const mine = turn.then(run);
    turn = mine.catch(() => {});
    return mine;
  }

  return {
    open: (service) => inTurn(() => change(claims(service))),
    close: () => inTurn(async () => {
      await change(new Map());
      await Promise.all(closing.values());
    }),
  };
}

function indexEndpoint(): Endpoint {
  const index = {
    name: "sojourn",
    urls: [
      "GET /api/v1/resources?type=&state=&limit=&cursor=",
      "GET /api/v1/resources/{type}/{id}",
      "GET /api/v1/resources/{type}/{id}/status",
      "GET /api/v1/alerts?status=&type=&alert=&limit=&cursor=",
      "GET /api/v1/alerts/{dedup_key}",
      "POST /api/v1/alerts/{dedup_key}/acknowledge",
      "GET /api/v1/silences?limit=&cursor=",
      "POST /api/v1/silences",
      "POST /api/v1/silences/{id}/expire",
      "GET /api/v1/deliveries?exporter=&key=&limit=&cursor=",
      "POST /api/v1/exporters/{id}/test",
      "GET /api/v1/dead_letters?limit=&cursor=",
      "POST /api/v1/dead_letters/{number}/redeliver",
      "GET /api/v1/config",
      "GET /-/healthy",
      "GET /-/ready",
      "POST /-/reload",
    ],
  };
  return { method: "GET", path: "/", answer: () => json(index) };
}
