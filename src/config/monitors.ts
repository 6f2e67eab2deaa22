import type { AnyDefinition } from "../sdk/component.ts";
import type { Issues } from "./issues.ts";
import type { Place } from "./model.ts";
import type { Schema } from "./schema_walk.ts";
import { suggestion } from "../sdk/suggest.ts";
import { isNull, mappingAt, scalarAt, type Entry, type Mapping, type Tree } from "./tree.ts";
import { isName, readUses, type Use } from "./uses.ts";

/** A monitor written out: one pipeline and what it holds. */
export interface Expansion {
  readonly name: string;
  readonly place: Place;
  readonly path: string;
  readonly tree: Mapping;
  readonly receivers: readonly Use[];
  readonly processors: readonly Use[];
  readonly exporters: readonly Use[];
}

const OWN_KEYS: Readonly<Record<string, string>> = {
  from: "Where it comes from: receivers, inline or by id.",
  processors: "What happens to observations before they are tracked.",
  rules: "Conditions on its resources: the rules of `threshold`.",
  notify: "Whom to tell: exporters, inline or by id.",
};

const properties = (definitions: readonly AnyDefinition[], type: string): Readonly<Record<string, Schema>> =>
  (definitions.find((d) => d.kind === "processor" && d.type === type)?.schema as Schema | undefined)?.properties ?? {};

/** Keys of `track` that a monitor takes: all but its type, which is the monitor's name. */
export function trackKeys(definitions: readonly AnyDefinition[]): string[] {
  return Object.keys(properties(definitions, "track")).filter((key) => key !== "type");
}

/** What a monitor's own keys are for. */
export const monitorKeys = OWN_KEYS;

/**
 * `monitors.<type>` as the pipeline that it stands for: `from` → [processors] → track → threshold → `notify`. Everything
 * in it is named after the monitor (`http_poll/order`, `track/order`; `http_poll/order#2` is a second one of its type)
 * and points at the monitor's own lines.
 */
export function expandMonitor(name: string, at: Place, tree: Tree, definitions: readonly AnyDefinition[], issues: Issues): Expansion | undefined {
  const { path } = tree;
  const here = { place: at, path };
  const wrong = (where: { place: Place; path: string }, message: string | (() => string)): void => issues.add(where, message);
  if (!isName(name)) wrong(here, "a monitor's name is the type of its resources; allowed: letters, digits, _ - and . (at most 100)");
  if (tree.kind !== "map") {
    wrong(here, "must be a map with from, id and whatever else it needs");
    return undefined;
  }
  const known = [...Object.keys(OWN_KEYS), ...trackKeys(definitions)];
  for (const [key, entry] of tree.entries) {
    if (known.includes(key)) continue;
    const help = (): string => (key === "type" ? "the monitor's name is the type" : suggestion(key, known));
    wrong({ place: entry.place, path: entry.value.path }, () => `is not known here; ${help()}`);
  }
  const part = (key: string): Tree | undefined => tree.entries.get(key)?.value;
  const nameOf = (type: string, ordinal: number): string => `${type}/${name}${ordinal === 1 ? "" : `#${ordinal}`}`;

  if (isNull(part("from"))) wrong(part("from") ?? here, "from is missing; it is needed: one receiver or a list, inline or by id");
  const track = new Map<string, Entry>([["type", { place: at, value: scalarAt(isName(name) ? name : "unnamed", here) }]]);
  for (const [key, entry] of tree.entries) if (!Object.hasOwn(OWN_KEYS, key) && key !== "type" && known.includes(key)) track.set(key, entry);
  const processors: Use[] = [
    ...readUses(part("processors"), "processor", true, (type, ordinal) => `${type}/${name}#${ordinal}`, issues),
    { id: `track/${name}`, ...here, inline: mappingAt(track, here) },
  ];
  const rules = tree.entries.get("rules");
  if (rules !== undefined && !isNull(rules.value)) {
    const where = { place: rules.place, path };
    processors.push({ id: `threshold/${name}`, ...where, inline: mappingAt([["rules", rules]], where) });
  }
  return {
    name,
    ...here,
    tree,
    receivers: readUses(part("from"), "receiver", true, nameOf, issues),
    processors,
    exporters: readUses(part("notify"), "exporter", true, nameOf, issues),
  };
}
