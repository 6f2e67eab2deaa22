import { agentKnows } from "../support/agent.ts";
import { pause, runAgentBeside, say } from "../support/demo.ts";
import { demoPostgres } from "../support/postgres.ts";

const database = "sojourn_demo_orders";
await using postgres = await demoPostgres(database);
await postgres.sql(database, `
  CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer text NOT NULL, status text NOT NULL, total numeric(10, 2) NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
  INSERT INTO orders (customer, status, total, created_at) VALUES ('jo', 'pending', 20, now() - interval '40 minutes'), ('al', 'paid', 35.50, now())`);
process.env["SHOP_DB"] = postgres.url(database);
const wait = Number(process.env["DEMO_PAUSE_MS"] ?? 4_000);

const steps: readonly (readonly [what: string, sql: string])[] = [
  ["order 1 is paid", "UPDATE orders SET status = 'paid' WHERE id = 1"],
  ["order 2 goes back to pending, which a paid order must not", "UPDATE orders SET status = 'pending' WHERE id = 2"],
  ["order 3 is worth 12000, but is rolled back: nobody hears of it", "BEGIN; INSERT INTO orders (customer, status, total) VALUES ('mo', 'pending', 12000); ROLLBACK"],
  ["order 4 is worth 15000", "INSERT INTO orders (customer, status, total) VALUES ('mo', 'pending', 15000)"],
];

say("two orders in the table; order 1 has been pending for 40 minutes");
await runAgentBeside(import.meta.dirname, async (signal) => {
  // From then on the agent follows: what was before is a state, not a move.
  await agentKnows("2", signal);
  for (const [what, sql] of steps) {
    await pause(wait, signal);
    if (signal.aborted) return;
    await postgres.sql(database, sql);
    say(what);
  }
});
