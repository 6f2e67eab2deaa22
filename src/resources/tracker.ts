import type { Counter, Histogram } from "../sdk/metrics.ts";
import type { Json, Observation } from "../sdk/observation.ts";
import type { Sighting, TrackResult, Tracker, Transition } from "../sdk/resource.ts";
import { Life } from "./life.ts";
import { NO_STATE_ID } from "./state_names.ts";
import { Cursor, DELETED, ILLEGAL, SINCE_ESTIMATED, type ResourceTable } from "./table.ts";
import { expiryOf, judgeRow, toldAt, type TypeState } from "./type_state.ts";

/** Event times beyond now by more than this are taken for now. */
const FUTURE_MS = 5 * 60_000;

/** Applies sightings to the resources of one type. */
export class TypeTracker implements Tracker {
  readonly self: Cursor;
  transition: Transition | undefined;
  readonly #type: TypeState;
  readonly #table: ResourceTable;
  readonly #columns: (Json | undefined)[][];
  /** Series of the moves and states seen so far, by number. */
  readonly #transitionCounters = new Map<number, Counter>();
  readonly #timesInState: Histogram[] = [];
  readonly #life: Life;
  /** What is being applied. */
  #observation: Observation | undefined;

  constructor(type: TypeState, attributes: readonly string[]) {
    this.#type = type;
    this.#table = type.table;
    this.#columns = attributes.map((name) => type.table.column(name));
    this.self = new Cursor(type.table, () => type.declaration);
    this.#life = new Life(type);
  }

  sighting(): Sighting {
    return {
      id: "",
      state: undefined,
      previous: undefined,
      time: 0,
      arrival: false,
      sequence: undefined,
      since: undefined,
      deleted: false,
      snapshot: false,
      source: "",
      attributes: this.#columns.map(() => undefined),
    };
  }

  apply(sighting: Sighting, observation: Observation): TrackResult {
    this.#observation = observation;
    const { takeLife } = this.#type;
    if (takeLife !== undefined) this.#life.before(sighting.id);
    const result = this.#apply(sighting);
    if (takeLife !== undefined) this.#life.after(result, sighting, this.transition, observation, takeLife);
    this.#observation = undefined;
    this.#type.metrics.result(result).add(1);
    this.#type.changed();
    return result;
  }

  #apply(sighting: Sighting): TrackResult {
    const table = this.#table;
    const now = toldAt(this.#type);
    this.transition = undefined;
    sighting.time = Math.floor(sighting.time);
    if (sighting.time > now + FUTURE_MS) {
      sighting.time = now;
      // Ours or the source's clock is wrong: then it cannot say what is late either.
      sighting.arrival = true;
      this.#type.metrics.result("future_time").add(1);
    }
    if (sighting.since !== undefined && sighting.since > now + FUTURE_MS) sighting.since = undefined;

    const known = table.index.get(sighting.id);
    if (known === undefined) return this.#create(sighting, now);
    this.self.at(known);
    if (this.#isLate(known, sighting)) return this.#late(known, now);

    table.lastSeen[known] = now;
    table.sources[known] = table.withSource(table.sources[known]!, sighting.source);
    table.eventTime[known] = Math.max(table.eventTime[known]!, sighting.time);
    if (sighting.sequence !== undefined) table.sequence[known] = sighting.sequence;
    table.touch(known);
    const deletedBefore = (table.flags[known]! & DELETED) !== 0;
    if (sighting.deleted) return deletedBefore ? "late" : this.#delete(known, sighting);
    if (deletedBefore) this.#recreate(known);
    this.#takeAttributes(known, sighting);
    if (deletedBefore) return this.#enter(known, sighting, "created");
    return this.#move(known, sighting);
  }

  #isLate(row: number, sighting: Sighting): boolean {
    const sequence = this.#table.sequence[row]!;
    if (sighting.sequence !== undefined && !Number.isNaN(sequence)) return sighting.sequence < sequence;
    // The machine's clock may be set back: what is ordered by arrival alone must not be late then.
    return !sighting.arrival && sighting.time < this.#table.eventTime[row]!;
  }

  /** Says only that the resource is there: its state is known better. */
  #late(row: number, now: number): TrackResult {
    if ((this.#table.flags[row]! & DELETED) === 0) {
      this.#table.lastSeen[row] = now;
      this.#table.touch(row);
      // Whoever waits for news of it has some. Nothing else of it has changed.
      judgeRow(this.#type, this.self, undefined, false);
    }
    return "late";
  }

  #create(sighting: Sighting, now: number): TrackResult {
    const table = this.#table;
    if (table.rows >= (this.#type.declaration?.resourcesMax ?? Infinity)) return "refused";
    const row = table.add(sighting.id, this.#type.nextKey());
    this.self.at(row);
    table.firstSeen[row] = now;
    table.lastSeen[row] = now;
    table.eventTime[row] = sighting.time;
    table.since[row] = sighting.since ?? sighting.time;
    table.movedAt[row] = sighting.time;
    table.began[row] = table.since[row]!;
    if (sighting.sequence !== undefined) table.sequence[row] = sighting.sequence;
    table.sources[row] = table.withSource(0, sighting.source);
    table.touch(row);
    if (sighting.deleted) {
      // What was said before the deletion may still come, and must be known to be late. It has not lived yet.
      table.incarnation[row] = 0;
      this.#bury(row);
      return "deleted";
    }
    this.#takeAttributes(row, sighting);
    return this.#enter(row, sighting, "created");
  }

  /** A resource that was deleted is there again. */
  #recreate(row: number): void {
    const table = this.#table;
    table.flags[row] = table.flags[row]! & ~(DELETED | ILLEGAL);
    table.incarnation[row] = table.incarnation[row]! + 1;
    table.began[row] = Infinity;
    table.state[row] = NO_STATE_ID;
    table.previous[row] = NO_STATE_ID;
    table.visits.delete(row);
    table.countIn(row);
    for (const column of table.columns.values()) column[row] = undefined;
  }

  /** First state of an incarnation. A move that the source reports with it (`previous`) is a transition of unknown duration. */
  #enter(row: number, sighting: Sighting, result: TrackResult): TrackResult {
    const { table } = this.#type;
    const state = sighting.state === undefined ? NO_STATE_ID : table.states.id(sighting.state);
    const from = sighting.previous === undefined || sighting.snapshot ? state : table.states.id(sighting.previous);
    if (state !== NO_STATE_ID && from !== state) {
      this.#put(row, from);
      this.#transit(row, state, sighting, undefined);
    } else {
      this.#arrive(row, state, sighting);
    }
    this.#judge(undefined);
    return result;
  }

  #move(row: number, sighting: Sighting): TrackResult {
    const { table, metrics } = this.#type;
    const before = table.state[row]!;
    const state = sighting.state === undefined ? before : table.states.id(sighting.state);
    if (state === before) {
      // The source may know only later when the state began.
      if (sighting.state !== undefined && sighting.since !== undefined) this.#since(row, sighting.since, false);
      this.#judge(undefined);
      return "updated";
    }
    if (before === NO_STATE_ID) return this.#enter(row, sighting, "updated");
    const reported = sighting.previous === undefined ? before : table.states.id(sighting.previous);
    this.#leave(row, before);
    let result: TrackResult = "moved";
    if (sighting.snapshot) {
      // It tells where the resource is, not how it came there.
      this.#arrive(row, state, sighting);
      result = "updated";
    } else if (reported === before) {
      this.#transit(row, state, sighting, Math.max(0, sighting.time - table.since[row]!));
    } else {
      // Moves were missed: the source is believed, and how long `previous` lasted is not known.
      metrics.result("gap").add(1);
      if (reported === state) {
        this.#arrive(row, state, sighting);
        result = "updated";
      } else {
        this.#put(row, reported);
        this.#leave(row, reported);
        this.#transit(row, state, sighting, undefined);
      }
    }
    this.#judge(table.states.name(before));
    return result;
  }

  #judge(leftState: string | undefined): void {
    judgeRow(this.#type, this.self, leftState, true, this.#observation, this.transition);
  }

  /** Out of a terminal state the resource begins anew. */
  #leave(row: number, from: number): void {
    const { table, declaration } = this.#type;
    if (declaration?.states.get(table.states.name(from))?.terminal !== true) return;
    table.incarnation[row] = table.incarnation[row]! + 1;
    table.began[row] = Infinity;
    table.visits.delete(row);
  }

  #put(row: number, state: number): void {
    const { table } = this.#type;
    table.countOut(row);
    table.state[row] = state;
    table.countIn(row);
  }

  /** It is in `state` now; nothing is said of how it came there. */
  #arrive(row: number, state: number, sighting: Sighting): void {
    const { table } = this.#type;
    table.previous[row] = table.state[row]!;
    this.#put(row, state);
    table.flags[row] = table.flags[row]! & ~ILLEGAL;
    this.#since(row, sighting.since ?? sighting.time, sighting.snapshot && sighting.since === undefined);
    table.movedAt[row] = sighting.time;
    this.#visit(row, state);
  }

  #since(row: number, since: number, estimated: boolean): void {
    const { table } = this.#type;
    table.since[row] = since;
    table.flags[row] = estimated ? table.flags[row]! | SINCE_ESTIMATED : table.flags[row]! & ~SINCE_ESTIMATED;
    if (since < table.began[row]!) table.began[row] = since;
  }

  /** The move itself; `durationMs` undefined when it is not known. */
  #transit(row: number, to: number, sighting: Sighting, durationMs: number | undefined): void {
    const { table, metrics, declaration, clock, log } = this.#type;
    const from = table.state[row]!;
    const fromName = table.states.name(from);
    const toName = table.states.name(to);
    this.#arrive(row, to, sighting);
    const next = declaration?.states.get(fromName)?.next;
    if (next !== undefined && !next.includes(toName)) table.flags[row] = table.flags[row]! | ILLEGAL;
    this.transition = { from: fromName, to: toName, at: sighting.time, duration: durationMs ?? 0 };
    table.lastTransition[row] = log.add(table.keys[row]!, table.lastTransition[row]!, this.transition);
    this.#transitions(from, fromName, to, toName).add(1);
    if (!sighting.arrival) metrics.detectionDelay.observe(Math.max(0, clock.now() - sighting.time) / 1_000);
    if (durationMs !== undefined) this.#timeInState(from, fromName).observe(durationMs / 1_000);
  }

  /** Looking a series up by its labels costs more than the rest of a move. */
  #transitions(from: number, fromName: string, to: number, toName: string): Counter {
    const pair = from * 65_536 + to;
    let counter = this.#transitionCounters.get(pair);
    if (counter === undefined) this.#transitionCounters.set(pair, (counter = this.#type.metrics.transition(fromName, toName)));
    return counter;
  }

  #timeInState(state: number, name: string): Histogram {
    return (this.#timesInState[state] ??= this.#type.metrics.timeInState(name));
  }

  #visit(row: number, state: number): void {
    const { table, declaration } = this.#type;
    if (declaration === undefined || declaration.loopStates.size === 0 || !declaration.loopStates.has(table.states.name(state))) return;
    let visits = table.visits.get(row);
    if (visits === undefined) table.visits.set(row, (visits = new Map()));
    visits.set(state, (visits.get(state) ?? 0) + 1);
  }

  #delete(row: number, sighting: Sighting): TrackResult {
    const table = this.#table;
    const state = table.state[row]!;
    if (state !== NO_STATE_ID) this.#timeInState(state, table.states.name(state)).observe(Math.max(0, sighting.time - table.since[row]!) / 1_000);
    this.#type.judge?.forget(this.self, "deleted");
    this.#bury(row);
    return "deleted";
  }

  /** What is left of a deleted resource: a row that knows how new the deletion is. */
  #bury(row: number): void {
    const table = this.#table;
    table.countOut(row);
    table.flags[row] = table.flags[row]! | DELETED;
    table.deadlines.arm(row, expiryOf(this.#type, row));
    this.#type.armed();
  }

  #takeAttributes(row: number, sighting: Sighting): void {
    for (let i = 0; i < this.#columns.length; i++) {
      const value = sighting.attributes[i];
      if (value === undefined) continue;
      this.#columns[i]![row] = value === null ? undefined : value;
    }
  }
}
