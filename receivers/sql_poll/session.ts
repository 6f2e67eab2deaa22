import type { Database } from "../../src/sdk/database.ts";
import type { Json } from "../../src/sdk/observation.ts";
import type { TlsConfig } from "../../src/sdk/tls.ts";

/** What a client gives for a value, before it becomes JSON: the text of the database wherever a number could lose a digit. */
export type Cell = null | string | number | bigint | Uint8Array;
/** What is put into a query. */
export type Param = null | string | number | bigint | boolean;

export interface Column {
  readonly name: string;
  /** Its text is that of a number. */
  readonly numeric: boolean;
  /** What it is in a body. */
  readonly value: (cell: Exclude<Cell, null>) => Json;
}

/** A bounded part of a result, in its order. */
export interface Page {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
  /** There is nothing after it. */
  readonly last: boolean;
}

/**
 * One connection. A query is `begin`, `page` until the last or until there is enough, and `end`, whatever happened. Each may take
 * for ever: who calls them bounds them, and then calls `destroy`.
 */
export interface Session {
  /** OpenTelemetry's `db.system.name`. */
  readonly system: string;
  /** False once the connection is lost. */
  readonly usable: boolean;
  /** Opens a transaction that can only read, and a cursor in it. Refuses whatever is not one statement that gives rows. */
  begin(sql: string, params: readonly Param[]): Promise<void>;
  page(): Promise<Page>;
  /** Ends the transaction; afterwards another may begin, if it is still `usable`. */
  end(): Promise<void>;
  /** Cuts the connection, at once; harmless twice. */
  destroy(): void;
  /** Says goodbye. */
  close(): Promise<void>;
}

export interface ConnectOptions {
  readonly database: Database;
  readonly password_file: string | undefined;
  readonly tls: TlsConfig | undefined;
  /** What the server is told to give up a statement after; ms. */
  readonly statementMs: number;
  /** Aborted when nobody waits any more. */
  readonly signal: AbortSignal;
}

/** Rejects with what the server said. */
export type Connect = (options: ConnectOptions) => Promise<Session>;

/** How a database writes what we put around a query. */
export interface Dialect {
  quote(name: string): string;
  /** Of the nth parameter, from 1. */
  placeholder(index: number): string;
  /** The placeholder says which parameter it is; else they come in the order of the text. */
  readonly numbered: boolean;
  /** Compares numbers with text as floating point, or not at all: a number must be written as one. */
  readonly typed: boolean;
}

const doubled = (mark: string) => (name: string): string => `${mark}${name.replaceAll(mark, mark + mark)}${mark}`;

export const dialects: Readonly<Record<Database["kind"], Dialect>> = {
  postgres: { quote: doubled('"'), placeholder: (index) => `$${index}`, numbered: true, typed: false },
  mysql: { quote: doubled("`"), placeholder: () => "?", numbered: false, typed: true },
  sqlite: { quote: doubled('"'), placeholder: () => "?", numbered: false, typed: true },
};

/** Rows and bytes that a page aims at: what is in memory at once, times the batches that wait for their commit. */
export const PAGE_ROWS_MAX = 2_000;
export const PAGE_BYTES = 1_048_576;
/** More than that at once is no page, but an accident. */
export const PAGE_BYTES_MAX = 64 * PAGE_BYTES;

/** What a row takes, roughly; bytes. */
export function cellsSize(cells: readonly Cell[]): number {
  let size = 0;
  for (const cell of cells) size += cell === null ? 4 : typeof cell === "string" || cell instanceof Uint8Array ? cell.length + 4 : 12;
  return size;
}
