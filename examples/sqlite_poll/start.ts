import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { agentKnows } from "../support/agent.ts";
import { pause, runAgentBeside, say } from "../support/demo.ts";

const folder = await mkdtemp(join(tmpdir(), "sojourn-shop-"));
const path = join(folder, "shop.db");
const shop = new DatabaseSync(path);
shop.exec(`
  CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT NOT NULL, created_at TEXT NOT NULL);
  INSERT INTO orders VALUES (1, 'pending', datetime('now', '-40 minutes')), (2, 'pending', datetime('now', '-45 minutes')), (3, 'paid', datetime('now', '-50 minutes'));
`);
process.env["SHOP_DB"] = path;
const wait = Number(process.env["DEMO_PAUSE_MS"] ?? 8_000);

say(`three orders in ${path}; 1 and 2 have been pending for more than 30 minutes`);
try {
  await runAgentBeside(import.meta.dirname, async (signal) => {
    await agentKnows("1", signal);
    await pause(wait, signal);
    if (signal.aborted) return;
    shop.exec("UPDATE orders SET status = 'paid' WHERE id = 1");
    say("order 1 is paid");
    await pause(wait, signal);
    if (signal.aborted) return;
    shop.exec("DELETE FROM orders WHERE id = 2");
    say("order 2 is deleted");
  });
} finally {
  shop.close();
  await rm(folder, { recursive: true });
}
