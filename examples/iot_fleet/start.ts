import { deliver, pause, runAgentBeside, say } from "../support/demo.ts";

const url = `http://${process.env["WEBHOOK_LISTEN"] ?? "127.0.0.1:8081"}/devices`;
// 15 minutes of silence, and the 10 minutes that a site is compared with.
process.env["SILENT_AFTER"] ||= "5s";
process.env["COMPARED_WITH"] ||= "5s";

const SITES: Readonly<Record<string, readonly string[]>> = { mill: ["pump-1", "pump-2", "pump-3", "pump-4"], yard: ["crane-1", "crane-2"] };
const SILENT_S = { from: 2, to: 9 };
// What was before is sampled every 15 s at most: by now there is a sample that is old enough.
const DARK_S = 21;

await runAgentBeside(import.meta.dirname, async (signal) => {
  for (let second = 0; !signal.aborted; second++) {
    if (second === SILENT_S.from) say("pump-4 says nothing any more");
    if (second === SILENT_S.to) say("pump-4 is back");
    if (second === DARK_S) say("pump-1 and pump-2 go offline");
    for (const [site, devices] of Object.entries(SITES)) {
      for (const device of devices) {
        if (device === "pump-4" && second >= SILENT_S.from && second < SILENT_S.to) continue;
        const online = second < DARK_S || (device !== "pump-1" && device !== "pump-2");
        await deliver(url, { device, site, online, battery: 80 }, signal);
      }
    }
    if (second === 0) say("six devices report each second; all are online");
    await pause(1_000, signal);
  }
});
