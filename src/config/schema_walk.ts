import type { Json } from "../sdk/observation.ts";

/** A JSON Schema, as far as components use it. */
export interface Schema {
  readonly [keyword: string]: unknown;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema | boolean;
  readonly prefixItems?: readonly Schema[];
  readonly required?: readonly string[];
  readonly enum?: readonly Json[];
  readonly const?: Json;
  readonly default?: Json;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  /** Of a pattern of keys: how they are named to people. */
  readonly title?: string;
  readonly description?: string;
  readonly writeOnly?: boolean;
}

const DEREFERENCES_MAX = 32;

/** The schema that a local `$ref` means. */
function target(root: Schema, ref: string): Schema {
  let at: unknown = root;
  for (const key of ref.replace(/^#\/?/, "").split("/")) {
    if (key !== "") at = (at as Record<string, unknown> | undefined)?.[key.replaceAll("~1", "/").replaceAll("~0", "~")];
  }
  return (at ?? {}) as Schema;
}

/** The schema and everything it is composed of: references followed, all branches. */
export function flatten(root: Schema, schema: Schema, depth = 0): Schema[] {
  if (depth > DEREFERENCES_MAX) return [];
  const parts = [schema];
  const add = (part: unknown): void => {
    if (typeof part === "object" && part !== null) parts.push(...flatten(root, part as Schema, depth + 1));
  };
  if (schema.$ref !== undefined) add(target(root, schema.$ref));
  for (const branches of [schema.allOf, schema.anyOf, schema.oneOf]) branches?.forEach(add);
  add(schema["if"]);
  add(schema["then"]);
  add(schema["else"]);
  return parts;
}

/** Schemas that hold for the value under `key`, among those that hold for its parent. */
export function below(schemas: readonly Schema[], key: string | number): Schema[] {
  const found: Schema[] = [];
  const add = (schema: Schema | boolean | undefined): void => {
    if (typeof schema === "object") found.push(schema);
  };
  for (const schema of schemas) {
    if (typeof key === "number") {
      add(schema.prefixItems?.[key] ?? schema.items);
      continue;
    }
    let named = false;
    if (schema.properties !== undefined && Object.hasOwn(schema.properties, key)) {
      add(schema.properties[key]);
      named = true;
    }
    for (const [pattern, value] of Object.entries(schema.patternProperties ?? {})) {
      if (!new RegExp(pattern, "u").test(key)) continue;
      add(value);
      named = true;
    }
    if (!named) add(schema.additionalProperties);
  }
  return found;
}

/** Tells whether a value satisfies a schema within `root`. */
export type Accepts = (root: Schema, schema: Schema, value: Json) => boolean;

/**
 * A copy of a valid value with the schema's defaults filled in, also inside the branch of `oneOf` or `anyOf`
 * that the value takes (which ajv's `useDefaults` leaves out).
 */
export function withDefaults(root: Schema, schema: Schema, value: Json, accepts: Accepts, depth = 0): Json {
  if (value === null || typeof value !== "object" || depth > 100) return value;
  const parts = taken(root, schema, value, accepts);
  if (Array.isArray(value)) {
    return value.map((item: Json, i) => below(parts, i).reduce<Json>((filled, s) => withDefaults(root, s, filled, accepts, depth + 1), item));
  }
  const out: Record<string, Json> = { ...(value as Record<string, Json>) };
  for (const part of parts) {
    for (const [key, property] of Object.entries(part.properties ?? {})) {
      const given = defaultOf(root, property);
      if (!Object.hasOwn(out, key) && given !== undefined) out[key] = structuredClone(given);
    }
  }
  for (const key of Object.keys(out)) {
    out[key] = below(parts, key).reduce<Json>((filled, s) => withDefaults(root, s, filled, accepts, depth + 1), out[key]!);
  }
  return out;
}

function defaultOf(root: Schema, schema: Schema): Json | undefined {
  return schema.default ?? (schema.$ref === undefined ? undefined : target(root, schema.$ref).default);
}

/** Like `flatten`, but of several branches only the first that accepts the value. */
function taken(root: Schema, schema: Schema, value: Json, accepts: Accepts, depth = 0): Schema[] {
  if (depth > DEREFERENCES_MAX) return [];
  const parts = [schema];
  const add = (part: Schema): void => void parts.push(...taken(root, part, value, accepts, depth + 1));
  if (schema.$ref !== undefined) add(target(root, schema.$ref));
  schema.allOf?.forEach(add);
  for (const branches of [schema.anyOf, schema.oneOf]) {
    const branch = branches?.find((candidate) => accepts(root, candidate, value));
    if (branch !== undefined) add(branch);
  }
  const condition = schema["if"] as Schema | undefined;
  if (condition !== undefined) {
    const then = schema[accepts(root, condition, value) ? "then" : "else"] as Schema | undefined;
    if (then !== undefined) add(then);
  }
  return parts;
}
