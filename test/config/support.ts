import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ConfigLoader, type Loaded, type LoadOptions } from "../../src/config/load.ts";
import type { ComponentConfig, Problem } from "../../src/config/model.ts";
import type { AnyDefinition, AnySchema } from "../../src/sdk/component.ts";

function stub(kind: AnyDefinition["kind"], type: string, schema: object): AnyDefinition {
  return { kind, type, summary: `A stand-in for ${type}.`, stability: "alpha", schema: schema as AnySchema, create: () => ({ process: () => {} }) };
}

const OBSERVED = ["body", "attributes", "time", "source"];

/** Stand-ins for the real components, with every keyword that schemas may use. */
export const definitions: readonly AnyDefinition[] = [
  stub("receiver", "http_poll", {
    type: "object",
    additionalProperties: false,
    oneOf: [{ required: ["url"] }, { required: ["urls"] }],
    properties: {
      url: { type: "string", minLength: 1, description: "What to ask." },
      urls: { type: "array", minItems: 1, items: { type: "string" }, description: "Several." },
      method: { enum: ["GET", "POST"], default: "GET", description: "HTTP method." },
      interval: { type: "string", format: "duration", default: "10s", description: "How often." },
      retries: { type: "integer", minimum: 0, maximum: 10, default: 3, description: "How often again." },
      verbose: { type: "boolean", default: false, description: "Says more." },
      each: { type: "string", expression: OBSERVED, description: "A list." },
      headers: { type: "object", additionalProperties: { type: "string" }, description: "Request headers." },
      max_body_size: { type: "string", format: "size", default: "1MiB", description: "Larger fails." },
      auth: {
        description: "How to authenticate.",
        oneOf: [
          { type: "object", additionalProperties: false, required: ["basic"], properties: { basic: {
            type: "object", additionalProperties: false, required: ["username", "password"],
            properties: { username: { type: "string" }, password: { type: "string", writeOnly: true }, realm: { type: "string", default: "shop" } },
          } } },
          { type: "object", additionalProperties: false, required: ["bearer"], properties: { bearer: { type: "string", writeOnly: true } } },
        ],
      },
    },
  }),
  stub("receiver", "webhook", {
    type: "object",
    additionalProperties: false,
    required: ["listen", "path"],
    properties: {
      listen: { type: "string", format: "address", description: "Address." },
      path: { type: "string", pattern: "^/", description: "Path, from the root." },
    },
  }),
  stub("processor", "filter", {
    type: "object",
    additionalProperties: false,
    properties: { keep: { type: "string", expression: OBSERVED, description: "What to keep." }, match: { type: "string", format: "regex", description: "Pattern." } },
  }),
  stub("processor", "track", {
    type: "object",
    additionalProperties: false,
    required: ["type", "id"],
    properties: {
      type: { type: "string", pattern: "^[a-zA-Z][a-zA-Z0-9_.-]*$", description: "Type." },
      id: { type: "string", expression: OBSERVED, description: "What identifies it." },
      state: { type: "string", expression: OBSERVED, description: "Its state." },
      time: { type: "string", expression: OBSERVED, description: "When." },
      states: {
        type: "object",
        description: "States.",
        additionalProperties: {
          type: "object",
          additionalProperties: false,
          properties: {
            since: { type: "string", expression: OBSERVED },
            stuck_after: { type: "string", format: "duration" },
            terminal: { type: "boolean", default: false },
            alert: { oneOf: [{ type: "boolean" }, { type: "object", additionalProperties: false, properties: { severity: { type: "string" }, resolve_after: { type: "string", format: "duration", default: "24h" } } }] },
          },
        },
      },
    },
  }),
  stub("processor", "threshold", {
    type: "object",
    additionalProperties: false,
    required: ["rules"],
    properties: {
      rules: {
        type: "array",
        minItems: 1,
        items: {
          type: "object",
          additionalProperties: false,
          required: ["alert", "expr"],
          properties: {
            alert: { type: "string", minLength: 1 },
            expr: { type: "string", expression: ["self"] },
            for: { type: "string", format: "duration", default: "0s" },
            annotations: { type: "object", additionalProperties: { type: "string", template: ["self"] } },
          },
        },
      },
    },
  }),
  stub("exporter", "slack", {
    type: "object",
    additionalProperties: false,
    required: ["webhook_url"],
    properties: {
      webhook_url: { type: "string", writeOnly: true, description: "Incoming webhook URL." },
      channel: { type: "string", description: "Where to." },
      alerts_max: { type: "integer", minimum: 1, default: 20, description: "Spelled out." },
    },
  }),
  stub("exporter", "prometheus", {
    type: "object",
    additionalProperties: false,
    properties: { listen: { type: "string", format: "address", default: "127.0.0.1:9464", description: "Address." } },
  }),
];

export interface Workspace extends AsyncDisposable {
  readonly directory: string;
  write(name: string, content: string | Uint8Array): Promise<string>;
  remove(name: string): Promise<void>;
  path(name: string): string;
  loader(options?: Partial<LoadOptions>): ConfigLoader;
  /** Loads once, from the whole directory unless told otherwise. */
  load(options?: Partial<LoadOptions>): Promise<Loaded>;
  /** Problems as a person reads them, without the directory. */
  said(problems: readonly Problem[]): string[];
}

/** A directory of configuration files that is gone in the end. */
export async function workspace(files: Readonly<Record<string, string | Uint8Array>> = {}): Promise<Workspace> {
  const directory = await mkdtemp(join(tmpdir(), "sojourn-config-"));
  const path = (name: string): string => join(directory, name);
  const made: Workspace = {
    directory,
    path,
    async write(name, content) {
      await mkdir(dirname(path(name)), { recursive: true });
      await writeFile(path(name), content);
      return path(name);
    },
    remove: (name) => rm(path(name), { recursive: true, force: true }),
    loader: (options) => new ConfigLoader({ sources: [directory], env: {}, definitions, ...options }),
    load: (options) => made.loader(options).load(),
    said: (problems) => problems.map(({ place, path: dotted, message }) =>
      `${place.file}:${place.line}:${place.column} ${dotted}: ${message}`.replaceAll(`${directory}/`, "")),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
  for (const [name, content] of Object.entries(files)) await made.write(name, content);
  return made;
}

export function ids(loaded: Loaded): string[] {
  return loaded.wanted.components.map((component) => component.id);
}

export function component(loaded: Loaded, id: string): ComponentConfig {
  const found = loaded.wanted.components.find((made) => made.id === id);
  if (found === undefined) throw new Error(`no component ${id}; there are: ${ids(loaded).join(", ")}`);
  return found;
}

/** What one file says wrong, alone in its directory. */
export async function problemsOf(yaml: string, env: Readonly<Record<string, string>> = {}): Promise<string[]> {
  await using place = await workspace({ "a.yaml": yaml });
  return place.said((await place.load({ env })).problems);
}
