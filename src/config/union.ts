import type { Json } from "../sdk/observation.ts";
import { canonical } from "./fingerprint.ts";
import type { Problem } from "./model.ts";
import { isNull, toJson, type Entry, type Mapping, type Tree } from "./tree.ts";

/** Sections of a configuration whose entries are components, by id. */
export const COMPONENT_SECTIONS = { receivers: "receiver", processors: "processor", exporters: "exporter" } as const;

/** One file's share of a directory. */
export interface Share {
  readonly tree: Mapping;
  /** Its last good version is in use: what it defines is running. */
  readonly frozen: boolean;
}

export interface United {
  readonly tree: Mapping;
  /** What each defined thing says, by its path: to tell at the next load which of two is the running one. */
  readonly units: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
}

// Components, monitors, pipelines and plain values are each taken whole; what holds them is united.
function isUnit(trail: readonly string[], tree: Tree): boolean {
  if (tree.kind !== "map") return true;
  if (trail[0] !== "service") return trail.length >= 2;
  return trail[1] === "pipelines" && trail.length >= 3;
}

/** An empty value is the same as an empty map: `prometheus:` and `prometheus: {}`. */
function said(tree: Tree): string {
  const value: Json = toJson(tree);
  return canonical(value === null ? {} : value);
}

/**
 * Adds up the files of a directory, given in the order of their names. The same thing twice is one thing when it is equal;
 * when it differs the running one stays, else the first, and the other is a problem that names both places.
 */
export function unite(shares: readonly Share[], running: ReadonlyMap<string, string>): United {
  const units = new Map<string, string>();
  const problems: Problem[] = [];
  const owners = new Map<Tree, boolean>();

  function uniteInto(entries: Map<string, Entry>, from: Mapping, trail: readonly string[], frozen: boolean): void {
    for (const [key, entry] of from.entries) {
      const below = [...trail, key];
      const known = entries.get(key);
      if (isNull(entry.value) && !isUnit(below, from)) {
        if (known === undefined) entries.set(key, entry);
      } else if (key === "tests" && trail.length === 0) {
        entries.set(key, known === undefined ? entry : { place: known.place, value: appended(known.value, entry.value) });
      } else if (!isUnit(below, entry.value) && (known === undefined || isNull(known.value) || known.value.kind === "map")) {
        const inner = new Map(known?.value.kind === "map" ? known.value.entries : []);
        uniteInto(inner, entry.value as Mapping, below, frozen);
        const at = known !== undefined && !isNull(known.value) ? known : entry;
        entries.set(key, { place: at.place, value: { kind: "map", entries: inner, place: at.value.place, path: entry.value.path } });
      } else unit(entries, key, entry, below.join("\n"), frozen);
    }
  }

  function unit(entries: Map<string, Entry>, key: string, entry: Entry, name: string, frozen: boolean): void {
    const known = entries.get(key);
    const text = said(entry.value);
    if (known === undefined || isNull(known.value) && isNull(entry.value)) {
      entries.set(key, entry);
      owners.set(entry.value, frozen);
      units.set(name, text);
      return;
    }
    if (units.get(name) === text) return;
    const ran = running.get(name);
    const wins = ran === text || (ran !== units.get(name) && frozen && owners.get(known.value) !== true);
    const [winner, loser] = wins ? [entry, known] : [known, entry];
    if (wins) {
      entries.set(key, entry);
      owners.set(entry.value, frozen);
      units.set(name, text);
    }
    const { file, line, column } = winner.place;
    const message = `is defined differently at ${file}:${line}:${column}, which stays; make both equal, or rename one`;
    problems.push({ place: loser.place, path: loser.value.path, message });
  }

  const entries = new Map<string, Entry>();
  for (const share of shares) uniteInto(entries, share.tree, [], share.frozen);
  const first = shares[0]?.tree;
  const place = first?.place ?? { file: "", line: 1, column: 1 };
  return { tree: { kind: "map", entries, place, path: "" }, units, problems };
}

function appended(earlier: Tree, later: Tree): Tree {
  if (earlier.kind !== "list") return later;
  return later.kind === "list" ? { ...earlier, items: [...earlier.items, ...later.items] } : earlier;
}
