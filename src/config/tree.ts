import type { Json } from "../sdk/observation.ts";
import type { Place } from "./model.ts";

/** Part of a text, in UTF-16 units. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A value with no values in it. */
export interface Scalar {
  readonly kind: "scalar";
  readonly value: null | boolean | number | string;
  readonly place: Place;
  /** Dotted path in its file. */
  readonly path: string;
  /** Where each line of the text starts in the file; undefined where text and file differ (escapes, folding). */
  readonly starts: readonly Place[] | undefined;
  /** Some of the text came from a variable or a file. */
  readonly interpolated: boolean;
  /** Parts of the text that came from something that looks secret. */
  readonly secrets: readonly Span[];
  /** The whole of it stands in for a value that nobody gave: anything that the schema takes will do. */
  readonly placeholder?: boolean;
}

export interface List {
  readonly kind: "list";
  readonly items: readonly Tree[];
  readonly place: Place;
  readonly path: string;
}

export interface Entry {
  /** Where the key is written. */
  readonly place: Place;
  readonly value: Tree;
}

export interface Mapping {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, Entry>;
  readonly place: Place;
  readonly path: string;
}

/** A configuration as written: JSON whose every value knows its place. */
export type Tree = Scalar | List | Mapping;

/** A scalar that no file holds: a generated id, say. */
export function scalarAt(value: Scalar["value"], at: { place: Place; path: string }): Scalar {
  const { place, path } = at;
  return { kind: "scalar", value, place, path, starts: undefined, interpolated: false, secrets: [] };
}

/** A map made of entries from elsewhere; errors about the whole of it point at `at`. */
export function mappingAt(entries: Iterable<readonly [string, Entry]>, at: { place: Place; path: string }): Mapping {
  return { kind: "map", entries: new Map(entries), place: at.place, path: at.path };
}

export function isNull(tree: Tree | undefined): boolean {
  return tree === undefined || (tree.kind === "scalar" && tree.value === null);
}

/** The value as plain JSON. Keys are own properties: `__proto__` is refused where YAML is read. */
export function toJson(tree: Tree): Json {
  if (tree.kind === "scalar") return tree.value;
  if (tree.kind === "list") return tree.items.map(toJson);
  const out: Record<string, Json> = {};
  for (const [key, entry] of tree.entries) out[key] = toJson(entry.value);
  return out;
}

/** Appends a key to a dotted path. */
export function joinPath(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

/** Keys of a JSON pointer. */
export function pointerKeys(pointer: string): string[] {
  if (pointer === "") return [];
  return pointer.slice(1).split("/").map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
}

export function child(tree: Tree, key: string): Tree | undefined {
  if (tree.kind === "map") return tree.entries.get(key)?.value;
  return tree.kind === "list" && /^\d{1,9}$/.test(key) ? tree.items[Number(key)] : undefined;
}

/** What is written at a JSON pointer, or the nearest thing around it. `exact` tells which. */
export function find(tree: Tree, pointer: string): { readonly tree: Tree; readonly exact: boolean; readonly rest: readonly string[] } {
  const keys = pointerKeys(pointer);
  for (let i = 0; i < keys.length; i++) {
    const next = child(tree, keys[i]!);
    if (next === undefined) return { tree, exact: false, rest: keys.slice(i) };
    tree = next;
  }
  return { tree, exact: true, rest: [] };
}

/** Place and path of a JSON pointer; a missing value is located at what should hold it. */
export function locate(tree: Tree, pointer: string): { readonly place: Place; readonly path: string } {
  const found = find(tree, pointer);
  return { place: found.tree.place, path: found.rest.reduce(joinPath, found.tree.path) };
}

/** Where the key is that a JSON pointer ends in; where there is none, as `locate`. */
export function locateKey(tree: Tree, pointer: string): { readonly place: Place; readonly path: string } {
  const cut = pointer.lastIndexOf("/");
  const parent = find(tree, pointer.slice(0, Math.max(0, cut)));
  const key = pointerKeys(pointer).at(-1) ?? "";
  const entry = parent.exact && parent.tree.kind === "map" ? parent.tree.entries.get(key) : undefined;
  return entry === undefined ? locate(tree, pointer) : { place: entry.place, path: entry.value.path };
}

/** Where a character of a text is written; the text's own place where that cannot be told. */
export function placeInText(scalar: Scalar, offset: number): Place {
  if (scalar.starts === undefined || typeof scalar.value !== "string" || scalar.interpolated) return scalar.place;
  const before = scalar.value.slice(0, Math.max(0, offset)).split("\n");
  const start = scalar.starts[before.length - 1];
  return start === undefined ? scalar.place : { ...start, column: start.column + before.at(-1)!.length };
}

/** Later wins, maps deep, lists replaced: as the Collector merges several `--config`. */
export function mergeTrees(earlier: Tree, later: Tree): Tree {
  if (earlier.kind !== "map" || later.kind !== "map") return later;
  const entries = new Map(earlier.entries);
  for (const [key, entry] of later.entries) {
    const before = entries.get(key);
    entries.set(key, before === undefined ? entry : { place: entry.place, value: mergeTrees(before.value, entry.value) });
  }
  return { kind: "map", entries, place: later.entries.size > 0 ? later.place : earlier.place, path: earlier.path };
}
