import { gunzipSync, zstdDecompressSync } from "node:zlib";
import type { KafkaClient } from "./connections.ts";
import type { Unpack } from "./records.ts";

/** A batch that becomes larger than this is no batch but a bomb. */
const BYTES_MAX = 256 * 2 ** 20;
const GZIP = 1;
const ZSTD = 4;

/** Undoes what producers compress by. Snappy and LZ4 cannot grow by more than some 255 times, so a batch bounds them. */
export function createUnpack({ compressionsAlgorithms: { snappy, lz4 } }: KafkaClient): Unpack {
  return (kind, bytes) => {
    switch (kind) {
      case GZIP:
        return gunzipSync(bytes, { maxOutputLength: BYTES_MAX });
      case ZSTD:
        return zstdDecompressSync(bytes, { maxOutputLength: BYTES_MAX });
      case 2:
        return snappy.decompressSync(bytes);
      case 3:
        return lz4.decompressSync(bytes);
      default:
        throw new Error(`compression ${kind} is not known`);
    }
  };
}
