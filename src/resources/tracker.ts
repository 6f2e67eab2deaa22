import type { Clock } from "../sdk/clock.ts";
import type { Counter, Histogram } from "../sdk/metrics.ts";
import type { Json, Observation } from "../sdk/observation.ts";
import type { Judge, Sighting, TrackResult, Tracker, Transition, TypeDeclaration } from "../sdk/resource.ts";
import { Cursor, DELETED, ILLEGAL, type ResourceTable } from "./table.ts";
import type { TransitionLog } from "./transition_log.ts";

/** Counters of one type, wired by whoever owns the metrics. */
export interface TypeMetrics {
  transition(from: string, to: string): Counter;
  timeInState(state: string): Histogram;
  result(result: TrackResult | "gap" | "future_time"): Counter;
  /** Observed minus happened. */
  readonly detectionDelay: Histogram;
}

/** Event times beyond now by more than this are taken for now. */
const FUTURE_MS = 5 * 60_000;

/**
 * What the trackers of one type share: its resources outlive any configuration.
 * `declaration` changes with a reload; the arrays stay.
 */
export interface TypeState {
  readonly table: ResourceTable;
  readonly log: TransitionLog;
  readonly metrics: TypeMetrics;
  readonly clock: Clock;
  declaration: TypeDeclaration | undefined;
  judge: Judge | undefined;
  nextKey(): number;
  /** A deadline came nearer: whoever owns the timer looks again. */
  armed(): void;
  /** Something must be committed. */
  changed(): void;
}

/** Judges one row and arms its next deadline. */
export function judgeRow(type: TypeState, cursor: Cursor, leftState: string | undefined): void {
  const { table } = type;
  const row = cursor.row;
  const asked = type.judge === undefined ? Infinity : type.judge.judge(cursor, leftState);
  // Never due at once again: a judge that asks for the past must not hold the loop.
  const next = Math.max(Math.min(asked, expiryOf(type, row)), type.clock.now() + 1);
  if (next === Infinity) return;
  table.deadlines.arm(row, next);
  type.armed();
}

/** When a resource is forgotten if nothing more is heard of it. */
export function expiryOf(type: TypeState, row: number): number {
  const { table, declaration } = type;
  if (declaration === undefined) return Infinity;
  const deleted = (table.flags[row]! & DELETED) !== 0;
  const terminal = declaration.states.get(table.states.name(table.state[row]!))?.terminal === true;
  const afterMs = deleted || terminal ? declaration.expireTerminalAfterMs : (declaration.expireAfterMs ?? Infinity);
  return table.lastSeen[row]! + afterMs;
}

/** Applies sightings to the resources of one type. */
export class TypeTracker implements Tracker {
  readonly self: Cursor;
  transition: Transition | undefined;
  readonly #type: TypeState;
  readonly #table: ResourceTable;
  readonly #columns: (Json | undefined)[][];

  constructor(type: TypeState, attributes: readonly string[]) {
    this.#type = type;
    this.#table = type.table;
    this.#columns = attributes.map((name) => type.table.column(name));
    this.self = new Cursor(type.table, () => type.declaration);
  }

  sighting(): Sighting {
    return {
      id: "",
      state: undefined,
      previous: undefined,
      time: 0,
      sequence: undefined,
      since: undefined,
      deleted: false,
      snapshot: false,
      source: "",
      attributes: this.#columns.map(() => undefined),
    };
  }

  apply(sighting: Sighting, _observation: Observation): TrackResult {
    const result = this.#apply(sighting);
    this.#type.metrics.result(result).add(1);
    this.#type.changed();
    return result;
  }

  #apply(sighting: Sighting): TrackResult {
    const table = this.#table;
    const now = this.#type.clock.now();
    this.transition = undefined;
    if (sighting.time > now + FUTURE_MS) {
      sighting.time = now;
      this.#type.metrics.result("future_time").add(1);
    }
    if (sighting.since !== undefined && sighting.since > now + FUTURE_MS) sighting.since = undefined;

    const known = table.index.get(sighting.id);
    if (known === undefined) return sighting.deleted ? this.#late(undefined, now) : this.#create(sighting, now);
    this.self.at(known);
    if (this.#isLate(known, sighting)) return this.#late(known, now);

    table.lastSeen[known] = Math.max(table.lastSeen[known]!, now);
    table.sources[known] = table.withSource(table.sources[known]!, sighting.source);
    table.eventTime[known] = Math.max(table.eventTime[known]!, sighting.time);
    if (sighting.sequence !== undefined) table.sequence[known] = sighting.sequence;
    table.touch(known);
    const deletedBefore = (table.flags[known]! & DELETED) !== 0;
    if (sighting.deleted) return deletedBefore ? "late" : this.#delete(known, sighting);
    if (deletedBefore) this.#recreate(known);
    this.#takeAttributes(known, sighting);
    return deletedBefore ? this.#enter(known, sighting, "created") : this.#move(known, sighting);
  }

  #isLate(row: number, sighting: Sighting): boolean {
    const sequence = this.#table.sequence[row]!;
    if (sighting.sequence !== undefined && !Number.isNaN(sequence)) return sighting.sequence < sequence;
    return sighting.time < this.#table.eventTime[row]!;
  }

  /** Says only that the resource is there: its state is known better. */
  #late(row: number | undefined, now: number): TrackResult {
    if (row !== undefined && (this.#table.flags[row]! & DELETED) === 0) {
      this.#table.lastSeen[row] = Math.max(this.#table.lastSeen[row]!, now);
      this.#table.touch(row);
    }
    return "late";
  }

  #create(sighting: Sighting, now: number): TrackResult {
    const type = this.#type;
    const table = this.#table;
    if (table.rows >= (type.declaration?.resourcesMax ?? Infinity)) return "refused";
    const row = table.add(sighting.id, type.nextKey());
    this.self.at(row);
    table.firstSeen[row] = now;
    table.lastSeen[row] = now;
    table.eventTime[row] = sighting.time;
    table.since[row] = sighting.since ?? sighting.time;
    if (sighting.sequence !== undefined) table.sequence[row] = sighting.sequence;
    table.sources[row] = table.withSource(0, sighting.source);
    table.touch(row);
    this.#takeAttributes(row, sighting);
    return this.#enter(row, sighting, "created");
  }

  /** A resource that was deleted is there again. */
  #recreate(row: number): void {
    const table = this.#table;
    table.flags[row] = table.flags[row]! & ~(DELETED | ILLEGAL);
    table.incarnation[row] = table.incarnation[row]! + 1;
    table.state[row] = 0;
    table.previous[row] = 0;
    table.visits.delete(row);
    table.countIn(row);
    for (const column of table.columns.values()) column[row] = undefined;
  }

  /** First state of an incarnation. A move that the source reports with it (`previous`) is a transition of unknown duration. */
  #enter(row: number, sighting: Sighting, result: TrackResult): TrackResult {
    const table = this.#table;
    const state = sighting.state === undefined ? 0 : table.states.id(sighting.state);
    const { previous } = sighting;
    if (state !== 0 && previous !== undefined && !sighting.snapshot) {
      const from = table.states.id(previous);
      if (from !== state) {
        table.countOut(row);
        table.state[row] = from;
        table.countIn(row);
        this.#transit(row, state, sighting, undefined);
        judgeRow(this.#type, this.self, undefined);
        return result;
      }
    }
    table.countOut(row);
    table.state[row] = state;
    table.countIn(row);
    table.since[row] = sighting.since ?? sighting.time;
    this.#visit(row, state);
    judgeRow(this.#type, this.self, undefined);
    return result;
  }

  #move(row: number, sighting: Sighting): TrackResult {
    const table = this.#table;
    const before = table.state[row]!;
    const state = sighting.state === undefined ? before : table.states.id(sighting.state);
    if (state === before) {
      // The source may know only later when the state began.
      if (sighting.state !== undefined && sighting.since !== undefined) table.since[row] = sighting.since;
      judgeRow(this.#type, this.self, undefined);
      return "updated";
    }
    const left = table.states.name(before);
    if (sighting.snapshot || before === 0) {
      // A snapshot tells where the resource is, not how it came there; and a first state is no move.
      table.countOut(row);
      table.previous[row] = before;
      table.state[row] = state;
      table.flags[row] = table.flags[row]! & ~ILLEGAL;
      table.countIn(row);
      table.since[row] = sighting.since ?? sighting.time;
      this.#visit(row, state);
      judgeRow(this.#type, this.self, left);
      return "updated";
    }
    const reported = sighting.previous === undefined ? before : table.states.id(sighting.previous);
    if (reported !== before) {
      // Moves were missed: the source is believed, and how long `previous` lasted is not known.
      this.#type.metrics.result("gap").add(1);
      table.countOut(row);
      table.state[row] = reported;
      table.countIn(row);
      if (reported !== state) this.#transit(row, state, sighting, undefined);
      else table.since[row] = sighting.since ?? sighting.time;
    } else {
      this.#transit(row, state, sighting, Math.max(0, sighting.time - table.since[row]!));
    }
    judgeRow(this.#type, this.self, left);
    return "moved";
  }

  /** The move itself; `durationMs` undefined when it is not known. */
  #transit(row: number, to: number, sighting: Sighting, durationMs: number | undefined): void {
    const table = this.#table;
    const from = table.state[row]!;
    const fromName = table.states.name(from);
    const toName = table.states.name(to);
    const declared = this.#type.declaration?.states.get(fromName);
    const illegal = declared?.next !== undefined && !declared.next.includes(toName);
    table.flags[row] = illegal ? table.flags[row]! | ILLEGAL : table.flags[row]! & ~ILLEGAL;
    if (declared?.terminal === true) {
      table.incarnation[row] = table.incarnation[row]! + 1;
      table.visits.delete(row);
    }
    table.countOut(row);
    table.previous[row] = from;
    table.state[row] = to;
    table.countIn(row);
    table.since[row] = sighting.since ?? sighting.time;
    this.#visit(row, to);
    this.transition = { from: fromName, to: toName, at: sighting.time, duration: durationMs ?? 0 };
    this.#type.log.add(table.keys[row]!, table.moves[row]!, this.transition);
    table.moves[row] = table.moves[row]! + 1;
    this.#type.metrics.transition(fromName, toName).add(1);
    this.#type.metrics.detectionDelay.observe(Math.max(0, this.#type.clock.now() - sighting.time) / 1_000);
    if (durationMs !== undefined) this.#type.metrics.timeInState(fromName).observe(durationMs / 1_000);
  }

  #visit(row: number, state: number): void {
    const { table } = this.#type;
    if (!this.#type.declaration?.loopStates.has(table.states.name(state))) return;
    let visits = table.visits.get(row);
    if (visits === undefined) table.visits.set(row, (visits = new Map()));
    visits.set(state, (visits.get(state) ?? 0) + 1);
  }

  #delete(row: number, sighting: Sighting): TrackResult {
    const table = this.#table;
    const duration = Math.max(0, sighting.time - table.since[row]!);
    if (table.state[row] !== 0) this.#type.metrics.timeInState(table.states.name(table.state[row]!)).observe(duration / 1_000);
    this.#type.judge?.forget(this.self, "deleted");
    table.countOut(row);
    table.flags[row] = table.flags[row]! | DELETED;
    table.deadlines.arm(row, expiryOf(this.#type, row));
    this.#type.armed();
    return "deleted";
  }

  #takeAttributes(row: number, sighting: Sighting): void {
    for (let i = 0; i < this.#columns.length; i++) {
      const value = sighting.attributes[i];
      if (value === undefined) continue;
      this.#columns[i]![row] = value === null ? undefined : value;
    }
  }
}
