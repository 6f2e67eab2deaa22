import type { Notification } from "../../sdk/alert.ts";
import type { Clock } from "../../sdk/clock.ts";
import type { Cell, Persistent, Store, Table, TableChange } from "../../sdk/store.ts";

/** Alerts named in a delivery; of further ones only the number is kept. */
const NAMED_MAX = 5;
const ANSWER_LENGTH_MAX = 500;

const DELIVERIES: Table = {
  name: "deliveries",
  columns: [
    ["number", "integer"], ["at", "integer"], ["exporter", "text"], ["key", "text"], ["cause", "text"], ["status", "text"],
    ["alerts", "json"], ["count", "integer"], ["attempt", "integer"], ["result", "text"], ["answer", "text"],
  ],
  keyColumns: 1,
};

/** An alert of a delivery. */
export interface DeliveredAlert {
  readonly alert: string;
  readonly resource: { readonly type: string; readonly id: string };
  readonly status: string;
  readonly dedup_key: string;
}

/** One attempt to tell a destination something. */
export interface Delivery {
  readonly number: number;
  /** ms since the epoch. */
  readonly at: number;
  readonly exporter: string;
  /** Key of the incident. */
  readonly key: string;
  readonly cause: Notification["cause"];
  readonly status: Notification["status"];
  /** The first few of them. */
  readonly alerts: readonly DeliveredAlert[];
  /** How many alerts there were. */
  readonly count: number;
  /** From 1. */
  readonly attempt: number;
  /** `failed` is tried again; `dead_letter` was given up. */
  readonly result: "delivered" | "failed" | "dead_letter";
  /** What went wrong; undefined when it was delivered. */
  readonly answer: string | undefined;
}

export interface DeliveriesOptions {
  readonly clock: Clock;
  readonly max: () => number;
  readonly changed: () => void;
}

/** The record of what left the agent, and what came of it; when there are `max`, the oldest goes. */
export class Deliveries implements Persistent {
  readonly tables = [DELIVERIES];
  readonly #options: DeliveriesOptions;
  readonly #deliveries = new Map<number, Delivery>();
  #fresh = new Set<number>();
  #deletes: Cell[] = [];
  #number = 0;

  constructor(options: DeliveriesOptions) {
    this.#options = options;
  }

  /** `answer` may be shown: it holds no secret. */
  add(exporter: string, notification: Pick<Notification, "key" | "cause" | "status" | "alerts" | "more">, attempt: number, result: Delivery["result"], answer?: string): void {
    const { key, cause, status, alerts, more = 0 } = notification;
    const named = alerts.slice(0, NAMED_MAX).map(({ alert, resource, status: of, dedup_key }) => ({ alert, resource, status: of, dedup_key }));
    const number = ++this.#number;
    this.#deliveries.set(number, {
      number, at: this.#options.clock.now(), exporter, key, cause, status, alerts: named, count: alerts.length + more, attempt, result, answer: answer?.slice(0, ANSWER_LENGTH_MAX),
    });
    this.#fresh.add(number);
    for (const oldest of this.#deliveries.keys()) {
      if (this.#deliveries.size <= this.#options.max()) break;
      this.#deliveries.delete(oldest);
      if (!this.#fresh.delete(oldest)) this.#deletes.push(oldest);
    }
    this.#options.changed();
  }

  /** Newest first, at most `limit`, older than `before`; only of this exporter or incident (or alert), where given. */
  list(before: number | undefined, limit: number, exporter?: string, key?: string): Delivery[] {
    const found: Delivery[] = [];
    for (let number = Math.min(this.#number, (before ?? Infinity) - 1); number > 0 && found.length < limit; number--) {
      const delivery = this.#deliveries.get(number);
      if (delivery === undefined) {
        // Numbers are without gaps down to the oldest that is kept.
        if (this.#deliveries.size === 0 || number < this.#deliveries.keys().next().value!) break;
        continue;
      }
      if (exporter !== undefined && delivery.exporter !== exporter) continue;
      if (key !== undefined && delivery.key !== key && !delivery.alerts.some(({ dedup_key }) => dedup_key === key)) continue;
      found.push(delivery);
    }
    return found;
  }

  async restore(store: Store): Promise<void> {
    const deliveries: Delivery[] = [];
    const width = DELIVERIES.columns.length;
    await store.load(DELIVERIES, (cells) => {
      for (let i = 0; i < cells.length; i += width) {
        const [number, at, exporter, key, cause, status, alerts, count, attempt, result, answer] = cells.slice(i, i + width);
        deliveries.push({
          number: number as number, at: at as number, exporter: exporter as string, key: key as string,
          cause: cause as Delivery["cause"], status: status as Delivery["status"], alerts: JSON.parse(alerts as string) as DeliveredAlert[],
          count: count as number, attempt: attempt as number, result: result as Delivery["result"], answer: (answer as string | null) ?? undefined,
        });
      }
    });
    deliveries.sort((a, b) => a.number - b.number);
    for (const delivery of deliveries) this.#deliveries.set(delivery.number, delivery);
    this.#number = deliveries.at(-1)?.number ?? 0;
  }

  drain(changes: TableChange[]): void {
    if (this.#fresh.size === 0 && this.#deletes.length === 0) return;
    const puts: Cell[] = [];
    for (const number of this.#fresh) {
      const { at, exporter, key, cause, status, alerts, count, attempt, result, answer } = this.#deliveries.get(number)!;
      puts.push(number, at, exporter, key, cause, status, JSON.stringify(alerts), count, attempt, result, answer ?? null);
    }
    changes.push({ table: DELIVERIES, puts, deletes: this.#deletes });
    this.#fresh = new Set();
    this.#deletes = [];
  }
}
