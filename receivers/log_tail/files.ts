import type { ReceiverContext } from "../../src/sdk/component.ts";
import { messageOf } from "../../src/sdk/errors.ts";
import type { Json } from "../../src/sdk/observation.ts";
import type { TailedFile } from "./file.ts";
import { closeHandle, nothingKnown } from "./known.ts";
import type { FilePosition } from "./position.ts";
import { createScanner, type ScanOptions } from "./scan.ts";
import { lagBytes } from "./telemetry.ts";

/** A file that changed within this time is looked at on every poll; the others in turns, and on every scan. */
const LIVELY_MS = 10_000;
const QUIET_PER_POLL = 64;
const STATS_AT_ONCE = 32;
const DESCRIBED_MAX = 1_000;
const UNREADABLE_DESCRIBED_MAX = 100;

/** The files that are read, and those that are remembered. */
export interface Files {
  /** Looks for new, renamed and deleted files. Rejects when the stored position cannot be understood. */
  scan(): Promise<void>;
  /** Looks which files have changed, and scans when it is time. */
  look(): Promise<void>;
  /** By identity, in the order in which they were found. */
  all(): ReadonlyMap<string, TailedFile>;
  /** True when the file has more to read and could not be opened at the last scan; the next one tries again. */
  isLate(identity: string): boolean;
  /** Files that match and are not read: all handles are taken by files that have more to read. */
  waiting(): number;
  /** Files and directories that cannot be read now. */
  unreadable(): number;
  positions(): FilePosition[];
  /** Reading failed: closed until the next scan. */
  failed(file: TailedFile, error: unknown): Promise<void>;
  /** Reading works. */
  fine(file: TailedFile): void;
  /** All that was found was handed on, as far as it could be: what was stale may be judged by the news. */
  settled(): void;
  /** Forgets a file that is gone, for good when it is `unlinked`. */
  drop(file: TailedFile, unlinked: boolean): Promise<void>;
  describe(): Json;
  close(): Promise<void>;
}

/** Keeps track of which file is which: by device, inode and header. */
export function createFiles(context: ReceiverContext, options: ScanOptions): Files {
  const { clock } = context;
  const known = nothingKnown();
  const { tracked, remembered, readErrors } = known;
  const scanner = createScanner(context, options, known);
  /** What was said of unreadable files, and whether they were all there is. */
  let reported: string | undefined;
  let failing: string | undefined;
  /** Some file can be read again, but what was written meanwhile is not read yet. */
  let healing = false;
  let turn = 0;

  /** By path; what hinders the scan first. */
  function errors(): Map<string, unknown> {
    const found = new Map(known.scanErrors);
    for (const [file, error] of readErrors) if (!found.has(file.path)) found.set(file.path, error);
    return found;
  }

  /** One that is gone is read to its end, but brings no more news; one that waits for a handle will be read. */
  function isAnyReadable(): boolean {
    return known.waiting > 0 || [...tracked.values()].some((file) =>
      file.goneAt === undefined && !readErrors.has(file) && (file.handle !== undefined || !known.scanErrors.has(file.path)));
  }

  /** One unreadable file among many makes nothing stale: the others bring news. */
  function say(): void {
    const found = errors();
    const [first] = found;
    const more = found.size > 1 ? ` (and ${found.size - 1} more)` : "";
    const reason = first === undefined ? undefined : `cannot read ${first[0]}: ${reasonOf(first[1])}${more}`;
    if (reason !== undefined && reason !== reported) context.report(new Error(reason, { cause: first![1] }));
    reported = reason ?? reported;
    const fails = reason !== undefined && !isAnyReadable();
    healing = !fails && (failing !== undefined || (reason === undefined && reported !== undefined));
    if (!fails || reason === failing) return;
    failing = reason;
    context.failing(reason);
  }

  async function scan(): Promise<void> {
    await scanner.scan();
    say();
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
      if (await scanner.isDue()) await scan();
      const now = clock.monotonicMs();
      const open = [...tracked.values()].filter((file) => file.handle !== undefined && !file.work);
      const due = open.filter((file) => now - file.grewAt < LIVELY_MS || file.goneAt !== undefined);
      const quiet = open.filter((file) => now - file.grewAt >= LIVELY_MS && file.goneAt === undefined);
      for (let i = 0; i < Math.min(QUIET_PER_POLL, quiet.length); i++) due.push(quiet[turn++ % quiet.length]!);
      for (let i = 0; i < due.length; i += STATS_AT_ONCE) await Promise.all(due.slice(i, i + STATS_AT_ONCE).map(check));
    },
    all: () => tracked,
    isLate: (identity) => known.late.has(identity),
    waiting: () => known.waiting,
    unreadable: () => errors().size,
    positions: () => [...tracked.values(), ...remembered.values()].map(({ saved }) => saved),
    failed,
    fine(file) {
      if (readErrors.delete(file)) say();
    },
    settled() {
      if (!healing || [...tracked.values()].some((file) => file.work && file.handle !== undefined)) return;
      healing = false;
      if (failing !== undefined) context.failing(undefined);
      failing = undefined;
      if (errors().size > 0) return;
      reported = undefined;
      context.healed();
    },
    async drop(file, unlinked) {
      tracked.delete(file.identity);
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
      const files = [...tracked.values()].slice(0, DESCRIBED_MAX).map((file) => ({
        path: file.path,
        offset: file.saved.offset,
        size: file.size,
        lag_bytes: lagBytes(file),
        state: file.goneAt !== undefined ? "gone" : file.handle === undefined ? "closed" : "open",
      }));
      const lag = [...tracked.values()].reduce((sum, file) => sum + lagBytes(file), 0);
      const found = errors();
      const unreadable = [...found].slice(0, UNREADABLE_DESCRIBED_MAX).map(([path, error]) => ({ path, error: reasonOf(error) }));
      return { files, files_total: tracked.size, files_waiting: known.waiting, files_unreadable: found.size, unreadable, lag_bytes: lag };
    },
    async close() {
      for (const file of tracked.values()) await closeHandle(file);
    },
  };
}

function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? messageOf(error);
}
