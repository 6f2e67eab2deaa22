import { messageOf, PermanentError } from "../sdk/errors.ts";
import { StoreError } from "../sdk/store.ts";
import type { Failure } from "./sqlite_protocol.ts";

/** Primary result codes. https://sqlite.org/rescode.html */
export const SQLITE_BUSY = 5;
export const SQLITE_FULL = 13;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** SQLite's primary result code; undefined for an error that is not SQLite's. */
export function resultCode(error: unknown): number | undefined {
  const code = error instanceof Error && "errcode" in error ? error.errcode : undefined;
  return typeof code === "number" ? code & 0xff : undefined;
}

/** Whether SQLite says that a file is not, or no longer, a database. */
export function saysDamaged(error: unknown): boolean {
  const code = resultCode(error);
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

/** The error for a file that cannot be trusted, with what to do about it. */
export function damaged(path: string, reason: string): StoreError {
  return new StoreError("damaged", `${path} is damaged: ${reason}. It was left as it is. Restore it from a backup, `
    + `salvage it with "sqlite3 ${path} .recover", or move it aside together with its -wal and -shm files to start empty: `
    + "the state of all resources, open alerts, messages not yet sent and the receivers' positions are then lost");
}

/** What to answer for an error thrown while opening, reading or writing `path`. */
export function failureOf(error: unknown, path: string, otherwise: Failure["kind"]): Failure {
  if (error instanceof StoreError) return { kind: error.kind, message: error.message };
  if (error instanceof PermanentError) return { kind: "permanent", message: error.message };
  if (saysDamaged(error)) return { kind: "damaged", message: damaged(path, messageOf(error)).message };
  return { kind: otherwise, message: `${path}: ${messageOf(error)}` };
}
