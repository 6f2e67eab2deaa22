import type { ResourceSnapshot } from "../resources/reading.ts";
import type { Agent } from "../pipeline/agent.ts";
import type { Clock } from "../sdk/clock.ts";
import { HttpError } from "../sdk/listeners.ts";
import { NO_STATE, type Transition } from "../sdk/resource.ts";
import { StoreError } from "../sdk/store.ts";
import { formatTime } from "../sdk/time.ts";
import { json, page } from "./answers.ts";
import { noQuery, readQuery, shown } from "./query.ts";
import type { Endpoint } from "./router.ts";

const TYPES_SHOWN_MAX = 20;

/** What is known of resources: all of them by page, and one of them with its history. */
export function resourceEndpoints(agent: Agent, clock: Clock): Endpoint[] {
  const { resources, alerts } = agent.services;

  function show(found: ResourceSnapshot): object {
    const { type, id, state, since, first_seen, last_seen, incarnation, attributes, sources } = found;
    return {
      type, id, state: stateOf(state), since: formatTime(since), first_seen: formatTime(first_seen), last_seen: formatTime(last_seen),
      incarnation, stale: alerts.isStale(sources), attributes, sources,
    };
  }

  function find(type: string, id: string): ResourceSnapshot {
    const found = resources.get(type, id);
    if (found !== undefined) return found;
    const { types } = resources;
    if (types.includes(type)) throw new HttpError(404, `no ${type} with id ${shown(id)}`);
    const known = types.length === 0 ? "no type is known yet" : `known: ${types.toSorted().slice(0, TYPES_SHOWN_MAX).join(", ")}`;
    throw new HttpError(404, `no type ${shown(type)}; ${known}${types.length > TYPES_SHOWN_MAX ? ", …" : ""}`);
  }

  async function transitions(type: string, id: string): Promise<readonly Transition[]> {
    try {
      return await resources.transitions(type, id);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      throw new HttpError(503, "the history cannot be read from the store at this moment; the resource without it is in the listing");
    }
  }

  return [
    {
      method: "GET",
      path: "/api/v1/resources",
      answer({ query }) {
        const { filter, limit, after } = readQuery(query, ["type", "state"], ["string", "string"]);
        const found = resources.list(filter, after as [string, string] | undefined, limit + 1);
        return page(found, limit, show, ({ type, id }) => [type, id]);
      },
    },
    {
      method: "GET",
      path: "/api/v1/resources/{type}/{id}",
      async answer({ query }, type, id) {
        noQuery(query);
        const found = find(type!, id!);
        const history = (await transitions(type!, id!)).map(({ from, to, at, duration }) => (
          { from: stateOf(from), to: stateOf(to), at: formatTime(at), duration_seconds: duration / 1_000 }
        ));
        return json({ ...show(found), transitions: history });
      },
    },
    {
      method: "GET",
      path: "/api/v1/resources/{type}/{id}/status",
      answer({ query }, type, id) {
        noQuery(query);
        const { state, since, sources } = find(type!, id!);
        const firing = alerts.firingOn(type!, id!);
        return json({
          type, id, state: stateOf(state), since: formatTime(since), seconds_in_state: Math.max(0, clock.now() - since) / 1_000,
          stale: alerts.isStale(sources), alerts: [...new Set(firing.map(({ alert }) => alert))].sort(),
        });
      },
    },
  ];
}

function stateOf(state: string): string | null {
  return state === NO_STATE ? null : state;
}
