import type { Clock } from "../sdk/clock.ts";
import type { Cell, Persistent, Store, Table, TableChange } from "../sdk/store.ts";

const SEEN: Table = { name: "seen", columns: [["receiver", "text"], ["id", "text"], ["at", "integer"]], keyColumns: 2 };

/**
 * Idempotency ids of what was taken, for each receiver, oldest first: a redelivery changes nothing. Bounded by age and
 * number; both limits are the user's to see (`service.dedupe_ttl`, `service.dedupe_max`).
 */
export class Seen implements Persistent {
  readonly tables = [SEEN];
  readonly #clock: Clock;
  readonly #limits: () => { readonly ttlMs: number; readonly max: number };
  readonly #receivers = new Map<string, Map<string, number>>();
  #fresh = new Map<string, Set<string>>();
  #deletes: Cell[] = [];

  constructor(clock: Clock, limits: () => { readonly ttlMs: number; readonly max: number }) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** True when the id is new: it is remembered with the next commit. */
  add(receiver: string, id: string): boolean {
    const ids = this.#of(receiver);
    const at = ids.get(id);
    const now = this.#clock.now();
    const { ttlMs, max } = this.#limits();
    if (at !== undefined && now - at <= ttlMs) return false;
    ids.delete(id); // to the end: oldest first
    ids.set(id, now);
    let fresh = this.#fresh.get(receiver);
    if (fresh === undefined) this.#fresh.set(receiver, (fresh = new Set()));
    fresh.add(id);
    for (const [oldest, oldestAt] of ids) {
      if (ids.size <= max && now - oldestAt <= ttlMs) break;
      ids.delete(oldest);
      fresh.delete(oldest);
      this.#deletes.push(receiver, oldest);
    }
    return true;
  }

  size(receiver: string): number {
    return this.#receivers.get(receiver)?.size ?? 0;
  }

  async restore(store: Store): Promise<void> {
    const rows: [string, string, number][] = [];
    await store.load(SEEN, (cells) => {
      for (let i = 0; i < cells.length; i += 3) rows.push([cells[i] as string, cells[i + 1] as string, cells[i + 2] as number]);
    });
    rows.sort((a, b) => a[2] - b[2]);
    for (const [receiver, id, at] of rows) this.#of(receiver).set(id, at);
  }

  drain(changes: TableChange[]): void {
    const puts: Cell[] = [];
    for (const [receiver, ids] of this.#fresh) for (const id of ids) puts.push(receiver, id, this.#of(receiver).get(id)!);
    if (puts.length === 0 && this.#deletes.length === 0) return;
    changes.push({ table: SEEN, puts, deletes: this.#deletes });
    this.#fresh = new Map();
    this.#deletes = [];
  }

  #of(receiver: string): Map<string, number> {
    let ids = this.#receivers.get(receiver);
    if (ids === undefined) this.#receivers.set(receiver, (ids = new Map()));
    return ids;
  }
}
