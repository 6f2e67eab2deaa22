import { agentKnows } from "../support/agent.ts";
import { pause, runAgentBeside, say } from "../support/demo.ts";
import { demoPostgres } from "../support/postgres.ts";

await using postgres = await demoPostgres("sojourn_demo_shop");
const database = "sojourn_demo_shop";
await postgres.sql(database, `
  CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, status text NOT NULL, total numeric NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
  CREATE INDEX ON orders (updated_at);
  INSERT INTO orders (status, total, updated_at) VALUES ('pending', 20, now() - interval '40 minutes'), ('paid', 35.50, now() - interval '10 minutes')`);
process.env["SHOP_DB"] = postgres.url(database);
const wait = Number(process.env["DEMO_PAUSE_MS"] ?? 8_000);

const steps: readonly (readonly [string, string])[] = [
  ["UPDATE orders SET status = 'paid', updated_at = now() WHERE id = 1", "order 1 is paid"],
  ["UPDATE orders SET status = 'pending', updated_at = now() WHERE id = 2", "order 2 goes back to pending, which a paid order must not"],
  ["INSERT INTO orders (status, total) VALUES ('pending', 12000)", "order 3 is worth 12000"],
];

say("two orders in the table; order 1 has been pending for 40 minutes");
await runAgentBeside(import.meta.dirname, async (signal) => {
  await agentKnows("1", signal);
  for (const [sql, what] of steps) {
    await pause(wait, signal);
    if (signal.aborted) return;
    await postgres.sql(database, sql);
    say(what);
  }
});
