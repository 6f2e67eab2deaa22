import pg from "pg";
import { startPostgres, type PostgresVersion } from "../support/postgres.ts";
import { until } from "../support/prometheus.ts";
import type { MakeSource } from "./source.ts";
import { changeOrders, ORDERS_TABLE, orThrow, valuesOf } from "./table_writers.ts";
import { seeded, Truth } from "./truth.ts";

/** A table whose changes come by logical replication. The connection is cut, and the server killed, in the middle of transactions. */
export const postgresSource = (version: PostgresVersion): MakeSource => async ({ seed }) => {
  const server = (await startPostgres(orThrow, { own: true, version }))!;
  const database = await server.createDatabase("shop");
  await server.sql(database, ORDERS_TABLE);
  const truth = new Truth("P", seeded(seed + 5));
  return {
    type: "replicated",
    truth,
    receiver: `cdc/postgres: { url: "${server.url(database)}", tables: [orders], max_slot_lag: 1GiB }`,
    order: "body.after",
    async run(ended) {
      // What was done before the snapshot shows there as a state, not as moves.
      await until("the slot", async () => (await server.sql(database, "SELECT 1 FROM pg_replication_slots WHERE active AND confirmed_flush_lsn IS NOT NULL")).at(0));
      return changeOrders(truth, "P", seed + 6, {
        async connect() {
          const client = new pg.Client({ connectionString: server.url(database) });
          client.on("error", () => undefined);
          await client.connect();
          return { execute: async (sql) => void (await client.query(sql)), close: () => client.end() };
        },
        insert: (order) => `INSERT INTO orders VALUES (${valuesOf(order)}) ON CONFLICT DO NOTHING`,
      }, ended);
    },
    async trouble(random) {
      if (random() < 0.5) await server.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type IN ('walsender', 'client backend')");
      else await server.restart();
    },
    close: async () => server[Symbol.asyncDispose](),
  };
};
