import { redactText } from "../config/redact.ts";
import type { Agent } from "../pipeline/agent.ts";
import { formatTime } from "../sdk/time.ts";
import { json, page, problem } from "./answers.ts";
import { readQuery } from "./query.ts";
import type { Endpoint } from "./router.ts";

/** What a reload came to. */
export interface ReloadOutcome {
  /** `rejected`: what is valid runs, some files are not taken. */
  readonly result: "success" | "unchanged" | "rejected" | "failure";
  /** `file:line:column path: what is wrong; what is allowed`, of every rejected file. */
  readonly problems: readonly string[];
}

/** `POST /-/reload`: 200 when everything that the files say runs, else 422 with all that is wrong. */
export function reloadEndpoint(agent: Agent, reload: () => Promise<ReloadOutcome>): Endpoint {
  return {
    method: "POST",
    path: "/-/reload",
    async answer() {
      const { result, problems: said } = await reload();
      const problems = said.map((text) => redactText(text));
      const hash = agent.wanted?.hash ?? null;
      if (result === "success" || result === "unchanged") return json({ result, hash, problems });
      const what = result === "rejected"
        ? "the configuration has problems; files without any run as they are, of the others the last good version"
        : "the reload failed; the configuration before keeps running";
      return problem(422, [what, ...problems].join("\n"), { result, hash, problems });
    },
  };
}

/** What could not be handled or delivered, newest first. */
export function deadLetterEndpoint(agent: Agent): Endpoint {
  return {
    method: "GET",
    path: "/api/v1/dead_letters",
    answer({ query }) {
      const { limit, after } = readQuery(query, [], ["number"]);
      const found = agent.services.deadLetters.list(after?.[0] as number | undefined, limit + 1);
      return page(found, limit, ({ number, at, component, reason, content }) => (
        { number, at: formatTime(at), component, reason: redactText(reason), content }
      ), ({ number }) => [number]);
    },
  };
}

/** An empty directory is what was asked for; files that all were rejected are not. */
function nothingRuns({ wanted }: Agent): boolean {
  return wanted !== undefined && wanted.pipelines.length === 0 && wanted.rejected.length > 0;
}

/**
 * Probes. Healthy: the process serves. Ready: it takes observations and can commit them. `open` addresses do not say why
 * the agent is degraded, since reasons name files and hosts.
 */
export function healthEndpoints(agent: Agent, open: boolean): Endpoint[] {
  return [
    { method: "GET", path: "/-/healthy", answer: () => json({ status: "healthy" }) },
    {
      method: "GET",
      path: "/-/ready",
      answer() {
        const reasons: string[] = [];
        if (!agent.ready) reasons.push(agent.wanted === undefined ? "no configuration runs yet" : "the agent is stopping");
        else if (nothingRuns(agent)) reasons.push("no pipeline runs and configuration files are rejected; GET /api/v1/config says why");
        if (agent.services.committer.failing) reasons.push("nothing can be committed to the store");
        if (reasons.length > 0) return problem(503, `not ready: ${reasons.join("; ")}`, { reasons });
        return json(open ? { status: "ready" } : { status: "ready", degraded: agent.degraded.map((reason) => redactText(reason)) });
      },
    },
  ];
}
