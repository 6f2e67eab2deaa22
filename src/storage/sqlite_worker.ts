import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { parentPort } from "node:worker_threads";
import { PermanentError } from "../sdk/errors.ts";
import { StoreError, type Table } from "../sdk/store.ts";
import { checkCells } from "./cells.ts";
import { createPrivateDirectory } from "./private_files.ts";
import { failureOf, resultCode, SQLITE_FULL } from "./sqlite_failure.ts";
import { openDatabase } from "./sqlite_file.ts";
import { lockDirectory } from "./sqlite_lock.ts";
import type { Answer, CommitRequest, OpenRequest, Request, Rows } from "./sqlite_protocol.ts";
import { createTable, sqliteTable, type SqliteTable } from "./sqlite_table.ts";

/**
 * The thread that owns the database. It takes one request after the other, in the order in which they were sent.
 * https://nodejs.org/docs/latest-v24.x/api/sqlite.html
 */

/** The log is written back when it may have grown by this much: every put may touch a page of its own. */
const CHECKPOINT_BYTES = 32 * 2 ** 20;
const PAGE_BYTES = 4096;
/** While others read, closing does not wait long to empty the log: the next start reads it as well. */
const CLOSE_WAIT_MS = 250;

interface Open {
  readonly path: string;
  readonly database: DatabaseSync;
  readonly tables: ReadonlyMap<string, SqliteTable>;
  readonly lock: { release(): void };
}

let open: Open | undefined;
/** Why the commit being received cannot be written; its remaining parts are passed over. */
let refused: { readonly error: unknown } | undefined;
/** Commits of this epoch or an earlier one are behind one that failed, and must not overtake it. */
let failedEpoch = -1;
let logBytes = 0;

function opened(): Open {
  if (open === undefined) throw new StoreError("unusable", "the store is not open");
  return open;
}

function tableNamed(name: string): SqliteTable {
  const table = opened().tables.get(name);
  if (table === undefined) throw new PermanentError(`table ${name} was not named when the store was opened`);
  return table;
}

function openTables(database: DatabaseSync, declared: readonly Table[]): Map<string, SqliteTable> {
  // All or none: a start that fails leaves the tables as an older version knows them.
  database.exec("BEGIN IMMEDIATE");
  for (const table of declared) createTable(database, table);
  database.exec("COMMIT");
  return new Map(declared.map((table) => [table.name, sqliteTable(database, table)]));
}

function openStore({ directory, tables, pagesMax }: OpenRequest): void {
  const path = join(directory, "sojourn.db");
  createPrivateDirectory(directory);
  const lock = lockDirectory(directory);
  let database: DatabaseSync | undefined;
  try {
    database = openDatabase(path, pagesMax);
    open = { path, database, tables: openTables(database, tables), lock };
  } catch (error) {
    database?.close();
    lock.release();
    throw error;
  }
}

/** Ignored when it fails: the log holds everything, and the next commit tries again. */
function checkpoint(mode: "PASSIVE" | "TRUNCATE"): void {
  try {
    const { busy } = opened().database.prepare(`PRAGMA wal_checkpoint(${mode})`).get() ?? {};
    if (busy === 0) logBytes = 0;
  } catch {}
}

function writeParts({ parts }: CommitRequest): void {
  const { database } = opened();
  if (!database.isTransaction) database.exec("BEGIN IMMEDIATE");
  for (const { table: name, puts, deletes } of parts) {
    const table = tableNamed(name);
    logBytes += checkCells({ table: table.declared, puts, deletes });
    logBytes += (puts.length / table.declared.columns.length + deletes.length / table.declared.keyColumns) * PAGE_BYTES;
    table.delete(deletes);
    table.put(puts);
  }
}

function rollBack(error: unknown): void {
  const { database } = opened();
  try {
    // SQLite has rolled back already after some errors, a full disk among them.
    if (database.isTransaction) database.exec("ROLLBACK");
  } catch (fatal) {
    // Half a commit must not be written with the next one: end the thread, which rolls back and is seen.
    queueMicrotask(() => { throw fatal; });
  }
  // The log may hold what is long in the database, and be what fills the disk.
  if (resultCode(error) === SQLITE_FULL) checkpoint("TRUNCATE");
}

/** Writes a part; the last one commits. Throws, after the last part only, when nothing was written. */
function commit(request: CommitRequest): void {
  try {
    if (request.abandoned !== undefined) throw new PermanentError(request.abandoned);
    if (request.epoch <= failedEpoch) {
      throw new Error("not written, because the commit before it failed; it can be repeated");
    }
    if (refused === undefined) writeParts(request);
    if (refused === undefined && request.last) opened().database.exec("COMMIT");
  } catch (error) {
    refused ??= { error };
    if (open !== undefined) rollBack(error);
  }
  if (!request.last || refused === undefined) return;
  const { error } = refused;
  refused = undefined;
  failedEpoch = Math.max(failedEpoch, request.epoch);
  if (resultCode(error) !== SQLITE_FULL) throw error;
  throw new Error("disk full: nothing of this commit was written; it can be repeated", { cause: error });
}

function close(): void {
  if (open === undefined) return;
  const { database, lock } = open;
  database.exec(`PRAGMA busy_timeout = ${CLOSE_WAIT_MS}`);
  checkpoint("TRUNCATE");
  open = undefined;
  database.close();
  lock.release();
}

function answer(request: Request): Rows | undefined {
  switch (request.kind) {
    case "open":
      openStore(request);
      return undefined;
    case "commit":
      commit(request);
      return undefined;
    case "load":
      return tableNamed(request.table).load(request.after);
    case "read":
      return { cells: tableNamed(request.table).read(request.prefix, request.rowsMax), more: false };
    case "close":
      close();
      return undefined;
  }
}

const port = parentPort;
if (port === null) throw new Error("this file runs in a thread of the store");
port.on("message", (request: Request) => {
  const path = request.kind === "open" ? join(request.directory, "sojourn.db") : open?.path ?? "the store";
  let result: Answer;
  try {
    const rows = answer(request);
    result = rows === undefined ? { ok: true } : { ok: true, rows };
  } catch (error) {
    result = { ok: false, failure: failureOf(error, path, request.kind === "open" ? "unusable" : "failed") };
  }
  if (request.kind !== "commit" || request.last) port.postMessage(result);
  if (logBytes >= CHECKPOINT_BYTES) checkpoint("PASSIVE");
  if (request.kind === "close") port.close();
});
