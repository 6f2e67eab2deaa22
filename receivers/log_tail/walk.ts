import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { matchesName, matchesPath, type GlobPath } from "./glob.ts";

/** Directory entries looked at in one walk; what lies beyond is reported, not read. */
export const WALK_ENTRIES_MAX = 200_000;
const DEPTH_MAX = 32;
/** Walks in a row, where names keep changing. */
const WALKS_MAX = 3;
const STATS_AT_ONCE = 32;

/** A regular file that matches, as `stat` saw it (symbolic links followed). */
export interface Found {
  readonly path: string;
  /** `device:inode`. */
  readonly identity: string;
  readonly size: number;
  readonly mtimeMs: number;
  /** When it was made, in ns; 0 where the file system does not say. */
  readonly bornNs: bigint;
}

/** What a walk saw. */
export interface Walk {
  readonly found: Found[];
  /** Modification times of the directories that were listed: one that changed is worth another walk. */
  readonly directories: Map<string, number>;
  /** What could not be looked at: path and the error. A missing directory is no error. */
  readonly unreadable: Map<string, unknown>;
  /** Directories below a `**` that could not be listed. */
  readonly skipped: Map<string, unknown>;
  readonly truncated: boolean;
}

/** Device and inode, from numbers that may exceed what a double holds. */
export function identityOf(stats: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${stats.dev}:${stats.ino}`;
}

const isMissing = (error: unknown): boolean => ["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "");

/**
 * Finds the regular files that match a glob of `include` and none of `exclude`. Bounded; `**` follows no symbolic links. What is
 * renamed between the listing and the look at a file would be missing, while the file that took its name is there: that would be
 * read first. So names that have changed by the end are looked at once more.
 */
export async function walk(include: readonly GlobPath[], exclude: readonly GlobPath[]): Promise<Walk> {
  for (let attempt = 1; ; attempt++) {
    const { seen, listings } = await walkOnce(include, exclude);
    if (attempt === WALKS_MAX || !(await haveChanged(listings, seen.directories))) return seen;
  }
}

/** The names tell even within one tick of the file system's clock; the time, where names only go round. */
async function haveChanged(listings: ReadonlyMap<string, readonly Dirent[]>, directories: ReadonlyMap<string, number>): Promise<boolean> {
  for (const [directory, before] of listings) {
    const now = await readdir(directory).catch((): string[] => []);
    const { mtimeMs } = await stat(directory).catch(() => ({ mtimeMs: directories.get(directory) }));
    if (now.length !== before.length || mtimeMs !== directories.get(directory)) return true;
    const names = new Set(before.map(({ name }) => name));
    if (now.some((name) => !names.has(name))) return true;
  }
  return false;
}

async function walkOnce(include: readonly GlobPath[], exclude: readonly GlobPath[]): Promise<{ seen: Walk; listings: ReadonlyMap<string, readonly Dirent[]> }> {
  const paths = new Set<string>();
  const directories = new Map<string, number>();
  const listings = new Map<string, Dirent[]>();
  const unreadable = new Map<string, unknown>();
  const skipped = new Map<string, unknown>();
  let visited = new Set<string>();
  let entries = 0;

  /** `deep`: met below a `**`, where a closed directory is nothing that was asked for. */
  async function list(directory: string, deep: boolean): Promise<Dirent[]> {
    const known = listings.get(directory);
    if (known !== undefined) return known;
    let names: Dirent[] = [];
    try {
      // Before the listing: a change while it is read shows as a newer time.
      directories.set(directory, (await stat(directory)).mtimeMs);
      names = await readdir(directory, { withFileTypes: true });
    } catch (error) {
      if (!isMissing(error)) (deep ? skipped : unreadable).set(directory, error);
    }
    entries += names.length;
    listings.set(directory, names);
    return names;
  }

  async function visit(directory: string, glob: GlobPath, at: number, depth: number, deep = false): Promise<void> {
    const segment = glob[at];
    if (segment === undefined || depth > DEPTH_MAX || entries > WALK_ENTRIES_MAX) return;
    // Several `**` lead to one place in many ways.
    const step = `${at} ${directory}`;
    if (visited.has(step)) return;
    visited.add(step);
    const last = at === glob.length - 1;
    if ("literal" in segment) {
      const path = join(directory, segment.literal);
      if (last) paths.add(path);
      else await visit(path, glob, at + 1, depth + 1, deep);
      return;
    }
    const names = await list(directory, deep);
    if ("anyDepth" in segment) {
      if (last) for (const entry of names) if (!entry.isDirectory()) paths.add(join(directory, entry.name));
      await visit(directory, glob, at + 1, depth, deep);
      for (const entry of names) if (entry.isDirectory()) await visit(join(directory, entry.name), glob, at, depth + 1, true);
      return;
    }
    for (const entry of names) {
      if (!matchesName(segment, entry.name)) continue;
      const path = join(directory, entry.name);
      if (last) paths.add(path);
      else if (entry.isDirectory() || entry.isSymbolicLink()) await visit(path, glob, at + 1, depth + 1, deep);
    }
  }

  for (const glob of include) {
    visited = new Set();
    await visit("/", glob, 0, 0);
  }
  const wanted = [...paths].filter((path) => !exclude.some((glob) => matchesPath(glob, path))).sort();
  const found: Found[] = [];
  for (let i = 0; i < wanted.length; i += STATS_AT_ONCE) {
    const some = wanted.slice(i, i + STATS_AT_ONCE);
    for (const [j, seen] of (await Promise.all(some.map((path) => look(path, unreadable)))).entries()) {
      if (!seen?.isFile()) continue;
      found.push({ path: some[j]!, identity: identityOf(seen), size: Number(seen.size), mtimeMs: Number(seen.mtimeMs), bornNs: seen.birthtimeNs });
    }
  }
  // A file that a literal glob names changes with its directory, which was not listed.
  for (const path of wanted) {
    const directory = path.slice(0, path.lastIndexOf("/")) || "/";
    if (!directories.has(directory)) directories.set(directory, (await stat(directory).catch(() => undefined))?.mtimeMs ?? 0);
  }
  return { seen: { found, directories, unreadable, skipped, truncated: entries > WALK_ENTRIES_MAX }, listings };
}

function join(directory: string, name: string): string {
  return directory === "/" ? `/${name}` : `${directory}/${name}`;
}

async function look(path: string, unreadable: Map<string, unknown>) {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (!isMissing(error)) unreadable.set(path, error);
    return undefined;
  }
}

/** The path in `directory` that leads to the file of this identity; undefined when there is none. */
export async function findByIdentity(directory: string, identity: string): Promise<string | undefined> {
  const names = await readdir(directory).catch((): string[] => []);
  for (const name of names.slice(0, 10_000)) {
    const seen = await stat(join(directory, name), { bigint: true }).catch(() => undefined);
    if (seen?.isFile() && identityOf(seen) === identity) return join(directory, name);
  }
  return undefined;
}
