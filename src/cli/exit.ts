/** What the process says when it ends: 78 is EX_CONFIG of sysexits.h. */
export const EXIT = { ok: 0, failed: 1, usage: 2, config: 78 } as const;

/** Standard streams, as far as commands need them; tests bring their own. */
export interface Output {
  out(text: string): void;
  error(text: string): void;
}

export const standardOutput: Output = {
  out: (text) => void process.stdout.write(`${text}\n`),
  error: (text) => void process.stderr.write(`${text}\n`),
};
