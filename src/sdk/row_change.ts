import { withBody, type Attributes, type Json, type Observation } from "./observation.ts";
import { timeMs } from "./time.ts";

/**
 * What happened, in Debezium's letters: created, updated, deleted, read (a row of a snapshot), truncated (the whole table),
 * a message in the log of the database that is about no row (`pg_logical_emit_message`).
 */
export type RowOp = "c" | "u" | "d" | "r" | "t" | "m";

/** A row by column name. A column that was not sent is missing, and keeps its value; NULL is null. */
export type ChangedRow = { readonly [column: string]: Json };

/** One change of one row, whoever tells of it. The body of its observation is this, without `time`. */
export interface RowChange {
  readonly op: RowOp;
  /** The row as it was, as far as is known: often only its key, or nothing. */
  readonly before: ChangedRow | null;
  /** The row as it is; null once it is deleted. */
  readonly after: ChangedRow | null;
  /** Where it comes from: `system`, `database`, `schema`, `table` as in `receivers/cdc`, and whatever else its source says. */
  readonly source: ChangedRow;
  /** It tells what there is, and not what happened: op `r`, or whatever its source says belongs to a snapshot. */
  readonly snapshot: boolean;
  /** Of op `m`: `prefix`, and `content` as it came. */
  readonly message?: Json;
  /** When it was committed, epoch ms; undefined where nothing says so. */
  readonly time: number | undefined;
}

/** A message that holds no change. Returned, not thrown: a topic full of them must not cost a stack trace each. */
export class NoChange {
  /** For people, and a label of a metric: one of few, and never a part of the message. */
  readonly reason: string;
  /** It belongs to the format (a heartbeat, a tombstone); false: something else came than was said. */
  readonly expected: boolean;
  constructor(reason: string, expected = false) {
    this.reason = reason;
    this.expected = expected;
  }
}

/** The observation with the change as its body, and its time; a row of a snapshot invents no transition. */
export function withChange(from: Observation, change: RowChange): Observation {
  const { op, before, after, source, message } = change;
  const body = message === undefined ? { op, before, after, source } : { op, before, after, source, message };
  const attributes = { ...from.attributes, ...attributesOf(source) };
  return withBody(from, body, attributes, change.time ?? from.time, change.snapshot);
}

function attributesOf({ system, database, schema, table }: ChangedRow): Attributes {
  const attributes: { [name: string]: string } = {};
  if (typeof system === "string") attributes["db.system.name"] = system;
  if (typeof database === "string") attributes["db.namespace"] = typeof schema === "string" ? `${database}|${schema}` : database;
  if (typeof table === "string") attributes["db.collection.name"] = table;
  return attributes;
}

export function isRow(value: Json | undefined): value is ChangedRow {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An own value of an object; undefined of anything else, so that no name reaches a prototype. */
export function own(value: Json | undefined, name: string): Json | undefined {
  return isRow(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

/** An own value that is a text which says something. */
export function ownText(value: Json | undefined, name: string): string | undefined {
  const text = own(value, name);
  return typeof text === "string" && text !== "" ? text : undefined;
}

/** The first of these that is an instant; one of 0 or before it is what a source says that does not know. */
export function firstTime(...values: readonly (Json | undefined)[]): number | undefined {
  for (const value of values) {
    const ms = value === undefined || value === null ? undefined : timeMs(value);
    if (ms !== undefined && ms > 0) return ms;
  }
  return undefined;
}

/** An object of these entries. Own properties whatever their names. */
export function rowOf(entries: Iterable<readonly [string, Json]>): ChangedRow {
  return Object.fromEntries(entries);
}

/** A copy without these. */
export function without(row: ChangedRow, names: ReadonlySet<string>): ChangedRow {
  return rowOf(Object.entries(row).filter(([name]) => !names.has(name)));
}

/**
 * An update that gives a row another key is what the direct receiver makes of it: the old row is deleted, a new one created.
 * `key`: its columns; where they are not known, or not changed, the change stays one.
 */
export function splitAtKey(change: RowChange, key: readonly string[]): readonly RowChange[] {
  const { before, after } = change;
  if (change.op !== "u" || before === null || after === null) return [change];
  const moved = key.some((column) => Object.hasOwn(before, column) && Object.hasOwn(after, column) && JSON.stringify(before[column]) !== JSON.stringify(after[column]));
  return moved ? [{ ...change, op: "d", after: null }, { ...change, op: "c", before: null }] : [change];
}
