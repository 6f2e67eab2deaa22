import type { Json } from "../sdk/observation.ts";
import type { EvaluatedResource } from "../sdk/resource.ts";
import { Deadlines } from "./deadlines.ts";
import { StateNames } from "./state_names.ts";

/** Bits of `flags`. */
export const DELETED = 1;
export const ILLEGAL = 2;
export const DIRTY = 4;
/** Since when it is in its state is not known: only a snapshot told. */
export const SINCE_ESTIMATED = 8;

/**
 * The resources of one type as arrays, one element a row: a million resources are a few arrays, not a million objects
 * for the garbage collector to walk. Rows of forgotten resources are used again.
 */
export class ResourceTable {
  readonly type: string;
  readonly states = new StateNames();
  /** Of those at the same instant, the resource that was seen first comes first. */
  readonly deadlines = new Deadlines((row) => this.keys[row]!);
  readonly index = new Map<string, number>();
  /** Attribute values by name, by row. */
  readonly columns = new Map<string, (Json | undefined)[]>();
  /** By row: how often each state with `loop_max` was entered in this incarnation. Sparse. */
  readonly visits = new Map<number, Map<number, number>>();
  /** Live resources by state id; tombstones of deleted ones not counted. */
  readonly stateCounts: number[] = [0];
  /** Sets of receivers, by number: few, since all resources of a type come from few places. */
  readonly sourceSets: (readonly string[])[] = [[]];
  /** By number of the set: silence counts from here at the earliest; before, nobody could hear of its resources. ms */
  readonly listenedSince: number[] = [0];

  ids: string[] = [];
  /** Key in the store; never used again within one life of the store. */
  keys = new Float64Array(64);
  state = new Uint16Array(64);
  previous = new Uint16Array(64);
  since = new Float64Array(64);
  movedAt = new Float64Array(64);
  firstSeen = new Float64Array(64);
  lastSeen = new Float64Array(64);
  eventTime = new Float64Array(64);
  /** When this incarnation began, as far as is known; Infinity until it has a first state, or none. */
  began = new Float64Array(64);
  /** NaN until the source gives one. */
  sequence = new Float64Array(64);
  incarnation = new Uint32Array(64);
  /** Number of the last transition in the log; 0: none. */
  lastTransition = new Float64Array(64);
  sources = new Uint16Array(64);
  flags = new Uint8Array(64);

  /** Rows changed since the last drain. */
  dirty: number[] = [];
  /** Keys of rows that are gone since the last drain. */
  removed: number[] = [];
  live = 0;
  #free: number[] = [];

  constructor(type: string) {
    this.type = type;
  }

  /** Rows in use, tombstones included. */
  get rows(): number {
    return this.index.size;
  }

  add(id: string, key: number): number {
    const row = this.#free.pop() ?? this.ids.length;
    if (row >= this.state.length) this.#grow();
    this.ids[row] = id;
    this.index.set(id, row);
    this.keys[row] = key;
    this.state[row] = 0;
    this.previous[row] = 0;
    this.sequence[row] = Number.NaN;
    this.incarnation[row] = 1;
    this.lastTransition[row] = 0;
    this.sources[row] = 0;
    this.flags[row] = this.flags[row]! & DIRTY; // it may be on the list still, from the resource before
    this.countIn(row);
    return row;
  }

  remove(row: number): void {
    if ((this.flags[row]! & DELETED) === 0) this.countOut(row);
    this.removed.push(this.keys[row]!);
    this.index.delete(this.ids[row]!);
    this.deadlines.cancel(row);
    this.visits.delete(row);
    for (const column of this.columns.values()) column[row] = undefined;
    this.ids[row] = "";
    this.flags[row] = this.flags[row]! & DIRTY;
    this.#free.push(row);
  }

  /** A resource counts in its state from now on. */
  countIn(row: number): void {
    const state = this.state[row]!;
    this.stateCounts[state] = (this.stateCounts[state] ?? 0) + 1;
    this.live++;
  }

  countOut(row: number): void {
    const state = this.state[row]!;
    this.stateCounts[state] = this.stateCounts[state]! - 1;
    this.live--;
  }

  /**
   * The clock was set back by `byMs` (negative) to `now`. What was seen was seen as long ago as before; what sources said is true, unless
   * it has not come yet.
   */
  setBack(byMs: number, now: number): void {
    for (let i = 0; i < this.listenedSince.length; i++) this.listenedSince[i] = Math.max(0, this.listenedSince[i]! + byMs);
    for (const row of this.index.values()) {
      this.lastSeen[row] = Math.min(now, this.lastSeen[row]! + byMs);
      for (const times of [this.since, this.movedAt, this.eventTime, this.began]) {
        if (times[row]! > now && times[row] !== Infinity) times[row] = Math.min(now, times[row]! + byMs);
      }
      this.touch(row);
    }
  }

  /** Puts a row on the list for the next commit. */
  touch(row: number): void {
    if ((this.flags[row]! & DIRTY) !== 0) return;
    this.flags[row] = this.flags[row]! | DIRTY;
    this.dirty.push(row);
  }

  /** The column of an attribute; made when new. */
  column(name: string): (Json | undefined)[] {
    let column = this.columns.get(name);
    if (column === undefined) this.columns.set(name, (column = []));
    return column;
  }

  /** The attributes as JSON text: what the store keeps. Written here since a commit has thousands of them. */
  attributesText(row: number): string {
    let text = "{";
    for (const [name, column] of this.columns) {
      const value = column[row];
      if (value === undefined) continue;
      text += `${text === "{" ? "" : ","}${JSON.stringify(name)}:${typeof value === "number" ? value : JSON.stringify(value)}`;
    }
    return `${text}}`;
  }

  attributesOf(row: number): Record<string, Json> {
    const attributes: Record<string, Json> = Object.create(null) as Record<string, Json>;
    for (const [name, column] of this.columns) {
      const value = column[row];
      if (value !== undefined) attributes[name] = value;
    }
    return attributes;
  }

  /** The number of the set `from` with `source` added. */
  withSource(from: number, source: string): number {
    const set = this.sourceSets[from]!;
    if (set.includes(source)) return from;
    return this.sourceSet([...set, source]);
  }

  /** The number of a set of sources; further sets than fit are the empty one. */
  sourceSet(sources: readonly string[]): number {
    const sorted = [...sources].sort();
    const found = this.sourceSets.findIndex((set) => set.length === sorted.length && set.every((s, i) => s === sorted[i]));
    if (found >= 0) return found;
    if (this.sourceSets.length >= 1_000) return 0;
    this.listenedSince.push(0);
    return this.sourceSets.push(sorted) - 1;
  }

  #grow(): void {
    const length = this.state.length * 2;
    const grow = <T extends Float64Array | Uint16Array | Uint32Array | Uint8Array>(from: T, to: T): T => (to.set(from), to);
    this.keys = grow(this.keys, new Float64Array(length));
    this.state = grow(this.state, new Uint16Array(length));
    this.previous = grow(this.previous, new Uint16Array(length));
    this.since = grow(this.since, new Float64Array(length));
    this.movedAt = grow(this.movedAt, new Float64Array(length));
    this.firstSeen = grow(this.firstSeen, new Float64Array(length));
    this.lastSeen = grow(this.lastSeen, new Float64Array(length));
    this.eventTime = grow(this.eventTime, new Float64Array(length));
    this.began = grow(this.began, new Float64Array(length));
    this.sequence = grow(this.sequence, new Float64Array(length));
    this.incarnation = grow(this.incarnation, new Uint32Array(length));
    this.lastTransition = grow(this.lastTransition, new Float64Array(length));
    this.sources = grow(this.sources, new Uint16Array(length));
    this.flags = grow(this.flags, new Uint8Array(length));
  }
}

/** What a cursor must know of the configuration. */
export interface Declared {
  readonly states: ReadonlyMap<string, { readonly terminal: boolean }>;
}

/** A view of one row after another. */
export class Cursor implements EvaluatedResource {
  row = 0;
  readonly #table: ResourceTable;
  readonly #declared: () => Declared | undefined;

  constructor(table: ResourceTable, declared: () => Declared | undefined) {
    this.#table = table;
    this.#declared = declared;
  }

  at(row: number): this {
    this.row = row;
    return this;
  }

  get type(): string {
    return this.#table.type;
  }
  get id(): string {
    return this.#table.ids[this.row]!;
  }
  get state(): string {
    return this.#table.states.name(this.#table.state[this.row]!);
  }
  get previous(): string {
    return this.#table.states.name(this.#table.previous[this.row]!);
  }
  get since(): number {
    return this.#table.since[this.row]!;
  }
  get first_seen(): number {
    return this.#table.firstSeen[this.row]!;
  }
  get last_seen(): number {
    return this.#table.lastSeen[this.row]!;
  }
  get movedAt(): number {
    return this.#table.movedAt[this.row]!;
  }
  get eventTime(): number {
    return this.#table.eventTime[this.row]!;
  }
  get incarnation(): number {
    return this.#table.incarnation[this.row]!;
  }
  get illegal(): boolean {
    return (this.#table.flags[this.row]! & ILLEGAL) !== 0;
  }
  get undeclared(): boolean {
    const state = this.state;
    return state !== "" && this.#declared()?.states.has(state) === false;
  }
  get terminal(): boolean {
    return this.#declared()?.states.get(this.state)?.terminal === true;
  }
  get sources(): readonly string[] {
    return this.#table.sourceSets[this.#table.sources[this.row]!]!;
  }
  get listenedSince(): number {
    return this.#table.listenedSince[this.#table.sources[this.row]!]!;
  }
  get attributes(): Readonly<Record<string, Json>> {
    return this.#table.attributesOf(this.row);
  }
  attribute(name: string): Json | undefined {
    return this.#table.columns.get(name)?.[this.row];
  }
  visits(state: string): number {
    const id = this.#table.states.known(state);
    return id === undefined ? 0 : (this.#table.visits.get(this.row)?.get(id) ?? 0);
  }
}
