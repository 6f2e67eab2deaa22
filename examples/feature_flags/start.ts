import { demoServer, runAgent, say, secondsAgo } from "../support/demo.ts";

const MINUTE = 60;
const FOLLOWS_AT_POLL = 5;
const yesterday = secondsAgo(24 * 60 * MINUTE);
const rolledOutAt = secondsAgo(5 * MINUTE - 4);
let polls = 0;
let followedAt = "";

await using registry = await demoServer(8090, (path) => {
  if (path !== "/flags") return undefined;
  polls += 1;
  if (polls === FOLLOWS_AT_POLL) {
    followedAt = secondsAgo(0);
    say("instance-3 has new_checkout, too");
  }
  const instances = ["instance-1", "instance-2", "instance-3"];
  return {
    flags: instances.flatMap((instance) => {
      const follows = instance === "instance-3";
      const isOn = !follows || followedAt !== "";
      return [
        { instance, flag: "new_checkout", value: isOn, changed_at: !isOn ? yesterday : follows ? followedAt : rolledOutAt },
        { instance, flag: "dark_mode", value: false, changed_at: yesterday },
      ];
    }),
  };
});
process.env["FLAGS_URL"] = registry.url;
say("new_checkout was switched on 5 minutes ago, less 4 seconds; instance-3 still runs without it");
await runAgent(import.meta.dirname, ["monitors.flag.from.http_poll.interval=2s"]);
