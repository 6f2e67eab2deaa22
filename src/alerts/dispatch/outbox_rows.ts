import type { Alert } from "../../sdk/alert.ts";
import type { Cell, Store, Table, TableChange } from "../../sdk/store.ts";
import type { Entry, Message } from "./lane.ts";

/** A notification that could not be delivered for this long goes to the dead letters. */
export const GIVE_UP_AFTER_MS = 24 * 3_600_000;
/** However old it is: a machine that was off for days may have no network in its first minutes. */
const GIVE_UP_AFTER_START_MS = 3_600_000;

/** `alert`: rows of an earlier version, of one alert each; null since. */
export const OUTBOX: Table = {
  name: "outbox",
  columns: [["number", "integer"], ["exporter", "text"], ["created_at", "integer"], ["alert", "json"], ["notification", "json"], ["kept", "integer"]],
  keyColumns: 1,
};

/** What the next commit writes. An entry is durable once that is done. */
export class OutboxRows {
  #puts = new Map<number, Cell[]>();
  #deletes: Cell[] = [];
  #fresh: Entry[] = [];
  #draining: Entry[] = [];

  put(exporter: string, entry: Entry): void {
    const { number, createdAt, message, kept } = entry;
    this.#puts.set(number, [number, exporter, Math.round(createdAt), null, JSON.stringify(message), kept ? 1 : 0]);
    this.#fresh.push(entry);
  }

  /** What is dropped before it was ever stored is in neither. */
  remove({ number }: Entry): void {
    if (!this.#puts.delete(number)) this.#deletes.push(number);
  }

  drain(changes: TableChange[]): void {
    if (this.#puts.size + this.#deletes.length > 0) changes.push({ table: OUTBOX, puts: [...this.#puts.values()].flat(), deletes: this.#deletes });
    this.#draining = this.#fresh;
    this.#fresh = [];
    this.#puts = new Map();
    this.#deletes = [];
  }

  /** False when nothing was written that may leave now. */
  committed(): boolean {
    if (this.#draining.length === 0) return false;
    for (const entry of this.#draining) entry.durable = true;
    this.#draining = [];
    return true;
  }
}

/** What waited, by exporter, in order; `now` in ms. Whether an attempt reached its destination, nobody knows. */
export async function loadOutbox(store: Store, now: number): Promise<[exporter: string, entry: Entry][]> {
  const entries: [string, Entry][] = [];
  const width = OUTBOX.columns.length;
  await store.load(OUTBOX, (cells) => {
    for (let i = 0; i < cells.length; i += width) {
      const [number, exporter, createdAt, alert, notification, kept] = cells.slice(i, i + width) as [number, string, number, string | null, string | null, number | null];
      const message = notification === null ? messageOfAlert(JSON.parse(alert!) as Alert) : (JSON.parse(notification) as Message);
      const giveUpAt = now + Math.min(GIVE_UP_AFTER_MS, Math.max(GIVE_UP_AFTER_START_MS, createdAt + GIVE_UP_AFTER_MS - now));
      entries.push([exporter, { number, createdAt, giveUpAt, message, opens: false, kept: kept === 1, attempted: true, durable: true, busy: false, failures: 0, notBefore: 0 }]);
    }
  });
  return entries.sort(([, a], [, b]) => a.number - b.number);
}

function messageOfAlert(alert: Alert): Message {
  const firing = alert.status === "firing";
  return { key: alert.dedup_key, status: firing ? "firing" : "resolved", cause: firing ? "fired" : "resolved", alerts: [alert], group: {} };
}
