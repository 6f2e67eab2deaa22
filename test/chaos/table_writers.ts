import { pause } from "../support/waiting.ts";
import { seeded, Truth, type Order } from "./truth.ts";

/** A connection to a database that holds the table `orders`. */
export interface Writer {
  execute(sql: string): Promise<void>;
  close(): Promise<void>;
}

/** What the dialects say differently. */
export interface Dialect {
  connect(): Promise<Writer>;
  /** Adds a row unless it is there. */
  insert(order: Order): string;
}

/** Columns as the sources' observations have them. */
export const ORDERS_TABLE = "CREATE TABLE orders (order_id varchar(40) PRIMARY KEY, status varchar(40) NOT NULL, seq bigint NOT NULL, time varchar(40) NOT NULL)";

const WRITERS = 2;
const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** Values of a row, in the table's order. */
export const valuesOf = ({ id, state, sequence }: Order): string => `${quoted(id)}, ${quoted(state)}, ${sequence}, ${quoted(new Date().toISOString())}`;

const update = ({ id, state, sequence }: Order): string =>
  `UPDATE orders SET status = ${quoted(state)}, seq = ${sequence}, time = ${quoted(new Date().toISOString())} WHERE order_id = ${quoted(id)} AND seq = ${sequence - 1}`;

/**
 * Changes orders from several connections at once, in transactions of some steps; others are rolled back, whole or to a savepoint.
 * What fails (the server was killed, even in the middle of a commit) is done again: each statement changes nothing the second time.
 */
export async function changeOrders(truth: Truth, prefix: string, seed: number, dialect: Dialect, ended: () => boolean): Promise<number> {
  let repeats = 0;

  async function write(number: number): Promise<void> {
    const random = seeded(seed * 31 + number);
    const own = new Truth(`${prefix}${String.fromCharCode(65 + number)}`, random, truth);
    let writer: Writer | undefined;
    while (!ended()) {
      const steps = Array.from({ length: 1 + Math.floor(random() * 5) }, () => {
        // Said at once: the next step may move the same order on.
        const { order, from } = own.step();
        return from === undefined ? dialect.insert(order) : update(order);
      });
      const garbage = `UPDATE orders SET status = 'garbage', seq = seq + 1000 WHERE order_id LIKE '${prefix}${String.fromCharCode(65 + number)}-%'`;
      const whole = random();
      const statements = whole < 0.1
        ? ["BEGIN", garbage, "ROLLBACK", "BEGIN", ...steps, "COMMIT"]
        : whole < 0.2 ? ["BEGIN", "SAVEPOINT s", garbage, "ROLLBACK TO SAVEPOINT s", ...steps, "COMMIT"] : ["BEGIN", ...steps, "COMMIT"];
      for (let done = false; !done; ) {
        try {
          writer ??= await dialect.connect();
          for (const statement of statements) await writer.execute(statement);
          done = true;
        } catch {
          repeats++;
          await writer?.close().catch(() => undefined);
          writer = undefined;
          await pause(50);
        }
      }
      await pause(random() * 20);
    }
    await writer?.close().catch(() => undefined);
  }

  await Promise.all(Array.from({ length: WRITERS }, (_, number) => write(number)));
  return repeats;
}

/** For a source whose server is needed: what would skip a test ends the run. */
export const orThrow = { skip(reason?: string): void { throw new Error(reason ?? "no server"); } };
