import type { Family } from "../sdk/metrics.ts";
import { labelValue, OTHER, type Kind } from "./names.ts";
import type { Series } from "./series.ts";

type Level<S> = Map<string, Level<S> | S>;

/** What a family needs from the store it belongs to. */
export interface FamilyParts<S extends Series> {
  readonly name: string;
  readonly labels: readonly string[];
  seriesMax: number;
  /** A new series; its labels are clean. */
  create(labels: readonly string[]): S;
  /** Something was added up in `__other__`. */
  overflowed(): void;
  /** A series was taken out. */
  removed(series: S): void;
  /** The family was taken out, after its series. */
  dropped(): void;
}

/** A family as the store and the producer see it. */
export interface FamilyState<S extends Series> extends Family<S> {
  readonly kind: Kind;
  readonly labels: readonly string[];
  readonly parts: FamilyParts<S>;
  help: string;
  /** In the order of their making. */
  readonly members: ReadonlySet<S>;
  /** The series with these labels whatever `seriesMax` says: it was there before. */
  admit(labels: readonly string[]): S;
}

/**
 * A family over nested Maps, one level for each label: finding a series hashes the strings that are there
 * and makes none (a concatenated key costs ten times as much).
 */
export function createFamily<S extends Series>(kind: Kind, help: string, parts: FamilyParts<S>): FamilyState<S> {
  const { name, labels } = parts;
  const depth = labels.length;
  const root: Level<S> = new Map();
  const members = new Set<S>();
  let other: S | undefined;
  let single: S | undefined;

  function find(values: readonly string[]): S | undefined {
    if (depth === 0) return single;
    let level = root;
    for (let i = 0; i < depth - 1; i++) {
      const next = level.get(values[i]!);
      if (next === undefined) return undefined;
      level = next as Level<S>;
    }
    return level.get(values[depth - 1]!) as S | undefined;
  }

  function insert(values: readonly string[]): S {
    const made = parts.create(values);
    members.add(made);
    if (depth === 0) return (single = made);
    let level = root;
    for (let i = 0; i < depth - 1; i++) {
      let next = level.get(values[i]!) as Level<S> | undefined;
      if (next === undefined) level.set(values[i]!, (next = new Map()));
      level = next;
    }
    level.set(values[depth - 1]!, made);
    return made;
  }

  /** Empty levels go too: otherwise labels that come and go would leave a Map behind for each value ever seen. */
  function unlink(level: Level<S>, values: readonly string[], i: number): void {
    const key = values[i]!;
    if (i < depth - 1) {
      const below = level.get(key) as Level<S>;
      unlink(below, values, i + 1);
      if (below.size > 0) return;
    }
    level.delete(key);
  }

  function clean(values: readonly string[]): readonly string[] {
    if (values.length !== depth || values.includes(undefined as unknown as string)) {
      throw new RangeError(`the metric "${name}" takes ${depth} label values (${labels.join(", ")})`);
    }
    return values.map(labelValue);
  }

  /** The slow way: a series that is new, or has labels that are not kept as they come. */
  function enter(values: readonly string[]): S {
    const wanted = clean(values);
    const known = find(wanted);
    if (known !== undefined && known !== other) return known;
    if (known === undefined && members.size - (other === undefined ? 0 : 1) < parts.seriesMax) return insert(wanted);
    parts.overflowed();
    if (other === undefined) {
      const labelsOfOther = labels.map(() => OTHER);
      other = find(labelsOfOther) ?? insert(labelsOfOther);
    }
    return other;
  }

  // One closure for each number of labels: no rest array on the hot path. A value too many is a value for nobody.
  function lookup(): (...values: string[]) => S {
    if (depth === 0) return (...values) => (values.length === 0 ? single : undefined) ?? enter(values);
    if (depth === 1) {
      return (a?: string, ...rest: string[]) => (rest.length === 0 ? (root.get(a!) as S | undefined) : undefined) ?? enter([a!, ...rest]);
    }
    if (depth === 2) {
      return (a?: string, b?: string, ...rest: string[]) => {
        const level = root.get(a!) as Level<S> | undefined;
        const known = level === undefined || rest.length > 0 ? undefined : (level.get(b!) as S | undefined);
        return known ?? enter([a!, b!, ...rest]);
      };
    }
    return (...values) => (values.length === depth ? find(values) : undefined) ?? enter(values);
  }

  function takeOut(series: S): void {
    members.delete(series);
    if (series === other) other = undefined;
    if (depth === 0) single = undefined;
    else unlink(root, series.labels, 0);
    series.detach();
    parts.removed(series);
  }

  return {
    name,
    kind,
    labels,
    help,
    parts,
    members,
    series: lookup(),
    admit: (values) => find(values) ?? insert(values),
    remove(...values) {
      const series = find(clean(values));
      if (series !== undefined) takeOut(series);
    },
    drop() {
      for (const series of members) takeOut(series);
      parts.dropped();
    },
  };
}
