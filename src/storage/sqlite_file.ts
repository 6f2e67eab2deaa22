import { existsSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "../sdk/store.ts";
import { createPrivate, syncDirectory } from "./private_files.ts";
import { damaged } from "./sqlite_failure.ts";

/** "Sjrn": marks a SQLite file as ours. https://sqlite.org/pragma.html#pragma_application_id */
const APPLICATION_ID = 0x536a726e;
/** Raised when an older agent could no longer read the file. New tables and columns do not need it. */
const FORMAT_VERSION = 1;

const BUSY_TIMEOUT_MS = 5_000;
/** Filled only as far as there are pages: 1 million resources take about 100 MiB. */
const CACHE_KIB = 64 * 1024;
/** The log file is cut to this after a burst. */
const LOG_KEPT_BYTES = 64 * 2 ** 20;
/** The structure is checked at start up to this size (about 2 s a GiB), beyond it only where it is read. */
const CHECKED_BYTES_MAX = 2 ** 30;

function number(database: DatabaseSync, pragma: string): number {
  return Number(Object.values(database.prepare(`PRAGMA ${pragma}`).get() ?? {})[0]);
}

/** Under another name first, so that a file with the real name is always a whole database, or damaged. */
function create(path: string): void {
  const fresh = `${path}.new`;
  for (const suffix of ["", "-journal", "-wal", "-shm"]) rmSync(fresh + suffix, { force: true });
  createPrivate(fresh);
  const database = new DatabaseSync(fresh);
  try {
    database.exec(`BEGIN; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT_VERSION}; COMMIT`);
    database.exec("PRAGMA journal_mode = WAL");
  } finally {
    database.close();
  }
  renameSync(fresh, path);
  syncDirectory(dirname(path));
}

/** Refuses what is not ours to write. Only reads. */
function inspect(database: DatabaseSync, path: string): void {
  const id = number(database, "application_id");
  if (id !== APPLICATION_ID) {
    throw damaged(path, `it belongs to another application (application_id ${id}, not ${APPLICATION_ID})`);
  }
  const version = number(database, "user_version");
  if (version > FORMAT_VERSION) {
    throw new StoreError("newer", `${path} was written by a newer version (format ${version}, this one knows `
      + `${FORMAT_VERSION}). It was left as it is. Run the newer version, or give this one another directory`);
  }
  if (number(database, "page_count") * number(database, "page_size") > CHECKED_BYTES_MAX) return;
  const verdict = Object.values(database.prepare("PRAGMA quick_check(1)").get() ?? {})[0];
  if (verdict !== "ok") throw damaged(path, String(verdict).replace(/\s+/g, " ").slice(0, 200));
}

/**
 * Opens the database at `path`, and creates it when there is none. The caller holds the lock of the directory.
 *
 * `pagesMax` bounds its size, as a full disk does. Throws `StoreError` (`damaged`, `newer`, `unusable`), SQLite's
 * errors and the file system's.
 */
export function openDatabase(path: string, pagesMax: number | undefined): DatabaseSync {
  if (existsSync(path)) {
    if (statSync(path).size === 0) throw damaged(path, "it is empty");
  } else {
    // SQLite would delete the log of a database that is gone; somebody may still want to bring that back.
    if (existsSync(`${path}-wal`)) throw damaged(path, "it is missing, but its log (-wal) is there");
    create(path);
  }
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: false });
  try {
    inspect(database, path);
    const mode = Object.values(database.prepare("PRAGMA journal_mode = WAL").get() ?? {})[0];
    if (mode !== "wal") {
      throw new StoreError("unusable", `${path}: this file system has no shared memory for SQLite's WAL mode`);
    }
    // No mmap: an I/O error, or a file cut short by somebody, would be a SIGBUS instead of an error.
    // Checkpoints are taken after the answer to a commit (`sqlite_worker.ts`), not within it.
    database.exec(`PRAGMA synchronous = FULL; PRAGMA cache_size = -${CACHE_KIB}; PRAGMA wal_autocheckpoint = 0;
      PRAGMA journal_size_limit = ${LOG_KEPT_BYTES}`);
    if (pagesMax !== undefined) number(database, `max_page_count = ${Math.trunc(pagesMax)}`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
