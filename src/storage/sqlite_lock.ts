import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "../sdk/store.ts";
import { createPrivate } from "./private_files.ts";
import { resultCode, saysDamaged, SQLITE_BUSY } from "./sqlite_failure.ts";

/** Long enough for a predecessor that is just exiting, short enough not to look hung. */
const WAIT_MS = 250;

function holder(path: string): string {
  try {
    const text = readFileSync(path, "latin1").slice(0, 200).trim();
    return /^\d+ on [\w.-]+$/.test(text) ? `process ${text}` : "another agent";
  } catch {
    return "another agent";
  }
}

/**
 * Keeps a second agent out of a directory, for as long as `release` is not called and this process lives.
 *
 * The lock is SQLite's own on an empty file beside the database, so that the database stays readable for others, and
 * the kernel releases it however the process ends. Throws `StoreError` (`locked`, `unusable`).
 */
export function lockDirectory(directory: string): { release(): void } {
  const path = join(directory, "sojourn.lock");
  const pidPath = join(directory, "sojourn.pid");
  createPrivate(path);
  const database = new DatabaseSync(path, { timeout: WAIT_MS });
  try {
    // Nothing is ever written, so a journal beside the lock would be litter.
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (saysDamaged(error)) {
      throw new StoreError("unusable", `${path} is not a lock file (an empty file); remove it`, { cause: error });
    }
    if (resultCode(error) !== SQLITE_BUSY) throw error;
    const message = `${directory} is in use by ${holder(pidPath)}; two agents cannot share a directory`;
    throw new StoreError("locked", message, { cause: error });
  }
  try {
    writeFileSync(pidPath, `${process.pid} on ${hostname()}\n`, { mode: 0o600 });
  } catch {
    // Only there to name the holder; a full disk must not keep the agent from starting.
  }
  return {
    release() {
      rmSync(pidPath, { force: true });
      database.close();
    },
  };
}
