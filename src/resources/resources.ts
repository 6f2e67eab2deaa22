import { NOTHING_STARTED, type Clock, type Timer } from "../sdk/clock.ts";
import type { Sample } from "../sdk/metrics.ts";
import type { Judge, Tracker, Transition, TypeDeclaration } from "../sdk/resource.ts";
import { ClockSteps } from "../sdk/clock_steps.ts";
import type { Persistent, Store, TableChange } from "../sdk/store.ts";
import type { TakeLife } from "./life.ts";
import { oldestOf, page, snapshot, type ResourceSnapshot } from "./reading.ts";
import { drainTable, RESOURCES, restoreRows } from "./resource_rows.ts";
import { Cursor, DELETED, ResourceTable } from "./table.ts";
import { TypeTracker } from "./tracker.ts";
import { TransitionLog, TRANSITIONS } from "./transition_log.ts";
import { expiryOf, firstDue, judgeRow, type TypeMetrics, type TypeState } from "./type_state.ts";

/** The clock is looked at this often. */
const CLOCK_EVERY_MS = 60_000;
/** Rows looked at in one turn of the event loop when many deadlines fall due at once. */
const DUE_ROWS_MAX = 5_000;
/** A resource that may not expire now is looked at again after this long, or when it may. */
const EXPIRY_AGAIN_MS = 60_000;

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
  readonly #steps: ClockSteps;
  /** Types of the graph that runs. */
  #declared: ReadonlySet<string> = new Set();
  /** When anything was last seen before the restart; 0 once that has been compared with the clock. */
  #seenMax = 0;
  #stopped = false;
  #timer: { readonly at: number; readonly timer: Timer } | undefined;

  constructor(options: ResourcesOptions) {
    this.#options = options;
    this.#steps = new ClockSteps(options.clock);
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
    const now = this.#options.clock.now();
    if (this.#seenMax > now + CLOCK_EVERY_MS) this.#setBack(now - this.#seenMax, now);
    this.#seenMax = 0;
    const before = this.#declared;
    this.#declared = new Set(declarations.map(({ type }) => type));
    for (const declaration of declarations) {
      const type = this.#type(declaration.type);
      // While nothing fed it nobody could hear of its resources.
      if (!before.has(declaration.type)) type.table.listenedSince.fill(now);
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
    return page(this.#types, filter, after, limit);
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
    for (const { table } of this.#types.values()) yield* oldestOf(table, now);
  }

  async restore(store: Store): Promise<void> {
    this.#store = store;
    await store.load(RESOURCES, (cells) => {
      this.#keyMax = Math.max(this.#keyMax, restoreRows(cells, (type) => this.#type(type).table));
    });
    const maxOf = (column: "lastTransition" | "lastSeen"): number => {
      let max = 0;
      for (const { table } of this.#types.values()) for (const row of table.index.values()) max = Math.max(max, table[column][row]!);
      return max;
    };
    this.#seenMax = maxOf("lastSeen");
    await this.#log.restore(store, maxOf("lastTransition"));
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
        toldAt: 0,
        lookAtClock: () => this.#lookAtClock(),
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
    const at = Math.min(next, this.#options.clock.now() + CLOCK_EVERY_MS);
    if (this.#timer !== undefined && this.#timer.at <= at) return;
    this.#timer?.timer.cancel();
    this.#timer = { at, timer: this.#options.clock.at(at, () => this.#due()) };
  }

  #due(): typeof NOTHING_STARTED {
    this.#timer = undefined;
    this.#lookAtClock();
    const now = this.#options.clock.now();
    for (let rows = 0; rows < DUE_ROWS_MAX; rows++) {
      const type = firstDue(this.#types.values());
      const row = type?.table.deadlines.takeDue(now);
      if (type === undefined || row === undefined) break;
      this.#rowDue(type, row, now);
    }
    this.#rearm();
    return NOTHING_STARTED;
  }

  /** The clock may have been set, or the machine was asleep: then nobody could hear of anything. */
  #lookAtClock(): void {
    const byMs = this.#steps.take();
    if (byMs === 0) return;
    const now = this.#options.clock.now();
    if (byMs < 0) this.#setBack(byMs, now);
    for (const type of this.#types.values()) {
      if (byMs < 0) this.#judgeRows(type, undefined);
      else type.table.listenedSince.fill(now);
    }
  }

  #setBack(byMs: number, now: number): void {
    for (const { table } of this.#types.values()) table.setBack(byMs, now);
    this.#judge?.setBack?.(byMs);
    this.#options.changed();
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
