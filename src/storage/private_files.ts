import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** Makes the names in a directory durable. A file that was synced is still lost with its name. */
export function syncDirectory(directory: string): void {
  const handle = openSync(directory, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/**
 * Creates a directory that only its owner may enter, durably. One that exists stays as it is.
 * Level by level: `recursive` of Node.js 24 never returns where a directory that exists says ENOENT, as /proc does.
 */
export function createPrivateDirectory(directory: string): void {
  const missing: string[] = [];
  for (let at = resolve(directory); !existsSync(at); at = dirname(at)) missing.push(at);
  if (missing.length === 0 && !statSync(directory).isDirectory()) mkdirSync(directory); // says EEXIST
  for (const path of missing.toReversed()) {
    mkdirSync(path, { mode: 0o700 });
    syncDirectory(dirname(path));
  }
}

/**
 * Creates an empty file that only its owner may read. One that exists is not even opened: closing any descriptor of
 * a file drops all of this process's POSIX locks on it (https://sqlite.org/howtocorrupt.html, 2.2).
 */
export function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
