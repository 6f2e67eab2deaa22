import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import fc from "fast-check";
import type { Asker } from "../../receivers/sql_poll/asker.ts";
import { createPolls, type PollOptions } from "../../receivers/sql_poll/polls.ts";
import type { Cell, Column, Param } from "../../receivers/sql_poll/session.ts";
import { createDelivery } from "../../src/sdk/delivery.ts";
import { wholeBody, type Json } from "../../src/sdk/observation.ts";
import { virtualClock, type VirtualClock } from "../../src/sdk/virtual_clock.ts";
import { receiverContext, type Recorded } from "../support/context.ts";

/** Asks a database in this process, some rows at a time; `dies` ends a query after so many pages. */
function askerOf(database: DatabaseSync, pageRows: number, dies: () => number | undefined): Asker {
  return {
    system: "sqlite",
    async read(sql, params, take) {
      const statement = database.prepare(sql);
      statement.setReturnArrays(true);
      statement.setReadBigInts(true);
      const columns = statement.columns().map(({ name }): Column => ({ name, numeric: false, value: (cell) => (typeof cell === "bigint" ? Number(cell) : cell as string) }));
      const rows = statement.all(...(params as Exclude<Param, boolean>[])) as unknown as Cell[][];
      const pages = dies();
      for (let at = 0, page = 0; at === 0 || at < rows.length; at += pageRows, page++) {
        if (page === pages) throw new Error("connection lost");
        if (!(await take({ columns, rows: rows.slice(at, at + pageRows), last: at + pageRows >= rows.length }))) return false;
      }
      return true;
    },
    close: async () => undefined,
  };
}

interface Setting {
  readonly database: DatabaseSync;
  readonly clock: VirtualClock;
  readonly overlapMs?: number;
  readonly pageRows?: number;
  readonly rowsMax?: number;
  readonly dies?: () => number | undefined;
  readonly start?: string;
}

/** The receiver's polls without its loop, on what a crash has left. */
function pollsOf({ database, clock, overlapMs = 60_000, pageRows = 3, rowsMax = 100_000, dies = () => undefined, start }: Setting, position?: Json) {
  const { context, recorded } = receiverContext({ clock, ...(position === undefined ? {} : { position }) });
  const { signal } = new AbortController();
  const options: PollOptions = {
    kind: "sqlite", namespace: "shop", query: "SELECT at, id FROM events", params: [], rowsMax, key: undefined,
    tracking: { column: "at", overlapMs, start },
  };
  return { polls: createPolls(context, askerOf(database, pageRows, dies), createDelivery(context, signal), signal, options), recorded };
}

const ids = (recorded: Recorded): number[] =>
  recorded.emitted.flatMap(({ batch }) => batch.map(({ body }) => (wholeBody(body) as { readonly id: number }).id));
const positionOf = (recorded: Recorded): Json | undefined =>
  structuredClone(recorded.emitted.findLast(({ position }) => position !== undefined)?.position);

async function poll(polls: ReturnType<typeof pollsOf>["polls"]): Promise<void> {
  while (!(await polls.poll()));
}

function events(): DatabaseSync {
  const database = new DatabaseSync(":memory:");
  database.exec("CREATE TABLE events (id INTEGER PRIMARY KEY, at)");
  return database;
}

test("however transactions overlap, tie, commit late, and polls break off or the agent dies: each row comes exactly once", async () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant("write" as const), holdMs: fc.integer({ min: 0, max: 58_000 }), tick: fc.boolean() }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("poll" as const), pages: fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined }) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 90_000 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const), downMs: fc.integer({ min: 0, max: 300_000 }) }) },
  );
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 3 }), async (steps, rowsMax) => {
    const database = events();
    const clock = virtualClock();
    let pages: number | undefined;
    const setting: Setting = { database, clock, rowsMax, pageRows: 2, dies: () => pages };
    const open: { readonly id: number; readonly at: number; readonly commitAt: number }[] = [];
    const insert = database.prepare("INSERT INTO events VALUES (?, ?)");
    const seen: number[] = [];
    const deleted = new Set<number>();
    let id = 0;
    let tick = 0;
    let agent = pollsOf(setting);

    const commit = (): void => {
      for (const one of open.splice(0)) {
        if (one.commitAt <= clock.now()) insert.run(one.id, one.at);
        else open.push(one);
      }
    };
    const wait = async (ms: number): Promise<void> => {
      const end = clock.now() + ms;
      // Every commit at its time: a poll may come between any two.
      for (const at of open.map(({ commitAt }) => commitAt).toSorted((a, b) => a - b)) {
        if (at > end) break;
        await clock.advance(Math.max(0, at - clock.now()));
        commit();
      }
      await clock.advance(end - clock.now());
      commit();
    };
    const restart = (): void => {
      seen.push(...ids(agent.recorded));
      agent = pollsOf(setting, positionOf(agent.recorded) ?? last);
      last = positionOf(agent.recorded) ?? last;
    };
    let last: Json | undefined;

    for (const one of steps) {
      if (one.do === "write") {
        if (one.tick) tick++;
        open.push({ id: ++id, at: tick, commitAt: clock.now() + one.holdMs });
        commit();
      } else if (one.do === "poll") {
        pages = one.pages;
        await poll(agent.polls).catch((error: unknown) => assert.match(String(error), /connection lost/));
        pages = undefined;
      } else if (one.do === "wait") {
        await wait(one.ms);
      } else if (one.do === "delete") {
        // The last one: the cursor must not go back for that.
        for (const row of database.prepare("DELETE FROM events WHERE id = (SELECT id FROM events ORDER BY at DESC, id DESC LIMIT 1) RETURNING id").all()) deleted.add(row["id"] as number);
      } else {
        last = positionOf(agent.recorded) ?? last;
        restart();
        await wait(one.downMs);
      }
    }
    await wait(60_000);
    await poll(agent.polls);
    seen.push(...ids(agent.recorded));
    assert.equal(seen.length, new Set(seen).size, "none comes twice");
    const all = Array.from({ length: id }, (_, i) => i + 1);
    assert.deepEqual(all.filter((one) => !seen.includes(one) && !deleted.has(one)), [], "none is lost");
  }), { numRuns: 300 });
});

test("quiet, the window closes: what is read again and remembered gets less", async () => {
  const [database, clock] = [events(), virtualClock()];
  database.exec("INSERT INTO events SELECT value, value FROM json_each('[1,2,3,4,5,6,7,8,9]')");
  const { polls, recorded } = pollsOf({ database, clock });
  await poll(polls);
  assert.equal(polls.describe()["remembered"], 9);
  for (let i = 0; i < 12; i++) {
    await clock.advance(10_000);
    await poll(polls);
  }
  assert.deepEqual([polls.describe()["remembered"], polls.describe()["from"], ids(recorded).length], [1, "9", 9]);
});

test("a value that is out of line comes, and hides no other: the year 9999 among times, text among numbers", async () => {
  for (const [usual, odd] of [[["2026-11-22 10:00:00", "2026-11-22 10:00:01"], "9999-12-31 23:59:59"], [[1, 2], "n/a"]] as const) {
    const [database, clock] = [events(), virtualClock()];
    const insert = database.prepare("INSERT INTO events VALUES (?, ?)");
    insert.run(1, usual[0]);
    insert.run(2, odd);
    const { polls, recorded } = pollsOf({ database, clock });
    for (let i = 0; i < 5; i++) {
      await poll(polls);
      await clock.advance(60_000);
    }
    insert.run(3, usual[1]);
    await poll(polls);
    assert.deepEqual(ids(recorded), [1, 2, 3]);
  }
});

test("a table read for the first time, larger than what is remembered: each row once, and late ones near its end", async () => {
  const [database, clock] = [events(), virtualClock()];
  database.exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 130000) INSERT INTO events SELECT i, i * 10 FROM n");
  const { polls, recorded } = pollsOf({ database, clock, pageRows: 2_000 });
  await poll(polls);
  assert.equal(ids(recorded).length, 130_000);
  assert.ok(JSON.stringify(positionOf(recorded)).length < 1_200_000);
  database.exec("INSERT INTO events VALUES (300001, 1299995), (300002, 1300001)");
  const again = pollsOf({ database, clock, pageRows: 2_000 }, positionOf(recorded));
  await poll(again.polls);
  assert.deepEqual(ids(again.recorded), [300_001, 300_002]);
  assert.deepEqual(again.recorded.reports, []);
});

test("more rows of one value than are remembered come once, and it is said what may be missed", async () => {
  const [database, clock] = [events(), virtualClock()];
  database.exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000) INSERT INTO events SELECT i, 7 FROM n");
  const { polls, recorded } = pollsOf({ database, clock, pageRows: 2_000, rowsMax: 10_000 });
  await poll(polls);
  await poll(polls);
  assert.equal(ids(recorded).length, 120_000);
  assert.match(recorded.reports.join(), /more than 100000 rows have the same at \(7\): one that is committed later/);
  database.exec("INSERT INTO events VALUES (200000, 8)");
  await poll(polls);
  assert.equal(ids(recorded).at(-1), 200_000);
});

test("it begins at tracking_start", async () => {
  const [database, clock] = [events(), virtualClock()];
  database.exec("INSERT INTO events VALUES (1, 9007199254740992), (2, 9007199254740993), (3, 9007199254740994)");
  const { polls, recorded } = pollsOf({ database, clock, start: "9007199254740993" });
  await poll(polls);
  await poll(polls);
  assert.deepEqual(ids(recorded), [2, 3]);
});

test("the position of another column is no position", async () => {
  const [database, clock] = [events(), virtualClock()];
  database.exec("INSERT INTO events VALUES (1, 1)");
  const { polls, recorded } = pollsOf({ database, clock }, { tracking_column: "id", cursor: { kind: "number", value: "5" }, checkpoints: [], seen: "" });
  await poll(polls);
  assert.deepEqual(ids(recorded), [1]);
});

test("the last row goes, and the cursor does not go back: what lies before it does not come again", async () => {
  const [database, clock] = [events(), virtualClock()];
  const { polls, recorded } = pollsOf({ database, clock });
  database.exec("INSERT INTO events VALUES (1, 90), (2, 95), (3, 100)");
  await poll(polls);
  await clock.advance(20_000);
  database.exec("DELETE FROM events WHERE id = 3; DELETE FROM events WHERE id = 2");
  for (let i = 0; i < 20; i++) {
    await poll(polls);
    if (i === 12) database.exec("INSERT INTO events VALUES (2, 95)");
    await clock.advance(5_000);
  }
  assert.equal(polls.describe()["cursor"], "100");
  assert.deepEqual(ids(recorded).toSorted((a, b) => a - b), [1, 2, 3]);
});
