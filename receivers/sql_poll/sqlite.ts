import { fork } from "node:child_process";
import { base64, exactNumber, rfc3339 } from "../../src/sdk/database_value.ts";
import type { Cell, Column, Connect, Page, Param } from "./session.ts";

const CHILD = new URL(`./sqlite_child${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);

/** What the child is asked, one question after the other. */
export type Question =
  | { readonly ask: "begin"; readonly path: string; readonly busyMs: number; readonly sql: string; readonly params: readonly Param[] }
  | { readonly ask: "page" }
  | { readonly ask: "end" };

/** What it answers: nothing, a page, or what went wrong. */
export interface Answer {
  readonly columns?: readonly string[];
  readonly rows?: readonly (readonly Cell[])[];
  readonly last?: boolean;
  readonly error?: string;
}

const BUSY_MS_MAX = 5_000;

/**
 * SQLite in a process of its own: a query cannot be interrupted but by ending who runs it, and a thread cannot be ended inside a
 * query. So neither a slow query nor a damaged file can stall or end the agent. The file is opened for each query: one that was
 * replaced is noticed, and no lock outlives a query.
 */
export const connectSqlite: Connect = async ({ database, statementMs }) => {
  const { TMPDIR, SQLITE_TMPDIR } = process.env;
  const child = fork(CHILD, [database.database, String(process.pid)], {
    execArgv: ["--disable-warning=ExperimentalWarning"], serialization: "advanced", stdio: ["ignore", "ignore", "ignore", "ipc"],
    // Secrets of the agent's environment are none of its business.
    env: { ...(TMPDIR === undefined ? {} : { TMPDIR }), ...(SQLITE_TMPDIR === undefined ? {} : { SQLITE_TMPDIR }) },
  });
  let usable = true;
  let waiting: PromiseWithResolvers<Answer> | undefined;
  const exited = new Promise<void>((resolve) => {
    const ended = (why: string) => (): void => {
      usable = false;
      waiting?.reject(new Error(why));
      waiting = undefined;
      resolve();
    };
    child.once("exit", (code, signal) => ended(`the process that reads the file ended (${signal ?? `exit code ${code}`})`)());
    child.once("error", (error) => ended(`the process that reads the file cannot run: ${error.message}`)());
  });
  child.on("message", (answer: Answer) => {
    const asked = waiting;
    waiting = undefined;
    if (answer.error === undefined) asked?.resolve(answer);
    else asked?.reject(new Error(answer.error));
  });

  function ask(question: Question): Promise<Answer> {
    if (!usable) return Promise.reject(new Error("the process that reads the file has ended"));
    waiting = Promise.withResolvers<Answer>();
    child.send(question);
    return waiting.promise;
  }

  function destroy(): void {
    usable = false;
    child.kill("SIGKILL");
  }

  return {
    system: "sqlite",
    get usable() {
      return usable;
    },
    async begin(sql, params) {
      await ask({ ask: "begin", path: database.database, busyMs: Math.min(BUSY_MS_MAX, statementMs), sql, params });
    },
    async page(): Promise<Page> {
      const { columns = [], rows = [], last = true } = await ask({ ask: "page" });
      return { columns: columns.map(columnOf), rows, last };
    },
    async end() {
      if (usable) await ask({ ask: "end" });
    },
    destroy,
    async close() {
      destroy();
      await exited;
    },
  };
};

function columnOf(name: string): Column {
  return {
    name,
    numeric: false,
    value(cell) {
      if (typeof cell === "bigint") return exactNumber(String(cell));
      if (typeof cell === "number") return Number.isFinite(cell) ? cell : String(cell);
      // It has no type for times: text in the form of its datetime() is one, in UTC.
      return typeof cell === "string" ? rfc3339(cell) : base64(cell);
    },
  };
}
