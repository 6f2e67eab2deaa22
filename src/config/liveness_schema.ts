import { parseDuration } from "../sdk/duration.ts";
import type { Problem } from "./model.ts";
import type { Schema } from "./schema_walk.ts";
import { find, type Tree } from "./tree.ts";

const INTERVAL_MS_MIN = 1_000;

/** Keys of `service` that say how a dead source, or a dead agent, is noticed. */
export const livenessProperties: Readonly<Record<string, Schema>> = {
  heartbeat: {
    type: "object",
    additionalProperties: false,
    required: ["url"],
    description: "Tells somebody else that this agent is alive, as long as it is ready and can commit: a service that pages when beats stop "
      + "(healthchecks.io, Dead Man's Snitch, an uptime monitor). Neither `sojourn test` nor --dry-run sends any.",
    properties: {
      url: { type: "string", minLength: 1, maxLength: 2_000, writeOnly: true, description: "http or https. Its path is often the credential: it is never shown." },
      interval: { type: "string", format: "duration", default: "1m", description: "From one beat to the next; at least 1s. The first is sent at once." },
      method: { type: "string", enum: ["GET", "POST"], default: "GET", description: "HTTP method. The body is empty." },
    },
  },
  receiver_failing: {
    type: "object",
    additionalProperties: false,
    description: "The alert `ReceiverFailing`, which each receiver has: it cannot read its source, gave up, or nothing came for its `expect_every`.",
    default: {},
    properties: {
      enabled: { type: "boolean", default: true, description: "Whether there is such an alert. What the receiver feeds is stale all the same." },
      for: { type: "string", format: "duration", default: "1m", description: "How long it must fail before the alert fires." },
      severity: { type: "string", minLength: 1, maxLength: 50, default: "warning", description: "Label `severity`." },
    },
  },
};

/** What their schema cannot say. No message repeats the URL. */
export function livenessProblems(tree: Tree): Problem[] {
  const problems: Problem[] = [];
  const check = (pointer: string, wrong: (text: string) => string | undefined): void => {
    const { tree: at, exact } = find(tree, pointer);
    const message = exact && at.kind === "scalar" && typeof at.value === "string" ? wrong(at.value) : undefined;
    if (message !== undefined) problems.push({ place: at.place, path: at.path, message });
  };
  check("/heartbeat/url", (text) =>
    text !== "" && !/^https?:$/.test(URL.parse(text)?.protocol ?? "") ? "is no URL such as https://hc-ping.com/your-uuid; allowed: http and https" : undefined);
  check("/heartbeat/interval", (text) => ((parseDuration(text) ?? INTERVAL_MS_MIN) < INTERVAL_MS_MIN ? "is too short; allowed: at least 1s" : undefined));
  return problems;
}
