import { stringify } from "yaml";
import { serviceSchema } from "../../src/config/service.ts";
import type { Schema } from "../../src/config/schema_walk.ts";
import { testSchema } from "../../src/config/tests_schema.ts";
import { CATALOGUE, type CatalogueEntry } from "../../src/metrics/catalogue.ts";
import type { AnyDefinition } from "../../src/sdk/component.ts";
import { keyTables, prose, table } from "./keys.ts";

const NOTE = "<!-- Generated from the code by `npm run generate`; changes here are lost. -->\n\n";
const KINDS = ["receiver", "processor", "exporter"] as const;

const pathOf = ({ kind, type }: AnyDefinition): string => `${kind}_${type}.md`;

/** The reference of one component. */
export function componentPage(definition: AnyDefinition): string {
  const { kind, type, summary, stability } = definition;
  const schema = definition.schema as Schema;
  const examples = (schema["examples"] as Readonly<Record<string, unknown>>[] | undefined) ?? [];
  const example = (config: object, i: number): string => {
    const id = i === 0 ? type : `${type}/${i + 1}`;
    return `\`\`\`yaml\n${stringify({ [`${kind}s`]: { [id]: config } }, { lineWidth: 120 })}\`\`\`\n`;
  };
  return [
    `${NOTE}# ${kind} \`${type}\`\n\n${prose(summary)}\n\nStability: ${stability}.\n`,
    `## Keys\n\n${keyTables(schema)}`,
    ...(examples.length > 0 ? [`## ${examples.length === 1 ? "Example" : "Examples"}\n\n${examples.map(example).join("\n")}`] : []),
  ].join("\n");
}

/** The reference of `service`. */
export function servicePage(): string {
  return `${NOTE}# \`service\`\n\n${prose(serviceSchema.description!)}\n\n${keyTables(serviceSchema)}`;
}

/** The reference of `tests`. */
export function testsPage(): string {
  const examples = testSchema["examples"] as readonly object[];
  const yaml = stringify({ tests: examples }, { lineWidth: 120 });
  return `${NOTE}# \`tests\`\n\n${prose(testSchema.description!)}\n\n## Keys\n\n${keyTables(testSchema)}\n## Example\n\n\`\`\`yaml\n${yaml}\`\`\`\n`;
}

/** Every component and page, for who looks for one. */
export function indexPage(definitions: readonly AnyDefinition[]): string {
  const sections = KINDS.map((kind) => {
    const own = definitions.filter((definition) => definition.kind === kind).toSorted((a, b) => (a.type < b.type ? -1 : 1));
    const rows = own.map((definition) => [`[\`${definition.type}\`](${pathOf(definition)})`, definition.stability, definition.summary]);
    return `## ${kind[0]!.toUpperCase()}${kind.slice(1)}s\n\n${table(["type", "stability", "what it does"], rows)}`;
  });
  const more = [
    "- [`service`](service.md): what concerns the agent as a whole.",
    "- [`tests`](tests.md): what a configuration promises, run by `sojourn test`.",
    "- [Metrics](metrics.md) of the agent itself.",
    "- [JSON Schema](../schema/sojourn.schema.json) of the whole configuration, for editors (`sojourn schema`).",
  ];
  return `${NOTE}# Reference\n\n${sections.join("\n")}\n## Further\n\n${more.join("\n")}\n`;
}

/** Every metric of the agent itself. */
export function metricsPage(): string {
  const entries = Object.values<CatalogueEntry>(CATALOGUE).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const rows = entries.map(({ name, kind, labels, help, durable }) => [
    `\`${name}\``, kind.replace("observable_", ""), labels.map((label) => `\`${label}\``).join(", "), `${help}${durable === true ? " Survives restarts." : ""}`,
  ]);
  return (
    `${NOTE}# Metrics\n\nWhat the agent says of itself and of resources. Those of the \`metrics\` processor and of single components come on top.\n\n` +
    table(["name", "type", "labels", "what it is"], rows)
  );
}
