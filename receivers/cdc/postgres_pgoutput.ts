/*
 * Messages of the output plugin pgoutput, protocol versions 1 and 2.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */

/** Reads a message from its first byte on. Throws a RangeError behind its end. */
export class MessageReader {
  bytes: Buffer;
  offset: number;

  constructor(bytes: Buffer, offset = 0) {
    this.bytes = bytes;
    this.offset = offset;
  }

  uint8(): number {
    return this.bytes.readUInt8(this.offset++);
  }

  int16(): number {
    const value = this.bytes.readInt16BE(this.offset);
    this.offset += 2;
    return value;
  }

  int32(): number {
    const value = this.bytes.readInt32BE(this.offset);
    this.offset += 4;
    return value;
  }

  uint32(): number {
    const value = this.bytes.readUInt32BE(this.offset);
    this.offset += 4;
    return value;
  }

  uint64(): bigint {
    const value = this.bytes.readBigUInt64BE(this.offset);
    this.offset += 8;
    return value;
  }

  /** Text up to a NUL. */
  string(): string {
    const end = this.bytes.indexOf(0, this.offset);
    if (end === -1) throw new RangeError("text without an end");
    const text = this.bytes.toString("utf8", this.offset, end);
    this.offset = end + 1;
    return text;
  }
}

/** First bytes of messages. */
export const MESSAGE = {
  begin: 0x42, commit: 0x43, origin: 0x4f, relation: 0x52, type: 0x59, insert: 0x49, update: 0x55, delete: 0x44, truncate: 0x54, message: 0x4d,
  streamStart: 0x53, streamStop: 0x45, streamCommit: 0x63, streamAbort: 0x41,
} as const;

/** Kinds of tuples within a message. */
export const TUPLE = { new: 0x4e, key: 0x4b, old: 0x4f } as const;

/** Kinds of columns within a tuple. */
export const CELL = { null: 0x6e, text: 0x74, unchanged: 0x75 } as const;

/** A table as the server describes it before its first change, and after DDL. */
export interface Relation {
  readonly id: number;
  readonly schema: string;
  readonly table: string;
  /** `d`: its primary key, `i`: an index, `f`: the whole row, `n`: nothing. */
  readonly identity: string;
  readonly columns: readonly RelationColumn[];
}

export interface RelationColumn {
  readonly name: string;
  /** Part of what identifies a row. */
  readonly key: boolean;
  /** OID. */
  readonly type: number;
}

/** After the first byte, and the transaction's id where it is streamed. */
export function readRelation(reader: MessageReader): Relation {
  const id = reader.uint32();
  const schema = reader.string();
  const table = reader.string();
  const identity = String.fromCharCode(reader.uint8());
  const columns = Array.from({ length: reader.int16() }, (): RelationColumn => {
    const key = (reader.uint8() & 1) !== 0;
    const name = reader.string();
    const type = reader.uint32();
    reader.int32();
    return { name, key, type };
  });
  // Nothing stands for the catalogue.
  return { id, schema: schema === "" ? "pg_catalog" : schema, table, identity, columns };
}

/** A transaction's end, streamed or not. */
export interface CommitMessage {
  /** Where its commit record begins. */
  readonly lsn: bigint;
  /** Behind its commit record. */
  readonly end: bigint;
  /** Epoch ms. */
  readonly time: number;
}

export function readBegin(reader: MessageReader): { readonly lsn: bigint; readonly time: number; readonly xid: number } {
  return { lsn: reader.uint64(), time: epochMs(reader.uint64()), xid: reader.uint32() };
}

/** After the first byte, and the transaction's id where it was streamed. */
export function readCommit(reader: MessageReader): CommitMessage {
  reader.uint8();
  return { lsn: reader.uint64(), end: reader.uint64(), time: epochMs(reader.uint64()) };
}

export function readTruncate(reader: MessageReader): number[] {
  const count = reader.uint32();
  reader.uint8();
  return Array.from({ length: count }, () => reader.uint32());
}

const EPOCH_2000_MS = Date.UTC(2000, 0, 1);

/** The server counts µs since 2000. */
function epochMs(micros: bigint): number {
  return EPOCH_2000_MS + Number(BigInt.asIntN(64, micros) / 1_000n);
}

/** µs since 2000, for what we send. */
export function serverMicros(ms: number): bigint {
  return BigInt(Math.round(ms - EPOCH_2000_MS)) * 1_000n;
}
