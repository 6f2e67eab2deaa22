import { closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";

/** Makes the names in a directory durable. A file that was synced is still lost with its name. */
export function syncDirectory(directory: string): void {
  const handle = openSync(directory, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Creates a directory that only its owner may enter, durably. One that exists stays as it is. */
export function createPrivateDirectory(directory: string): void {
  const first = mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let created = directory; created.length >= first.length; created = dirname(created)) syncDirectory(dirname(created));
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
