import { spawn } from "node:child_process";
import { constants } from "node:os";

const PARENT_LOOK_MS = 1_000;

/**
 * Runs a program in the foreground and waits for its end.
 *
 * Ctrl-C reaches every process of the terminal's group by itself, so SIGINT is not passed on: the child would get it
 * twice, and take the second for impatience. SIGTERM and SIGHUP come to one process, and are passed on once. npm's shell
 * dies of a SIGTERM without passing it on: when the parent is gone, the child is told to end as well.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ env: NodeJS.ProcessEnv, cwd?: string }} options
 * @returns {Promise<number>} its exit code; 128 + the signal's number when a signal ended it
 */
export async function runToEnd(program, args, { env, cwd }) {
  const child = spawn(program, args, { env, cwd, stdio: "inherit" });
  const ignore = () => {};
  const forwarded = new Set();
  const forward = (signal) => {
    if (forwarded.has(signal)) return;
    forwarded.add(signal);
    child.kill(signal);
  };
  const parent = process.ppid;
  const look = setInterval(() => process.ppid !== parent && forward("SIGTERM"), PARENT_LOOK_MS).unref();
  process.on("SIGINT", ignore).on("SIGTERM", forward).on("SIGHUP", forward);
  try {
    return await new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)));
    });
  } finally {
    clearInterval(look);
    process.off("SIGINT", ignore).off("SIGTERM", forward).off("SIGHUP", forward);
  }
}
