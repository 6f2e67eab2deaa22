import type { ServiceConfig, Wanted } from "../config/model.ts";
import { redactJson, redactText } from "../config/redact.ts";
import { serviceSchema } from "../config/service.ts";
import type { Agent } from "../pipeline/agent.ts";
import { problemText } from "../pipeline/problems.ts";
import type { Json } from "../sdk/observation.ts";
import { formatTime } from "../sdk/time.ts";
import { json } from "./answers.ts";
import { noQuery } from "./query.ts";
import type { Endpoint } from "./router.ts";

/** The configuration that runs, and how the last reload fared; without secrets. */
export function configEndpoints(agent: Agent): Endpoint[] {
  return [{
    method: "GET",
    path: "/api/v1/config",
    answer({ query }) {
      noQuery(query);
      const { wanted } = agent;
      const statuses = agent.receiverStatuses();
      const receiver = (id: string): object => {
        const { failing = null, status = null } = statuses[id] ?? {};
        return { id, failing: failing === null ? null : redactText(failing), status: withoutSecrets(status) };
      };
      return json({
        last_reload: lastReload(agent),
        degraded: agent.degraded.map((reason) => redactText(reason)),
        rejected: (wanted?.rejected ?? []).map(({ file, problems, lastGoodRuns }) => (
          { file, last_good_runs: lastGoodRuns, problems: problems.map((problem) => redactText(problemText(problem))) }
        )),
        waiting: [...agent.waiting].map(([type, receivers]) => ({ type, receivers: [...receivers] })),
        service: wanted === undefined ? null : serviceOf(wanted),
        components: (wanted?.components ?? []).map(({ kind, id, type, file, redacted }) => ({ kind, id, type, file, config: redacted })),
        pipelines: (wanted?.pipelines ?? []).map(({ name, file, receivers, processors, exporters }) => (
          { name, file, receivers: receivers.map(receiver), processors, exporters }
        )),
      });
    },
  }];
}

/** A rejected file is a failure for whoever wrote it, though the others run: the answer to a reload says the same. */
function lastReload(agent: Agent): object | null {
  const status = agent.reloadStatus;
  if (status === undefined) return null;
  const problems = (agent.wanted?.rejected ?? []).flatMap((file) => file.problems);
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more, see rejected)` : "";
  const error = status.error ?? (problems.length === 0 ? undefined : `${problemText(problems[0]!)}${more}`);
  const failed = status.result === "failure" || (agent.wanted?.rejected.length ?? 0) > 0;
  return {
    result: failed ? "failure" : "success",
    error: error === undefined ? null : redactText(error),
    time: formatTime(status.at),
    hash: status.hash,
  };
}

function serviceOf({ service, serviceRedacted }: Wanted): Json {
  return serviceRedacted ?? redactJson(serviceSchema, JSON.parse(JSON.stringify(service satisfies ServiceConfig)) as Json, undefined);
}

/** What a component says of itself may hold a URL as it was configured. */
function withoutSecrets(value: Json): Json {
  if (typeof value === "string") return redactText(value);
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((item: Json) => withoutSecrets(item));
  return Object.fromEntries(Object.entries(value as Record<string, Json>).map(([key, item]) => [key, withoutSecrets(item)]));
}
