import { observation, type Json, type Observation } from "../../src/sdk/observation.ts";
import type { Op, Row } from "./change.ts";
import { MESSAGE, MessageReader, readBegin, readCommit, readRelation, readTruncate, TUPLE, type Relation } from "./postgres_pgoutput.ts";
import { lsnText } from "./postgres_position.ts";
import { StreamedTransactions } from "./postgres_streamed.ts";
import { keyChanged, put, readRow, type Table } from "./postgres_table.ts";

export interface ChangesOptions {
  readonly receiver: string;
  readonly database: string;
  /** What transactions that are still under way may take in memory. */
  readonly streamedBytesMax: number;
  /** Undefined: nobody watches it. May take a while: then nothing else is read. */
  readonly table: (relation: Relation) => Promise<Table | undefined> | undefined;
  /** A transaction begins, or began earlier and is committed now. True: skip this many changes. Infinity: all of them. */
  readonly begin: (lsn: bigint) => number | Promise<number>;
  /** What one message changed; `taken`: changes of this transaction so far. A promise: wait before the next. */
  readonly changed: (observations: readonly Observation[], transaction: bigint, taken: number, bytes: number) => Promise<void> | undefined;
  /** The transaction has ended; `end`: behind its commit record. */
  readonly committed: (end: bigint) => Promise<void> | undefined;
}

/** A transaction whose changes are being read. */
interface Transaction {
  readonly lsn: bigint;
  readonly text: string;
  readonly time: number;
  readonly xid: number;
  readonly skip: number;
  /** Messages that changed something we watch, so far. */
  taken: number;
}

/**
 * Makes observations of pgoutput's messages. Changes count within their transaction the same way each time it is sent, streamed
 * or not, so that a large one can be gone on with in its middle.
 */
export class Changes {
  readonly #options: ChangesOptions;
  readonly #tables = new Map<number, Table | undefined>();
  readonly #streamed: StreamedTransactions;
  #transaction: Transaction | undefined;
  /** The transaction under way of which a part is being sent. */
  #streaming: number | undefined;

  constructor(options: ChangesOptions) {
    this.#options = options;
    this.#streamed = new StreamedTransactions(options.streamedBytesMax);
  }

  /** Between transactions: whatever came before has been handed on. */
  get between(): boolean {
    return this.#transaction === undefined && this.#streaming === undefined;
  }

  /** Takes one message; it is not kept. A promise: wait for it before the next. */
  take(message: Buffer): Promise<void> | undefined {
    const kind = message[0];
    if (this.#streaming !== undefined && kind !== MESSAGE.streamStop) {
      // Behind its first byte a streamed message has the id of its subtransaction, which is not there otherwise.
      const xid = message.readUInt32BE(1);
      const plain = Buffer.allocUnsafe(message.length - 4);
      plain[0] = kind!;
      message.copy(plain, 1, 5);
      this.#streamed.add(this.#streaming, xid, plain);
      return undefined;
    }
    const reader = new MessageReader(message, 1);
    switch (kind) {
      case MESSAGE.begin:
        return this.#begin(readBegin(reader));
      case MESSAGE.commit: {
        this.#transaction = undefined;
        return this.#options.committed(readCommit(reader).end);
      }
      case MESSAGE.streamStart:
        this.#streaming = reader.uint32();
        return undefined;
      case MESSAGE.streamStop:
        this.#streaming = undefined;
        return undefined;
      case MESSAGE.streamAbort:
        this.#streamed.abort(reader.uint32(), reader.uint32());
        return undefined;
      case MESSAGE.streamCommit:
        return this.#replay(reader);
      default:
        return this.#one(reader, kind!);
    }
  }

  #begin({ lsn, time, xid }: { readonly lsn: bigint; readonly time: number; readonly xid: number }): Promise<void> | undefined {
    const started = (skip: number): void => {
      this.#transaction = { lsn, text: lsnText(lsn), time, xid, skip, taken: 0 };
    };
    const skip = this.#options.begin(lsn);
    if (typeof skip !== "number") return skip.then(started);
    started(skip);
    return undefined;
  }

  async #replay(reader: MessageReader): Promise<void> {
    const xid = reader.uint32();
    const { lsn, end, time } = readCommit(reader);
    await this.#begin({ lsn, time, xid });
    for (const message of this.#streamed.take(xid)) {
      const wait = this.#one(new MessageReader(message, 1), message[0]!);
      if (wait !== undefined) await wait;
    }
    this.#transaction = undefined;
    await this.#options.committed(end);
  }

  /** Anything that stands within a transaction. */
  #one(reader: MessageReader, kind: number): Promise<void> | undefined {
    switch (kind) {
      case MESSAGE.insert:
      case MESSAGE.update:
      case MESSAGE.delete: {
        const table = this.#table(reader.uint32());
        return table === undefined ? undefined : this.#row(reader, kind, table);
      }
      case MESSAGE.relation:
        return this.#relation(readRelation(reader));
      case MESSAGE.truncate: {
        const tables = readTruncate(reader).map((id) => this.#table(id)).filter((table) => table !== undefined);
        if (tables.length === 0) return undefined;
        return this.#hand(reader, (transaction) => tables.map((table) => this.#observation("t", null, null, table, transaction)));
      }
      default:
        // Types and origins, and whatever a later server may send: nothing changes by them.
        return undefined;
    }
  }

  #relation(relation: Relation): Promise<void> | undefined {
    this.#tables.delete(relation.id);
    const found = this.#options.table(relation);
    if (found === undefined) return void this.#tables.set(relation.id, undefined);
    return found.then((table) => void this.#tables.set(relation.id, table));
  }

  #table(id: number): Table | undefined {
    const table = this.#tables.get(id);
    if (table === undefined && !this.#tables.has(id)) throw new Error(`the server sent a change of a table (${id}) that it has not described`);
    return table;
  }

  #row(reader: MessageReader, kind: number, table: Table): Promise<void> | undefined {
    const transaction = this.#transaction;
    if (transaction !== undefined && transaction.taken < transaction.skip) {
      transaction.taken++;
      return undefined;
    }
    return this.#hand(reader, (of) => this.#rows(reader, kind, table, of));
  }

  #rows(reader: MessageReader, kind: number, table: Table, transaction: Transaction): Observation[] {
    let tuple = reader.uint8();
    let before: Row | null = null;
    if (tuple === TUPLE.key || tuple === TUPLE.old) {
      before = readRow(reader, table, tuple === TUPLE.key);
      if (kind === MESSAGE.delete) return [this.#observation("d", before, null, table, transaction)];
      tuple = reader.uint8();
    }
    if (tuple !== TUPLE.new) throw new Error(`a tuple of an unknown kind (${tuple})`);
    const after = readRow(reader, table, false, before);
    if (kind === MESSAGE.insert) return [this.#observation("c", null, after, table, transaction)];
    if (before === null || !keyChanged(table, before, after)) return [this.#observation("u", before, after, table, transaction)];
    return [this.#observation("d", before, null, table, transaction), this.#observation("c", null, after, table, transaction)];
  }

  #hand(reader: MessageReader, make: (transaction: Transaction) => Observation[]): Promise<void> | undefined {
    const transaction = this.#transaction;
    if (transaction === undefined) throw new Error("a change outside of a transaction");
    transaction.taken++;
    if (transaction.taken <= transaction.skip) return undefined;
    return this.#options.changed(make(transaction), transaction.lsn, transaction.taken, reader.bytes.length);
  }

  #observation(op: Op, before: Row | null, after: Row | null, { relation, attributes }: Table, { text, xid, time, taken }: Transaction): Observation {
    const { receiver, database } = this.#options;
    const source = {
      system: "postgresql", database, schema: relation.schema, table: relation.table, lsn: text, txid: xid, sequence: taken,
    };
    return observation({ op, before, after, source }, { source: receiver, time, attributes });
  }
}

/** A row that was there before: `columns` as read, in text. */
export function snapshotRow(columns: readonly { readonly name: string; convert(text: string): Json }[], values: readonly (string | null)[]): Row {
  const row: { [column: string]: Json } = {};
  for (let i = 0; i < columns.length; i++) {
    const column = columns[i]!;
    const value = values[i]!;
    put(row, column.name, value === null ? null : column.convert(value));
  }
  return row;
}
