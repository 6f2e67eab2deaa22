import type { Clock } from "../sdk/clock.ts";
import type { Counter, Histogram } from "../sdk/metrics.ts";
import type { Observation } from "../sdk/observation.ts";
import type { Judge, TrackResult, Transition, TypeDeclaration } from "../sdk/resource.ts";
import { DELETED, type Cursor, type ResourceTable } from "./table.ts";
import type { TakeLife } from "./life.ts";
import type { TransitionLog } from "./transition_log.ts";

/** Counters of one type, wired by whoever owns the metrics. */
export interface TypeMetrics {
  transition(from: string, to: string): Counter;
  timeInState(state: string): Histogram;
  result(result: TrackResult | "gap" | "future_time"): Counter;
  /** Observed minus happened. */
  readonly detectionDelay: Histogram;
}

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
  /** When something was last told of the type, by the clock; earlier or much later is reason to look whether it was set. */
  toldAt: number;
  /** Looks whether the clock was set. */
  lookAtClock(): void;
  /** Undefined while nobody wants to know of lives. */
  takeLife: TakeLife | undefined;
  nextKey(): number;
  /** A deadline came nearer: whoever owns the timer looks again. */
  armed(): void;
  /** Something must be committed. */
  changed(): void;
}

/** Nothing was told of a type for this long: the machine may have slept. */
const CLOCK_LOOK_MS = 60_000;

/** Something is told of the type now. Looks at the clock only where that says that it may have been set. */
export function toldAt(type: TypeState): number {
  const now = type.clock.now();
  if (now < type.toldAt || now > type.toldAt + CLOCK_LOOK_MS) type.lookAtClock();
  type.toldAt = now;
  return now;
}

/** Judges one row and arms its next deadline. `observed`: an observation told of it just now, and perhaps of a move. */
export function judgeRow(
  type: TypeState, cursor: Cursor, leftState: string | undefined, observed: boolean, observation?: Observation, transition?: Transition,
): void {
  const { table } = type;
  const row = cursor.row;
  const asked = type.judge === undefined ? Infinity : type.judge.judge(cursor, leftState, observed, observation, transition);
  const next = Math.min(asked, expiryOf(type, row));
  if (next === Infinity) return;
  // Never due at once again: a judge that asks for the past must not hold the loop.
  table.deadlines.arm(row, Math.max(next, type.clock.now() + 1));
  type.armed();
}

/** When a resource is forgotten if nothing more is heard of it. */
export function expiryOf(type: TypeState, row: number): number {
  const { table, declaration } = type;
  if (declaration === undefined) return Infinity;
  if ((table.flags[row]! & DELETED) !== 0 || declaration.states.get(table.states.name(table.state[row]!))?.terminal === true) {
    return table.lastSeen[row]! + declaration.expireTerminalAfterMs;
  }
  if (declaration.expireAfterMs === undefined) return Infinity;
  return Math.max(table.lastSeen[row]!, table.listenedSince[table.sources[row]!]!) + declaration.expireAfterMs;
}

/** The type whose deadline is first; at the same instant, the one whose resource was seen first: its key is lower. */
export function firstDue<T extends TypeState>(types: Iterable<T>): T | undefined {
  let first: T | undefined;
  for (const type of types) {
    const { deadlines } = type.table;
    if (deadlines.size > 0 && (first === undefined || deadlines.isBefore(first.table.deadlines))) first = type;
  }
  return first;
}
