import { pause, runAgentBeside, say } from "../support/demo.ts";
import { demoMariadb } from "../support/mariadb.ts";

await using demo = await demoMariadb();
const { server, database } = demo;
const shop = await server.connect(database);
await shop.query("SET time_zone = '+00:00'");
await shop.query(`CREATE TABLE orders (
  id INT AUTO_INCREMENT PRIMARY KEY, customer VARCHAR(40) NOT NULL, status ENUM('pending', 'paid', 'shipped', 'cancelled') NOT NULL,
  total DECIMAL(10, 2) NOT NULL, created_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))`);
await shop.query("INSERT INTO orders (customer, status, total, created_at) VALUES ('jo', 'pending', 20, NOW(6) - INTERVAL 40 MINUTE), ('al', 'paid', 35.50, NOW(6))");
process.env["SHOP_DB"] = server.url(database);
const wait = Number(process.env["DEMO_PAUSE_MS"] ?? 4_000);

const steps: readonly (readonly [what: string, ...sql: string[]])[] = [
  ["order 1 is paid", "UPDATE orders SET status = 'paid' WHERE id = 1"],
  ["order 2 goes back to pending, which a paid order must not", "UPDATE orders SET status = 'pending' WHERE id = 2"],
  ["order 3 is worth 12000, but is rolled back: nobody hears of it", "BEGIN", "INSERT INTO orders (customer, status, total) VALUES ('mo', 'pending', 12000)", "ROLLBACK"],
  ["order 4 is worth 15000", "INSERT INTO orders (customer, status, total) VALUES ('mo', 'pending', 15000)"],
];

say("two orders in the table; order 1 has been pending for 40 minutes");
await runAgentBeside(import.meta.dirname, async (signal) => {
  // From then on the agent follows: what was before is a state, not a move.
  while (!signal.aborted && !(await server.query("SHOW PROCESSLIST")).some(({ Command }) => Command === "Binlog Dump")) await pause(100, signal);
  for (const [what, ...statements] of steps) {
    await pause(wait, signal);
    if (signal.aborted) break;
    for (const sql of statements) await shop.query(sql);
    say(what);
  }
  await shop.end();
});
