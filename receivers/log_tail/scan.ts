import { stat } from "node:fs/promises";
import type { ReceiverContext } from "../../src/sdk/component.ts";
import { familyOf } from "./family.ts";
import { endOfLines, hasHeader, readHeader, save, tailedFile, type Opened, type TailedFile } from "./file.ts";
import type { GlobPath } from "./glob.ts";
import { handleFree, tryOpen, type Known, type Remembered } from "./known.ts";
import { HEADER_BYTES, parsePosition, withFormer } from "./position.ts";
import { findByIdentity, walk, type Found, type Walk } from "./walk.ts";

const SCAN_MS = 1_000;
const DIRECTORIES_PER_POLL = 64;
const TICK_MS = 20;
/** A file that is gone may come back (a mount, a symbolic link): for so long its place is remembered. */
const REMEMBERED_MS = 24 * 3_600_000;
/** Files known, open or closed, for each that may be open. */
const KNOWN_PER_OPEN = 10;

export interface ScanOptions {
  readonly include: readonly GlobPath[];
  readonly exclude: readonly GlobPath[];
  readonly fromEnd: boolean;
  readonly pollMs: number;
  readonly filesMax: number;
}

export interface Scanner {
  /** Looks for new, renamed and deleted files. Rejects when the stored position cannot be understood. */
  scan(): Promise<void>;
  /** True when it is time to scan again, or a directory has changed. */
  isDue(): Promise<boolean>;
}

/** Finds out which file is which, by device, inode and header: goes on with those it knows, and takes up the others. */
export function createScanner(context: ReceiverContext, options: ScanOptions, known: Known): Scanner {
  const { clock, log } = context;
  let directories = new Map<string, number>();
  let scannedAt = -Infinity;
  let scannedNow = 0;

  function gone(file: TailedFile): void {
    file.goneAt = file.grewAt = clock.monotonicMs();
    file.work = file.handle !== undefined;
  }

  async function follow(file: TailedFile, names: readonly Found[]): Promise<void> {
    file.goneAt = undefined;
    if (!names.some(({ path }) => path === file.path)) {
      file.path = names[0]!.path;
      file.family = familyOf(file.path);
      file.fields.clear();
      file.turn = "over";
      file.grewAt = clock.monotonicMs();
      save(file);
    }
    const { size, mtimeMs } = names[0]!;
    if (file.handle !== undefined || (size === file.size && mtimeMs === file.mtimeMs && !known.readErrors.has(file))) return;
    const opened = await openIfRoom(file.path, file.identity);
    if (opened === undefined) return;
    Object.assign(file, { handle: opened.handle, size: opened.size, mtimeMs: opened.mtimeMs, work: true, grewAt: clock.monotonicMs() });
  }

  /** Undefined when it cannot be opened now; it is late unless that is an error. */
  async function openIfRoom(path: string, identity: string): Promise<Opened | undefined> {
    const room = await handleFree(known, options.filesMax);
    if (!room) known.waiting++;
    const opened = room ? await tryOpen(known, path, identity) : undefined;
    if (opened === undefined && !known.scanErrors.has(path)) known.late.add(identity);
    return opened;
  }

  /** What `read` gives. A file that opens but cannot be read is closed and noted, and hinders no other; undefined then. */
  async function readable<T>({ handle }: Opened, path: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      known.scanErrors.set(path, error);
      await handle.close().catch(() => undefined);
      return undefined;
    }
  }

  /** Goes on where a file was left. `name` undefined: look for it beside where it was, under whatever name. */
  async function resume({ saved }: Remembered, name: string | undefined): Promise<TailedFile | undefined> {
    const path = name ?? (await findByIdentity(saved.path.slice(0, saved.path.lastIndexOf("/")) || "/", saved.identity));
    if (path === undefined) return undefined;
    const opened = await openIfRoom(path, saved.identity);
    if (opened === undefined) return undefined;
    // Without a header, under another name: it may well be another file that got the inode.
    const doubtful = name === undefined && saved.header.length === 0 && (opened.born !== saved.born || familyOf(path) !== familyOf(saved.path));
    const same = await readable(opened, path, async () =>
      !doubtful && opened.size >= saved.offset && (await hasHeader(opened.handle, saved.header)));
    if (same === undefined) return undefined;
    if (!same && name === undefined) {
      await opened.handle.close();
      return undefined;
    }
    if (!same) log.info({ path }, "the file has new content since it was read last: reading it from the beginning");
    const header = await readable(opened, path, async () =>
      same ? await readHeader(opened.handle, Math.min(saved.header.length, HEADER_BYTES)) : Buffer.alloc(0));
    if (header === undefined) return undefined;
    const file = tailedFile(opened, path, same ? saved.offset : 0, header, clock.monotonicMs());
    file.formers = same ? (saved.formers ?? []) : withFormer(saved.formers ?? [], saved);
    if (same) {
      file.after = saved.after;
      // An inode alone may have been reused: such a file has lost no name.
      file.turn = path !== saved.path && (saved.header.length > 0 || opened.born === saved.born) ? "over" : saved.turn;
    }
    save(file, same ? saved.ahead : undefined);
    if (name === undefined) gone(file);
    known.tracked.set(file.identity, file);
    known.remembered.delete(saved.identity);
    return file;
  }

  async function discover(found: Found, fromEnd: boolean): Promise<TailedFile | undefined> {
    const knownMax = options.filesMax * KNOWN_PER_OPEN;
    if (known.tracked.size >= knownMax) {
      // Nothing but a person helps: it must not look like a file that is only waiting.
      known.scanErrors.set(found.path, new Error(`${knownMax} files match already; narrow include, exclude what was rotated, or raise files_max`));
      return undefined;
    }
    const opened = await openIfRoom(found.path, found.identity);
    if (opened === undefined) return undefined;
    const start = await readable(opened, found.path, async () => {
      const cursor = fromEnd ? await endOfLines(opened.handle, opened.size) : 0;
      return { cursor, header: cursor > 0 ? await readHeader(opened.handle) : Buffer.alloc(0) };
    });
    if (start === undefined) return undefined;
    const file = tailedFile(opened, found.path, start.cursor, start.header, clock.monotonicMs());
    known.tracked.set(file.identity, file);
    return file;
  }

  /** What the last run, or a moment ago, was read and has a name again, or at the first scan: any name. */
  async function resumeAll(byIdentity: Map<string, Found[]>, named: Map<string, TailedFile>, seen: Walk): Promise<void> {
    for (const [identity, entry] of known.remembered) {
      const names = byIdentity.get(identity);
      if (names === undefined && (known.scans > 0 || isHidden(entry.saved.path, seen))) {
        if (clock.now() - entry.sinceMs > REMEMBERED_MS) known.remembered.delete(identity);
        continue;
      }
      const name = names === undefined ? undefined : (names.find(({ path }) => path === entry.saved.path) ?? names[0]!).path;
      const file = await resume(entry, name);
      if (file !== undefined) {
        byIdentity.delete(identity);
        named.set(entry.saved.path, file);
      } else if (name === undefined) {
        context.metrics.counter({
          name: "sojourn_log_tail_files_missed_total", labels: ["receiver"],
          help: "Files that were gone at the start: what was written to them meanwhile cannot be known.",
        }).series(context.id).add(1);
        log.warn({ path: entry.saved.path }, "a file that was read before is gone: what was written to it meanwhile is missed");
      } else byIdentity.delete(identity); // Not readable now, or no handle free: still remembered.
    }
  }

  async function scan(): Promise<void> {
    const first = known.scans === 0;
    if (first && context.position !== undefined) {
      const sinceMs = clock.now();
      for (const saved of parsePosition(context.position)) known.remembered.set(saved.identity, { saved, sinceMs });
    }
    const seen = await walk(options.include, options.exclude);
    scannedAt = clock.monotonicMs();
    scannedNow = clock.now();
    directories = seen.directories;
    known.scanErrors = seen.unreadable;
    known.waiting = 0;
    known.late.clear();
    const byIdentity = new Map<string, Found[]>();
    for (const found of seen.found) {
      const names = byIdentity.get(found.identity);
      if (names === undefined) byIdentity.set(found.identity, [found]);
      else names.push(found);
    }
    // Which file had a name before this scan: the one that takes it waits until that is read to its end.
    const named = new Map([...known.tracked.values()].map((file) => [file.path, file]));
    for (const file of known.tracked.values()) {
      const names = byIdentity.get(file.identity);
      byIdentity.delete(file.identity);
      if (names !== undefined) await follow(file, names);
      else if (file.goneAt === undefined && !isHidden(file.path, seen)) gone(file);
    }
    const postponed = new Set<string>();
    await resumeAll(byIdentity, named, seen);
    for (const { path, identity } of seen.found) if (known.late.has(identity)) postponed.add(familyOf(path));
    // Older files first: what happened first is told first.
    const fresh = [...byIdentity.values()].map((names) => names[0]!).sort((a, b) => a.mtimeMs - b.mtimeMs || byBirth(a, b) || byName(a.path, b.path));
    const newest = newestOf(known.tracked.values());
    const fromEnd = first && context.position === undefined && options.fromEnd;
    for (const found of fresh) {
      const family = familyOf(found.path);
      // Where an older one could not be opened, the younger ones are left for the next scan.
      if (postponed.has(family) && !fromEnd) {
        known.waiting++;
        continue;
      }
      const file = await discover(found, fromEnd);
      if (known.late.has(found.identity)) postponed.add(family);
      if (file === undefined) continue;
      // Several may have been rotated away since the last look: each waits for the one before it, not for the first alone.
      const before = newest.get(family) ?? named.get(found.path);
      if (before !== undefined) {
        file.after = before.identity;
        file.turn = "taken";
        save(file);
      }
      newest.set(family, file);
    }
    known.scans++;
    if (first && seen.found.length === 0) log.warn({}, "no file matches `include` so far");
    if (seen.truncated) log.warn({}, "too many directory entries to look at: narrow `include`");
  }

  async function directoriesChanged(): Promise<boolean> {
    const some = [...directories].slice(0, DIRECTORIES_PER_POLL);
    const times = await Promise.all(some.map(async ([path]) => (await stat(path).catch(() => undefined))?.mtimeMs ?? 0));
    // A time this close may stand for a further change that was not seen: file systems count in ticks.
    return times.some((mtimeMs, i) => mtimeMs !== some[i]![1] || Math.abs(scannedNow - mtimeMs) < TICK_MS);
  }

  return {
    scan,
    isDue: async () => clock.monotonicMs() - scannedAt >= Math.max(SCAN_MS, options.pollMs) || (await directoriesChanged()),
  };
}

/** Where the last changes are in one tick of the file system: who came to the name first. */
function byBirth(a: Found, b: Found): number {
  return a.bornNs < b.bornNs ? -1 : a.bornNs > b.bornNs ? 1 : 0;
}

/** Where that is equal too: the name without a suffix is the one that is written to. */
function byName(a: string, b: string): number {
  if (a.startsWith(b)) return -1;
  if (b.startsWith(a)) return 1;
  return a < b ? -1 : 1;
}

/** Of files that took turns under one name, the one that was written last; not one that still has it, which may have been copied. */
function newestOf(files: Iterable<TailedFile>): Map<string, TailedFile> {
  const newest = new Map<string, TailedFile>();
  for (const file of files) {
    if (file.turn === undefined && file.goneAt === undefined) continue;
    const known = newest.get(file.family);
    if (known === undefined || file.mtimeMs >= known.mtimeMs) newest.set(file.family, file);
  }
  return newest;
}

/** True when a file may well be there, only it could not be looked for. */
function isHidden(path: string, seen: Walk): boolean {
  if (seen.truncated) return true;
  for (const place of [...seen.unreadable.keys(), ...seen.skipped.keys()]) {
    if (path === place || path.startsWith(`${place}/`)) return true;
  }
  return false;
}
