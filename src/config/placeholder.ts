import type { Json } from "../sdk/observation.ts";
import type { Schema } from "./schema_walk.ts";
import type { Scalar } from "./tree.ts";

/** As long and as plain as keys are; valid hex and base64, too. */
const KEY = "0123456789abcdef0123456789abcdef";
const URL_LIKE = "https://placeholder.invalid/placeholder";
const ANYTHING: readonly Scalar["value"][] = [KEY, URL_LIKE, "placeholder", "someone@placeholder.invalid", "/placeholder", "127.0.0.1:1", "1h", "1MiB", 1, true];

/**
 * A value that the schemas of its place take; what stood in so far where none does. Its key says what a text without rules
 * probably is: components look closer than schemas do.
 */
export function placeholderFor({ path, value }: Scalar, schemas: readonly Schema[], accepts: (schema: Schema, value: Json) => boolean): Scalar["value"] {
  const key = /([^.[\]]*)(?:\[\d+\])*$/.exec(path)?.[1] ?? "";
  const likely = /url|uri|endpoint/i.test(key) ? [URL_LIKE] : /mail|^(?:from|to|cc)$/i.test(key) ? ["someone@placeholder.invalid"] : [];
  const ruled = schemas.filter((schema) => schema.type !== undefined || schema.enum !== undefined || schema.const !== undefined);
  const given = ruled.flatMap((schema) => [schema.default, schema.const, ...(schema.enum ?? [])]).filter(isScalar);
  return [...given, ...likely, ...ANYTHING].find((candidate) => ruled.some((schema) => accepts(schema, candidate))) ?? value;
}

function isScalar(value: Json | undefined): value is boolean | number | string {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}
