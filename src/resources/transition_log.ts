import type { Cell, Store, Table, TableChange } from "../sdk/store.ts";
import type { Transition } from "../sdk/resource.ts";

/** Transitions kept of each resource: the last ones. */
export const TRANSITIONS_KEPT = 20;

/** A ring of slots for each resource, so that the table is bounded without ever being pruned. */
export const TRANSITIONS: Table = {
  name: "transitions",
  columns: [
    ["resource", "integer"],
    ["slot", "integer"],
    ["number", "integer"],
    ["from_state", "text"],
    ["to_state", "text"],
    ["at", "integer"],
    ["duration", "integer"],
  ],
  keyColumns: 2,
};

const WIDTH = TRANSITIONS.columns.length;

/** The history of resources: in the store, apart from what the next commit takes there. */
export class TransitionLog {
  #fresh: Cell[] = [];
  #draining: readonly Cell[] = [];
  #deletes: Cell[] = [];

  /** `number` counts the transitions of the resource from 0. */
  add(key: number, number: number, transition: Transition): void {
    this.#fresh.push(
      key, number % TRANSITIONS_KEPT, number, transition.from, transition.to,
      Math.round(transition.at), Math.round(transition.duration),
    );
  }

  /** Forgets the history of a resource that made `moves` transitions. */
  remove(key: number, moves: number): void {
    for (let slot = 0; slot < Math.min(moves, TRANSITIONS_KEPT); slot++) this.#deletes.push(key, slot);
  }

  drain(changes: TableChange[]): void {
    if (this.#fresh.length > 0 || this.#deletes.length > 0) {
      const removed = new Set(this.#deletes.filter((_, i) => i % 2 === 0));
      const puts = removed.size === 0 ? this.#fresh : withoutKeys(this.#fresh, removed);
      changes.push({ table: TRANSITIONS, puts, deletes: this.#deletes });
    }
    this.#draining = this.#fresh;
    this.#fresh = [];
    this.#deletes = [];
  }

  /** The last transitions of a resource, oldest first: what is stored, and what is on its way there. */
  async of(store: Store, key: number): Promise<Transition[]> {
    const unstored = [...this.#draining, ...this.#fresh];
    const byNumber = new Map<number, Transition>();
    for (const cells of [await store.read(TRANSITIONS, [key], TRANSITIONS_KEPT), unstored]) {
      for (let i = 0; i < cells.length; i += WIDTH) {
        if (cells[i] !== key) continue;
        byNumber.set(cells[i + 2] as number, {
          from: cells[i + 3] as string,
          to: cells[i + 4] as string,
          at: cells[i + 5] as number,
          duration: cells[i + 6] as number,
        });
      }
    }
    const numbers = [...byNumber.keys()].sort((a, b) => a - b).slice(-TRANSITIONS_KEPT);
    return numbers.map((number) => byNumber.get(number)!);
  }
}

function withoutKeys(cells: readonly Cell[], keys: ReadonlySet<Cell>): Cell[] {
  const kept: Cell[] = [];
  for (let i = 0; i < cells.length; i += WIDTH) {
    if (!keys.has(cells[i]!)) kept.push(...cells.slice(i, i + WIDTH));
  }
  return kept;
}
