import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");

/** The real agent as a process of its own, to be killed at any moment. */
export interface AgentProcess {
  /** SIGKILL, and the next one at once. */
  kill(): Promise<void>;
  /** SIGTERM; the exit code. */
  stop(): Promise<number | null>;
  readonly pid: number | undefined;
  /** What all its lives said on standard error, the last part of it. */
  readonly log: string;
}

/** Starts `sojourn run` on a file. A life that ends by itself is an error, kept in `log`. */
export function startAgent(config: string, env: Readonly<Record<string, string>> = {}): AgentProcess {
  let log = "";
  let child: ChildProcess = launch();

  function launch(): ChildProcess {
    const started = spawn(process.execPath, [MAIN, "run", "--config", config], { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...env } });
    started.stderr!.setEncoding("utf8").on("data", (text: string) => (log = (log + text).slice(-100_000)));
    return started;
  }

  async function end(signal: NodeJS.Signals): Promise<number | null> {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
    return child.exitCode;
  }

  return {
    async kill() {
      if (child.exitCode !== null) log += `\nended by itself with ${child.exitCode}\n`;
      await end("SIGKILL");
      child = launch();
    },
    stop: () => end("SIGTERM"),
    get pid() {
      return child.pid;
    },
    get log() {
      return log;
    },
  };
}
