import { SilenceError, type Silence } from "../alerts/dispatch/silences.ts";
import type { Agent } from "../pipeline/agent.ts";
import { HttpError } from "../sdk/listeners.ts";
import { formatTime, timeMs } from "../sdk/time.ts";
import { json, page } from "./answers.ts";
import { readBody } from "./body.ts";
import { noQuery, readQuery, shown } from "./query.ts";
import type { Endpoint } from "./router.ts";

/** Silences: those of the configuration and those that were added here. A change is answered once it is durable. */
export function silenceEndpoints(agent: Agent): Endpoint[] {
  const { silences, committer } = agent.services;
  return [
    {
      method: "GET",
      path: "/api/v1/silences",
      answer({ query }) {
        const { limit, after } = readQuery(query, [], ["number"]);
        const from = (after?.[0] as number | undefined) ?? 0;
        const found = silences.list().map((silence, i) => ({ silence, next: i + 1 }));
        return page(found.slice(from, from + limit + 1), limit, ({ silence }) => show(silence), ({ next }) => [next]);
      },
    },
    {
      method: "POST",
      path: "/api/v1/silences",
      async answer(request) {
        noQuery(request.query);
        const body = await readBody(request, { matchers: "texts", starts_at: "optional text", ends_at: "text", created_by: "text", comment: "text" });
        const id = attempt(() => silences.add({
          matchers: body.matchers,
          startsAt: body.starts_at === undefined ? undefined : instant("starts_at", body.starts_at),
          endsAt: instant("ends_at", body.ends_at),
          createdBy: body.created_by,
          comment: body.comment,
        }));
        await committer.committed(true);
        return json(show(silences.get(id)!));
      },
    },
    {
      method: "POST",
      path: "/api/v1/silences/{id}/expire",
      async answer(request, id) {
        noQuery(request.query);
        attempt(() => silences.expire(id!));
        await committer.committed(true);
        return json(show(silences.get(id!)!));
      },
    },
  ];
}

function show({ id, state, matchers, startsAt, endsAt, createdBy, comment, origin }: Silence): object {
  return { id, state, matchers, starts_at: formatTime(startsAt), ends_at: formatTime(endsAt), created_by: createdBy, comment, origin };
}

function instant(name: string, text: string): number {
  const ms = timeMs(text);
  if (ms === undefined) throw new HttpError(400, `${name} is ${shown(text)}; allowed: RFC 3339, such as 2026-01-31T12:00:00Z`);
  return ms;
}

const STATUS = { invalid: 400, unknown: 404, conflict: 409 } as const;

function attempt<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof SilenceError) throw new HttpError(STATUS[error.kind], error.message);
    throw error;
  }
}
