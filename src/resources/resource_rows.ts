import type { Json } from "../sdk/observation.ts";
import type { Cell, Table, TableChange } from "../sdk/store.ts";
import { DELETED, DIRTY, ILLEGAL, SINCE_ESTIMATED, type ResourceTable } from "./table.ts";

/** A row for each resource, and for a while for each deleted one. */
export const RESOURCES: Table = {
  name: "resources",
  columns: [
    ["key", "integer"],
    ["type", "text"],
    ["id", "text"],
    ["state", "text"],
    ["previous", "text"],
    ["since", "integer"],
    ["first_seen", "integer"],
    ["last_seen", "integer"],
    ["event_time", "integer"],
    ["sequence", "real"],
    ["incarnation", "integer"],
    ["last_transition", "integer"],
    ["flags", "integer"],
    ["sources", "json"],
    ["attributes", "json"],
    ["visits", "json"],
    ["moved_at", "integer"],
    ["began", "integer"],
  ],
  keyColumns: 1,
};

const WIDTH = RESOURCES.columns.length;

/** Adds the rows that changed to a commit, each once however often it changed. */
export function drainTable(table: ResourceTable, changes: TableChange[]): void {
  if (table.dirty.length === 0 && table.removed.length === 0) return;
  const puts: Cell[] = [];
  const sources = table.sourceSets.map((set) => JSON.stringify(set));
  for (const row of table.dirty) {
    if ((table.flags[row]! & DIRTY) === 0) continue;
    table.flags[row] = table.flags[row]! & ~DIRTY;
    if (table.ids[row] === "") continue;
    const sequence = table.sequence[row]!;
    puts.push(
      table.keys[row]!,
      table.type,
      table.ids[row]!,
      table.states.name(table.state[row]!),
      table.states.name(table.previous[row]!),
      table.since[row]!,
      table.firstSeen[row]!,
      table.lastSeen[row]!,
      table.eventTime[row]!,
      Number.isNaN(sequence) ? null : sequence,
      table.incarnation[row]!,
      table.lastTransition[row]!,
      table.flags[row]!,
      sources[table.sources[row]!]!,
      table.attributesText(row),
      visitsText(table, row),
      table.movedAt[row]!,
      table.began[row]!,
    );
  }
  table.dirty = [];
  changes.push({ table: RESOURCES, puts, deletes: table.removed });
  table.removed = [];
}

/** Puts stored rows back into memory; `tableOf` gives the table of a type. Returns the highest key seen. */
export function restoreRows(cells: readonly Cell[], tableOf: (type: string) => ResourceTable): number {
  let keyMax = 0;
  for (let i = 0; i < cells.length; i += WIDTH) {
    const [key, type, id, state, previous, since, firstSeen, lastSeen, eventTime, sequence, incarnation, lastTransition, flags, sources, attributes, visits, movedAt, began] =
      cells.slice(i, i + WIDTH);
    const table = tableOf(type as string);
    const row = table.add(id as string, key as number);
    keyMax = Math.max(keyMax, key as number);
    table.countOut(row);
    table.flags[row] = (flags as number) & (DELETED | ILLEGAL | SINCE_ESTIMATED);
    table.state[row] = table.states.restored(state as string);
    table.previous[row] = table.states.restored(previous as string);
    if ((table.flags[row]! & DELETED) === 0) table.countIn(row);
    table.since[row] = since as number;
    table.movedAt[row] = (movedAt ?? since) as number;
    table.began[row] = (began ?? Math.min(firstSeen as number, since as number)) as number;
    table.firstSeen[row] = firstSeen as number;
    table.lastSeen[row] = lastSeen as number;
    table.eventTime[row] = eventTime as number;
    table.sequence[row] = sequence === null ? Number.NaN : (sequence as number);
    table.incarnation[row] = incarnation as number;
    table.lastTransition[row] = lastTransition as number;
    table.sources[row] = table.sourceSet(JSON.parse(sources as string) as string[]);
    for (const [name, value] of Object.entries(JSON.parse(attributes as string) as Record<string, Json>)) {
      table.column(name)[row] = value;
    }
    if (visits !== null) restoreVisits(table, row, JSON.parse(visits as string) as Record<string, number>);
  }
  return keyMax;
}

function visitsText(table: ResourceTable, row: number): string | null {
  const visits = table.visits.get(row);
  if (visits === undefined) return null;
  return JSON.stringify(Object.fromEntries([...visits].map(([state, count]) => [table.states.name(state), count])));
}

function restoreVisits(table: ResourceTable, row: number, visits: Record<string, number>): void {
  const counts = new Map<number, number>();
  for (const [state, count] of Object.entries(visits)) counts.set(table.states.restored(state), count);
  table.visits.set(row, counts);
}
