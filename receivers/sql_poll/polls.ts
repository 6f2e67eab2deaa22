import type { ReceiverContext } from "../../src/sdk/component.ts";
import type { DatabaseKind } from "../../src/sdk/database.ts";
import type { Delivery } from "../../src/sdk/delivery.ts";
import { BATCH_OBSERVATIONS_MAX, observation, type Attributes, type Json, type Observation } from "../../src/sdk/observation.ts";
import type { Asker } from "./asker.ts";
import { markOf, startMark, written } from "./mark.ts";
import { Present } from "./present.ts";
import { cellsSize, dialects, type Cell, type Column, type Page, type Param } from "./session.ts";
import { Window } from "./window.ts";

export interface PollOptions {
  readonly kind: DatabaseKind;
  /** Database's name, or the file. */
  readonly namespace: string;
  readonly query: string;
  readonly params: readonly Param[];
  readonly rowsMax: number;
  /** Undefined: the whole result each time. */
  readonly tracking: { readonly column: string; readonly start: string | undefined; readonly overlapMs: number } | undefined;
  /** Columns that tell rows apart; undefined: nobody asks what is missing. */
  readonly key: readonly string[] | undefined;
}

/** What a receiver does at each interval. */
export interface Polls {
  /** Reads what is there and hands it on; false when there is more to read at once. Rejects with why it failed. */
  poll(): Promise<boolean>;
  /** For the API. */
  describe(): Record<string, Json>;
}

/** For a query whose whole result comes each time, or only what is new by its `tracking_column`. */
export function createPolls(context: ReceiverContext, asker: Asker, delivery: Delivery, signal: AbortSignal, options: PollOptions): Polls {
  const { clock } = context;
  const { tracking, key, params, rowsMax } = options;
  const query = options.query.replace(/[\s;]+$/, "");

  /** Of one part of an answer: all its rows came at one time. */
  function observations(bodies: readonly Json[], missing?: boolean): Observation[] {
    const attributes: Attributes = {
      "db.system.name": asker.system, "db.namespace": options.namespace, ...(missing === undefined ? {} : { "sql_poll.missing": missing }),
    };
    const fields = { source: context.id, time: clock.now(), attributes };
    return bodies.map((body) => observation(body, fields));
  }

  async function send(batch: Observation[], position: Json | undefined, bytes: number): Promise<void> {
    await delivery.room();
    signal.throwIfAborted();
    delivery.send(batch, position, bytes);
  }

  return tracking === undefined ? wholePolls() : trackedPolls(tracking);

  function wholePolls(): Polls {
    const present = key === undefined ? undefined : new Present(key, context.position);
    let rowsLast = 0;

    async function reportMissing(of: Present): Promise<void> {
      const gone = of.missing();
      for (let at = 0; at < gone.length; at += BATCH_OBSERVATIONS_MAX) {
        const part = gone.slice(at, at + BATCH_OBSERVATIONS_MAX);
        of.drop(part);
        const bodies = part.map((values) => Object.fromEntries(key!.map((name, i) => [name, values[i]!])));
        await send(observations(bodies, true), of.position, part.length * 100);
      }
    }

    return {
      async poll() {
        let rows = 0;
        present?.begin();
        await asker.read(query, params, async (page) => {
          rows += page.rows.length;
          if (rows > rowsMax) throw new Error(`more than ${rowsMax} rows: raise rows_max, narrow the query, or give a tracking_column`);
          const bodies = page.rows.map((row) => bodyOf(row, page.columns));
          const keys = key === undefined ? undefined : keysOf(page, bodies, key);
          const changed = keys !== undefined && present!.meet(keys);
          const bytes = page.rows.reduce((sum, row) => sum + cellsSize(row), 0);
          const missing = present === undefined ? undefined : false;
          if (bodies.length > 0) await send(observations(bodies, missing), changed ? present!.position : undefined, bytes);
          return true;
        });
        if (present !== undefined) await reportMissing(present);
        rowsLast = rows;
        return true;
      },
      describe: () => ({ rows: rowsLast, ...(present === undefined ? {} : { keys: present.size }) }),
    };
  }

  function trackedPolls({ column, start, overlapMs }: NonNullable<PollOptions["tracking"]>): Polls {
    let sent = context.position;
    const newWindow = (): Window => new Window(column, overlapMs, start === undefined ? undefined : startMark(start), sent);
    let window = newWindow();
    const dialect = dialects[options.kind];
    let rowsLast = 0;

    /** The user's query with our condition and order around it; `sojourn_ahead`: at or after the cursor, as the database compares. */
    function statement(): { readonly sql: string; readonly params: readonly Param[] } {
      const of = `sojourn_rows.${dialect.quote(column)}`;
      const all: Param[] = dialect.numbered ? [...params] : [];
      const { cursor, from } = window;
      const ahead = cursor === undefined ? "1" : `CASE WHEN ${of} >= ${written(cursor, dialect, all)} THEN 1 ELSE 0 END`;
      if (!dialect.numbered) all.push(...params);
      const condition = from === undefined ? `${of} IS NOT NULL` : `${of} ${from.exclusive ? ">" : ">="} ${written(from.mark, dialect, all)}`;
      return { sql: `SELECT sojourn_rows.*, ${ahead} AS sojourn_ahead FROM (\n${query}\n) AS sojourn_rows WHERE ${condition} ORDER BY ${of}`, params: all };
    }

    async function hand(bodies: readonly Json[], bytes: number): Promise<void> {
      await send(observations(bodies), window.position, bytes);
      sent = window.position;
    }

    /** Takes the rows of a page; false when there were enough. */
    async function take({ columns, rows }: Page, freshMax: number): Promise<{ readonly fresh: number; readonly enough: boolean }> {
      const at = columns.findIndex(({ name }) => name === column);
      if (at < 0 && columns.length > 0) throw new Error(`the result has no column ${column}`);
      const shown = columns.slice(0, -1);
      const fresh: Json[] = [];
      let bytes = 0;
      let enough = false;
      for (const row of rows) {
        const mark = markOf(row[at]!, columns[at]!);
        // Never in the midst of one value: the rest of its rows could not be told from those to come.
        enough = fresh.length >= freshMax && window.begins(mark);
        if (enough) break;
        const own = row.slice(0, -1);
        if (!window.take(own, mark, Number(row.at(-1)) === 1, clock.now())) continue;
        fresh.push(bodyOf(own, shown));
        bytes += cellsSize(own);
      }
      window.settle();
      if (fresh.length > 0) await hand(fresh, bytes);
      return { fresh: fresh.length, enough };
    }

    async function read(): Promise<boolean> {
      const askedAt = clock.now();
      let answeredAt: number | undefined;
      const { sql, params: all } = statement();
      const before = JSON.stringify([window.cursor, window.from]);
      rowsLast = 0;
      const complete = await asker.read(sql, all, async (page) => {
        answeredAt ??= clock.now();
        const { fresh, enough } = await take(page, rowsMax - rowsLast);
        rowsLast += fresh;
        return !enough;
      });
      const warning = complete ? window.complete(askedAt, answeredAt ?? askedAt) : window.pause();
      if (warning !== undefined) context.report(new Error(warning));
      // Quiet, the window moves on all the same.
      if (JSON.stringify([window.cursor, window.from]) !== before) await hand([], 0);
      return complete;
    }

    return {
      async poll() {
        try {
          return await read();
        } catch (error) {
          // What was taken and not handed on is not seen.
          window = newWindow();
          throw error;
        }
      },
      describe: () => ({ rows: rowsLast, cursor: window.cursor?.value ?? null, from: window.from?.mark.value ?? null, remembered: window.size }),
    };
  }
}

function bodyOf(row: readonly Cell[], columns: readonly Column[]): Record<string, Json> {
  const body: Record<string, Json> = {};
  for (let i = 0; i < row.length; i++) {
    const cell = row[i]!;
    body[columns[i]!.name] = cell === null ? null : columns[i]!.value(cell);
  }
  return body;
}

function keysOf({ columns }: Page, bodies: readonly Record<string, Json>[], key: readonly string[]): (readonly Json[])[] {
  const absent = key.find((name) => !columns.some((column) => column.name === name));
  if (absent !== undefined) throw new Error(`the result has no column ${absent}, which is in key; it has ${columns.map(({ name }) => name).join(", ")}`);
  return bodies.map((body) => key.map((name) => body[name]!));
}
