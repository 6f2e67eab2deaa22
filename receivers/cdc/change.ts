import { observation, type Attributes, type Json, type Observation } from "../../src/sdk/observation.ts";

/** What happened to a row, in Debezium's letters: created, updated, deleted, read (a snapshot row), truncated (the whole table). */
export type Op = "c" | "u" | "d" | "r" | "t";

/** A row by column name. A column that was not sent (an unchanged TOAST value) is missing; NULL is null. */
export type Row = { readonly [column: string]: Json };

/** One change of one row, whatever database it comes from. */
export interface Change {
  readonly op: Op;
  /** The row as it was, as far as the server says: often only its key, or nothing. */
  readonly before: Row | null;
  /** The row as it is; null once it is deleted. */
  readonly after: Row | null;
  readonly source: ChangeSource;
}

/** Where a change comes from: `body.source`. */
export interface ChangeSource {
  /** `postgresql`, `mysql` or `mariadb`: OpenTelemetry's `db.system.name`. */
  readonly system: string;
  readonly database: string;
  /** PostgreSQL only. */
  readonly schema?: string;
  readonly table: string;
  /** Transaction id, LSN, GTID, file and position: what the database names a change by; as text where it is 64 bits wide. */
  readonly [name: string]: Json | undefined;
}

/** A change as what flows: `body.op`, `body.before`, `body.after`, `body.source`. `time`: its commit, epoch ms. */
export function changeObservation(receiver: string, change: Change, time: number): Observation {
  const { op, before, after, source } = change;
  return observation({ op, before, after, source: source as unknown as Json }, {
    source: receiver,
    time,
    // A row that was there before we looked did not move now.
    snapshot: op === "r",
    attributes: changeAttributes(source),
  });
}

/** What all changes of one table have beside their body. */
export function changeAttributes({ system, database, schema, table }: ChangeSource): Attributes {
  return {
    "db.system.name": system,
    "db.namespace": schema === undefined ? database : `${database}|${schema}`,
    "db.collection.name": table,
  };
}
