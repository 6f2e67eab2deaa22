import { gunzipSync, zstdDecompressSync } from "node:zlib";
import type { KafkaClient } from "./connections.ts";
import type { Codec } from "./records.ts";

/** A batch that becomes larger than this is no batch but a bomb. */
const BYTES_MAX = 256 * 2 ** 20;
const GZIP = 1;
const SNAPPY = 2;
const LZ4 = 3;
const ZSTD = 4;

/** Undoes what producers compress by. Snappy and LZ4 cannot grow by more than some 255 times, so a batch bounds them. */
export function createCodec({ compressionsAlgorithms: { snappy, lz4 }, crc32c }: KafkaClient): Codec {
  return {
    crc32c: (bytes) => crc32c(bytes),
    unpack(kind, bytes) {
      switch (kind) {
        case GZIP:
          return gunzipSync(bytes, { maxOutputLength: BYTES_MAX });
        case SNAPPY:
          return snappy.decompressSync(bytes);
        case LZ4:
          return lz4.decompressSync(bytes);
        case ZSTD:
          return zstdDecompressSync(bytes, { maxOutputLength: BYTES_MAX });
        default:
          throw new Error(`compression ${kind} is not known`);
      }
    },
  };
}
