import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cli } from "../../src/cli/cli.ts";
import { components } from "../../src/components.ts";
import { pause } from "../support/waiting.ts";

const ROOT = join(import.meta.dirname, "..", "..");
/** The command of this clone. */
export const SOJOURN = join(ROOT, "bin", "sojourn");

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A `sojourn` that runs. `await using` kills it. */
export interface Running extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What it has written so far. */
  readonly out: string;
  readonly err: string;
  /** Resolves with the match once standard output or error has it; rejects when the process ends before. */
  saying(pattern: RegExp): Promise<RegExpExecArray>;
}

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Default: the clone's. */
  readonly bin?: string;
}

/** Starts `sojourn` with these arguments. */
export function start(args: readonly string[], { env = {}, cwd = ROOT, bin = SOJOURN }: SpawnOptions = {}): Running {
  const child = spawn(process.execPath, [bin, ...args], { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout!.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (err += text));
  let over = false;
  const ended = once(child, "close").then(([code]): Ended => {
    over = true;
    return { code: code as number | null, out, err };
  });
  return {
    child,
    ended,
    get out() {
      return out;
    },
    get err() {
      return err;
    },
    async saying(pattern) {
      for (;;) {
        const match = pattern.exec(out) ?? pattern.exec(err);
        if (match !== null) return match;
        if (over) throw new Error(`it ended without saying ${pattern}:\n${out}${err}`);
        await pause(10);
      }
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Runs `sojourn` to its end. */
export function sojourn(args: readonly string[], options?: SpawnOptions): Promise<Ended> {
  return start(args, options).ended;
}

/** What the command says and ends with, in this process: quicker, where starting one is not what is tested. */
export async function said(args: readonly string[]): Promise<Ended> {
  let out = "";
  let err = "";
  const code = await cli(args, components, { out: (text) => void (out += `${text}\n`), error: (text) => void (err += `${text}\n`) });
  return { code, out, err };
}

/** A folder with these files; `await using` removes it. */
export async function folderWith(files: Readonly<Record<string, string>>): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "sojourn-cli-"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
