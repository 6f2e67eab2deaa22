import { stat } from "node:fs/promises";
import type { ReceiverContext } from "../../src/sdk/component.ts";
import { messageOf } from "../../src/sdk/errors.ts";
import type { Json } from "../../src/sdk/observation.ts";
import { isOneFamily } from "./copies.ts";
import { endOfLines, hasHeader, openRegular, readHeader, save, tailedFile, type Opened, type TailedFile } from "./file.ts";
import type { GlobPath } from "./glob.ts";
import { HEADER_BYTES, parsePosition, withFormer, type FilePosition } from "./position.ts";
import { lagBytes } from "./telemetry.ts";
import { findByIdentity, walk, type Found, type Walk } from "./walk.ts";

const SCAN_MS = 1_000;
/** A file that changed within this time is looked at on every poll; the others in turns, and on every scan. */
const LIVELY_MS = 10_000;
const QUIET_PER_POLL = 64;
const DIRECTORIES_PER_POLL = 64;
const TICK_MS = 20;
const STATS_AT_ONCE = 32;
/** Files known, open or closed, for each that may be open. */
const KNOWN_PER_OPEN = 10;
/** A file that is gone may come back (a mount, a symbolic link): for so long its place is remembered. */
const REMEMBERED_MS = 24 * 3_600_000;
const DESCRIBED_MAX = 1_000;

export interface FilesOptions {
  readonly include: readonly GlobPath[];
  readonly exclude: readonly GlobPath[];
  readonly fromEnd: boolean;
  readonly pollMs: number;
  readonly filesMax: number;
}

/** The files that are read, and those that are remembered. */
export interface Files {
  /** Looks for new, renamed and deleted files. Rejects when the stored position cannot be understood. */
  scan(): Promise<void>;
  /** Looks which files have changed, and scans when it is time. */
  look(): Promise<void>;
  all(): readonly TailedFile[];
  /** Files that match and are not read: all handles are taken by files that have more to read. */
  waiting(): number;
  positions(): FilePosition[];
  /** Reading failed: closed until the next scan. */
  failed(file: TailedFile, error: unknown): Promise<void>;
  /** Reading works. */
  fine(file: TailedFile): void;
  /** Forgets a file that is gone, for good when it is `unlinked`. */
  drop(file: TailedFile, unlinked: boolean): Promise<void>;
  describe(): Json;
  close(): Promise<void>;
}

interface Remembered {
  readonly saved: FilePosition;
  readonly sinceMs: number;
}

/** Keeps track of which file is which: by device, inode and header. */
export function createFiles(context: ReceiverContext, options: FilesOptions): Files {
  const { clock, log } = context;
  const tracked: TailedFile[] = [];
  const remembered = new Map<string, Remembered>();
  const readErrors = new Map<TailedFile, unknown>();
  let scanErrors = new Map<string, unknown>();
  let failing: string | undefined;
  let directories = new Map<string, number>();
  let scannedAt = -Infinity;
  let scannedNow = 0;
  let scans = 0;
  let waiting = 0;
  let turn = 0;

  function say(): void {
    const path = scanErrors.keys().next().value ?? readErrors.keys().next().value?.path;
    const error = scanErrors.values().next().value ?? readErrors.values().next().value;
    const reason = path === undefined ? undefined : `cannot read ${path}: ${(error as NodeJS.ErrnoException).code ?? messageOf(error)}`;
    if (reason === failing) return;
    failing = reason;
    context.failing(reason);
    if (reason === undefined) context.healed();
    else context.report(new Error(reason, { cause: error }));
  }

  async function tryOpen(path: string, identity: string): Promise<Opened | undefined> {
    try {
      const opened = await openRegular(path);
      if (opened.identity === identity) return opened;
      await opened.handle.close(); // The name leads elsewhere by now: the next scan sees it.
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") scanErrors.set(path, error);
    }
    return undefined;
  }

  /** Makes room for one more handle by closing the file that is quiet for longest. False when all are busy. */
  async function handleFree(): Promise<boolean> {
    const open = tracked.filter((file) => file.handle !== undefined);
    if (open.length < options.filesMax) return true;
    // At the very first scan nothing was read: there a file may be closed although it has more.
    const idle = open.filter((file) => file.goneAt === undefined && file.saved.offset === file.cursor &&
      file.overlong === undefined && (scans === 0 || (!file.work && file.seen === file.cursor)));
    const quietest = idle.reduce<TailedFile | undefined>((a, b) => (a === undefined || b.grewAt < a.grewAt ? b : a), undefined);
    if (quietest === undefined) return false;
    await closeHandle(quietest);
    quietest.work = false;
    quietest.size = quietest.seen;
    return true;
  }

  async function closeHandle(file: TailedFile): Promise<void> {
    const { handle } = file;
    file.handle = undefined;
    await handle?.close().catch(() => undefined);
  }

  function gone(file: TailedFile): void {
    file.goneAt = file.grewAt = clock.monotonicMs();
    file.work = file.handle !== undefined;
  }

  async function follow(file: TailedFile, names: readonly Found[]): Promise<void> {
    file.goneAt = undefined;
    if (!names.some(({ path }) => path === file.path)) {
      file.path = names[0]!.path;
      file.fields.clear();
      file.renamed = true;
      file.grewAt = clock.monotonicMs();
      save(file);
    }
    const { size, mtimeMs } = names[0]!;
    if (file.handle !== undefined || (size === file.size && mtimeMs === file.mtimeMs && !readErrors.has(file))) return;
    if (!(await handleFree())) return void waiting++;
    const opened = await tryOpen(file.path, file.identity);
    if (opened === undefined) return;
    Object.assign(file, { handle: opened.handle, size: opened.size, mtimeMs: opened.mtimeMs, work: true, grewAt: clock.monotonicMs() });
  }

  /** Goes on where a file was left. `name` undefined: look for it beside where it was, under whatever name. */
  async function resume({ saved }: Remembered, name: string | undefined): Promise<TailedFile | undefined> {
    const path = name ?? (await findByIdentity(saved.path.slice(0, saved.path.lastIndexOf("/")) || "/", saved.identity));
    if (path === undefined) return undefined;
    if (!(await handleFree())) {
      waiting++;
      return undefined;
    }
    const opened = await tryOpen(path, saved.identity);
    if (opened === undefined) return undefined;
    // Without a header, under another name: it may well be another file that got the inode.
    const doubtful = name === undefined && saved.header.length === 0 && (opened.born !== saved.born || !isOneFamily(path, saved.path));
    const same = !doubtful && opened.size >= saved.offset && (await hasHeader(opened.handle, saved.header));
    if (!same && name === undefined) {
      await opened.handle.close();
      return undefined;
    }
    if (!same) log.info({ path }, "the file has new content since it was read last: reading it from the beginning");
    const header = same ? await readHeader(opened.handle, Math.min(saved.header.length, HEADER_BYTES)) : Buffer.alloc(0);
    const file = tailedFile(opened, path, same ? saved.offset : 0, header, clock.monotonicMs());
    file.formers = same ? (saved.formers ?? []) : withFormer(saved.formers ?? [], saved);
    save(file, same ? saved.ahead : undefined);
    // An inode alone may have been reused: such a file has lost no name.
    file.renamed = same && saved.header.length > 0 && path !== saved.path;
    if (name === undefined) gone(file);
    tracked.push(file);
    remembered.delete(saved.identity);
    return file;
  }

  async function discover(found: Found, fromEnd: boolean): Promise<TailedFile | undefined> {
    const room = tracked.length < options.filesMax * KNOWN_PER_OPEN && (await handleFree());
    if (!room) {
      waiting++;
      return undefined;
    }
    const opened = await tryOpen(found.path, found.identity);
    if (opened === undefined) return undefined;
    const cursor = fromEnd ? await endOfLines(opened.handle, opened.size) : 0;
    const header = cursor > 0 ? await readHeader(opened.handle) : Buffer.alloc(0);
    const file = tailedFile(opened, found.path, cursor, header, clock.monotonicMs());
    tracked.push(file);
    return file;
  }

  /** What the last run, or a moment ago, was read and has a name again, or at the first scan: any name. */
  async function resumeAll(byIdentity: Map<string, Found[]>, named: Map<string, TailedFile>, seen: Walk): Promise<void> {
    for (const [identity, entry] of remembered) {
      const names = byIdentity.get(identity);
      if (names === undefined && (scans > 0 || isHidden(entry.saved.path, seen))) {
        if (clock.now() - entry.sinceMs > REMEMBERED_MS) remembered.delete(identity);
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
    const first = scans === 0;
    if (first && context.position !== undefined) {
      const sinceMs = clock.now();
      for (const saved of parsePosition(context.position)) remembered.set(saved.identity, { saved, sinceMs });
    }
    const seen = await walk(options.include, options.exclude);
    scannedAt = clock.monotonicMs();
    scannedNow = clock.now();
    directories = seen.directories;
    scanErrors = seen.unreadable;
    waiting = 0;
    const byIdentity = new Map<string, Found[]>();
    for (const found of seen.found) {
      const names = byIdentity.get(found.identity);
      if (names === undefined) byIdentity.set(found.identity, [found]);
      else names.push(found);
    }
    // Which file had a name before this scan: the one that takes it waits until that is read to its end.
    const named = new Map(tracked.map((file) => [file.path, file]));
    for (const file of tracked) {
      const names = byIdentity.get(file.identity);
      byIdentity.delete(file.identity);
      if (names !== undefined) await follow(file, names);
      else if (file.goneAt === undefined && !isHidden(file.path, seen)) gone(file);
    }
    await resumeAll(byIdentity, named, seen);
    // Older files first: what happened first is told first.
    const fresh = [...byIdentity.values()].map((names) => names[0]!).sort((a, b) => a.mtimeMs - b.mtimeMs || (a.path < b.path ? -1 : 1));
    for (const found of fresh) {
      const file = await discover(found, first && context.position === undefined && options.fromEnd);
      const before = named.get(found.path);
      if (file !== undefined && before !== undefined && before !== file) file.after = before;
    }
    scans++;
    if (first && seen.found.length === 0) log.warn({}, "no file matches `include` so far");
    if (seen.truncated) log.warn({}, "too many directory entries to look at: narrow `include`");
    say();
  }

  async function directoriesChanged(): Promise<boolean> {
    const some = [...directories].slice(0, DIRECTORIES_PER_POLL);
    const times = await Promise.all(some.map(async ([path]) => (await stat(path).catch(() => undefined))?.mtimeMs ?? 0));
    // A time this close may stand for a further change that was not seen: file systems count in ticks.
    return times.some((mtimeMs, i) => mtimeMs !== some[i]![1] || Math.abs(scannedNow - mtimeMs) < TICK_MS);
  }

  async function check(file: TailedFile): Promise<void> {
    try {
      const seen = await file.handle!.stat();
      const mtimeMs = Math.floor(seen.mtimeMs);
      if (seen.size !== file.size || mtimeMs !== file.mtimeMs) file.grewAt = clock.monotonicMs();
      // An unchanged size may be that of other content.
      if (seen.size !== file.seen || mtimeMs !== file.mtimeMs) file.work = true;
      file.size = seen.size;
      file.mtimeMs = mtimeMs;
    } catch (error) {
      await failed(file, error);
    }
  }

  async function failed(file: TailedFile, error: unknown): Promise<void> {
    readErrors.set(file, error);
    file.work = false;
    await closeHandle(file);
    say();
  }

  return {
    scan,
    async look() {
      if (clock.monotonicMs() - scannedAt >= Math.max(SCAN_MS, options.pollMs) || (await directoriesChanged())) await scan();
      const now = clock.monotonicMs();
      const open = tracked.filter((file) => file.handle !== undefined && !file.work);
      const due = open.filter((file) => now - file.grewAt < LIVELY_MS || file.goneAt !== undefined);
      const quiet = open.filter((file) => now - file.grewAt >= LIVELY_MS && file.goneAt === undefined);
      for (let i = 0; i < Math.min(QUIET_PER_POLL, quiet.length); i++) due.push(quiet[turn++ % quiet.length]!);
      for (let i = 0; i < due.length; i += STATS_AT_ONCE) await Promise.all(due.slice(i, i + STATS_AT_ONCE).map(check));
    },
    all: () => tracked,
    waiting: () => waiting,
    positions: () => [...tracked.map((file) => file.saved), ...[...remembered.values()].map(({ saved }) => saved)],
    failed,
    fine(file) {
      if (readErrors.delete(file)) say();
    },
    async drop(file, unlinked) {
      tracked.splice(tracked.indexOf(file), 1);
      readErrors.delete(file);
      file.work = false;
      if (!unlinked) {
        remembered.set(file.identity, { saved: file.saved, sinceMs: clock.now() });
        if (remembered.size > options.filesMax) remembered.delete(remembered.keys().next().value!);
      }
      await closeHandle(file);
      say();
    },
    describe() {
      const files = tracked.slice(0, DESCRIBED_MAX).map((file) => ({
        path: file.path,
        offset: file.saved.offset,
        size: file.size,
        lag_bytes: lagBytes(file),
        state: file.goneAt !== undefined ? "gone" : file.handle === undefined ? "closed" : "open",
      }));
      const lag = tracked.reduce((sum, file) => sum + lagBytes(file), 0);
      return { files, files_total: tracked.length, files_waiting: waiting, lag_bytes: lag };
    },
    async close() {
      for (const file of tracked) await closeHandle(file);
    },
  };
}

/** True when a file may well be there, only it could not be looked for. */
function isHidden(path: string, seen: Walk): boolean {
  if (seen.truncated) return true;
  for (const place of [...seen.unreadable.keys(), ...seen.skipped.keys()]) {
    if (path === place || path.startsWith(`${place}/`)) return true;
  }
  return false;
}
