import { createWriteStream, existsSync } from "node:fs";
import { rename, writeFile, readFile } from "node:fs/promises";
import { once } from "node:events";

/** What a file of the job looks like. */
export interface Shape {
  /** Fields at the top, or three levels down. */
  readonly nested: boolean;
  /** Share of lines that pass the filter. */
  readonly matching: number;
}

const STATUSES = ["created", "pending_payment", "paid", "packed", "shipped", "delivered", "failed", "cancelled"];
const REASONS = ["", "payment_gateway_timeout", "card_declined", "out_of_stock", "fraud_suspected", "address_invalid", "carrier_lost", "customer_request"];
const COMPONENTS = ["checkout", "inventory", "mailer", "search", "auth", "gateway"];
const ORDERS = 100_000;

/** xorshift32: the same lines on every machine. */
function random(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

/** Writes `lines` JSON lines once; returns how many of them pass the job's filter. */
export async function generate(file: string, lines: number, { nested, matching }: Shape): Promise<number> {
  const note = `${file}.expected`;
  if (existsSync(file) && existsSync(note)) return Number(await readFile(note, "utf8"));
  const next = random(20_261_122);
  const out = createWriteStream(`${file}.part`);
  let expected = 0;
  let chunk = "";
  for (let i = 0; i < lines; i++) {
    const wanted = next() % 1_000 < matching * 1_000;
    const isError = next() % 20 === 0;
    const order = `ORD-${String(next() % ORDERS).padStart(6, "0")}`;
    const status = STATUSES[next() % STATUSES.length]!;
    const reason = isError ? REASONS[1 + (next() % 7)]! : "";
    const amount = (next() % 1_000_000) / 100;
    const component = wanted ? "order-processor" : COMPONENTS[next() % COMPONENTS.length]!;
    const level = wanted && isError ? "error" : "info";
    const msg = isError ? `order ${order} could not be processed: \\"${reason}\\" after ${next() % 9} attempts` : `order ${order} moved on, worker ${next() % 64} took ${next() % 900} ms`;
    const time = new Date(1_766_000_000_000 + i * 5).toISOString();
    if (wanted) expected++;
    chunk += nested
      ? `{"time":"${time}","level":"${level}","service":{"component":"${component}","version":"4.${next() % 20}.1","host":{"name":"node-${next() % 40}"}},"order":{"id":"${order}","status":{"new":"${status}"},"amount":${amount},"reason":"${reason}"},"msg":"${msg}"}\n`
      : `{"level":"${level}","time":"${time}","msg":"${msg}","component":"${component}","order_id":"${order}","old_status":"${STATUSES[next() % 8]}","new_status":"${status}","amount":${amount},"reason":"${reason}","host":"node-${next() % 40}","trace_id":"${next().toString(16).padStart(8, "0")}${next().toString(16).padStart(8, "0")}"}\n`;
    if (chunk.length > 1 << 20) {
      if (!out.write(chunk)) await once(out, "drain");
      chunk = "";
    }
  }
  out.end(chunk);
  await once(out, "close");
  await rename(`${file}.part`, file);
  await writeFile(note, String(expected));
  return expected;
}
