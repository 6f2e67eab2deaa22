/** What the process says when it ends: 78 is EX_CONFIG of sysexits.h. */
export const EXIT = { ok: 0, failed: 1, usage: 2, config: 78 } as const;

/** Standard streams, as far as commands need them; tests bring their own. */
export interface Output {
  out(text: string): void;
  error(text: string): void;
}

export const standardOutput: Output = {
  out: (text) => write(process.stdout, text),
  error: (text) => write(process.stderr, text),
};

function write(stream: NodeJS.WriteStream, text: string): void {
  // Whoever read it may be gone (`| head`): then the rest is not wanted, and no failure of ours.
  if (stream.listenerCount("error") === 0) stream.on("error", () => {});
  stream.write(`${text}\n`);
}
