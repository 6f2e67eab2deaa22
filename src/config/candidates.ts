import { join } from "node:path";
import { sha256 } from "./fingerprint.ts";
import { interpolate } from "./interpolate.ts";
import type { Problem } from "./model.ts";
import { readInterpolated, readSource, type ReadFile } from "./read.ts";
import { SET_FILE, setTree } from "./set.ts";
import { shapeProblems } from "./shape.ts";
import type { Mapping, Tree } from "./tree.ts";
import { parseYaml, type Parsed } from "./yaml.ts";

/** A file as it is now: a tree that may be used, or what is wrong with it by itself. */
export interface Candidate {
  /** Names the file among those of all sources. */
  readonly key: string;
  /** Position of its `--config`. */
  readonly layer: number;
  readonly source: string;
  readonly file: string;
  readonly ofDirectory: boolean;
  /** Of the content; undefined when it could not be read. */
  readonly hash: string | undefined;
  readonly tree: Mapping | undefined;
  readonly problems: readonly Problem[];
}

/** What was parsed before, so that an unchanged file is not parsed again. */
export type FileCache = Map<string, { readonly hash: string; readonly parsed: Parsed }>;

/** What files may refer to. */
export interface Given {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** See `Sources`. */
  readonly unset?: ((name: string) => void) | undefined;
}

const keyOf = (layer: number, file: string): string => `${layer} ${file}`;

/**
 * Reads, parses and interpolates every file of every source, then `--set`. Of a source that cannot be read, nobody knows
 * which files are gone: those `known` before are given as unreadable.
 */
export async function readFiles(
  sources: readonly string[],
  set: readonly string[],
  given: Given,
  cache: FileCache,
  known: readonly string[],
  replaced?: ReadonlyMap<string, string | undefined>,
): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  for (const [layer, source] of sources.entries()) {
    const read = await readSource(source, replaced);
    const unreadable = (file: string, ofDirectory: boolean): Candidate => {
      const problem: Problem = { place: { file, line: 1, column: 1 }, path: "", message: read.error! };
      return { key: keyOf(layer, file), layer, source, file, ofDirectory, hash: undefined, tree: undefined, problems: [problem] };
    };
    if (read.error !== undefined) {
      const before = known.filter((key) => key.startsWith(keyOf(layer, join(source, "/"))));
      candidates.push(...before.map((key) => unreadable(key.slice(key.indexOf(" ") + 1), true)), unreadable(source, read.directory === true));
      continue;
    }
    for (const file of read.files) candidates.push(candidateOf(file, layer, source, read.directory === true, given, cache));
  }
  const present = new Set(candidates.map((candidate) => candidate.key));
  for (const key of cache.keys()) if (!present.has(key)) cache.delete(key);
  if (set.length > 0) candidates.push(setCandidate(set, sources.length, given));
  return candidates;
}

function candidateOf(
  read: ReadFile, layer: number, source: string, ofDirectory: boolean, given: Given, cache: FileCache,
): Candidate {
  const { file, bytes } = read;
  const key = keyOf(layer, file);
  const base = { key, layer, source, file, ofDirectory, tree: undefined };
  if (bytes === undefined) {
    return { ...base, hash: undefined, problems: [{ place: { file, line: 1, column: 1 }, path: "", message: read.error ?? "cannot be read" }] };
  }
  const hash = sha256(bytes);
  let known = cache.get(key);
  if (known?.hash !== hash) cache.set(key, (known = { hash, parsed: parseYaml(bytes, file) }));
  const { parsed } = known;
  return "problems" in parsed ? { ...base, hash, problems: parsed.problems } : { ...base, hash, ...finished(parsed.tree, given) };
}

function setCandidate(set: readonly string[], layer: number, given: Given): Candidate {
  const problems: Problem[] = [];
  const tree = setTree(set, problems);
  const base = { key: keyOf(layer, SET_FILE), layer, source: SET_FILE, file: SET_FILE, ofDirectory: false, hash: sha256(set.join("\n")) };
  return problems.length > 0 ? { ...base, tree: undefined, problems } : { ...base, ...finished(tree, given) };
}

function finished(parsed: Tree, { env, unset }: Given): Pick<Candidate, "tree" | "problems"> {
  const problems: Problem[] = [];
  const shape = shapeProblems(interpolate(parsed, { env, file: readInterpolated, unset }, problems));
  problems.push(...shape.problems);
  return { tree: problems.length > 0 ? undefined : shape.tree, problems };
}
