import { deliver, pause, runAgentBeside, say, secondsAgo } from "../support/demo.ts";

const DAY = 24 * 60 * 60;
const shop = `http://${process.env["WEBHOOK_LISTEN"] ?? "127.0.0.1:8081"}/shop`;

// What was paid says when: of the two days all but some seconds are over.
const story: readonly [afterMs: number, text: string, event: () => object][] = [
  [0, "ann paid for O-1 two days ago, less 4 seconds", () => ({ order: "O-1", status: "paid", customer: "ann", time: secondsAgo(2 * DAY - 4) })],
  [0, "bob paid for O-2 two days ago, less 6 seconds", () => ({ order: "O-2", status: "paid", customer: "bob", time: secondsAgo(2 * DAY - 6) })],
  [1_000, "O-1 is shipped; nobody tells ann", () => ({ order: "O-1", status: "shipped", time: secondsAgo(0) })],
  [1_000, "O-2 is shipped, and bob has mail", () => ({ order: "O-2", status: "shipped", notified: true, time: secondsAgo(0) })],
  [6_000, "ann has mail, too, at last", () => ({ order: "O-1", status: "shipped", notified: true, time: secondsAgo(0) })],
];

await runAgentBeside(import.meta.dirname, async (signal) => {
  for (const [afterMs, text, event] of story) {
    await pause(afterMs, signal);
    if (signal.aborted) return;
    say(text);
    await deliver(shop, event, signal);
  }
});
