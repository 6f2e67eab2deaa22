import { parseDuration } from "../sdk/duration.ts";
import type { Json } from "../sdk/observation.ts";
import { livenessProblems, livenessProperties } from "./liveness_schema.ts";
import type { Problem, ServiceConfig } from "./model.ts";
import { notificationProblems, notificationProperties } from "./notification_schema.ts";
import type { Schema } from "./schema_walk.ts";
import { find, type Tree } from "./tree.ts";
import { validate } from "./validate.ts";
import { isAddress, type Validator } from "./validator.ts";

const listen = (description: string, preset?: string, more: Schema["properties"] = {}): Schema => ({
  type: "object",
  additionalProperties: false,
  description,
  default: {},
  properties: {
    listen: {
      type: "string",
      format: "address",
      description: "Address, host:port.",
      ...(preset === undefined ? {} : { default: preset }),
    },
    ...more,
  },
});

const duration = (preset: string, description: string): Schema => ({ type: "string", format: "duration", default: preset, description });

/** `service`, without what the pipelines hold. */
export const serviceSchema: Schema = {
  type: "object",
  additionalProperties: false,
  description: "What concerns the agent as a whole.",
  properties: {
    pipelines: { type: "object", description: "Receivers, processors and exporters, wired." },
    external_labels: {
      type: "object",
      description: "Labels that name this agent among others; part of every alert's identity.",
      default: {},
      maxProperties: 50,
      propertyNames: { pattern: "^[a-zA-Z_][a-zA-Z0-9_]*$" },
      additionalProperties: { type: "string", maxLength: 500 },
    },
    storage: {
      type: "object",
      additionalProperties: false,
      description: "Where state is kept.",
      default: {},
      properties: {
        directory: { type: "string", minLength: 1, description: "Default: $STATE_DIRECTORY, else the user's state directory." },
      },
    },
    api: listen("State, alerts, configuration, reload and health. On this machine only.", "127.0.0.1:9465", {
      external_url: {
        type: "string", maxLength: 1_000, pattern: "^https?://[^\\s/?#@]+(?:/[^\\s?#@]*)?$",
        description: "Where people reach the API (a proxy in front of it, say): http or https, without credentials and query. With it, messages link to their alerts.",
      },
    }),
    health: listen("A further address for /-/healthy and /-/ready alone, for probes from outside."),
    log: {
      type: "object",
      additionalProperties: false,
      description: "The agent's own log.",
      default: {},
      properties: {
        level: { enum: ["debug", "info", "warn", "error"], default: "info", description: "What is logged." },
        format: { enum: ["auto", "json", "pretty"], default: "auto", description: "auto: pretty on a terminal, else JSON lines." },
      },
    },
    evaluation_interval: duration("15s", "How often rules that read `now` are evaluated."),
    catch_up_timeout: duration("5m", "How long rules wait after a start for their receivers to catch up, at most."),
    shutdown_timeout: duration("30s", "How long stopping may take."),
    dedupe_ttl: duration("3d", "How long an observation's idempotency id is remembered."),
    dedupe_max: { type: "integer", minimum: 1, maximum: 10_000_000, default: 100_000, description: "Ids remembered for each receiver, at most." },
    dead_letters_max: { type: "integer", minimum: 0, maximum: 1_000_000, default: 1000, description: "Dead letters kept." },
    ...livenessProperties,
    ...notificationProperties,
  },
};

const LOOPBACK = /^(?:127(?:\.\d{1,3}){3}|localhost|\[::1\]):\d+$/i;
const EVALUATION_MS_MIN = 10;

/** What the schema cannot say; checked even where it finds something else wrong, so that all is told at once. */
function further(tree: Tree): Problem[] {
  const problems: Problem[] = [];
  const check = (pointer: string, wrong: (text: string) => string | undefined): void => {
    const { tree: at, exact } = find(tree, pointer);
    const message = exact && at.kind === "scalar" && typeof at.value === "string" ? wrong(at.value) : undefined;
    if (message !== undefined) problems.push({ place: at.place, path: at.path, message });
  };
  check("/api/listen", (text) =>
    isAddress(text) && !LOOPBACK.test(text)
      ? "would let other machines in; allowed: 127.0.0.1:port, localhost:port or [::1]:port (service.health.listen may be open)"
      : undefined);
  check("/evaluation_interval", (text) =>
    (parseDuration(text) ?? EVALUATION_MS_MIN) < EVALUATION_MS_MIN ? `is too short; allowed: at least ${EVALUATION_MS_MIN}ms` : undefined);
  problems.push(...livenessProblems(tree));
  problems.push(...notificationProblems(tree));
  return problems;
}

/** `service`, or what is wrong with it. */
export interface ServiceResult {
  readonly service: ServiceConfig | undefined;
  /** As it may be shown. */
  readonly redacted: Json;
  readonly problems: readonly Problem[];
}

/** `service` validated, with defaults; and a copy that may be shown. */
export function serviceConfig(validator: Validator, tree: Tree): ServiceResult {
  const { value, redacted, problems: found } = validate(validator, serviceSchema, tree);
  const problems = [...found, ...further(tree)];
  if (problems.length > 0) return { service: undefined, redacted: null, problems };
  const { pipelines: _, ...given } = value as unknown as ServiceConfig & { pipelines?: unknown };
  const { pipelines: __, ...shown } = redacted as { readonly [key: string]: Json };
  const service = {
    ...given,
    storage: { directory: given.storage.directory },
    health: { listen: given.health.listen },
    api: { listen: given.api.listen, external_url: given.api.external_url },
  };
  return { service, redacted: shown, problems };
}
