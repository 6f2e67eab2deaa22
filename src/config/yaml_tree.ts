import { isAlias, isMap, isScalar, isSeq, type Pair, type ParsedNode, type Scalar as YamlScalar } from "yaml";
import type { Place, Problem } from "./model.ts";
import { joinPath, type Entry, type Mapping, type Scalar, type Tree } from "./tree.ts";

export const DEPTH_MAX = 64;
/** Values that one file may hold once its aliases are followed. */
export const VALUES_MAX = 100_000;
const PROBLEMS_MAX = 20;

/** Thrown inside, to stop: the rest of the file would say nothing new. */
class Enough extends Error {}

/** Turns parsed YAML into a tree: aliases followed, `<<` merged, keys checked, everything bounded. */
export function yamlTree(
  root: ParsedNode,
  source: string,
  file: string,
  placeAt: (offset: number) => Place,
): { readonly tree: Tree } | { readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const anchors = new Map<string, Tree | "open">();
  const sizes = new Map<Tree, number>();

  function wrong(place: Place, path: string, message: string): void {
    problems.push({ place, path, message });
    if (problems.length >= PROBLEMS_MAX) throw new Enough();
  }

  function stop(place: Place, path: string, message: string): never {
    problems.push({ place, path, message });
    throw new Enough();
  }

  const place = (node: ParsedNode): Place => placeAt(node.range[0]);

  /** Values counted with every alias followed, so a bomb is known before it goes off. */
  function sized<T extends Tree>(tree: T, children: Iterable<Tree>): T {
    let size = 1;
    for (const item of children) size += sizes.get(item) ?? 1;
    if (size > VALUES_MAX) stop(tree.place, tree.path, `holds more than ${VALUES_MAX} values once its aliases are followed`);
    sizes.set(tree, size);
    return tree;
  }

  /** A map or list is where its key is: that is what a reader looks for when something is missing in it. */
  function build(node: ParsedNode, path: string, depth: number, keyAt = place(node)): Tree {
    if (depth > DEPTH_MAX) stop(place(node), path, `nested too deeply; at most ${DEPTH_MAX} levels`);
    if (isAlias(node)) return alias(node.source, place(node), path);
    const anchor = node.anchor;
    if (anchor !== undefined) anchors.set(anchor, "open");
    const tree = isMap(node)
      ? mapping(node.items as Pair<ParsedNode, ParsedNode | null>[], keyAt, path, depth)
      : isSeq(node)
        ? list(node.items as ParsedNode[], keyAt, path, depth)
        : scalar(node as YamlScalar.Parsed, path);
    if (anchor !== undefined) anchors.set(anchor, tree);
    return tree;
  }

  function alias(name: string, at: Place, path: string): Tree {
    const target = anchors.get(name);
    if (target === "open") stop(at, path, `the alias *${name} contains itself`);
    if (target === undefined) stop(at, path, `the alias *${name} has no anchor before it`);
    return target;
  }

  function list(items: readonly ParsedNode[], at: Place, path: string, depth: number): Tree {
    const trees = items.map((item, i) => build(item, `${path}[${i}]`, depth + 1));
    return sized({ kind: "list", items: trees, place: at, path }, trees);
  }

  function mapping(pairs: readonly Pair<ParsedNode, ParsedNode | null>[], at: Place, path: string, depth: number): Tree {
    const entries = new Map<string, Entry>();
    const merged: [Tree, Place][] = [];
    for (const pair of pairs) {
      const keyAt = pair.key === null ? at : place(pair.key);
      const key = keyText(pair.key, keyAt, path);
      if (key === undefined) continue;
      const below = joinPath(path, key);
      if (key === "<<") {
        if (pair.value !== null) merged.push([build(pair.value, below, depth + 1), keyAt]);
        continue;
      }
      const known = entries.get(key);
      if (known !== undefined) wrong(keyAt, below, `is given twice; first at line ${known.place.line}`);
      const value: Tree = pair.value === null ? empty(keyAt, below) : build(pair.value, below, depth + 1, keyAt);
      entries.set(key, { place: keyAt, value });
    }
    for (const [tree, keyAt] of merged) {
      for (const from of tree.kind === "list" ? tree.items : [tree]) {
        if (from.kind !== "map") wrong(keyAt, joinPath(path, "<<"), "merges maps only; give it a map, an alias of one, or a list of these");
        else for (const [key, entry] of from.entries) if (!entries.has(key)) entries.set(key, entry);
      }
    }
    const tree: Mapping = { kind: "map", entries, place: at, path };
    return sized(tree, [...entries.values()].map((entry) => entry.value));
  }

  const empty = (at: Place, path: string): Scalar =>
    ({ kind: "scalar", value: null, place: at, path, starts: undefined, interpolated: false, secrets: [] });

  function keyText(node: ParsedNode | null, at: Place, path: string): string | undefined {
    if (!isScalar(node) || node.value === null) {
      wrong(at, path, isScalar(node) || node === null ? "a key is missing here" : "a key must be a text, not a map, list or alias; a text that begins with { needs quotes");
      return undefined;
    }
    // `200:` or `true:` is taken as it is written.
    const text = typeof node.value === "string" ? node.value : ((node as YamlScalar.Parsed).source ?? "");
    if (text.length > 1024) stop(at, path, "a key may have at most 1024 characters");
    if (text === "__proto__") stop(at, path, "the key __proto__ is not allowed");
    if (text.includes("\0")) stop(at, path, "a key cannot hold a NUL character");
    return text;
  }

  function scalar(node: YamlScalar.Parsed, path: string): Scalar {
    const at = place(node);
    const { value } = node;
    if (typeof value === "string") {
      if (value.includes("\0")) wrong(at, path, "a text cannot hold a NUL character");
      return { ...empty(at, path), value, starts: starts(node, value) };
    }
    if (value === null || typeof value === "boolean") return { ...empty(at, path), value };
    if (typeof value !== "number") wrong(at, path, "this kind of value is not supported");
    else if (!Number.isFinite(value)) wrong(at, path, "is not a finite number");
    // Rounding a long id in silence would watch the wrong thing.
    else if (/^[-+]?\d+$/.test(node.source ?? "") && !Number.isSafeInteger(value)) {
      wrong(at, path, "is too large to be held exactly; put it in quotes to keep it as text");
    }
    return { ...empty(at, path), value: typeof value === "number" ? value : null };
  }

  /** Where each line of a text starts, if the file holds it character by character. */
  function starts(node: YamlScalar.Parsed, value: string): Place[] | undefined {
    const [start, end] = node.range;
    const raw = source.slice(start, end);
    if (raw === value) return [placeAt(start)];
    if (/^["']/.test(raw) && raw.slice(1, -1) === value && !value.includes("\n")) return [placeAt(start + 1)];
    if (node.type !== "BLOCK_LITERAL") return undefined;
    const head = placeAt(start).line;
    const rows = raw.split("\n").slice(1);
    const texts = value.split("\n");
    return texts.map((text, i) => ({ file, line: head + 1 + i, column: Math.max(0, (rows[i] ?? "").replace(/\r$/, "").length - text.length) + 1 }));
  }

  try {
    const tree = build(root, "", 0);
    return problems.length > 0 ? { problems } : { tree };
  } catch (error) {
    if (error instanceof Enough) return { problems };
    throw error;
  }
}
