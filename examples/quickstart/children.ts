import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { constants } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

/** A program that start.ts runs beside itself. */
export interface Child {
  readonly name: string;
  readonly process: ChildProcess;
  /** Its exit code, 128 + the signal's number when a signal ended it. */
  readonly ended: Promise<number>;
  /** Asks it to end, and makes it end when it does not within `STOP_MS`. */
  stop(): Promise<number>;
}

export interface ChildOptions {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Before each line it prints. Without one its output is ours. */
  readonly prefix?: string;
}

const STOP_MS = 8_000;
const endWithParent = pathToFileURL(join(import.meta.dirname, "end_with_parent.ts")).href;

/** Starts a Node.js program. It ends with us, however we end. */
export function startChild(name: string, { args, cwd, env, prefix }: ChildOptions): Child {
  const output = prefix === undefined ? "inherit" : "pipe";
  const stdio: StdioOptions = ["ignore", output, output, "ipc"];
  const child = spawn(process.execPath, ["--import", endWithParent, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio,
    // In a group of its own: Ctrl-C reaches every process of the terminal's, and the agent would take our signal after
    // it for impatience.
    detached: true,
  });
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on("line", (line) => process.stdout.write(`${prefix}${line}\n`));
  }
  const ended = new Promise<number>((resolve) => {
    child.once("error", (error) => {
      process.stderr.write(`sojourn: the ${name} cannot be started: ${error.message}\n`);
      resolve(1);
    });
    child.once("exit", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
  return {
    name,
    process: child,
    ended,
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      const code = await ended;
      clearTimeout(timer);
      return code;
    },
  };
}
