import { openRegular, type Opened, type TailedFile } from "./file.ts";
import type { FilePosition } from "./position.ts";

/** Where a file was left that has no name now. */
export interface Remembered {
  readonly saved: FilePosition;
  readonly sinceMs: number;
}

/** What a receiver knows of files. Scanning and polling share it. */
export interface Known {
  /** The files that are read, open or closed. */
  readonly tracked: TailedFile[];
  /** Files that were read once and are gone, by identity. */
  readonly remembered: Map<string, Remembered>;
  readonly readErrors: Map<TailedFile, unknown>;
  /** By path, of the last scan. */
  scanErrors: Map<string, unknown>;
  /** Files that match and are not read: all handles are taken by files that have more to read. */
  waiting: number;
  /** Scans that are over. */
  scans: number;
}

/** Before the first scan. */
export function nothingKnown(): Known {
  return { tracked: [], remembered: new Map(), readErrors: new Map(), scanErrors: new Map(), waiting: 0, scans: 0 };
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
  const open = known.tracked.filter((file) => file.handle !== undefined);
  if (open.length < filesMax) return true;
  // At the very first scan nothing was read: there a file may be closed although it has more.
  const idle = open.filter((file) => file.goneAt === undefined && file.saved.offset === file.cursor &&
    file.overlong === undefined && (known.scans === 0 || (!file.work && file.seen === file.cursor)));
  const quietest = idle.reduce<TailedFile | undefined>((a, b) => (a === undefined || b.grewAt < a.grewAt ? b : a), undefined);
  if (quietest === undefined) return false;
  await closeHandle(quietest);
  quietest.work = false;
  quietest.size = quietest.seen;
  return true;
}

/** Never fails: what cannot be closed is not read any more either. */
export async function closeHandle(file: TailedFile): Promise<void> {
  const { handle } = file;
  file.handle = undefined;
  await handle?.close().catch(() => undefined);
}
