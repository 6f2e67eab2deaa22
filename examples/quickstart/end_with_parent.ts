/**
 * Loaded into both processes before their own program (`node --import`): whatever ends start.ts, even SIGKILL, ends them,
 * in order. Nothing is left that holds a port.
 */
import { isMainThread } from "node:worker_threads";

const GRACE_MS = 10_000;

if (isMainThread && process.channel !== undefined) {
  process.once("disconnect", () => {
    process.kill(process.pid, "SIGTERM");
    setTimeout(() => process.kill(process.pid, "SIGKILL"), GRACE_MS).unref();
  });
  // The channel alone keeps nobody alive.
  process.channel?.unref();
}
