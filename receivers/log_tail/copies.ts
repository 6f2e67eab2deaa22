import type { FileHandle } from "node:fs/promises";
import { beginAgain, readHeader, save, type TailedFile } from "./file.ts";
import { HEADER_BYTES, headerOf, withFormer, type Header } from "./position.ts";

const WINDOW_BYTES = 1_024;
/** Who copies and truncates does both at once: a copy whose original goes on is a file of its own. */
const HELD_MS = 10_000;

/*
 * A rotator that copies and truncates leaves a copy of what was read already. When `include` matches the copy too, it is
 * read only from where its original was read to: what was not read before the truncation is nowhere else. A copy has a
 * name like its original's, in the same directory, and begins with the same bytes; where both can still be read, or the
 * end of what was read is remembered, they agree there as well. Until its original is truncated, nothing of it is read.
 */

/** Holds the file if it is a copy of one that was read; sets it to where that was read to if that is truncated already. */
export async function compare(file: TailedFile, files: Iterable<TailedFile>): Promise<void> {
  const header = await readHeader(file.handle!);
  file.copyOf = undefined;
  for (const other of files) {
    if (other === file || other.copyOf !== undefined || other.family !== file.family) continue;
    // A directory may hold thousands of rotated files: what is in memory rules out nearly all of them, without a promise.
    if (other.handle !== undefined && beginAlike(header, beginningOf(other) ?? (await glimpse(other, other.handle))) && (await isCurrent(file, header, other))) {
      file.copyOf = other;
      return;
    }
    const former = other.formers.find((one) => beganLike(header, one.header));
    if (former !== undefined) return readFrom(file, former.offset);
  }
}

function beganLike(bytes: Buffer, header: Header): boolean {
  return bytes.length >= header.length && headerOf(bytes.subarray(0, header.length)).hash === header.hash;
}

async function isCurrent(copy: TailedFile, header: Buffer, file: TailedFile): Promise<boolean> {
  if (file.handle === undefined) return false;
  const now = await readHeader(file.handle);
  const length = Math.min(header.length, (file.headerBytes.length > 0 ? file.headerBytes : now).length);
  if (length === 0) return false;
  const { size } = await file.handle.stat();
  const truncated = size < file.seen || now.length < length || now.compare(header, 0, length, 0, length) !== 0;
  if (truncated) return endsLike(copy, file.cursor, file.tail);
  const end = Math.min((await copy.handle!.stat()).size, size);
  const start = Math.max(0, end - WINDOW_BYTES);
  return (await bytesAt(copy, start, end)).equals(await bytesAt(file, start, end));
}

function beginAlike(a: Buffer, b: Buffer): boolean {
  const length = Math.min(a.length, b.length);
  return length > 0 && a.compare(b, 0, length, 0, length) === 0;
}

/** What it began with when it was read or, before that, when it was last seen to change. */
function beginningOf({ headerBytes, glimpse, mtimeMs }: TailedFile): Buffer | undefined {
  if (headerBytes.length > 0) return headerBytes;
  return glimpse?.mtimeMs === mtimeMs ? glimpse.bytes : undefined;
}

async function glimpse(file: TailedFile, handle: FileHandle): Promise<Buffer> {
  file.glimpse = { mtimeMs: file.mtimeMs, bytes: await readHeader(handle) };
  return file.glimpse.bytes;
}

/** False when the bytes before `cursor` are others. A copy that was made before they were written has none there. */
async function endsLike(copy: TailedFile, cursor: number, tail: Buffer): Promise<boolean> {
  const bytes = await bytesAt(copy, cursor - tail.length, cursor);
  return bytes.length < tail.length || bytes.equals(tail);
}

async function bytesAt(file: TailedFile, start: number, end: number): Promise<Buffer> {
  const bytes = Buffer.alloc(end - start);
  const { bytesRead } = await file.handle!.read(bytes, 0, bytes.length, start);
  return bytes.subarray(0, bytesRead);
}

async function readFrom(copy: TailedFile, cursor: number): Promise<void> {
  copy.copyOf = undefined;
  copy.fresh = false;
  copy.work = copy.handle !== undefined;
  if (copy.handle === undefined || cursor === 0) return;
  const { size } = await copy.handle.stat();
  copy.headerBytes = await readHeader(copy.handle, Math.min(size, HEADER_BYTES));
  copy.header = headerOf(copy.headerBytes);
  copy.cursor = copy.seen = Math.min(cursor, size);
  copy.size = size;
  save(copy);
}

/** The file was truncated: it begins again, once the copy of its old content, if there is one, is read to its end. */
export async function truncated(file: TailedFile, files: Iterable<TailedFile>): Promise<void> {
  const former = { header: file.header, offset: file.cursor };
  file.formers = withFormer(file.formers, former);
  for (const copy of files) {
    if (copy.copyOf !== file) continue;
    await readFrom(copy, former.offset);
    file.after = copy.identity;
    file.draining = false;
  }
  beginAgain(file);
}

/** Lets go of held files whose original is gone, or goes on as if nothing was. */
export async function releaseCopies(files: ReadonlyMap<string, TailedFile>, monotonicMs: number): Promise<void> {
  for (const copy of files.values()) {
    const original = copy.copyOf;
    if (original === undefined || original.work) continue;
    const gone = original.goneAt !== undefined || files.get(original.identity) !== original;
    if (gone) await readFrom(copy, copy.size < original.cursor ? 0 : original.cursor);
    else if (monotonicMs - copy.grewAt >= HELD_MS) await readFrom(copy, 0);
  }
}
