import { DatabaseSync } from "node:sqlite";
import { isMainThread, Worker } from "node:worker_threads";
import { realClock } from "../../src/sdk/clock.ts";
import type { SQLOutputValue, StatementSync } from "node:sqlite";
import { cellsSize, PAGE_BYTES, PAGE_BYTES_MAX, PAGE_ROWS_MAX, type Cell } from "./session.ts";
import type { Answer, Question } from "./sqlite.ts";

/*
 * The process of its own that reads an SQLite file for sql_poll: see sqlite.ts.
 */

const HEAP_BYTES_MAX = 512 * 2 ** 20;
const AGENT_GONE_MS = 1_000;

let database: DatabaseSync | undefined;
let columns: readonly string[] = [];
let rows: Iterator<unknown> | undefined;

function begin({ path, busyMs, sql, params }: Question & { ask: "begin" }): Answer {
  end();
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: busyMs, enableForeignKeyConstraints: false });
    // What SQLite takes beyond is an error of the query.
    database.exec(`PRAGMA hard_heap_limit = ${HEAP_BYTES_MAX}`);
    database.exec("PRAGMA query_only = 1; BEGIN");
    const statement = database.prepare(sql);
    columns = statement.columns().map(({ name }) => name);
    if (columns.length === 0) throw new Error("gives no rows: sql_poll takes one SELECT");
    if (rest(sql, statement) !== "") throw new Error("is more than one statement: sql_poll takes one SELECT");
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    rows = statement.iterate(...params.map((param) => (typeof param === "boolean" ? Number(param) : param)));
    return {};
  } catch (error) {
    end();
    throw error;
  }
}

/** What follows the first statement, without comments. SQLite compiles the first and says nothing of the others. */
function rest(sql: string, { sourceSQL }: StatementSync): string {
  return sql.slice(sourceSQL.length).replace(/--[^\n]*|\/\*[\s\S]*?\*\/|[\s;]/g, "");
}

function page(): Answer {
  const found: Cell[][] = [];
  let bytes = 0;
  while (found.length < PAGE_ROWS_MAX && bytes < PAGE_BYTES) {
    const next = rows?.next();
    if (next === undefined || next.done === true) return { columns, rows: found, last: true };
    const row = next.value as SQLOutputValue[];
    bytes += cellsSize(row);
    if (bytes > PAGE_BYTES_MAX) throw new Error(`a row takes more than ${PAGE_BYTES_MAX} bytes: select fewer or shorter columns`);
    found.push(row);
  }
  return { columns, rows: found, last: false };
}

function end(): Answer {
  rows = undefined;
  database?.close();
  database = undefined;
  return {};
}

function answer(question: Question): Answer {
  switch (question.ask) {
    case "begin":
      return begin(question);
    case "page":
      return page();
    case "end":
      return end();
  }
}

function serve(): void {
  new Worker(new URL(import.meta.url), { argv: process.argv.slice(2) }).unref();
  process.on("message", (question: Question) => {
    let given: Answer;
    try {
      given = answer(question);
    } catch (error) {
      given = { error: explained(error as Error) };
    }
    process.send!(given);
  });
  // Nobody asks any more.
  process.on("disconnect", () => process.exit());
  // Ctrl-C in a terminal is for the agent, which ends this in its own time.
  process.on("SIGINT", () => undefined);
}

/** An agent that is killed cannot end us, and inside a query we hear nothing: another thread looks whether it is there. */
async function watch(): Promise<void> {
  // As it was when it started us: it may have gone before we looked.
  const agent = Number(process.argv[3]);
  while (process.ppid === agent) await realClock.sleep(AGENT_GONE_MS);
  process.kill(process.pid, "SIGKILL");
}

function explained({ message }: Error): string {
  if (!/unable to open database file/.test(message)) return message;
  return `${message}: is it there, and may this user read it? (One in WAL mode that nobody has open also needs its folder to be writable, for the -shm file.)`;
}

if (isMainThread) serve();
else await watch();
