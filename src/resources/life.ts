import type { Observation } from "../sdk/observation.ts";
import type { LifecycleChange, Sighting, TrackResult, Transition } from "../sdk/resource.ts";
import { NO_STATE_ID } from "./state_names.ts";
import { DELETED, SINCE_ESTIMATED } from "./table.ts";
import type { TypeState } from "./type_state.ts";

/** Is told what an observation did to the life of a resource, in the tick in which it did. */
export type TakeLife = (change: LifecycleChange, observation: Observation) => void;

/**
 * Compares a resource before and after an observation. A duration that nobody knows makes no state's end: the state
 * was left by a move that was missed, or only a snapshot said when it began.
 */
export class Life {
  readonly #type: TypeState;
  #live = false;
  #state = NO_STATE_ID;
  #since = 0;
  #sinceEstimated = false;
  #began = 0;
  #incarnation = 0;
  #terminal = false;

  constructor(type: TypeState) {
    this.#type = type;
  }

  /** Remembers it as it is. */
  before(id: string): void {
    const { table } = this.#type;
    const row = table.index.get(id);
    this.#live = row !== undefined && (table.flags[row]! & DELETED) === 0;
    if (row === undefined || !this.#live) return;
    this.#state = table.state[row]!;
    this.#since = table.since[row]!;
    this.#sinceEstimated = (table.flags[row]! & SINCE_ESTIMATED) !== 0;
    this.#began = table.began[row]!;
    this.#incarnation = table.incarnation[row]!;
    this.#terminal = this.#isTerminal(this.#state);
  }

  /** Tells what became of it, if anything did. */
  after(result: TrackResult, sighting: Sighting, transition: Transition | undefined, observation: Observation, take: TakeLife): void {
    if (result === "late" || result === "refused") return;
    const change = result === "deleted" ? this.#deleted(sighting) : this.#changed(sighting, transition);
    if (change !== undefined) take(change, observation);
  }

  #deleted(sighting: Sighting): LifecycleChange | undefined {
    if (!this.#live) return undefined;
    const at = sighting.time;
    const left = this.#state === NO_STATE_ID || this.#sinceEstimated || sighting.snapshot ? undefined : this.#left(at, undefined);
    const ended = this.#terminal ? undefined : {
      incarnation: this.#incarnation, began: this.#began, at, state: this.#name(this.#state), deleted: true, estimated: sighting.snapshot,
    };
    if (left === undefined && ended === undefined) return undefined;
    return { type: this.#type.table.type, id: sighting.id, left, ended, began: undefined };
  }

  #changed(sighting: Sighting, transition: Transition | undefined): LifecycleChange | undefined {
    const { table } = this.#type;
    const row = table.index.get(sighting.id)!;
    const state = table.state[row]!;
    const incarnation = table.incarnation[row]!;
    const isNew = !this.#live || incarnation !== this.#incarnation;
    if (!isNew && state === this.#state) return undefined;
    // A gap's transition comes from another state than the one that it was known to be in.
    const known = this.#live && !this.#sinceEstimated && this.#state !== NO_STATE_ID && transition?.from === this.#name(this.#state);
    const left = known ? this.#left(transition!.at, this.#name(state)) : undefined;
    const began = isNew ? { incarnation, at: table.began[row]!, state: this.#name(state) } : undefined;
    const at = transition?.at ?? table.since[row]!;
    let ended: LifecycleChange["ended"];
    if (this.#live && isNew && !this.#terminal) {
      // It came to a terminal state unseen, and the source told of that only when it left it.
      const last = transition?.from ?? this.#name(this.#state);
      ended = { incarnation: this.#incarnation, began: this.#began, at, state: last, deleted: false, estimated: true };
    } else if (this.#isTerminal(state)) {
      const estimated = (table.flags[row]! & SINCE_ESTIMATED) !== 0;
      ended = { incarnation, began: table.began[row]!, at, state: this.#name(state), deleted: false, estimated };
    }
    if (left === undefined && ended === undefined && began === undefined) return undefined;
    return { type: table.type, id: sighting.id, left, ended, began };
  }

  #left(at: number, to: string | undefined): LifecycleChange["left"] {
    return { incarnation: this.#incarnation, state: this.#name(this.#state), since: this.#since, at, to };
  }

  #name(state: number): string {
    return this.#type.table.states.name(state);
  }

  #isTerminal(state: number): boolean {
    return this.#type.declaration?.states.get(this.#name(state))?.terminal === true;
  }
}
