import { defineExporter } from "../src/sdk/component.ts";
import { durationMs } from "../src/sdk/duration.ts";
import { ConfigError } from "../src/sdk/errors.ts";
import { createHttpClient } from "../src/sdk/http.ts";
import { authorization, authSchema, checkAuth } from "../src/sdk/http_auth.ts";
import { notificationOptions } from "../src/sdk/notification_options.ts";
import type { Json } from "../src/sdk/observation.ts";
import { tlsSchema } from "../src/sdk/tls.ts";
import { batchesOf, postableAlerts } from "./alertmanager/alerts.ts";
import { createReplicaReports, deliver, failureOf, hurry, replicaOf, type Replica } from "./alertmanager/replicas.ts";

const RESEND_MS_MIN = 1_000;
/** A firing alert ends by itself after so many intervals without news; a resolved one is told again for so long. As Prometheus. */
const INTERVALS_VALID = 4;
const RESOLVED_FOR_MS = 15 * 60_000;

/**
 * Sends alerts to an Alertmanager, as Prometheus does: what fires again and again, what is over for 15 minutes. Grouping,
 * silences, repeats and routes are Alertmanager's. Each replica of a cluster is told; one that takes it is enough.
 * https://prometheus.io/docs/alerting/latest/alerts_api/
 */
export const alertmanager = defineExporter({
  type: "alertmanager",
  summary: "Sends alerts to Prometheus's Alertmanager, which groups, silences and routes them.",
  stability: "beta",
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["urls"],
    properties: {
      urls: {
        type: "array", minItems: 1, maxItems: 10, uniqueItems: true, items: { type: "string", pattern: "^https?://" },
        description: "Every replica of the cluster, as http://alertmanager-0:9093; never a load balancer before them. `/api/v2/alerts` is appended.",
      },
      path_prefix: {
        type: "string", pattern: "^/[^?#\\s]*$",
        description: "Path before `/api/v2/alerts`, where Alertmanager runs with --web.route-prefix.",
      },
      resend_interval: {
        type: "string", format: "duration", default: "1m",
        description: "How often what fires is told again. Alertmanager takes it for over after four of them without news: choose it longer than the agent may be away.",
      },
      timeout: { type: "string", format: "duration", default: "10s", description: "Limit for one request to one replica." },
      auth: authSchema("Files are read for each notification, so that a rotated secret is used at once."),
      headers: {
        type: "object",
        propertyNames: { pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" },
        additionalProperties: { type: "string", pattern: "^[\\t\\x20-\\x7E\\x80-\\xFF]*$", writeOnly: true },
        default: {},
        description: "Sent with each request, such as a tenant's X-Scope-OrgID.",
      },
      tls: tlsSchema,
      match: notificationOptions.match,
      send_resolved: notificationOptions.send_resolved,
    },
    examples: [
      { urls: ["http://alertmanager-0:9093", "http://alertmanager-1:9093"] },
      { urls: ["https://monitoring.example"], path_prefix: "/alertmanager", auth: { bearer: { token_file: "/run/secrets/token" } }, match: ["severity=~\"critical|warning\""] },
    ],
  },
  create(config, context) {
    const { clock } = context;
    const resendMs = durationMs(config.resend_interval);
    const timeoutMs = durationMs(config.timeout);
    if (resendMs < RESEND_MS_MIN) throw new ConfigError("/resend_interval", `is below ${RESEND_MS_MIN / 1_000}s`);
    if (timeoutMs <= 0) throw new ConfigError("/timeout", "must be longer than 0");
    if (config.auth !== undefined) checkAuth(config.auth);
    const replicas = config.urls.map((text, index): Replica => {
      const replica = replicaOf(text, config.path_prefix ?? "");
      if (replica === undefined) throw new ConfigError(`/urls/${index}`, "is no URL such as http://alertmanager:9093");
      return replica;
    });
    const client = createHttpClient({ clock, tls: config.tls });
    const toldOf = createReplicaReports(context);

    async function headers(): Promise<Record<string, string>> {
      const all: Record<string, string> = {};
      for (const [name, value] of Object.entries(config.headers)) all[name.toLowerCase()] = value;
      all["content-type"] = "application/json";
      if (config.auth === undefined) return all;
      try {
        return { ...all, authorization: await authorization(config.auth) };
      } catch (error) {
        // The file may be in the middle of being renewed: no alert is given up for that.
        throw new Error("no request can be authorized", { cause: error });
      }
    }

    return {
      deduplicates: true,
      refreshes: { everyMs: resendMs, resolvedForMs: RESOLVED_FOR_MS },
      limits: { messagesPerMinute: 6_000, burst: 100 },
      async notify({ alerts }, signal) {
        const batches = batchesOf(postableAlerts(alerts, clock.now(), INTERVALS_VALID * resendMs));
        const delivery = { client, clock, timeoutMs, headers: await headers() };
        // One that hangs must not keep another from being told.
        const outcomes = await Promise.all(replicas.map((replica) => deliver(replica, batches, delivery, signal)));
        const failure = failureOf(outcomes, batches.length);
        hurry(outcomes, clock);
        toldOf(outcomes, failure !== undefined);
        if (failure !== undefined) throw failure;
        return undefined;
      },
      render: ({ alerts }) => postableAlerts(alerts, clock.now(), INTERVALS_VALID * resendMs) as unknown as Json,
      stop: () => client.close(),
    };
  },
});
