import type { Json } from "../../src/sdk/observation.ts";
import type { Schema } from "../../src/config/schema_walk.ts";

/** A schema somewhere in a component's schema. */
export interface Node {
  /** `auth.basic.password`, `headers.*`, `signature.secrets.*`. */
  readonly path: string;
  readonly schema: Schema;
  /** It is the value of a key that the schema names. */
  readonly named: boolean;
}

/** Every schema in a schema, itself included, in the order written. */
export function* nodesOf(schema: Schema, path = "", named = false): Generator<Node> {
  yield { path, schema, named };
  const at = (key: string): string => (path === "" ? key : `${path}.${key}`);
  for (const [key, value] of Object.entries({ ...schema.properties, ...schema.patternProperties })) yield* nodesOf(value, at(key), true);
  for (const value of Object.values(schema.$defs ?? {})) yield* nodesOf(value, path, false);
  for (const value of [schema.additionalProperties, schema.items]) if (typeof value === "object") yield* nodesOf(value, at("*"), false);
  for (const branch of [...(schema.oneOf ?? []), ...(schema.anyOf ?? []), ...(schema.allOf ?? []), ...(schema.prefixItems ?? [])]) {
    yield* nodesOf(branch, path, false);
  }
}

/** Paths of all secrets. */
export function secretPaths(schema: Schema): string[] {
  return [...nodesOf(schema)].filter((node) => node.schema.writeOnly === true).map(({ path }) => path);
}

/** What a configuration has at a path; `*` stands for every key and index. */
export function valuesAt(value: Json | undefined, path: string): Json[] {
  if (value === undefined) return [];
  if (path === "") return [value];
  if (value === null || typeof value !== "object") return [];
  const [key = "", ...rest] = path.split(".");
  const below = key === "*" ? Object.values(value) : [(value as Record<string, Json>)[key]];
  return below.flatMap((item) => valuesAt(item, rest.join(".")));
}

/** A copy in which what is at the path is replaced. */
export function replacedAt(value: Json, path: string, by: Json): Json {
  if (path === "") return by;
  if (value === null || typeof value !== "object") return value;
  const [key = "", ...rest] = path.split(".");
  const replaced = (item: Json): Json => replacedAt(item, rest.join("."), by);
  if (Array.isArray(value)) return value.map((item: Json) => replaced(item));
  return Object.fromEntries(Object.entries(value as Record<string, Json>).map(([name, item]) => [name, key === "*" || key === name ? replaced(item) : item]));
}
