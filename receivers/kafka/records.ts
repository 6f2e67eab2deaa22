/*
 * Kafka's record batches, read where they lie: no object for a record, no copy of its bytes.
 * https://kafka.apache.org/documentation/#recordbatch
 */

const LENGTH_AT = 8;
const MAGIC_AT = 16;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const LAST_DELTA_AT = 23;
const BASE_TIME_AT = 27;
const MAX_TIME_AT = 35;
const PRODUCER_AT = 43;
const COUNT_AT = 57;
const RECORDS_AT = 61;
/** Offset and length: what stands before what the length counts. */
const HEAD_BYTES = 12;
const MAGIC = 2;
const COMPRESSION = 0b111;
const LOG_APPEND_TIME = 1 << 3;
const TRANSACTIONAL = 1 << 4;
const CONTROL = 1 << 5;
const ABORT_MARKER = 0;

/** From `firstOffset` on, what this producer wrote was taken back, up to its abort marker. */
export interface Aborted {
  readonly producer: number;
  readonly firstOffset: number;
}

/** A batch that nobody can read: its records are lost to us. */
export interface BrokenBatch {
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly records: number;
  readonly reason: string;
}

/** What a batch needs to be read. */
export interface Codec {
  /** Undoes a compression (1 gzip, 2 snappy, 3 lz4, 4 zstd). Throws when it cannot, or when the result would be too large. */
  unpack(kind: number, bytes: Buffer): Buffer;
  crc32c(bytes: Buffer): number;
}

class BrokenRecord extends Error {}

/** A 64-bit number as a double: exact to 2^53, which is more than any offset or time. */
export function int64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 4_294_967_296 + bytes.readUInt32BE(at + 4);
}

/**
 * Goes through the records of one partition's answer. After `next()` its fields tell of the record: places in `bytes`, -1
 * where there is no key or no value. Records before `from` are passed over (a broker gives whole batches), so are control
 * records and those of transactions that were aborted.
 */
export class RecordCursor {
  bytes: Buffer;
  offset = 0;
  /** The record's timestamp, epoch ms; -1 when it has none. */
  time = -1;
  keyStart = -1;
  keyEnd = -1;
  valueStart = -1;
  valueEnd = -1;
  headerCount = 0;
  /** Where to read on: after the last record, and after batches in which there was none for us. */
  nextOffset: number;
  readonly #log: Buffer;
  readonly #end: number;
  readonly #from: number;
  readonly #aborted: readonly Aborted[];
  readonly #codec: Codec;
  readonly #onBroken: (batch: BrokenBatch) => void;
  #abortedSeen = 0;
  readonly #aborting = new Set<number>();
  #at: number;
  #pos = 0;
  #headersAt = 0;
  #left = 0;
  #recordEnd = 0;
  #baseOffset = 0;
  #lastOffset: number;
  #baseTime = 0;
  #appendTime: number | undefined;

  constructor(
    log: Buffer, start: number, end: number, from: number, aborted: readonly Aborted[], codec: Codec, onBroken: (batch: BrokenBatch) => void,
  ) {
    this.bytes = log;
    this.#log = log;
    this.#at = start;
    this.#end = end;
    this.#from = from;
    this.nextOffset = from;
    this.#lastOffset = from - 1;
    this.#aborted = aborted;
    this.#codec = codec;
    this.#onBroken = onBroken;
  }

  /** False when there is no further one. */
  next(): boolean {
    for (;;) {
      while (this.#left > 0) {
        this.#left--;
        try {
          this.#readRecord();
        } catch (error) {
          this.#broken(this.nextOffset, this.#left + 1, error);
          this.#left = 0;
          break;
        }
        if (this.offset < this.#from) continue;
        this.nextOffset = this.offset + 1;
        return true;
      }
      if (this.#lastOffset >= this.nextOffset) this.nextOffset = this.#lastOffset + 1;
      if (!this.#openBatch()) return false;
    }
  }

  /** The headers of the record that `next` came to, one after the other: places in `bytes`. What is no header ends them. */
  headers(each: (nameStart: number, nameEnd: number, valueStart: number, valueEnd: number) => void): void {
    const after = this.#pos;
    this.#pos = this.#headersAt;
    try {
      for (let i = 0; i < this.headerCount && this.#pos < after; i++) {
        const nameLength = this.#varint();
        const nameStart = this.#pos;
        this.#skip(nameLength, after);
        const valueLength = this.#varint();
        const valueStart = this.#pos;
        if (valueLength > 0) this.#skip(valueLength, after);
        each(nameStart, nameStart + nameLength, valueLength < 0 ? -1 : valueStart, this.#pos);
      }
    } catch (error) {
      if (!(error instanceof BrokenRecord)) throw error;
    } finally {
      this.#pos = after;
    }
  }

  /** Opens the next whole batch; one that has nothing for us is left with no records. */
  #openBatch(): boolean {
    const log = this.#log;
    const at = this.#at;
    if (this.#end - at < HEAD_BYTES + MAGIC_AT - LENGTH_AT) return false;
    const after = at + HEAD_BYTES + log.readInt32BE(at + LENGTH_AT);
    // The last one is cut off where the answer was full.
    if (after > this.#end || after <= at) return false;
    this.#at = after;
    this.#baseOffset = int64(log, at);
    const unreadable = log[at + MAGIC_AT] !== MAGIC || after - at < RECORDS_AT ? "a message format from before Kafka 0.11"
      : this.#codec.crc32c(log.subarray(at + ATTRIBUTES_AT, after)) !== log.readUInt32BE(at + CRC_AT) ? "its checksum is wrong" : undefined;
    if (unreadable !== undefined) {
      // Where it ends cannot be believed either: it is passed over offset by offset.
      this.#lastOffset = Math.max(this.#baseOffset, this.nextOffset);
      this.#broken(this.#lastOffset, 1, new Error(unreadable));
      return true;
    }
    this.#lastOffset = this.#baseOffset + log.readInt32BE(at + LAST_DELTA_AT);
    if (this.#lastOffset < this.#from) return true;
    const attributes = log.readInt16BE(at + ATTRIBUTES_AT);
    if (this.#skipped(at, attributes)) return true;
    this.#baseTime = int64(log, at + BASE_TIME_AT);
    this.#appendTime = (attributes & LOG_APPEND_TIME) === 0 ? undefined : int64(log, at + MAX_TIME_AT);
    const count = log.readInt32BE(at + COUNT_AT);
    const compression = attributes & COMPRESSION;
    try {
      if (compression === 0) {
        this.bytes = log;
        this.#pos = at + RECORDS_AT;
        this.#recordEnd = after;
      } else {
        this.bytes = this.#codec.unpack(compression, log.subarray(at + RECORDS_AT, after));
        this.#pos = 0;
        this.#recordEnd = this.bytes.length;
      }
      this.#left = count;
    } catch (error) {
      this.#broken(Math.max(this.#baseOffset, this.#from), count, error);
    }
    return true;
  }

  /** True for a batch without records for us: a transaction's marker, or what a transaction took back. */
  #skipped(at: number, attributes: number): boolean {
    const producer = int64(this.#log, at + PRODUCER_AT);
    for (; this.#abortedSeen < this.#aborted.length && this.#aborted[this.#abortedSeen]!.firstOffset <= this.#lastOffset; this.#abortedSeen++) {
      this.#aborting.add(this.#aborted[this.#abortedSeen]!.producer);
    }
    if ((attributes & CONTROL) !== 0) {
      if (this.#controlType(at) === ABORT_MARKER) this.#aborting.delete(producer);
      return true;
    }
    return (attributes & TRANSACTIONAL) !== 0 && this.#aborting.has(producer);
  }

  /** A marker is one record, never compressed, whose key is its version and its type. */
  #controlType(at: number): number {
    const saved = this.bytes;
    this.bytes = this.#log;
    this.#pos = at + RECORDS_AT;
    this.#recordEnd = this.#at;
    this.#readRecord();
    const type = this.keyStart < 0 ? -1 : this.bytes.readInt16BE(this.keyStart + 2);
    this.bytes = saved;
    return type;
  }

  #readRecord(): void {
    const length = this.#varint();
    const end = this.#pos + length;
    if (length < 0 || end > this.#recordEnd) throw new BrokenRecord("a record that is longer than its batch");
    this.#pos++; // attributes: none are defined
    const timeDelta = this.#varint();
    this.offset = this.#baseOffset + this.#varint();
    this.time = this.#appendTime ?? (this.#baseTime < 0 ? -1 : this.#baseTime + timeDelta);
    const keyLength = this.#varint();
    this.keyStart = keyLength < 0 ? -1 : this.#pos;
    if (keyLength > 0) this.#pos += keyLength;
    this.keyEnd = this.#pos;
    const valueLength = this.#varint();
    this.valueStart = valueLength < 0 ? -1 : this.#pos;
    if (valueLength > 0) this.#pos += valueLength;
    this.valueEnd = this.#pos;
    this.headerCount = this.#varint();
    if (this.#pos > end) throw new BrokenRecord("a record whose fields are longer than itself");
    // Headers are read only if somebody asks for them.
    this.#headersAt = this.#pos;
    this.#pos = end;
  }

  #skip(length: number, end: number): void {
    if (length < 0 || this.#pos + length > end) throw new BrokenRecord("a header that is longer than its record");
    this.#pos += length;
  }

  #varint(): number {
    const first = this.bytes[this.#pos++]!;
    if (first < 0x80) return (first >>> 1) ^ -(first & 1);
    let value = first & 0x7f;
    let factor = 128;
    for (let i = 0; i < 9; i++) {
      const byte = this.bytes[this.#pos++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      factor *= 128;
    }
    throw new BrokenRecord("a number that does not end");
  }

  #broken(firstOffset: number, records: number, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#onBroken({ firstOffset, lastOffset: this.#lastOffset, records: Math.max(1, records), reason });
  }
}
