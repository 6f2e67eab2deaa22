import { hash } from "node:crypto";
import type { Json } from "../../src/sdk/observation.ts";

/** Bytes at the head of a file that tell it from another with the same device and inode. */
export const HEADER_BYTES = 1_024;

/** A checksum of the first `length` bytes of a file. */
export interface Header {
  readonly length: number;
  readonly hash: string;
}

/** Where reading a file goes on: all before `offset` was committed. */
export interface FilePosition {
  /** Where it was found last; for people, and to find out what took its place. */
  readonly path: string;
  /** `device:inode`. */
  readonly identity: string;
  readonly header: Header;
  /** Start of the oldest unfinished record. */
  readonly offset: number;
  /** Container streams of which more than `offset` was committed: up to where. */
  readonly ahead?: { readonly [stream: string]: number };
}

const VERSION = 1;

export const NO_HEADER: Header = { length: 0, hash: "" };

export function headerOf(bytes: Uint8Array): Header {
  return bytes.length === 0 ? NO_HEADER : { length: bytes.length, hash: hash("sha256", bytes, "hex").slice(0, 32) };
}

/** As stored; `files` are shared, so that the price of a commit is one array of references. */
export function positionOf(files: readonly FilePosition[]): Json {
  return { version: VERSION, files: files as unknown as Json };
}

/** Reads a stored position. Throws when it is none, or a newer version's: it must not be overwritten then. */
export function parsePosition(stored: Json): FilePosition[] {
  const { version, files } = (stored ?? {}) as { version?: Json; files?: Json };
  if (version !== VERSION || !Array.isArray(files)) {
    throw new Error(`the stored position has version ${JSON.stringify(version)}, this program knows ${VERSION}`);
  }
  return files.map((file: Json, i) => {
    const { path, identity, header, offset, ahead } = (file ?? {}) as Record<string, Json | undefined>;
    const { length, hash: sum } = (header ?? {}) as Record<string, Json | undefined>;
    const offsets = Object.values((ahead ?? {}) as Record<string, Json>);
    const texts = typeof path === "string" && typeof identity === "string" && typeof sum === "string";
    if (!texts || ![length, offset, ...offsets].every((n) => Number.isSafeInteger(n) && (n as number) >= 0)) {
      throw new Error(`the stored position is damaged at file ${i}`);
    }
    return file as unknown as FilePosition;
  });
}
