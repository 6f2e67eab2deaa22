import { deliver, pause, runAgentBeside, say, secondsAgo } from "../support/demo.ts";

const payments = `http://${process.env["WEBHOOK_LISTEN"] ?? "127.0.0.1:8081"}/payments`;
// Ten minutes are 5 seconds here, and five are 3.
process.env["WINDOW"] ||= "5s";
process.env["SETTLE"] ||= "3s";
let number = 0;

await runAgentBeside(import.meta.dirname, async (signal) => {
  const pay = (status: string, reason?: string): Promise<void> => {
    const id = `P-${(number += 1)}`;
    return deliver(payments, () => ({ id, status, reason, time: secondsAgo(0) }), signal);
  };

  say("payments come, and now and then a card has expired");
  for (let i = 0; i < 24 && !signal.aborted; i++) {
    await pay(i % 6 === 5 ? "failed" : "paid", i % 6 === 5 ? "card_expired" : undefined);
    await pause(500, signal);
  }
  say("the bank is down");
  for (let i = 0; i < 32 && !signal.aborted; i++) {
    await pay(i % 4 === 3 ? "paid" : "failed", i % 4 === 3 ? undefined : "bank_down");
    await pause(250, signal);
  }
  say("the bank is back");
  while (!signal.aborted) {
    await pay("paid");
    await pause(500, signal);
  }
});
