import type { Issues } from "./issues.ts";
import type { ComponentKind, Place } from "./model.ts";
import { isNull, mappingAt, type Tree } from "./tree.ts";

/** A component that a pipeline or monitor names or holds. */
export interface Use {
  readonly id: string;
  readonly place: Place;
  readonly path: string;
  /** Its configuration, when it is written right there. */
  readonly inline: Tree | undefined;
}

const NAME = /^[A-Za-z0-9_.-]{1,100}$/;
// The number is what an inline component gets (below); taken as written, so that what is printed can be loaded.
const ID_NAME = /^[A-Za-z0-9_.-]{1,100}(?:#\d{1,3})?$/;
const TYPE = /^[a-z][a-z0-9_]{0,63}$/;

/** What is wrong with a component id, or undefined. */
export function idError(id: string): string | undefined {
  const slash = id.indexOf("/");
  if (!TYPE.test(slash === -1 ? id : id.slice(0, slash))) return "is no component id; allowed: type or type/name, as in http_poll/orders";
  if (slash !== -1 && !ID_NAME.test(id.slice(slash + 1))) return "has a wrong name; allowed after the /: letters, digits, _ - and . (at most 100)";
  return undefined;
}

export const typeOf = (id: string): string => id.split("/", 1)[0]!;

/** A pipeline's or monitor's name. */
export const isName = (name: string): boolean => NAME.test(name);

/**
 * Reads a list of components: ids, or maps with one component each (`- filter: { keep: … }`). With `loose`, a single id
 * and a map of several components will do as well (the monitor's `from` and `notify`).
 *
 * An inline component without a name gets one from its owner and its number among those of its type there
 * (`nameOf`), so that edits to the others, and to what has an id, leave it the instance that it is.
 */
export function readUses(
  tree: Tree | undefined,
  kind: ComponentKind,
  loose: boolean,
  nameOf: (type: string, ordinal: number) => string,
  issues: Issues,
): Use[] {
  if (tree === undefined || isNull(tree)) return [];
  const uses: Use[] = [];
  const ordinals = new Map<string, number>();
  const ids = new Set<string>();
  const wrong = (at: { place: Place; path: string }, message: string): void => issues.add(at, message);

  function add(item: Tree): void {
    if (item.kind === "scalar" && typeof item.value === "string") {
      if (ids.size === ids.add(item.value).size) wrong(item, `lists ${kind} ${item.value.slice(0, 200)} twice`);
      else uses.push({ id: item.value, place: item.place, path: item.path, inline: undefined });
    } else if (item.kind === "map") {
      if (item.entries.size !== 1 && !loose) return wrong(item, `must be one ${kind}: an id, or a map with one key, its type`);
      for (const [key, entry] of item.entries) {
        const bad = idError(key);
        if (bad !== undefined) wrong({ place: entry.place, path: entry.value.path }, bad);
        const ordinal = (ordinals.get(key) ?? 0) + 1;
        ordinals.set(key, ordinal);
        const inline = isNull(entry.value) ? mappingAt([], { place: entry.place, path: entry.value.path }) : entry.value;
        if (bad === undefined) uses.push({ id: key.includes("/") ? key : nameOf(key, ordinal), place: entry.place, path: entry.value.path, inline });
      }
    } else wrong(item, `must be one ${kind}: an id, or a map with one key, its type`);
  }

  if (tree.kind === "list") tree.items.forEach(add);
  else if (loose) add(tree);
  else wrong(tree, `must be a list of ${kind}s`);
  return uses;
}
