import type { Schema } from "../../src/config/schema_walk.ts";

const FORMATS: Readonly<Record<string, string>> = {
  duration: "duration", size: "size", address: "address", glob: "glob", regex: "regular expression (RE2)", matcher: "matcher",
};

interface Section {
  readonly path: string;
  readonly schema: Schema;
}

/** Tables of a schema's keys: its own, then one for each map below it. */
export function keyTables(schema: Schema): string {
  const sections: Section[] = [];
  collect(schema, "", sections);
  return sections.map(({ path, schema: of }) => {
    const head = path === "" ? "" : `### \`${path}\`\n\n${of.description === undefined || path.endsWith("[]") || path.endsWith("<name>") ? "" : `${prose(of.description)}\n\n`}`;
    return head + table(["key", "type", "default", "what it is"], rows(of));
  }).join("\n");
}

/** A Markdown table; cells keep to their cell. */
export function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const lines = [row(head), row(head.map(() => "---")), ...body.map((cells) => row(cells.map(escaped)))];
  return `${lines.join("\n")}\n`;
}

function escaped(text: string): string {
  return prose(text).replaceAll("|", "\\|").replaceAll("\n", " ");
}

/** Outside of code, what Markdown would take for a tag or for emphasis is text. */
export function prose(text: string): string {
  return text.split(/(`[^`]*`)/).map((part) => (part.startsWith("`") ? part : part.replaceAll("<", "&lt;").replaceAll("__", "\\_\\_"))).join("");
}

function rows(schema: Schema): string[][] {
  const required = new Set(schema.required);
  const patterns = Object.values(schema.patternProperties ?? {}).filter(({ title }) => title !== undefined);
  return [...Object.entries(schema.properties ?? {}), ...patterns.map((value) => [value.title!, value] as const)].map(([key, value]) => [
    `\`${key}\``, typeOf(value), required.has(key) ? "required" : presetOf(value), notes(value),
  ]);
}

function presetOf({ default: preset }: Schema): string {
  return preset === undefined || JSON.stringify(preset) === "{}" || JSON.stringify(preset) === "[]" ? "" : `\`${typeof preset === "string" ? preset : JSON.stringify(preset)}\``;
}

function notes(schema: Schema): string {
  const inner = typeof schema.additionalProperties === "object" ? schema.additionalProperties : typeof schema.items === "object" ? schema.items : undefined;
  const expression = schema["expression"] ?? inner?.["expression"];
  const template = schema["template"] ?? inner?.["template"];
  const reads = (names: unknown): string => ((names as string[]).length === 0 ? "nothing" : (names as string[]).map((name) => `\`${name}\``).join(", "));
  return [
    schema.description ?? "",
    ...(expression === undefined ? [] : [`Reads ${reads(expression)}.`]),
    ...(template === undefined ? [] : [`Templates read ${reads(template)}.`]),
    ...(schema.writeOnly === true || inner?.writeOnly === true ? ["Never shown."] : []),
    ...limits(schema),
  ].filter((text) => text !== "").join(" ");
}

function limits({ minimum, maximum, maxItems }: Schema & { minimum?: number; maximum?: number; maxItems?: number }): string[] {
  const number = (n: number): string => n.toLocaleString("en-US");
  if (minimum !== undefined && maximum !== undefined) return [`From ${number(minimum)} to ${number(maximum)}.`];
  if (minimum !== undefined) return [`At least ${number(minimum)}.`];
  return maxItems === undefined ? [] : [`At most ${number(maxItems)}.`];
}

/** What may stand there, in words. */
function typeOf(schema: Schema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value as string)}\``).join(", ");
  if (schema.oneOf !== undefined || schema.anyOf !== undefined) return (schema.oneOf ?? schema.anyOf)!.map(typeOf).join(" or ");
  if (schema["expression"] !== undefined) return "expression";
  if (schema["template"] !== undefined) return "template";
  if (typeof schema["format"] === "string" && FORMATS[schema["format"]] !== undefined) return FORMATS[schema["format"]]!;
  if (schema.type === "array") return `list of ${plural(typeof schema.items === "object" ? typeOf(schema.items) : "anything")}`;
  if (schema.type === "object") return typeof schema.additionalProperties === "object" ? `map of names to ${plural(typeOf(schema.additionalProperties))}` : "map";
  return [schema.type ?? "anything"].flat().map((type) => (type === "string" ? "text" : type)).join(" or ");
}

function plural(type: string): string {
  if (/[`,]| of | or /.test(type) || type === "text" || type === "anything") return type;
  return type.endsWith(")") ? type.replace(" (", "s (") : `${type}s`;
}

/** Every map with keys of its own, in the order met, by its path: `auth.basic`, `rules[]`, `states.<name>`. */
function collect(schema: Schema, path: string, sections: Section[]): void {
  if (schema.properties !== undefined) sections.push({ path, schema });
  for (const [key, value] of Object.entries(schema.properties ?? {})) collect(value, path === "" ? key : `${path}.${key}`, sections);
  if (typeof schema.items === "object") collect(schema.items, `${path}[]`, sections);
  if (typeof schema.additionalProperties === "object") collect(schema.additionalProperties, `${path}.<name>`, sections);
  for (const branch of [...(schema.oneOf ?? []), ...(schema.anyOf ?? [])]) collect(branch, path, sections);
}
