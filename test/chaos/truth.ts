const NEXT: Readonly<Record<string, readonly string[]>> = {
  created: ["pending"],
  pending: ["paid", "failed"],
  paid: ["shipped", "failed"],
  failed: ["pending", "cancelled"],
  shipped: ["delivered"],
  delivered: [],
  cancelled: [],
};

/** What one order did, as its source knows it. */
export interface Order {
  readonly id: string;
  state: string;
  sequence: number;
  /** How often it entered `failed`. */
  failures: number;
}

/** The truth that the agent is held against at the end. */
export class Truth {
  readonly orders: Map<string, Order>;
  /** `from>to` → how often. */
  readonly moves: Map<string, number>;
  readonly #random: () => number;
  readonly #prefix: string;
  readonly #movable: Order[] = [];
  #made = 0;

  /** `of`: another writer's share of the same truth. */
  constructor(prefix: string, random: () => number, of?: Truth) {
    this.#prefix = prefix;
    this.#random = random;
    this.orders = of?.orders ?? new Map();
    this.moves = of?.moves ?? new Map();
  }

  /** Makes an order, or moves one; the caller tells the agent. */
  step(): { order: Order; from: string | undefined } {
    const movable = this.#movable;
    if (movable.length === 0 || this.#random() < 0.3) {
      const order: Order = { id: `${this.#prefix}-${++this.#made}`, state: "created", sequence: 1, failures: 0 };
      this.orders.set(order.id, order);
      movable.push(order);
      return { order, from: undefined };
    }
    const place = Math.floor(this.#random() * movable.length);
    const order = movable[place]!;
    const from = order.state;
    const next = NEXT[from]!;
    order.state = next[Math.floor(this.#random() * next.length)]!;
    order.sequence++;
    if (NEXT[order.state]!.length === 0) movable.splice(place, 1);
    if (order.state === "failed") order.failures++;
    const key = `${from}>${order.state}`;
    this.moves.set(key, (this.moves.get(key) ?? 0) + 1);
    return { order, from };
  }
}

/** An order as its source writes it. */
export function event({ id, state, sequence }: Order): string {
  return JSON.stringify({ order_id: id, status: state, seq: sequence, time: new Date().toISOString(), note: "ünïcode \"quoted\"" });
}

/** The same chance every time, for a seed. */
export function seeded(seed: number): () => number {
  let x = seed >>> 0 || 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}
