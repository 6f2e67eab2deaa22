/** An order as the shop shows it everywhere: in its API, in webhooks and in its log. */
export interface Order {
  readonly id: string;
  status: string;
  previous_status: string | null;
  /** EUR. */
  readonly amount: number;
  readonly region: string;
  readonly created_at: string;
  updated_at: string;
}

/** What an order will go through: each state, and how long it stays there. The last one is for good. */
type Life = readonly { readonly status: string; readonly seconds: number }[];

const NEW_ORDER_EVERY_MS = 2_500;
/** Finished orders are shown this long, then forgotten. */
const SHOWN_FINISHED_MS = 10_000;
const FIRST_NUMBER = 1001;
const REGIONS = ["north", "south", "east", "west"] as const;
const LARGE_AMOUNT = 4_800;
/** Of every eight orders one gets stuck, one is large and waits for its parcel, and one is not paid. */
const STORY_LENGTH = 8;
const STORIES: Readonly<Record<number, "stuck" | "large" | "unpaid">> = { 0: "stuck", 3: "large", 6: "unpaid" };
const REMARKS = {
  stuck: "the payment provider does not answer; it will in 20 s",
  large: `${LARGE_AMOUNT} EUR, and nobody in the warehouse finds the parcel`,
  unpaid: "the customer's card will be declined",
} as const;

/**
 * Orders that come and move by themselves, the same ones at every start; a minute here is a day elsewhere.
 * Whoever owns them calls `tick` every now and then.
 */
export function createOrders({ changed, remark }: { changed(order: Order): void; remark(text: string): void }) {
  const random = seeded(42);
  const open = new Map<string, { readonly order: Order; readonly life: Life; step: number; due: number }>();
  let count = 0;
  let nextAt = 0;

  function create(now: number): void {
    const story = STORIES[count % STORY_LENGTH];
    const time = new Date(now).toISOString();
    const order: Order = {
      id: `ORD-${FIRST_NUMBER + count++}`,
      status: "created",
      previous_status: null,
      amount: story === "large" ? LARGE_AMOUNT : Math.round(1_000 + random() * 9_000) / 100,
      region: REGIONS[Math.floor(random() * REGIONS.length)]!,
      created_at: time,
      updated_at: time,
    };
    const life: Life = [
      { status: "created", seconds: 1 },
      { status: "pending", seconds: story === "stuck" ? 20 : 2 + random() },
      ...(story === "unpaid" ? [{ status: "failed", seconds: 0 }] : [
        { status: "paid", seconds: story === "large" ? 12 : 2 + random() },
        { status: "shipped", seconds: 3 },
        { status: "delivered", seconds: 0 },
      ]),
    ];
    open.set(order.id, { order, life, step: 0, due: now + life[0]!.seconds * 1_000 });
    if (story !== undefined) remark(`${order.id}: ${REMARKS[story]}`);
    changed(order);
  }

  return {
    /** Oldest first. */
    list: (): Order[] => [...open.values()].map(({ order }) => order),
    find: (id: string): Order | undefined => open.get(id)?.order,
    /** Does what is due at `now`, in ms. */
    tick(now: number): void {
      if (now >= nextAt) {
        nextAt = now + NEW_ORDER_EVERY_MS;
        create(now);
      }
      for (const [id, entry] of open) {
        if (now < entry.due) continue;
        const next = entry.life[++entry.step];
        if (next === undefined) {
          open.delete(id);
          continue;
        }
        const { order } = entry;
        order.previous_status = order.status;
        order.status = next.status;
        order.updated_at = new Date(now).toISOString();
        entry.due = now + (entry.step === entry.life.length - 1 ? SHOWN_FINISHED_MS : next.seconds * 1_000);
        changed(order);
      }
    },
  };
}

/** Numbers from 0 to 1, the same ones for the same seed: a linear congruential generator (Numerical Recipes). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
