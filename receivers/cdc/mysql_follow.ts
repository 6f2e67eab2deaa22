import { changeObservation, type Change } from "./change.ts";
import type { Binlog, BinlogEvent, RowsEvent, Shape } from "./mysql_binlog.ts";
import type { MysqlPosition, Place, Prepared, Progress } from "./mysql_position.ts";
import { rowReader, type Definition, type RowChange } from "./mysql_rows.ts";
import { statementOf } from "./mysql_statement.ts";
import { createTransaction, type Taken } from "./mysql_transaction.ts";
import type { ReceiverContext } from "../../src/sdk/component.ts";
import type { Delivery } from "../../src/sdk/delivery.ts";
import { observation, wholeBody, type Json, type Observation } from "../../src/sdk/observation.ts";

const BATCH_ROWS = 1_000;
/** Nothing of ours in the binlog: how often the store is told nevertheless how far it was read. */
const POSITION_MS = 10_000;
/** Changes of prepared transactions are kept in the position, so there must not be many. */
const PREPARED_ROWS_MAX = 5_000;

/** What there is around the binlog. */
export interface FollowOptions {
  readonly context: ReceiverContext;
  readonly system: string;
  readonly binlog: Binlog;
  readonly progress: Progress;
  readonly delivery: Delivery;
  readonly signal: AbortSignal;
  /** Labels of the tables that are watched. */
  readonly tables: ReadonlySet<string>;
  /** Where it stands; set whenever something was sent. */
  readonly position: { at: MysqlPosition };
  /** Stop here, between two transactions. */
  readonly until?: Place | undefined;
  readonly definitionOf: (shape: Shape) => Definition | undefined;
  /** Asks for the definitions anew: something changed them. */
  redefine(): Promise<void>;
  /** The server answered. */
  alive(): void;
  /** When the last event that was read happened, ms; undefined: there is nothing newer. */
  seen(timestamp: number | undefined): void;
  /** A transaction ended, or nothing is left to read. */
  passed(): void;
}

/**
 * Takes the binlog's transactions in order and passes their changes on, with the position behind the last whole one, or
 * within one too large. Ends at `until`, or when the signal says so; rejects when the binlog does.
 */
export async function follow(options: FollowOptions): Promise<void> {
  const { context, binlog, progress, delivery, position, until } = options;
  const { clock } = context;
  const transaction = createTransaction();
  const reader = rowReader(options.definitionOf);
  let taken: Taken | undefined = position.at.transaction;
  const prepared = new Map<string, readonly Prepared[]>(Object.entries(position.at.prepared ?? {}));
  let xa: string | undefined;
  let out: Observation[] = [];
  let bytes = 0;
  let moved = false;
  let sentMs = clock.monotonicMs();
  let file = "file" in position.at.place ? position.at.place.file : "";
  let offset = 0;
  let gtid: string | undefined;
  let standalone = false;
  let timestamp = 0;
  let time = position.at.time;

  function send(): void {
    const { tables, reading } = position.at;
    position.at = {
      place: progress.place(), tables, time,
      ...(taken === undefined ? {} : { transaction: taken }), ...(reading === undefined ? {} : { reading }),
      ...(prepared.size === 0 ? {} : { prepared: Object.fromEntries(prepared) }),
    };
    delivery.send(out, position.at as unknown as Json, bytes);
    out = [];
    bytes = 0;
    moved = false;
    sentMs = clock.monotonicMs();
  }

  function begin(id: string | undefined, began: number, alone: boolean): void {
    gtid = id;
    standalone = alone;
    timestamp = began;
    // The statement's begin, which may lie before what came earlier: then `track` would take it for late.
    time = Math.max(time, Math.min(began, clock.now()));
    transaction.begin(id ?? "", taken);
  }

  function end(observations: readonly Observation[]): void {
    for (const observation of observations) out.push(observation);
    progress.passed(gtid, file, offset);
    taken = undefined;
    moved = true;
    gtid = undefined;
    options.passed();
  }

  /** Its rows wait for the second phase, across restarts too. */
  function prepare(): void {
    const held = transaction.commit();
    const waiting = [...prepared.values()].reduce((sum, rows) => sum + rows.length, 0);
    if (xa !== undefined && waiting + held.length <= PREPARED_ROWS_MAX) {
      prepared.set(xa, held.map(({ body, attributes }) => ({ body: wholeBody(body), attributes })));
      return end([]);
    }
    context.report(new Error(`more than ${PREPARED_ROWS_MAX} changes wait for the second phase of their commit: those of another transaction are taken at its first`));
    end(held);
  }

  function second(name: string): Observation[] {
    const rows = prepared.get(name) ?? [];
    prepared.delete(name);
    return rows.map(({ body, attributes }) => observation(body, { source: context.id, time, attributes }));
  }

  function observe(database: string, table: string, change: Pick<Change, "op" | "before" | "after">): Observation {
    const where = gtid === undefined ? { file, offset } : { gtid };
    return changeObservation(context.id, { ...change, source: { system: options.system, database, table, ...where, ts_ms: timestamp } }, time);
  }

  function rows(event: RowsEvent): void {
    const { database, name } = event.shape;
    const label = `${database}.${name}`;
    if (!options.tables.has(label)) return;
    const size = event.bytes / Math.max(1, event.rows.length);
    reader.changes(event, (change: RowChange) => {
      bytes += size;
      if (!transaction.add(label, () => observe(database, name, change), size)) return;
      const part = transaction.part();
      for (const observation of part.observations) out.push(observation);
      taken = part.taken;
      send();
    });
  }

  async function query(text: string, schema: string): Promise<void> {
    const statement = statementOf(text);
    switch (statement.kind) {
      case "begin":
        // So MySQL tells a transaction from a statement of its own; MariaDB's GTID event did.
        standalone = false;
        return;
      case "commit": return end(transaction.commit());
      case "rollback":
        if (!transaction.rollback()) undone();
        return end([]);
      case "savepoint": return transaction.savepoint(statement.name);
      case "rollback_to":
        if (!transaction.rollbackTo(statement.name)) undone();
        return;
      case "truncate": {
        const database = statement.database ?? schema;
        const label = `${database}.${statement.table}`;
        if (options.tables.has(label)) transaction.add(label, () => observe(database, statement.table, { op: "t", before: null, after: null }), 0);
        break;
      }
      case "rows":
        unseen(text, schema);
        break;
      case "ddl":
        if (named(text) !== undefined) {
          await options.redefine();
          reader.forget();
        }
        break;
      case "xa_names":
        standalone = false;
        xa = statement.name;
        return;
      case "xa_commit": return end([...transaction.commit(), ...second(statement.name)]);
      case "xa_rollback":
        second(statement.name);
        if (!transaction.rollback()) undone();
        return end([]);
      case "other": break;
    }
    // Within a transaction nothing ends with a statement such as this; alone it is one.
    if (standalone) end(transaction.commit());
  }

  function undone(): void {
    context.report(new Error("a transaction too large to hold was rolled back after part of it had been taken: what is known of its rows is wrong until they change again"));
  }

  /** The label of a watched table whose name is somewhere in the statement. */
  function named(text: string): string | undefined {
    const lower = text.toLowerCase();
    return [...options.tables].find((label) => lower.includes(label.slice(label.indexOf(".") + 1).toLowerCase()));
  }

  /** A session with another binlog_format: rows changed, and nobody says which. */
  function unseen(text: string, schema: string): void {
    const hit = named(text);
    if (hit === undefined) return;
    context.refused(1, "statement_format");
    context.report(new Error(`a statement changed rows without saying which, probably of ${hit}: a session (database ${schema}) does not have binlog_format ROW`));
  }

  async function take(event: BinlogEvent): Promise<void> {
    switch (event.kind) {
      case "begin": return begin(event.gtid, event.timestamp, event.standalone);
      case "rows": return rows(event);
      case "commit":
        offset = event.end;
        return end(transaction.commit());
      case "prepared":
        offset = event.end;
        return prepare();
      case "query":
        offset = event.end;
        timestamp = event.timestamp;
        if (!transaction.open) begin(undefined, event.timestamp, true);
        return query(event.query, event.schema);
      case "file":
        file = event.name;
        offset = event.offset;
        return;
      case "idle": return options.seen(undefined);
    }
  }

  while (!options.signal.aborted) {
    const events = await binlog.read();
    options.alive();
    for (const event of events) {
      await take(event);
      if (out.length >= BATCH_ROWS) send();
      if (moved && until !== undefined && progress.reached(until)) {
        send();
        return;
      }
    }
    if (timestamp > 0) options.seen(timestamp);
    if (out.length > 0 || (moved && clock.monotonicMs() - sentMs >= POSITION_MS)) send();
    await delivery.room();
  }
}
