import type { TestContext } from "node:test";
import { startMariadb } from "../support/mariadb.ts";
import { until } from "../support/prometheus.ts";
import type { MakeSource } from "./source.ts";
import { changeOrders, ORDERS_TABLE, orThrow, valuesOf } from "./table_writers.ts";
import { seeded, Truth } from "./truth.ts";

/** A table whose changes come from the binlog. The connection is cut, and the server killed, in the middle of transactions. */
export const mariadbSource: MakeSource = async ({ seed }) => {
  const server = (await startMariadb(orThrow as TestContext))!;
  const database = await server.createDatabase("shop");
  await server.query(`CREATE TABLE ${database}.${ORDERS_TABLE.slice("CREATE TABLE ".length)}`);
  const truth = new Truth("M", seeded(seed + 7));
  return {
    type: "binlogged",
    truth,
    receiver: `cdc/mariadb: { url: "${server.url(database)}", tables: [orders] }`,
    order: "body.after",
    async run(ended) {
      // What was done before the snapshot shows there as a state, not as moves.
      await until("a replica", async () => (await server.query<{ Command: string }>("SHOW PROCESSLIST")).find(({ Command }) => Command === "Binlog Dump"));
      return changeOrders(truth, "M", seed + 8, {
        async connect() {
          const connection = await server.connect(database);
          connection.on("error", () => undefined);
          return { execute: async (sql) => void (await connection.query(sql)), close: () => connection.end() };
        },
        insert: (order) => `INSERT IGNORE INTO orders VALUES (${valuesOf(order)})`,
      }, ended);
    },
    async trouble(random) {
      if (random() < 0.5) {
        for (const { Id } of await server.query<{ Id: number; Command: string }>("SHOW PROCESSLIST")) await server.query(`KILL ${Id}`).catch(() => undefined);
        return;
      }
      await server.kill();
      await server.restart();
    },
    close: async () => server[Symbol.asyncDispose](),
  };
};
