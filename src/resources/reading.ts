import type { Sample } from "../sdk/metrics.ts";
import type { Json } from "../sdk/observation.ts";
import { smallest } from "../sdk/smallest.ts";
import { DELETED, type Cursor, type ResourceTable } from "./table.ts";

/** A resource as the API shows it: a copy. Times in ms since the epoch. */
export interface ResourceSnapshot {
  readonly type: string;
  readonly id: string;
  readonly state: string;
  readonly since: number;
  readonly first_seen: number;
  readonly last_seen: number;
  readonly incarnation: number;
  readonly attributes: Readonly<Record<string, Json>>;
  readonly sources: readonly string[];
}

/** A type as readers need it. */
interface Readable {
  readonly table: ResourceTable;
  readonly cursor: Cursor;
}

/** See `Resources.list`. */
export function page(
  types: ReadonlyMap<string, Readable>, filter: { readonly type?: string; readonly state?: string }, after: readonly [string, string] | undefined, limit: number,
): ResourceSnapshot[] {
  const found: ResourceSnapshot[] = [];
  for (const name of [...types.keys()].sort()) {
    if (filter.type !== undefined && filter.type !== name) continue;
    if (after !== undefined && name < after[0]) continue;
    const { table, cursor } = types.get(name)!;
    const state = filter.state === undefined ? undefined : table.states.known(filter.state);
    if (filter.state !== undefined && state === undefined) continue;
    const rows = rowsAfter(table, state, after !== undefined && name === after[0] ? after[1] : "");
    const byId = (a: number, b: number): number => (table.ids[a]! < table.ids[b]! ? -1 : 1);
    for (const row of smallest(rows, limit - found.length, byId)) found.push(snapshot(cursor.at(row)));
    if (found.length >= limit) break;
  }
  return found;
}

/** How long the one that is in a state longest has been there, s; by type and state. */
export function* oldestOf(table: ResourceTable, now: number): Iterable<Sample> {
  const since = new Float64Array(table.states.names.length).fill(Infinity);
  for (const row of table.index.values()) {
    if ((table.flags[row]! & DELETED) !== 0) continue;
    const state = table.state[row]!;
    if (table.since[row]! < since[state]!) since[state] = table.since[row]!;
  }
  for (let state = 1; state < since.length; state++) {
    if (since[state] !== Infinity) yield { labels: [table.type, table.states.name(state)], value: Math.max(0, now - since[state]!) / 1_000 };
  }
}

/** Live rows whose id comes after `after`, in no order. A free row has the id "". */
function* rowsAfter({ ids, flags, state }: ResourceTable, wanted: number | undefined, after: string): Iterable<number> {
  for (let row = 0; row < ids.length; row++) {
    if ((flags[row]! & DELETED) === 0 && (wanted === undefined || state[row] === wanted) && ids[row]! > after) yield row;
  }
}

/** A copy. */
export function snapshot(cursor: Cursor): ResourceSnapshot {
  return {
    type: cursor.type,
    id: cursor.id,
    state: cursor.state,
    since: cursor.since,
    first_seen: cursor.first_seen,
    last_seen: cursor.last_seen,
    incarnation: cursor.incarnation,
    attributes: cursor.attributes,
    sources: cursor.sources,
  };
}
