import { deliver, demoServer, pause, runAgentBeside, say, secondsAgo } from "../support/demo.ts";

const items = `http://${process.env["WEBHOOK_LISTEN"] ?? "127.0.0.1:8081"}/items`;
const LENGTHS = [620, 640, 610, 400, 390, 200];
let polls = 0;

await using game = await demoServer(8090, (path) => {
  if (path !== "/queues") return undefined;
  // The first answer is as old as that, so that the minute of `for` is nearly over.
  const measured_at = secondsAgo(polls === 0 ? 57 : 0);
  const length = LENGTHS[Math.min(polls, LENGTHS.length - 1)]!;
  polls += 1;
  return { queues: [{ name: "ranked", length, measured_at }, { name: "casual", length: 40, measured_at }] };
});
process.env["GAME_URL"] = game.url;
say("for 57 seconds, 620 players have been waiting in the queue ranked");

const story: readonly [afterMs: number, text: string, event: object][] = [
  [0, "ann has found shield-9", { item: "shield-9", owner: "ann", held: true }],
  [500, "ann has found sword-1", { item: "sword-1", owner: "ann", held: true }],
  [500, "bob gets shield-9 from ann", { item: "shield-9", owner: "bob", held: true }],
  [500, "ann no longer has it", { item: "shield-9", owner: "ann", held: false }],
  [500, "bob has sword-1, too", { item: "sword-1", owner: "bob", held: true }],
  [7_000, "a game master takes it from bob", { item: "sword-1", owner: "bob", held: false }],
];
await runAgentBeside(import.meta.dirname, async (signal) => {
  for (const [afterMs, text, event] of story) {
    await pause(afterMs, signal);
    if (signal.aborted) return;
    say(text);
    await deliver(items, event, signal);
  }
}, ["receivers.http_poll/queues.interval=2s"]);
