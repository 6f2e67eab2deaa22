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
  /** When it was made, in ns, as text: tells it from others while there is no header. Not on every file system. */
  readonly born?: string;
  /** What was read of it before it was truncated, the latest first: a copy of that may turn up yet. */
  readonly formers?: readonly Former[];
  readonly turn?: Turn;
  /** Identity of the file that is read to its end before this one. */
  readonly after?: string;
}

/** Files take turns under one name: `taken` while it has the name of one before it, `over` once it has lost its name. */
export type Turn = "taken" | "over";

/** Content that is no more: how it began, and how far it was read. */
export interface Former {
  readonly header: Header;
  readonly offset: number;
}

const FORMERS_MAX = 4;

/** Adds content that was read. Of what was not read, a copy is read like any file; and a few bytes would fit too many. */
export function withFormer(formers: readonly Former[], former: Former): readonly Former[] {
  const known = former.offset > 0 && former.header.length >= Math.min(former.offset, HEADER_BYTES);
  return !known ? formers : [{ header: former.header, offset: former.offset }, ...formers].slice(0, FORMERS_MAX);
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

const isOffset = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

function isHeader(value: Json | undefined): boolean {
  const { length, hash: sum } = (value ?? {}) as Record<string, Json | undefined>;
  return isOffset(length) && typeof sum === "string";
}

/** Reads a stored position. Throws when it is none, or a newer version's: it must not be overwritten then. */
export function parsePosition(stored: Json): FilePosition[] {
  const { version, files } = (stored ?? {}) as { version?: Json; files?: Json };
  if (version !== VERSION || !Array.isArray(files)) {
    throw new Error(`the stored position has version ${JSON.stringify(version)}, this program knows ${VERSION}`);
  }
  return files.map((file: Json, i) => {
    const { path, identity, header, offset, ahead, formers, turn, after } = (file ?? {}) as Record<string, Json | undefined>;
    const texts = typeof path === "string" && typeof identity === "string" && (after === undefined || typeof after === "string") &&
      (turn === undefined || turn === "taken" || turn === "over");
    const offsets = Object.values((ahead ?? {}) as Record<string, Json>);
    const before = (formers ?? []) as readonly { header?: Json; offset?: Json }[];
    const headers = [header, ...before.map((one) => one.header)].every(isHeader);
    if (!texts || !headers || ![offset, ...offsets, ...before.map((one) => one.offset)].every(isOffset)) {
      throw new Error(`the stored position is damaged at file ${i}`);
    }
    return file as unknown as FilePosition;
  });
}
