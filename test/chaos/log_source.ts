import { appendFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { pause } from "../support/waiting.ts";
import type { MakeSource } from "./source.ts";
import { event, seeded, Truth } from "./truth.ts";

/** A log that the agent tails: lines come in pieces, files are rotated by rename. */
export const logSource: MakeSource = async ({ directory, seed }) => {
  const truth = new Truth("L", seeded(seed + 1));
  const random = seeded(seed + 3);
  const file = join(directory, "app.log");
  return {
    type: "logged",
    truth,
    receiver: `log_tail: { include: ["${file}*"], start_at: beginning, poll_interval: 50ms }`,
    parse: "json",
    order: "body",
    async run(ended) {
      let rotations = 0;
      while (!ended()) {
        const lines = Array.from({ length: 1 + Math.floor(random() * 20) }, () => `${event(truth.step().order)}\n`).join("");
        const cut = Math.floor(random() * lines.length);
        await appendFile(file, lines.slice(0, cut));
        if (random() < 0.3) await pause(random() * 20);
        await appendFile(file, lines.slice(cut));
        if (random() < 0.05) await rename(file, `${file}.${++rotations}`);
        await pause(5 + random() * 30);
      }
      return 0;
    },
  };
};
