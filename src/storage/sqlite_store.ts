import { resolve } from "node:path";
import { Worker } from "node:worker_threads";
import { messageOf } from "../sdk/errors.ts";
import { StoreError, type Cell, type Store, type Table, type TableChange } from "../sdk/store.ts";
import { checkPrefix, checkShape, checkTables } from "./cells.ts";
import { errorOf, type Answer, type Request, type Rows, type TableRows } from "./sqlite_protocol.ts";

export interface SqliteStoreOptions {
  /** Holds `sojourn.db`, `sojourn.lock` and `sojourn.pid`. Created, for its owner only, when missing. */
  readonly directory: string;
  /** Largest size of the database, in pages of 4 KiB. A commit that needs more rejects as on a full disk. */
  readonly pagesMax?: number;
}

/** Cells in one message: a longer commit is sent in parts, each holding the main loop for 2 ms or so. */
const MESSAGE_CELLS_MAX = 60_000;

/** As source under Node's type stripping, or compiled: the compiler does not rewrite what stands in `new URL`. */
const WORKER = new URL(`./sqlite_worker${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);

/** A thread with the database open in it. Answers come in the order of the requests. */
interface Thread {
  /** Sends the parts of one request, not interleaved with another's; resolves with the answer to the last. */
  ask(parts: Iterable<Request>): Promise<Rows | undefined>;
  /** Resolves when the thread has ended. */
  readonly ended: Promise<void>;
}

function startThread(): Thread {
  const worker = new Worker(WORKER, { name: "sojourn-store" });
  const unanswered: PromiseWithResolvers<Rows | undefined>[] = [];
  const ended = Promise.withResolvers<void>();
  let dead: StoreError | undefined;
  let sent: Promise<void> = Promise.resolve();

  function die(reason: string): void {
    dead ??= new StoreError("unusable", `the store's thread has ended: ${reason}`);
    for (const waiting of unanswered.splice(0)) waiting.reject(dead);
  }
  worker.on("message", (answer: Answer) => {
    const waiting = unanswered.shift();
    if (answer.ok) waiting?.resolve(answer.rows);
    else waiting?.reject(errorOf(answer.failure));
  });
  worker.on("messageerror", (error) => void worker.terminate().then(() => die(messageOf(error))));
  worker.on("error", (error) => die(messageOf(error)));
  worker.on("exit", (code) => {
    die(`exit code ${code}`);
    ended.resolve();
  });

  async function send(parts: Iterable<Request>, answered: PromiseWithResolvers<Rows | undefined>): Promise<void> {
    let begun: Request | undefined;
    try {
      for (const part of parts) {
        // The main loop goes on between parts.
        if (begun !== undefined) await new Promise<void>((next) => setImmediate(next));
        if (dead !== undefined) return answered.reject(dead);
        worker.postMessage(part);
        begun = part;
      }
    } catch (error) {
      // A value that cannot be sent. The thread holds the parts before it and must let go of them.
      if (begun?.kind !== "commit") return answered.reject(error);
      worker.postMessage({ ...begun, parts: [], last: true, abandoned: messageOf(error) } satisfies Request);
    }
    unanswered.push(answered);
  }

  return {
    ended: ended.promise,
    ask(parts) {
      const answered = Promise.withResolvers<Rows | undefined>();
      sent = sent.then(() => send(parts, answered));
      return answered.promise;
    },
  };
}

/** Cuts a commit into messages. Deletes of a table stay before its puts. */
function* messages(changes: readonly TableChange[], epoch: number): Generator<Request> {
  let parts: TableRows[] = [];
  let room = MESSAGE_CELLS_MAX;
  for (const { table, puts, deletes } of changes) {
    for (const kind of ["deletes", "puts"] as const) {
      const cells = kind === "puts" ? puts : deletes;
      const width = kind === "puts" ? table.columns.length : table.keyColumns;
      for (let start = 0; start < cells.length; ) {
        if (room < width && parts.length > 0) {
          yield { kind: "commit", epoch, parts, last: false };
          parts = [];
          room = MESSAGE_CELLS_MAX;
        }
        const end = Math.min(cells.length, start + Math.max(1, Math.floor(room / width)) * width);
        const some = cells.slice(start, end);
        parts.push({ table: table.name, puts: [], deletes: [], [kind]: some });
        room -= end - start;
        start = end;
      }
    }
  }
  yield { kind: "commit", epoch, parts, last: true };
}

/**
 * The store on disk: SQLite in a thread of its own, durable by WAL and fsync.
 *
 * Rows given to `commit` must not change before it settles. When a commit fails, those already called after it fail
 * with it, so that repeating it cannot put older rows over newer ones. Rows that can never be written (a wrong type)
 * reject with `PermanentError`; a full disk and the like with a plain error, and may be repeated.
 */
export function sqliteStore(options: SqliteStoreOptions): Store {
  const directory = resolve(options.directory);
  let thread: Thread | undefined;
  let names: ReadonlySet<string> = new Set();
  let epoch = 0;
  let closed: Promise<void> = Promise.resolve();

  const opened = (): Thread => {
    if (thread === undefined) throw new StoreError("unusable", "the store is not open");
    return thread;
  };

  return {
    async open(tables) {
      if (thread !== undefined) throw new StoreError("locked", "the store is open already");
      checkTables(tables);
      const started = startThread();
      const predecessor = closed;
      thread = started;
      names = new Set(tables.map(({ name }) => name));
      try {
        await predecessor;
        await started.ask([{ kind: "open", directory, tables, pagesMax: options.pagesMax }]);
      } catch (error) {
        if (thread === started) thread = undefined;
        await started.ask([{ kind: "close" }]).catch(() => undefined);
        await started.ended;
        throw error;
      }
    },
    async load(table: Table, onRows: (cells: readonly Cell[]) => void) {
      const asked = opened();
      checkPrefix(table, [], names);
      const next = (after: readonly Cell[]): Promise<Rows | undefined> =>
        asked.ask([{ kind: "load", table: table.name, after }]);
      for (let rows = await next([]); rows !== undefined && rows.cells.length > 0; ) {
        const { cells, more } = rows;
        const last = cells.length - table.columns.length;
        // One chunk ahead, so that reading it and taking this one in go on at the same time.
        const ahead = more ? next(cells.slice(last, last + table.keyColumns)) : undefined;
        ahead?.catch(() => undefined);
        onRows(cells);
        rows = await ahead;
      }
    },
    async read(table, prefix, rowsMax) {
      const asked = opened();
      checkPrefix(table, prefix, names);
      const rows = await asked.ask([{ kind: "read", table: table.name, prefix, rowsMax }]);
      return rows?.cells ?? [];
    },
    async commit(changes) {
      const asked = opened();
      const mine = epoch;
      try {
        for (const change of changes) checkShape(change, names);
        await asked.ask(messages(changes, mine));
      } catch (error) {
        epoch = Math.max(epoch, mine + 1);
        throw error;
      }
    },
    close() {
      const closing = thread;
      thread = undefined;
      if (closing !== undefined) {
        const answered = closing.ask([{ kind: "close" }]).catch(() => undefined);
        closed = Promise.all([closed, answered, closing.ended]).then(() => undefined);
      }
      return closed;
    },
  };
}
