import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pause, runAgentBeside, say, secondsAgo } from "../support/demo.ts";

const folder = await mkdtemp(join(tmpdir(), "sojourn-order-logs-"));
const log = join(folder, "orders.log");
process.env["ORDER_LOG"] = log;
const lines = (await readFile(join(import.meta.dirname, "orders.log"), "utf8")).trimEnd().split("\n");
say(`writes the lines of orders.log, as of now, to ${log}`);

try {
  await runAgentBeside(import.meta.dirname, async (signal) => {
    for (const line of lines) {
      const entry = JSON.parse(line) as Readonly<Record<string, unknown>>;
      await appendFile(log, `${JSON.stringify({ ...entry, time: secondsAgo(0) })}\n`);
      await pause(500, signal);
      if (signal.aborted) return;
    }
  });
} finally {
  await rm(folder, { recursive: true, force: true });
}
