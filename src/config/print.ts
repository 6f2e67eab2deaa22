import { stringify } from "yaml";
import type { Json } from "../sdk/observation.ts";
import type { ComponentConfig, Wanted } from "./model.ts";
import { redactJson } from "./redact.ts";
import { serviceSchema } from "./service.ts";

export type PrintMode = "redacted" | "unredacted";

/**
 * The configuration that runs, in the long form: monitors and inline components written out, variables filled in, defaults
 * given. Unredacted it holds secrets, and loads as the same configuration.
 */
export function printConfig(wanted: Wanted, mode: PrintMode): string {
  const section = (kind: ComponentConfig["kind"]): Record<string, Json> =>
    Object.fromEntries(wanted.components.filter((c) => c.kind === kind).map((c) => [c.id, mode === "redacted" ? c.redacted : c.config]));
  const pipelines = Object.fromEntries(
    wanted.pipelines.map(({ name, receivers, processors, exporters }) => [name, { receivers, processors, exporters }]),
  );
  const service = withoutUndefined(wanted.service as unknown as Json);
  const shown = mode === "unredacted" ? service : (wanted.serviceRedacted ?? redactJson(serviceSchema, service, undefined));
  const document = {
    version: 1,
    receivers: section("receiver"),
    processors: section("processor"),
    exporters: section("exporter"),
    service: { ...(withoutUndefined(shown) as Record<string, Json>), pipelines },
  };
  return stringify(escaped(document), { lineWidth: 120, aliasDuplicateObjects: false });
}

/** What would be taken for a variable is escaped. */
function escaped(value: unknown): unknown {
  if (typeof value === "string") return value.replace(/\$(?=[${])/g, "$$$$");
  if (Array.isArray(value)) return value.map(escaped);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, escaped(item)]));
}

function withoutUndefined(value: Json): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}
