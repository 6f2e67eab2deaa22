import type { Json } from "../sdk/observation.ts";
import type { Cell, Persistent, Store, Table, TableChange } from "../sdk/store.ts";

const POSITIONS: Table = { name: "positions", columns: [["receiver", "text"], ["position", "json"]], keyColumns: 1 };

/** Where each receiver is in its source, as of the effects in memory; committed with them. */
export class Positions implements Persistent {
  readonly tables = [POSITIONS];
  readonly #positions = new Map<string, Json>();
  readonly #dirty = new Set<string>();

  get(receiver: string): Json | undefined {
    return this.#positions.get(receiver);
  }

  set(receiver: string, position: Json): void {
    this.#positions.set(receiver, position);
    this.#dirty.add(receiver);
  }

  async restore(store: Store): Promise<void> {
    await store.load(POSITIONS, (cells) => {
      for (let i = 0; i < cells.length; i += 2) this.#positions.set(cells[i] as string, JSON.parse(cells[i + 1] as string) as Json);
    });
  }

  drain(changes: TableChange[]): void {
    if (this.#dirty.size === 0) return;
    const puts: Cell[] = [];
    for (const receiver of this.#dirty) puts.push(receiver, JSON.stringify(this.#positions.get(receiver)));
    this.#dirty.clear();
    changes.push({ table: POSITIONS, puts, deletes: [] });
  }
}
