import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import type { ObservationFields } from "../../src/sdk/observation.ts";
import { familyOf } from "./family.ts";
import { HEADER_BYTES, headerOf, NO_HEADER, type FilePosition, type Former, type Header, type Turn } from "./position.ts";
import type { Assembler } from "./records.ts";
import { identityOf } from "./walk.ts";

const BACKWARDS_BYTES = 64 * 1_024;

/** A file that is read, by its identity: names come and go. */
export interface TailedFile {
  readonly identity: string;
  readonly born: string;
  /** A name that leads to it, or the last one that did. */
  path: string;
  /** What a rotator leaves of the name. */
  family: string;
  /** Undefined while it is closed because others need the handle. */
  handle: FileHandle | undefined;
  /** Size and modification time when they were looked at last. */
  size: number;
  mtimeMs: number;
  /** Start of the first line that was not handed on. */
  cursor: number;
  /** End of what was read: less than that, and the file has been truncated. */
  seen: number;
  /** Its first bytes, `HEADER_BYTES` at most. */
  headerBytes: Buffer;
  header: Header;
  /** How it begins, while nothing was read of it; with the modification time it had then. */
  glimpse: { readonly bytes: Buffer; readonly mtimeMs: number } | undefined;
  /** A line longer than allowed: its head, and from where to look for its end. */
  overlong: { readonly text: string; scan: number } | undefined;
  assembler: Assembler | undefined;
  /** What its observations have in common, by container stream. */
  fields: Map<string, Omit<ObservationFields, "time">>;
  /** There may be something to read. */
  work: boolean;
  /** When it was last seen to change. */
  grewAt: number;
  /** Since when no included name leads to it. */
  goneAt: number | undefined;
  /** Whose turn is over is not written to any more, or will not be. */
  turn: Turn | undefined;
  /** The file, by its identity, whose name it took: that is read to its end first. Survives a restart. */
  after: string | undefined;
  /** `after` was told to look for its end once more, after this file had content. */
  draining: boolean;
  /** The last bytes before `cursor`. */
  tail: Buffer;
  /** What was read of it before it was truncated, the latest first. */
  formers: readonly Former[];
  /** Nothing was read of it yet: it may be a copy. */
  fresh: boolean;
  /** The file that this one is a copy of so far: nothing is read. */
  copyOf: TailedFile | undefined;
  saved: FilePosition;
}

export interface Opened {
  readonly handle: FileHandle;
  readonly identity: string;
  readonly born: string;
  readonly size: number;
  readonly mtimeMs: number;
}

/** Opens a regular file. Never waits for a writer, should the name lead to a pipe by now. */
export async function openRegular(path: string): Promise<Opened> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile()) throw new Error(`${path} is not a regular file`);
    const { birthtimeNs, size, mtimeMs } = stats;
    return { handle, identity: identityOf(stats), born: String(birthtimeNs), size: Number(size), mtimeMs: Number(mtimeMs) };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The first bytes of a file, up to `length`. */
export async function readHeader(handle: FileHandle, length = HEADER_BYTES): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await handle.read(bytes, 0, length, 0);
  return bytes.subarray(0, bytesRead);
}

/** True when the file still begins with what the checksum covers. */
export async function hasHeader(handle: FileHandle, header: Header): Promise<boolean> {
  const bytes = await readHeader(handle, Math.min(header.length, HEADER_BYTES));
  return headerOf(bytes).hash === header.hash;
}

/** Where the last unfinished line starts: `size` when the file ends in a newline. */
export async function endOfLines(handle: FileHandle, size: number): Promise<number> {
  const bytes = Buffer.alloc(Math.min(size, BACKWARDS_BYTES));
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, size - bytes.length);
  const newline = bytes.subarray(0, bytesRead).lastIndexOf(10);
  if (newline >= 0) return size - bytes.length + newline + 1;
  return size <= BACKWARDS_BYTES ? 0 : size;
}

/** A file as it is found, to be read from `cursor`. */
export function tailedFile(opened: Opened, path: string, cursor: number, headerBytes: Buffer, now: number): TailedFile {
  const header = headerOf(headerBytes);
  return {
    identity: opened.identity,
    born: opened.born,
    path,
    family: familyOf(path),
    handle: opened.handle,
    size: opened.size,
    mtimeMs: opened.mtimeMs,
    cursor,
    seen: cursor,
    headerBytes,
    header,
    glimpse: undefined,
    overlong: undefined,
    assembler: undefined,
    fields: new Map(),
    work: true,
    grewAt: now,
    goneAt: undefined,
    turn: undefined,
    after: undefined,
    draining: false,
    tail: Buffer.alloc(0),
    formers: [],
    fresh: cursor === 0,
    copyOf: undefined,
    saved: { path, identity: opened.identity, header, offset: cursor, ...(header.length === 0 ? { born: opened.born } : {}) },
  };
}

/** Brings `saved` up to date with what has been handed on. */
export function save(file: TailedFile, ahead = file.saved.ahead): void {
  const { path, identity, header, cursor, formers, turn, after } = file;
  // Before its first line there is no assembler: what was ahead still is.
  const reached = file.assembler?.position(cursor) ?? { offset: cursor, ahead };
  file.saved = {
    path, identity, header, offset: reached.offset,
    ...(reached.ahead === undefined ? {} : { ahead: reached.ahead }),
    ...(header.length === 0 ? { born: file.born } : {}),
    ...(formers.length === 0 ? {} : { formers }),
    ...(turn === undefined ? {} : { turn }),
    ...(after === undefined ? {} : { after }),
  };
}

/** Takes what the file begins with; false when that is not what it began with. A short header grows with its file. */
export function checkHeader(file: TailedFile, now: Buffer): boolean {
  const before = file.headerBytes;
  if (now.length < before.length || now.compare(before, 0, before.length, 0, before.length) !== 0) return false;
  if (now.length > before.length) {
    file.headerBytes = Buffer.from(now);
    file.header = headerOf(now);
  }
  return true;
}

/** Lengthens a short header by what was read at `at`, where the file itself has other content by now. */
export function growHeader(file: TailedFile, bytes: Buffer, at: number): void {
  const { headerBytes } = file;
  if (at > headerBytes.length || headerBytes.length === HEADER_BYTES) return;
  file.headerBytes = Buffer.concat([headerBytes.subarray(0, at), bytes.subarray(0, HEADER_BYTES - at)]);
  file.header = headerOf(file.headerBytes);
}

/** Other content under the same identity: from the beginning. */
export function beginAgain(file: TailedFile): void {
  file.assembler = undefined;
  file.cursor = 0;
  file.seen = 0;
  file.headerBytes = Buffer.alloc(0);
  file.header = NO_HEADER;
  file.overlong = undefined;
  file.tail = Buffer.alloc(0);
  file.work = true;
  file.saved = { path: file.path, identity: file.identity, header: NO_HEADER, offset: 0 };
  save(file);
}
