import { openRegular, type Opened, type TailedFile } from "./file.ts";
import type { FilePosition } from "./position.ts";

/** Where a file was left that has no name now. */
export interface Remembered {
  readonly saved: FilePosition;
  readonly sinceMs: number;
}

/** What a receiver knows of files. Scanning and polling share it. */
export interface Known {
  /** The files that are read, open or closed, by identity; in the order in which they were found, older ones first. */
  readonly tracked: Map<string, TailedFile>;
  /** Files that were read once and are gone, by identity. */
  readonly remembered: Map<string, Remembered>;
  readonly readErrors: Map<TailedFile, unknown>;
  /** By path, of the last scan. */
  scanErrors: Map<string, unknown>;
  /** Files that match and are not read: all handles are taken by files that have more to read. */
  waiting: number;
  /** Identities of files with more to read that the last scan could not open: no handle, or the name had just moved on. */
  readonly late: Set<string>;
  /** Scans that are over. */
  scans: number;
}

/** Before the first scan. */
export function nothingKnown(): Known {
  return { tracked: new Map(), remembered: new Map(), readErrors: new Map(), scanErrors: new Map(), waiting: 0, late: new Set(), scans: 0 };
}

/** Opens what is at `path` if it is still the file of that identity; notes what hinders it. */
export async function tryOpen(known: Known, path: string, identity: string): Promise<Opened | undefined> {
  try {
    const opened = await openRegular(path);
    if (opened.identity === identity) return opened;
    await opened.handle.close(); // The name leads elsewhere by now: the next scan sees it.
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") known.scanErrors.set(path, error);
  }
  return undefined;
}

/** Makes room for one more handle by closing the file that is quiet for longest. False when all are busy. */
export async function handleFree(known: Known, filesMax: number): Promise<boolean> {
  const open = [...known.tracked.values()].filter((file) => file.handle !== undefined);
  if (open.length < filesMax) return true;
  const idle = open.filter((file) => file.goneAt === undefined && isUntouched(file) && (!file.work || file.cursor === file.size));
  const quietest = idle.reduce<TailedFile | undefined>((a, b) => (a === undefined || b.grewAt < a.grewAt ? b : a), undefined);
  if (quietest === undefined) return false;
  await setAside(quietest);
  return true;
}

/** True when all that was read of it was handed on: it may be closed and opened again. */
export function isUntouched(file: TailedFile): boolean {
  return file.saved.offset === file.cursor && file.seen === file.cursor && file.overlong === undefined;
}

/** Closes a file until it has changed, or has more than was read of it. */
export async function setAside(file: TailedFile): Promise<void> {
  await closeHandle(file);
  file.work = false;
  file.size = file.seen;
}

/** Never fails: what cannot be closed is not read any more either. */
export async function closeHandle(file: TailedFile): Promise<void> {
  const { handle } = file;
  file.handle = undefined;
  await handle?.close().catch(() => undefined);
}
