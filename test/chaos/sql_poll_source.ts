import pg from "pg";
import { startPostgres } from "../support/postgres.ts";
import type { MakeSource } from "./source.ts";
import { changeOrders, ORDERS_TABLE, orThrow, valuesOf } from "./table_writers.ts";
import { seeded, Truth } from "./truth.ts";

/** A table that is polled by the time of its rows' last change, which is not the order in which they commit. */
export const sqlPollSource: MakeSource = async ({ seed }) => {
  const server = (await startPostgres(orThrow, { own: true }))!;
  const database = await server.createDatabase("shop");
  await server.sql(database, `${ORDERS_TABLE};
    ALTER TABLE orders ADD changed_at timestamptz NOT NULL DEFAULT clock_timestamp();
    CREATE INDEX ON orders (changed_at);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed_at = clock_timestamp(); RETURN NEW; END $$;
    CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch()`);
  const truth = new Truth("S", seeded(seed + 9));
  return {
    type: "polled",
    truth,
    receiver: `sql_poll: { url: "${server.url(database)}", query: "SELECT order_id, status, seq, time, changed_at FROM orders", interval: 200ms, tracking_column: changed_at, tracking_overlap: 5s }`,
    order: "body",
    // Between two polls an order may move twice.
    everyMove: false,
    run: (ended) => changeOrders(truth, "S", seed + 10, {
      async connect() {
        const client = new pg.Client({ connectionString: server.url(database) });
        client.on("error", () => undefined);
        await client.connect();
        return { execute: async (sql) => void (await client.query(sql)), close: () => client.end() };
      },
      insert: (order) => `INSERT INTO orders (order_id, status, seq, time) VALUES (${valuesOf(order)}) ON CONFLICT DO NOTHING`,
    }, ended),
    trouble: () => server.restart(),
    close: async () => server[Symbol.asyncDispose](),
  };
};
