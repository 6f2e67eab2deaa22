import { redactText } from "../config/redact.ts";
import type { Agent } from "../pipeline/agent.ts";
import { HttpError } from "../sdk/listeners.ts";
import { suggestion } from "../sdk/suggest.ts";
import { formatTime } from "../sdk/time.ts";
import type { Delivery } from "../alerts/dispatch/deliveries.ts";
import { json, page } from "./answers.ts";
import { noQuery, readQuery, shown } from "./query.ts";
import type { Endpoint } from "./router.ts";

/** What left the agent, newest first; dead letters sent again; a marked message to try an exporter. */
export function deliveryEndpoints(agent: Agent): Endpoint[] {
  const { deliveries, dispatcher, committer } = agent.services;
  return [
    {
      method: "GET",
      path: "/api/v1/deliveries",
      answer({ query }) {
        const { filter, limit, after } = readQuery(query, ["exporter", "key"], ["number"]);
        const found = deliveries.list(after?.[0] as number | undefined, limit + 1, filter.exporter, filter.key);
        return page(found, limit, showDelivery, ({ number }) => [number]);
      },
    },
    {
      method: "POST",
      path: "/api/v1/dead_letters/{number}/redeliver",
      async answer(request, text) {
        noQuery(request.query);
        if (!/^\d{1,15}$/.test(text!)) throw new HttpError(400, `${shown(text!)} is no number of a dead letter`);
        const { result, reason } = dispatcher.redeliver(Number(text));
        if (result === "not_found") throw new HttpError(404, reason ?? `there is no dead letter ${text} of a notification`);
        if (result === "refused") throw new HttpError(409, reason ?? "there is nothing to tell any more");
        await committer.committed(true);
        return json({ result: "queued" });
      },
    },
    {
      method: "POST",
      path: "/api/v1/exporters/{id}/test",
      async answer(request, id) {
        noQuery(request.query);
        const { result, error, stays_open = false } = await dispatcher.sendTest(id!);
        if (result === "not_found") throw new HttpError(404, `no exporter ${shown(id!)} that takes alerts is running; ${suggestion(id!, takingAlerts(agent))}`);
        if (result === "failed") throw new HttpError(502, redactText(error ?? "the destination did not take it"));
        return json({ result, stays_open });
      },
    },
  ];
}

/** Ids of the exporters that run and take alerts. */
function takingAlerts({ graph }: Agent): string[] {
  return [...graph.instances.values()].filter(({ component }) => component.notify !== undefined).map(({ config }) => config.id).sort();
}

/** A delivery as the API shows it. */
export function showDelivery({ number, at, exporter, key, cause, status, alerts, count, attempt, result, answer }: Delivery): object {
  return { number, at: formatTime(at), exporter, key, cause, status, alerts, count, attempt, result, answer: answer === undefined ? null : redactText(answer) };
}
