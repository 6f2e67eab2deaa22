import type { Json } from "../../sdk/observation.ts";
import { formatTime } from "../../sdk/time.ts";
import { align, type Aligned } from "./align.ts";
import { shown } from "./shown.ts";
import { likeExpected, subsetDifferences, type Difference } from "./subset.ts";

const LINES_MAX = 60;

/** Something that happened. */
export interface Happened {
  /** ms since the epoch. */
  readonly at: number;
}

/** How one kind of things that happen in order is compared and told. Expectations are maps; what is not given is not compared. */
export interface Kind<E extends object, G extends Happened> {
  readonly one: string;
  readonly many: string;
  /** The keys by which it is known, when nothing was expected in its place; their values do not matter. */
  usual(got: G): E;
  /** It, in the words in which it is expected. */
  seen(got: G, expected: E): Json;
  /** What was expected may have been meant for it; `differing`: the keys that differ. With nothing in common to say what differs would say nothing. */
  related(expected: E, differing: ReadonlySet<string>): boolean;
}

/**
 * Compares what happened with what was expected, in order. Empty when all is as expected; otherwise what differs, for people:
 * `-` was expected and did not happen, `+` happened and was not expected, each written as in the configuration.
 */
export function listDifferences<E extends object, G extends Happened>(kind: Kind<E, G>, expected: readonly E[], got: readonly G[]): readonly string[] {
  const aligned = align(expected, got, (wanted, one) => differences(kind, wanted, one).length === 0);
  if (aligned.every(({ a, b }) => a !== undefined && b !== undefined)) return [];
  const [should, is] = [expected.length, got.length];
  const others = should !== is ? "" : is === 1 ? ", but not this one" : ", but not these";
  const lines = [`expected ${should} ${should === 1 ? kind.one : kind.many}, got ${is}${others}:`];
  const gap: Aligned<E, G>[] = [];
  let asExpected: string[] = [];
  for (const pair of aligned) {
    if (pair.a !== undefined && pair.b !== undefined) {
      lines.push(...gapLines(kind, gap.splice(0)));
      asExpected.push(`  ${written(kind, pair.b, pair.a)}`);
      continue;
    }
    lines.push(...shortened(asExpected));
    asExpected = [];
    gap.push(pair);
  }
  lines.push(...gapLines(kind, gap), ...shortened(asExpected));
  if (lines.length > LINES_MAX) lines.splice(LINES_MAX, lines.length, `… and ${lines.length - LINES_MAX} lines more`);
  return lines;
}

const differences = <E extends object, G extends Happened>(kind: Kind<E, G>, expected: E, got: G): Difference[] =>
  [...subsetDifferences(expected as Json, kind.seen(got, expected))];

/** As an expectation of it could be written, by the keys of `like`. */
const written = <E extends object, G extends Happened>(kind: Kind<E, G>, got: G, like: E): string => shown(likeExpected(kind.seen(got, like), like as Json));

function shortened(asExpected: readonly string[]): readonly string[] {
  return asExpected.length <= 4 ? asExpected : [asExpected[0]!, `  … ${asExpected.length - 2} more as expected`, asExpected.at(-1)!];
}

/** What stands between two that are as expected: what is missing beside the first unexpected that it has to do with. */
function gapLines<E extends object, G extends Happened>(kind: Kind<E, G>, gap: readonly Aligned<E, G>[]): string[] {
  const missing = gap.flatMap(({ a }) => a ?? []);
  const surplus = gap.flatMap(({ b }) => b ?? []);
  const beside = new Map<G, E>();
  const alone = missing.filter((wanted) => {
    const pair = surplus.find((got) => !beside.has(got) && isRelated(kind, wanted, differences(kind, wanted, got)));
    if (pair !== undefined) beside.set(pair, wanted);
    return pair === undefined;
  });
  const lines = alone.map((wanted) => `- ${shown(wanted as Json)}`);
  for (const got of surplus) {
    const wanted = beside.get(got);
    if (wanted !== undefined) lines.push(`- ${shown(wanted as Json)}`);
    lines.push(`+ ${written(kind, got, wanted ?? kind.usual(got))}   # ${formatTime(got.at)}`);
    if (wanted === undefined) continue;
    for (const [path, should, is] of differences(kind, wanted, got)) lines.push(`    ${path}: expected ${shown(should)}, got ${shown(is)}`);
  }
  return lines;
}

function isRelated<E extends object, G extends Happened>(kind: Kind<E, G>, expected: E, found: readonly Difference[]): boolean {
  return kind.related(expected, new Set(found.map(([path]) => path.split(/[.[]/)[0]!)));
}
