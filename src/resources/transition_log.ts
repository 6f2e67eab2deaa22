import type { Cell, Store, Table, TableChange } from "../sdk/store.ts";
import type { Transition } from "../sdk/resource.ts";

/** Transitions shown of each resource: the last ones. */
export const TRANSITIONS_SHOWN = 20;
/** Transitions kept of all resources together: so many for each of them on average, and never fewer than the minimum. */
const KEPT_PER_RESOURCE = 20;
const KEPT_MIN = 100_000;
/** No transition: the numbers begin at 1. */
export const NO_TRANSITION = 0;

/**
 * Every transition in the order in which it was made, each with the number of the one before it of the same resource.
 * Rows are only ever appended at one end and deleted at the other: a commit writes a few full pages, where a place for
 * each resource would write a page for each. A resource finds its own by following the numbers back.
 */
export const TRANSITIONS: Table = {
  name: "transitions",
  columns: [
    ["number", "integer"],
    ["resource", "integer"],
    ["before", "integer"],
    ["from_state", "text"],
    ["to_state", "text"],
    ["at", "integer"],
    ["duration", "integer"],
  ],
  keyColumns: 1,
};

const WIDTH = TRANSITIONS.columns.length;

/** The history of resources: in the store, apart from what the next commit takes there. */
export class TransitionLog {
  readonly #resources: () => number;
  #fresh: Cell[] = [];
  #draining: readonly Cell[] = [];
  #next = 1;
  /** Number of the oldest one that is stored. */
  #oldest = 1;

  /** `resources` says how many there are: the more, the longer the log. */
  constructor(resources: () => number) {
    this.#resources = resources;
  }

  /** `last` is the highest number that a resource refers to. After the resources are restored. */
  async restore(store: Store, last: number): Promise<void> {
    const [oldest] = await store.read(TRANSITIONS, [], 1);
    this.#next = last + 1;
    this.#oldest = Math.min((oldest as number | undefined) ?? this.#next, this.#next);
  }

  /** Appends; returns its number. `before`: the last one of the same resource, or `NO_TRANSITION`. */
  add(resource: number, before: number, transition: Transition): number {
    const number = this.#next++;
    this.#fresh.push(number, resource, before, transition.from, transition.to, Math.round(transition.at), Math.round(transition.duration));
    return number;
  }

  drain(changes: TableChange[]): void {
    const deletes: Cell[] = [];
    if (this.#fresh.length > 0) {
      const kept = Math.max(KEPT_MIN, KEPT_PER_RESOURCE * this.#resources());
      // At most two for each that comes: a log that has become too long shrinks without a commit that takes for ever.
      const deletesMax = (2 * this.#fresh.length) / WIDTH;
      while (this.#next - this.#oldest > kept && deletes.length < deletesMax) deletes.push(this.#oldest++);
      changes.push({ table: TRANSITIONS, puts: this.#fresh, deletes });
    }
    this.#draining = this.#fresh;
    this.#fresh = [];
  }

  /**
   * The last transitions of a resource, oldest first, from its last one (`number`) back: those on their way to the store and
   * those that are there. Fewer than `TRANSITIONS_SHOWN` where the log is not that long any more.
   */
  async of(store: Store, resource: number, number: number): Promise<Transition[]> {
    const found: Transition[] = [];
    for (let at = number; at !== NO_TRANSITION && found.length < TRANSITIONS_SHOWN; ) {
      const [, owner, before, from, to, atMs, duration] = this.#unstored(at) ?? (await store.read(TRANSITIONS, [at], 1));
      if (owner !== resource) break; // not kept any more
      found.push({ from: from as string, to: to as string, at: atMs as number, duration: duration as number });
      at = before as number;
    }
    return found.reverse();
  }

  /** The row of a number that is not stored yet. Numbers have no gaps, so its place is known. */
  #unstored(number: number): readonly Cell[] | undefined {
    for (const cells of [this.#fresh, this.#draining]) {
      const place = (number - (cells[0] as number)) * WIDTH;
      if (place >= 0 && place < cells.length) return cells.slice(place, place + WIDTH);
    }
    return undefined;
  }
}
