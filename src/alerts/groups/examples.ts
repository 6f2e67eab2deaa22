import type { Json } from "../../sdk/observation.ts";
import type { Statistic } from "../../sdk/rule.ts";
import type { Contributions } from "./members.ts";

const EXAMPLES_MAX = 5;
const LOOKS_LIKE_JSON = /^(?:true$|false$|null$|[-\d[{"]|$)/;

/**
 * A few resources of the group of that number, by their ids: the largest, where numbers are added up; one of each value, where
 * values differ; of a share those for which it holds, and as `counterexamples` those for which it does not: which of them
 * are the trouble only the rule's author knows.
 */
export function examplesOf(of: Statistic, group: number, contributions: Contributions, ids: readonly string[]): Record<string, Json> {
  const rows = function* (): Generator<number> {
    for (let row = 0; row < contributions.group.length; row++) if (contributions.group[row] === group) yield row;
  };
  const first = (wanted?: number): string[] => {
    const found: string[] = [];
    for (const row of rows()) {
      if (wanted === undefined || contributions.number[row] === wanted) found.push(ids[row]!);
      if (found.length === EXAMPLES_MAX) break;
    }
    return found;
  };
  switch (of) {
    case "share": {
      const counterexamples = first(0);
      return { examples: first(1), ...(counterexamples.length === 0 ? {} : { counterexamples }) };
    }
    case "distinct":
      return { examples: ofEachValue(rows(), contributions, ids) };
    case "sum":
      return { examples: largest(rows(), contributions, ids) };
    default:
      return { examples: first() };
  }
}

function ofEachValue(rows: Iterable<number>, { text: texts }: Contributions, ids: readonly string[]): string[] {
  const examples = new Map<string, string>();
  for (const row of rows) {
    const text = texts[row]!;
    if (!examples.has(text)) examples.set(text, `${ids[row]!}${valueOf(text)}`);
    if (examples.size === EXAMPLES_MAX) break;
  }
  return [...examples.values()];
}

/** The text begins with a letter for the kind of value; of a long one there is no more than a hash. "true" is not true. */
function valueOf(text: string): string {
  const value = text.slice(1);
  return text.startsWith("h") ? "" : `: ${text.startsWith("s") && LOOKS_LIKE_JSON.test(value) ? JSON.stringify(value) : value}`;
}

function largest(rows: Iterable<number>, { number: numbers }: Contributions, ids: readonly string[]): string[] {
  const found: number[] = [];
  for (const row of rows) {
    if (found.length === EXAMPLES_MAX && Math.abs(numbers[row]!) <= Math.abs(numbers[found.at(-1)!]!)) continue;
    found.push(row);
    found.sort((a, b) => Math.abs(numbers[b]!) - Math.abs(numbers[a]!) || a - b);
    found.length = Math.min(found.length, EXAMPLES_MAX);
  }
  return found.map((row) => `${ids[row]!}: ${numbers[row]!}`);
}
