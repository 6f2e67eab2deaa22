import { deliver, pause, runAgentBeside, say, secondsAgo } from "../support/demo.ts";

const trading = `http://${process.env["WEBHOOK_LISTEN"] ?? "127.0.0.1:8081"}/trading`;

await runAgentBeside(import.meta.dirname, async (signal) => {
  const send = (message: object, secondsLate = 0): Promise<void> =>
    deliver(trading, () => ({ ...message, time: secondsAgo(secondsLate) }), signal);
  const position = (desk: string, symbol: string, valuation: number, exposure: number, secondsLate = 0): Promise<void> =>
    send({ kind: "position", desk, symbol, valuation, exposure }, secondsLate);

  say("order T-1 is sent");
  await send({ kind: "order", id: "T-1", status: "sent" });
  await pause(3_000, signal);
  say("order T-1 is acknowledged");
  await send({ kind: "order", id: "T-1", status: "acknowledged" });
  await pause(1_000, signal);

  say("BUND falls from 100 to 80 within a minute");
  // What it was a minute ago we learn only now; so the demo need not wait for a minute.
  await position("rates", "BUND", 100, 600_000, 70);
  await position("rates", "BUND", 80, 600_000);
  await pause(1_500, signal);

  say("desk rates buys BOBL for 500000");
  await position("rates", "BOBL", 50, 500_000);
  await pause(1_500, signal);
  say("desk rates sells some of it");
  await position("rates", "BOBL", 50, 200_000);
  await pause(1_500, signal);

  say("a quote comes 5 seconds late");
  await send({ kind: "quote", venue: "XEUR", symbol: "BUND" }, 5);
  await pause(1_500, signal);
  say("forty more come in time");
  for (let i = 0; i < 40 && !signal.aborted; i++) await send({ kind: "quote", venue: "XEUR", symbol: "BUND" });
});
