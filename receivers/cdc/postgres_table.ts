import type { Attributes, Json } from "../../src/sdk/observation.ts";
import { changeAttributes, type Row } from "./change.ts";
import { CELL, type MessageReader, type Relation } from "./postgres_pgoutput.ts";
import { converterOf, type Convert, type TypeFacts } from "../../src/sdk/postgres_value.ts";

/** What the catalogue says of a table beside what the stream does. */
export interface TableFacts {
  /** Columns of its primary key. */
  readonly primaryKey: readonly string[];
  readonly types: ReadonlyMap<number, TypeFacts>;
}

interface Column {
  readonly name: string;
  readonly convert: Convert;
  /** What the server sends of the row as it was. */
  readonly identity: boolean;
  /** What identifies a row: another value there is another row. */
  readonly key: boolean;
}

/** A table that is watched, as the stream describes it at this point. */
export interface Table {
  readonly relation: Relation;
  readonly columns: readonly Column[];
  readonly keys: readonly string[];
  /** The server sends whole rows as they were. */
  readonly full: boolean;
  readonly attributes: Attributes;
}

export function tableOf(database: string, relation: Relation, { primaryKey, types }: TableFacts): Table {
  const full = relation.identity === "f";
  // With the whole row as identity every column is marked, and only the primary key says what is another row.
  const isKey = (name: string, marked: boolean): boolean => (full ? primaryKey.includes(name) : marked);
  const columns = relation.columns.map(({ name, key, type }): Column => ({
    name, convert: converterOf(type, types), identity: key, key: isKey(name, key),
  }));
  return {
    relation, columns, full,
    keys: columns.filter(({ key }) => key).map(({ name }) => name),
    attributes: changeAttributes({ system: "postgresql", database, schema: relation.schema, table: relation.table }),
  };
}

/**
 * Reads a tuple. An unchanged TOAST value was not sent: the column is missing, or is `old`'s where the server sent the whole
 * row. `identityOnly`: other columns are no NULLs, they were not sent.
 */
export function readRow(reader: MessageReader, table: Table, identityOnly: boolean, old: Row | null = null): Row {
  const { columns } = table;
  const row: { [column: string]: Json } = {};
  const count = reader.int16();
  if (count !== columns.length) throw new Error(`a row of ${table.relation.table} has ${count} columns, not ${columns.length}`);
  const { bytes } = reader;
  for (let i = 0; i < count; i++) {
    const column = columns[i]!;
    const kind = reader.uint8();
    if (kind === CELL.text) {
      const length = reader.int32();
      const end = reader.offset + length;
      if (length < 0 || end > bytes.length) throw new RangeError("a value ends behind its message");
      put(row, column.name, column.convert(bytes.toString("utf8", reader.offset, end)));
      reader.offset = end;
    } else if (kind === CELL.null) {
      if (!identityOnly || column.identity) put(row, column.name, null);
    } else if (kind === CELL.unchanged) {
      const before = old !== null && table.full && Object.hasOwn(old, column.name) ? old[column.name] : undefined;
      if (before !== undefined) put(row, column.name, before);
    } else {
      throw new Error(`a value of an unknown kind (${kind})`);
    }
  }
  return row;
}

/** A column may have any name. */
export function put(row: { [column: string]: Json }, name: string, value: Json): void {
  if (name === "__proto__") Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true });
  else row[name] = value;
}

/** True when `old` identifies another row than `row`. */
export function keyChanged(table: Table, old: Row, row: Row): boolean {
  for (const name of table.keys) {
    // A key that was not sent again is the same.
    if (Object.hasOwn(row, name) && Object.hasOwn(old, name) && !same(old[name]!, row[name]!)) return true;
  }
  return false;
}

function same(a: Json, b: Json): boolean {
  return a === b || (typeof a === "object" && typeof b === "object" && JSON.stringify(a) === JSON.stringify(b));
}
