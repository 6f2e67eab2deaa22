import { isDeepStrictEqual } from "node:util";
import type { Json } from "../../sdk/observation.ts";

/** Where two values differ: the path within, what should be there and what is. */
export type Difference = readonly [path: string, expected: Json | undefined, got: Json | undefined];

type Map_ = Readonly<Record<string, Json>>;

const isMap = (value: Json | undefined): value is Map_ => typeof value === "object" && value !== null && !Array.isArray(value);

const own = (map: Map_, key: string): Json | undefined => (Object.hasOwn(map, key) ? map[key] : undefined);

/**
 * Where `got` is not as expected: of a map only the keys that are expected are looked at, at any depth; a list must have as
 * many items, each as expected; anything else must be equal.
 */
export function* subsetDifferences(expected: Json, got: Json | undefined, path = ""): Iterable<Difference> {
  if (isMap(expected) && isMap(got)) {
    for (const [key, value] of Object.entries(expected)) yield* subsetDifferences(value, own(got, key), path === "" ? key : `${path}.${key}`);
  } else if (Array.isArray(expected) && Array.isArray(got) && expected.length === got.length) {
    for (const [i, value] of (expected as readonly Json[]).entries()) yield* subsetDifferences(value, (got as readonly Json[])[i], `${path}[${i}]`);
  } else if (!isDeepStrictEqual(expected, got)) {
    yield [path, expected, got];
  }
}

/** What of `got` is worth showing beside `like`: of a map the keys that `like` has. */
export function likeExpected(got: Json, like: Json): Json {
  if (isMap(got) && isMap(like)) {
    // Defines own properties, `__proto__` too.
    return Object.fromEntries(Object.keys(like).flatMap((key) => (Object.hasOwn(got, key) ? [[key, likeExpected(got[key]!, like[key]!)] as const] : [])));
  }
  if (!Array.isArray(got) || !Array.isArray(like)) return got;
  return (got as readonly Json[]).map((item, i) => likeExpected(item, (like as readonly Json[])[i] ?? (like as readonly Json[]).at(-1) ?? item));
}
