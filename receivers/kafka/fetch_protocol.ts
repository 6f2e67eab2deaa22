import { int64, type Aborted } from "./records.ts";

/*
 * The answer to a Fetch request, taken apart only as far as a partition's record batches: those are gone through where they
 * lie (records.ts). The client library's own parser makes some ten objects of every record.
 * https://kafka.apache.org/protocol.html#The_Messages_Fetch
 */

/** The oldest and newest version of Fetch that this reads. From 12 on lengths are varints, from 13 on topics go by their id. */
export const FETCH_VERSION_MIN = 11;
export const FETCH_VERSION_MAX = 17;
const COMPACT_FROM = 12;
const TOPIC_ID_FROM = 13;

/** True when this version names topics by id. */
export const fetchesById = (version: number): boolean => version >= TOPIC_ID_FROM;

/** What a broker said of one partition. Its records are the bytes from `start` to `end` of the answer. */
export interface FetchedPartition {
  /** Name or id, as it was asked. */
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
  readonly aborted: readonly Aborted[];
  readonly start: number;
  readonly end: number;
}

export interface FetchAnswer {
  readonly bytes: Buffer;
  readonly errorCode: number;
  readonly sessionId: number;
  readonly partitions: readonly FetchedPartition[];
}

const NONE_ABORTED: readonly Aborted[] = [];

/** Takes the body of an answer apart. Throws on one that is cut off. */
export function parseFetchAnswer(bytes: Buffer, version: number): FetchAnswer {
  const compact = version >= COMPACT_FROM;
  let at = 4; // throttle time
  const errorCode = int16();
  const sessionId = int32();
  const partitions: FetchedPartition[] = [];
  for (let topics = length(); topics > 0; topics--) {
    const topic = version >= TOPIC_ID_FROM ? uuid() : text();
    for (let count = length(); count > 0; count--) partitions.push(partitionOf(topic));
    tags();
  }
  return { bytes, errorCode, sessionId, partitions };

  function partitionOf(topic: string): FetchedPartition {
    const partition = int32();
    const code = int16();
    const highWatermark = long();
    const lastStableOffset = long();
    const logStartOffset = long();
    const aborted = abortedOf();
    at += 4; // preferred read replica: the leader is asked
    const size = Math.max(0, length());
    const start = at;
    at += size;
    if (at > bytes.length) throw new RangeError("an answer that is cut off");
    tags();
    return { topic, partition, errorCode: code, highWatermark, lastStableOffset, logStartOffset, aborted, start, end: start + size };
  }

  function abortedOf(): readonly Aborted[] {
    const count = length();
    if (count <= 0) return NONE_ABORTED;
    const aborted: Aborted[] = [];
    for (let i = 0; i < count; i++) {
      aborted.push({ producer: long(), firstOffset: long() });
      tags();
    }
    return aborted.sort((a, b) => a.firstOffset - b.firstOffset);
  }

  function int16(): number {
    return bytes.readInt16BE((at += 2) - 2);
  }
  function int32(): number {
    return bytes.readInt32BE((at += 4) - 4);
  }
  function long(): number {
    return int64(bytes, (at += 8) - 8);
  }
  function varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = bytes.readUInt8(at++);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value >>> 0;
  }
  /** Of a list, or of bytes; -1: null. */
  function length(): number {
    return compact ? varint() - 1 : int32();
  }
  function text(): string {
    const size = Math.max(0, compact ? varint() - 1 : int16());
    return bytes.toString("utf8", at, (at += size));
  }
  function uuid(): string {
    const hex = bytes.toString("hex", at, (at += 16));
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }
  function tags(): void {
    if (!compact) return;
    for (let count = varint(); count > 0; count--) {
      varint();
      const size = varint();
      at += size;
    }
  }
}
