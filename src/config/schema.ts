import type { AnyDefinition } from "../sdk/component.ts";
import type { Json } from "../sdk/observation.ts";
import { monitorKeys } from "./monitors.ts";
import type { Schema } from "./schema_walk.ts";
import { serviceSchema } from "./service.ts";
import { testSchema } from "./tests_schema.ts";

type Draft = Record<string, unknown>;

// As far as an editor is concerned; what is inside is checked when the file is loaded.
const INTERPOLATED = { type: "string", pattern: "\\$\\{" };
const NAME = "[A-Za-z0-9_.-]{1,100}(#\\d{1,3})?";

const HINTS: Readonly<Record<string, string>> = {
  duration: "A duration such as 30s, 30m, 1h30m or 7d.",
  size: "A size such as 500kB or 1MiB.",
  address: "An address: host:port, :port or [v6]:port.",
  glob: "A glob.",
  regex: "A regular expression, RE2 syntax.",
  matcher: "A matcher such as severity=critical or region=~\"eu-.*\".",
};

/**
 * Makes a schema that any editor understands: our formats and keywords become part of the description, and a number or
 * boolean may as well be given as `${env:NAME}`. `at` is where the schema will stand, for its references.
 */
function forEditors(schema: unknown, at = "#"): unknown {
  const inside = (inner: unknown): unknown => forEditors(inner, at);
  if (Array.isArray(schema)) return schema.map(inside);
  if (schema === null || typeof schema !== "object") return schema;
  const { expression, template, format, ...rest } = schema as Draft;
  const out: Draft = {};
  for (const [key, value] of Object.entries(rest)) {
    // These hold values, not schemas.
    out[key] = ["enum", "const", "default", "examples", "required"].includes(key)
      ? value
      : ["properties", "patternProperties", "$defs"].includes(key)
        ? Object.fromEntries(Object.entries(value as Draft).map(([name, inner]) => [name, inside(inner)]))
        : key === "$ref"
          ? String(value).replace(/^#/, at)
          : inside(value);
  }
  const hints: string[] = [];
  if (Array.isArray(expression)) hints.push(`CEL; reads ${expression.join(", ") || "nothing"}.`);
  if (Array.isArray(template)) hints.push(`Text with CEL in {{ }}; reads ${template.join(", ") || "nothing"}.`);
  if (typeof format === "string") {
    if (HINTS[format] === undefined) out["format"] = format;
    else hints.push(HINTS[format]);
  }
  if (hints.length > 0) out["description"] = [out["description"], ...hints].filter((text) => typeof text === "string").join(" ");
  return interpolatable(out);
}

function interpolatable(schema: Draft): Draft {
  const types = [schema["type"]].flat();
  const scalar = types.some((type) => type === "integer" || type === "number" || type === "boolean");
  const plainEnum = Array.isArray(schema["enum"]);
  if (!plainEnum && (!scalar || types.includes("string"))) return schema;
  const { description, default: preset, ...rest } = schema;
  return {
    ...(description === undefined ? {} : { description }),
    ...(preset === undefined ? {} : { default: preset }),
    anyOf: [rest, INTERPOLATED],
  };
}

/** JSON Schema of one component's configuration, for editors. */
export function componentSchema(definition: AnyDefinition): Json {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: `${definition.kind} ${definition.type}`,
    description: definition.summary,
    ...(forEditors(definition.schema) as Record<string, Json>),
  };
}

/** JSON Schema (2020-12) of a whole configuration, for editors. Loading checks more: references, expressions, ids. */
export function configSchema(definitions: readonly AnyDefinition[]): Json {
  const $defs: Draft = {};
  const nameOf = (d: AnyDefinition): string => `${d.kind}.${d.type}`;
  for (const definition of definitions) {
    $defs[nameOf(definition)] = { description: definition.summary, ...(forEditors(definition.schema, `#/$defs/${nameOf(definition)}`) as Draft) };
  }
  const components = (kind: AnyDefinition["kind"], description: string): Draft => ({
    type: ["object", "null"],
    description,
    additionalProperties: false,
    patternProperties: Object.fromEntries(
      definitions
        .filter((d) => d.kind === kind)
        .map((d) => [`^${d.type}(/${NAME})?$`, { description: d.summary, anyOf: [{ $ref: `#/$defs/${nameOf(d)}` }, { type: "null" }] }]),
    ),
  });
  const use = (kind: AnyDefinition["kind"]): Draft => ({
    anyOf: [
      { type: "string", description: `Id of a ${kind}.` },
      { ...components(kind, `A ${kind}, right here.`), type: "object", minProperties: 1 },
    ],
  });
  const uses = (kind: AnyDefinition["kind"]): Draft => ({ type: ["array", "null"], description: `The ${kind}s, in order.`, items: use(kind) });
  const loose = (kind: AnyDefinition["kind"], description: string): Draft => ({
    description,
    anyOf: [use(kind), { type: "array", items: use(kind) }],
  });
  const pipeline: Draft = {
    type: "object",
    description: "Receivers, processors and exporters, wired.",
    additionalProperties: false,
    required: ["receivers"],
    properties: { receivers: uses("receiver"), processors: uses("processor"), exporters: uses("exporter") },
  };
  const service = forEditors(serviceSchema) as { properties: Draft };
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Sojourn configuration",
    type: "object",
    additionalProperties: false,
    properties: {
      version: { const: 1, description: "Version of this format." },
      receivers: components("receiver", "Where observations come from."),
      processors: components("processor", "What happens to them."),
      exporters: components("exporter", "Where observations, metrics and alerts go."),
      monitors: {
        type: ["object", "null"],
        description: "Shorthand: one resource type each.",
        additionalProperties: monitor(definitions, loose),
      },
      service: {
        ...service,
        type: ["object", "null"],
        properties: { ...service.properties, pipelines: { type: ["object", "null"], additionalProperties: pipeline } },
      },
      tests: { type: ["array", "null"], description: "Run by sojourn test.", items: forEditors(testSchema) },
    },
    $defs,
  } as unknown as Json;
}

function monitor(definitions: readonly AnyDefinition[], loose: (kind: AnyDefinition["kind"], description: string) => Draft): Draft {
  const schemaOf = (type: string): Schema => (definitions.find((d) => d.kind === "processor" && d.type === type)?.schema ?? {}) as Schema;
  const { type: _, ...track } = schemaOf("track").properties ?? {};
  const required = (schemaOf("track").required ?? []).filter((key) => key !== "type");
  return {
    type: "object",
    description: "The resources of one type: where they come from, what is wrong with them, whom to tell.",
    additionalProperties: false,
    required: ["from", ...required],
    properties: {
      ...Object.fromEntries(Object.entries(track).map(([key, value]) => [key, forEditors(value)])),
      from: loose("receiver", monitorKeys["from"]!),
      processors: loose("processor", monitorKeys["processors"]!),
      rules: { description: monitorKeys["rules"], ...(forEditors(schemaOf("threshold").properties?.["rules"] ?? {}) as Draft) },
      notify: loose("exporter", monitorKeys["notify"]!),
    },
  };
}
