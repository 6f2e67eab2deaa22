import { createHmac, randomBytes } from "node:crypto";
import { appendFile, rename } from "node:fs/promises";
import { pause } from "../support/waiting.ts";

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
  readonly orders = new Map<string, Order>();
  /** `from>to` → how often. */
  readonly moves = new Map<string, number>();
  readonly #random: () => number;
  readonly #prefix: string;
  readonly #movable: Order[] = [];
  #made = 0;

  constructor(prefix: string, random: () => number) {
    this.#prefix = prefix;
    this.#random = random;
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

function event({ id, state, sequence }: Order): string {
  return JSON.stringify({ order_id: id, status: state, seq: sequence, time: new Date().toISOString(), note: "ünïcode \"quoted\"" });
}

/** Writes the log that the agent tails: lines come in pieces, files are rotated by rename. */
export async function logSource(truth: Truth, file: string, random: () => number, ended: () => boolean): Promise<void> {
  let rotations = 0;
  while (!ended()) {
    const lines = Array.from({ length: 1 + Math.floor(random() * 20) }, () => `${event(truth.step().order)}\n`).join("");
    const cut = Math.floor(random() * lines.length);
    await appendFile(file, lines.slice(0, cut));
    if (random() < 0.3) await pause(random() * 20);
    await appendFile(file, lines.slice(cut));
    if (random() < 0.05) await rename(file, `${file}.${++rotations}`);
    await pause(5 + random() * 30);
  }
}

/** Sends signed webhooks one after the other, each again and again under one id until it is acknowledged. */
export async function webhookSource(truth: Truth, url: string, secret: string, random: () => number, ended: () => boolean): Promise<number> {
  let repeats = 0;
  while (!ended()) {
    const body = event(truth.step().order);
    const id = `msg_${randomBytes(12).toString("hex")}`;
    for (let attempt = 0; !(await delivered(url, secret, id, body)); attempt++) {
      repeats++;
      await pause(20);
    }
    // A sender that lost the answer sends once more what was acknowledged.
    if (random() < 0.1) await delivered(url, secret, id, body);
    await pause(random() * 20);
  }
  return repeats;
}

async function delivered(url: string, secret: string, id: string, body: string): Promise<boolean> {
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const signature = createHmac("sha256", Buffer.from(secret.slice("whsec_".length), "base64")).update(`${id}.${timestamp}.${body}`).digest("base64");
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` },
      body,
      signal: AbortSignal.timeout(5_000),
    });
    await response.arrayBuffer();
    if (response.status === 401 || response.status === 400) throw new Error(`refused for good: ${response.status}`);
    return response.ok;
  } catch (error) {
    if (error instanceof Error && error.message.startsWith("refused for good")) throw error;
    return false;
  }
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
