import { addAbortSignal } from "node:stream";
import { changeObservation, type Row } from "./change.ts";
import type { Client } from "./mysql_client.ts";
import type { MysqlPosition } from "./mysql_position.ts";
import { keyColumns, rowsQuery, type Table } from "./mysql_tables.ts";
import type { ReceiverContext } from "../../src/sdk/component.ts";
import type { Delivery } from "../../src/sdk/delivery.ts";
import type { Json, Observation } from "../../src/sdk/observation.ts";

const BATCH_ROWS = 1_000;
const BATCH_BYTES = 2 * 2 ** 20;
const ROWS_AHEAD = 500;

/** What there is around a table that is read. */
export interface ReadOptions {
  readonly context: ReceiverContext;
  readonly system: string;
  readonly client: Client;
  readonly delivery: Delivery;
  readonly signal: AbortSignal;
  /** Where it stands; set whenever something was sent. Its place is the snapshot's. */
  readonly position: { at: MysqlPosition };
  /** Label of the table that comes after this one. */
  readonly next: string | undefined;
}

/**
 * Passes all rows of a table on, as op `r`, in the order of its key and with the position behind each batch: so a restart
 * goes on behind the last key. Without a key it begins again. Holds no more in memory than a few batches.
 */
export async function readTable(table: Table, { context, system, client, delivery, signal, position, next }: ReadOptions): Promise<void> {
  const { reading, place, time, prepared } = position.at;
  const keys = keyColumns(table).length;
  const sql = rowsQuery(table, reading?.table === table.label ? reading.after : undefined);
  const where = "gtid" in place ? { gtid: place.gtid } : place;
  const source = { system, database: table.database, table: table.name, ...where, ts_ms: time, snapshot: true };
  let batch: Observation[] = [];
  let bytes = 0;

  function send(tables: readonly string[], progress: MysqlPosition["reading"]): void {
    position.at = { place, time, tables, ...(progress === undefined ? {} : { reading: progress }), ...(prepared === undefined ? {} : { prepared }) };
    delivery.send(batch, position.at as unknown as Json, bytes);
    batch = [];
    bytes = 0;
  }

  const query = client.connection.query({
    sql, rowsAsArray: true,
    // Bytes, so that nothing is made of a value before we say what.
    typeCast: (field) => (field.type === "GEOMETRY" ? field.geometry() : field.buffer()),
  });
  const rows = addAbortSignal(signal, query.stream({ highWaterMark: ROWS_AHEAD }));
  for await (const cells of rows as AsyncIterable<readonly (Buffer | object | null)[]>) {
    const after: Record<string, Json> = {};
    for (let i = 0; i < table.columns.length; i++) {
      const cell = cells[keys + i]!;
      const column = table.columns[i]!;
      bytes += Buffer.isBuffer(cell) ? cell.length : 16;
      if (column.name !== "__proto__") after[column.name] = cell === null ? null : valueOf(cell, column.value);
    }
    batch.push(changeObservation(context.id, { op: "r", before: null, after: after as Row, source }, time));
    if (batch.length < BATCH_ROWS && bytes < BATCH_BYTES) continue;
    send(position.at.tables, { table: table.label, after: cells.slice(0, keys).map(String) });
    await delivery.room();
    signal.throwIfAborted();
  }
  send([...position.at.tables, table.label], next === undefined ? undefined : { table: next, after: [] });
  await delivery.room();
}

function valueOf(cell: Buffer | object, value: (bytes: Buffer) => Json): Json {
  return Buffer.isBuffer(cell) ? value(cell) : (JSON.parse(JSON.stringify(cell)) as Json);
}
