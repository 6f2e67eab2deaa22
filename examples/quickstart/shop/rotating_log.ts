import { appendFileSync, renameSync } from "node:fs";

const ROTATED_KEPT = 2;

/** A log of JSON lines. `rotate` renames shop.log to shop.log.1 and that to shop.log.2, as logrotate does. */
export function createLog(path: string) {
  let empty = true;
  return {
    write(level: string, msg: string, fields: object): void {
      empty = false;
      appendFileSync(path, `${JSON.stringify({ time: new Date().toISOString(), level, msg, ...fields })}\n`);
    },
    rotate(): void {
      if (empty) return;
      empty = true;
      for (let number = ROTATED_KEPT; number >= 1; number--) {
        try {
          renameSync(number === 1 ? path : `${path}.${number - 1}`, `${path}.${number}`);
        } catch (error) {
          // There are not as many yet.
          if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        }
      }
    },
  };
}
