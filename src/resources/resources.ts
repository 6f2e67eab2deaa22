import { NOTHING_STARTED, type Clock, type Timer } from "../sdk/clock.ts";
import type { Sample } from "../sdk/metrics.ts";
import type { Json } from "../sdk/observation.ts";
import type { Judge, Tracker, Transition, TypeDeclaration } from "../sdk/resource.ts";
import { smallest } from "../sdk/smallest.ts";
import type { Persistent, Store, TableChange } from "../sdk/store.ts";
import type { TakeLife } from "./life.ts";
import { drainTable, RESOURCES, restoreRows } from "./resource_rows.ts";
import { Cursor, DELETED, ResourceTable } from "./table.ts";
import { TypeTracker } from "./tracker.ts";
import { TransitionLog, TRANSITIONS } from "./transition_log.ts";
import { expiryOf, judgeRow, type TypeMetrics, type TypeState } from "./type_state.ts";

/** Rows looked at in one turn of the event loop when many deadlines fall due at once. */
const DUE_ROWS_MAX = 5_000;
/** A resource that may not expire now is looked at again after this long, or when it may. */
const EXPIRY_AGAIN_MS = 60_000;

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

export interface ResourcesOptions {
  readonly clock: Clock;
  /** Called when something must be committed. */
  readonly changed: () => void;
  /** Counters of a type. */
  readonly metricsOf: (type: string) => TypeMetrics;
}

/** The state of every resource, in memory; its changes go into the store with the commit of their cause. */
export class Resources implements Persistent {
  readonly tables = [RESOURCES, TRANSITIONS];
  readonly #options: ResourcesOptions;
  readonly #types = new Map<string, TypeState & { cursor: Cursor }>();
  readonly #log = new TransitionLog(() => this.live);
  #store: Store | undefined;
  #keyMax = 0;
  #judge: Judge | undefined;
  #stopped = false;
  #timer: { readonly at: number; readonly timer: Timer } | undefined;

  constructor(options: ResourcesOptions) {
    this.#options = options;
  }

  /** Whoever evaluates rules; before the first observation. */
  setJudge(judge: Judge): void {
    this.#judge = judge;
    for (const type of this.#types.values()) type.judge = judge;
  }

  /** A tracker for one component. Types and attributes that nobody declares any more keep their content. */
  tracker(type: string, attributes: readonly string[]): Tracker {
    return new TypeTracker(this.#type(type), attributes);
  }

  /** Takes the declarations of a new graph: one for each type. */
  configure(declarations: readonly TypeDeclaration[]): void {
    for (const declaration of declarations) {
      const type = this.#type(declaration.type);
      type.declaration = declaration;
      type.table.states.configure(declaration);
      for (const attribute of declaration.attributes) type.table.column(attribute);
      // Whether or not the type has rules: what is restored, or expires sooner than before, has no deadline yet.
      for (const row of type.table.index.values()) type.table.deadlines.arm(row, expiryOf(type, row));
    }
    this.#rearm();
  }

  /** Tells `take` what happens to the lives of resources of these types, and nobody of others; after `configure`. */
  watch(types: { has(type: string): boolean }, take: TakeLife): void {
    for (const [name, type] of this.#types) type.takeLife = types.has(name) ? take : undefined;
  }

  /** Judges every resource of a type: its rules changed. */
  judgeAll(typeName: string): void {
    const type = this.#types.get(typeName);
    if (type !== undefined) this.#judgeRows(type, undefined);
  }

  /** The receivers of a type have caught up: it is judged, and silence counts from now. */
  resume(typeName: string): void {
    const type = this.#types.get(typeName);
    if (type === undefined) return;
    type.table.listenedSince.fill(this.#options.clock.now());
    this.#judgeRows(type, undefined);
  }

  /**
   * A receiver can read its source again: what it feeds is judged. Silence of what was stale (`wasStale` by its sources)
   * counts from now; of anything else somebody could have heard meanwhile.
   */
  heard(receiver: string, wasStale: (sources: readonly string[]) => boolean): void {
    const now = this.#options.clock.now();
    for (const type of this.#types.values()) {
      const { sourceSets, listenedSince } = type.table;
      const sets = sourceSets.map((set) => set.includes(receiver));
      if (!sets.includes(true)) continue;
      sets.forEach((includes, i) => {
        if (includes && wasStale(sourceSets[i]!)) listenedSince[i] = now;
      });
      this.#judgeRows(type, sets);
    }
  }

  /** The row of a live resource, for alerts that are restored from the store. */
  row(typeName: string, id: string): number | undefined {
    const table = this.#types.get(typeName)?.table;
    const row = table?.index.get(id);
    return row === undefined || (table!.flags[row]! & DELETED) !== 0 ? undefined : row;
  }

  /** Receivers that told of a live resource; none if there is no such row. */
  sourcesOf(typeName: string, row: number): readonly string[] {
    const table = this.#types.get(typeName)?.table;
    return table?.sourceSets[table.sources[row] ?? 0] ?? [];
  }

  #judgeRows(type: TypeState & { cursor: Cursor }, sourceSets: readonly boolean[] | undefined): void {
    const { table } = type;
    for (const row of table.index.values()) {
      if ((table.flags[row]! & DELETED) !== 0 || sourceSets?.[table.sources[row]!] === false) continue;
      judgeRow(type, type.cursor.at(row), undefined, false);
    }
    this.#rearm();
  }

  get types(): readonly string[] {
    return [...this.#types.keys()];
  }

  /** Live resources in all. */
  get live(): number {
    let live = 0;
    for (const { table } of this.#types.values()) live += table.live;
    return live;
  }

  /**
   * Live resources by type and id, at most `limit`, after `cursor` (the last `[type, id]` of the page before).
   * A page is found by a scan: it costs in proportion to the resources of the types asked for.
   */
  list(filter: { readonly type?: string; readonly state?: string }, after: readonly [string, string] | undefined, limit: number): ResourceSnapshot[] {
    const found: ResourceSnapshot[] = [];
    for (const name of [...this.#types.keys()].sort()) {
      if (filter.type !== undefined && filter.type !== name) continue;
      if (after !== undefined && name < after[0]) continue;
      const { table, cursor } = this.#types.get(name)!;
      const state = filter.state === undefined ? undefined : table.states.known(filter.state);
      if (filter.state !== undefined && state === undefined) continue;
      const rows = rowsAfter(table, state, after !== undefined && name === after[0] ? after[1] : "");
      const byId = (a: number, b: number): number => (table.ids[a]! < table.ids[b]! ? -1 : 1);
      for (const row of smallest(rows, limit - found.length, byId)) found.push(snapshot(cursor.at(row)));
      if (found.length >= limit) break;
    }
    return found;
  }

  get(typeName: string, id: string): ResourceSnapshot | undefined {
    const row = this.row(typeName, id);
    return row === undefined ? undefined : snapshot(this.#types.get(typeName)!.cursor.at(row));
  }

  /** The last transitions of a resource, oldest first. */
  async transitions(typeName: string, id: string): Promise<readonly Transition[]> {
    const row = this.row(typeName, id);
    if (row === undefined || this.#store === undefined) return [];
    const { table } = this.#types.get(typeName)!;
    return this.#log.of(this.#store, table.keys[row]!, table.lastTransition[row]!);
  }

  /** `custom_resources{type,state}`: zeros for declared states, so that a rule on the metric sees them. */
  *counts(): Iterable<Sample> {
    for (const { table } of this.#types.values()) {
      for (let state = 0; state < table.states.names.length; state++) {
        const value = table.stateCounts[state] ?? 0;
        if (state !== 0 || value > 0) yield { labels: [table.type, table.states.name(state)], value };
      }
    }
  }

  /** `custom_resource_oldest_in_state_seconds{type,state}`: how long the one that is there longest has been there. */
  *oldest(): Iterable<Sample> {
    const now = this.#options.clock.now();
    for (const { table } of this.#types.values()) {
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
  }

  async restore(store: Store): Promise<void> {
    this.#store = store;
    await store.load(RESOURCES, (cells) => {
      this.#keyMax = Math.max(this.#keyMax, restoreRows(cells, (type) => this.#type(type).table));
    });
    let last = 0;
    for (const { table } of this.#types.values()) for (const row of table.index.values()) last = Math.max(last, table.lastTransition[row]!);
    await this.#log.restore(store, last);
  }

  drain(changes: TableChange[]): void {
    for (const { table } of this.#types.values()) drainTable(table, changes);
    this.#log.drain(changes);
  }

  /** Stops the timer. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.timer.cancel();
    this.#timer = undefined;
  }

  #type(name: string): TypeState & { cursor: Cursor } {
    let type = this.#types.get(name);
    if (type === undefined) {
      const table = new ResourceTable(name);
      const made: TypeState & { cursor: Cursor } = {
        table,
        log: this.#log,
        metrics: this.#options.metricsOf(name),
        clock: this.#options.clock,
        declaration: undefined,
        judge: this.#judge,
        takeLife: undefined,
        nextKey: () => ++this.#keyMax,
        armed: () => this.#rearm(),
        changed: this.#options.changed,
        cursor: new Cursor(table, () => made.declaration),
      };
      this.#types.set(name, (type = made));
    }
    return type;
  }

  #rearm(): void {
    if (this.#stopped) return;
    let next = Infinity;
    for (const { table } of this.#types.values()) next = Math.min(next, table.deadlines.nextMs);
    if (next === Infinity || (this.#timer !== undefined && this.#timer.at <= next)) return;
    this.#timer?.timer.cancel();
    this.#timer = { at: next, timer: this.#options.clock.at(next, () => this.#due()) };
  }

  #due(): typeof NOTHING_STARTED {
    this.#timer = undefined;
    const now = this.#options.clock.now();
    for (let rows = 0; rows < DUE_ROWS_MAX; rows++) {
      const type = this.#nextDue();
      const row = type?.table.deadlines.takeDue(now);
      if (type === undefined || row === undefined) break;
      this.#rowDue(type, row, now);
    }
    this.#rearm();
    return NOTHING_STARTED;
  }

  /** The type whose deadline is first; at the same instant, the one whose resource was seen first: its key is lower. */
  #nextDue(): (TypeState & { cursor: Cursor }) | undefined {
    let next: (TypeState & { cursor: Cursor }) | undefined;
    for (const type of this.#types.values()) {
      if (type.table.deadlines.size > 0 && (next === undefined || type.table.deadlines.isBefore(next.table.deadlines))) next = type;
    }
    return next;
  }

  #rowDue(type: TypeState & { cursor: Cursor }, row: number, now: number): void {
    const { table } = type;
    const cursor = type.cursor.at(row);
    const deleted = (table.flags[row]! & DELETED) !== 0;
    if (expiryOf(type, row) > now) {
      if (deleted) table.deadlines.arm(row, expiryOf(type, row));
      else judgeRow(type, cursor, undefined, false);
    } else if (!deleted && type.judge?.mayExpire(cursor) === false) {
      table.deadlines.arm(row, now + EXPIRY_AGAIN_MS);
    } else {
      if (!deleted) type.judge?.forget(cursor, "expired");
      table.remove(row);
      this.#options.changed();
    }
  }
}

/** A copy. */
/** Live rows whose id comes after `after`, in no order. A free row has the id "". */
function* rowsAfter({ ids, flags, state }: ResourceTable, wanted: number | undefined, after: string): Iterable<number> {
  for (let row = 0; row < ids.length; row++) {
    if ((flags[row]! & DELETED) === 0 && (wanted === undefined || state[row] === wanted) && ids[row]! > after) yield row;
  }
}

function snapshot(cursor: Cursor): ResourceSnapshot {
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
