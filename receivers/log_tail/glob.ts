/**
 * Globs of files: `*` and `?` within a name, `**` for any number of directories, `[a-z]`, `[!a-z]`, `{a,b}`, `\` to escape.
 * As in the Collector (doublestar), `*` matches a leading dot as well. Matching takes O(name × pattern) at worst, whatever
 * the pattern: no regular expression is made of it.
 */

/** One alternative of a glob: absolute, split at `/`. */
export type GlobPath = readonly Segment[];

/** A name to match in a directory; the text itself where it holds no wildcard. */
export type Segment = { readonly literal: string } | { readonly tokens: readonly Token[] } | { readonly anyDepth: true };

type Token = "star" | "any" | { readonly char: string } | { readonly negated: boolean; readonly ranges: readonly [string, string][] };

const PATTERN_LENGTH_MAX = 4_096;
const ALTERNATIVES_MAX = 1_000;

/** Splits `{a,b{c,d}}` into its alternatives. Throws when there are too many or a brace is left open. */
function expandBraces(pattern: string): string[] {
  const done: string[] = [];
  const open = [pattern];
  while (open.length > 0) {
    if (open.length + done.length > ALTERNATIVES_MAX) throw new Error(`more than ${ALTERNATIVES_MAX} alternatives in braces`);
    const text = open.pop()!;
    const group = firstGroup(text);
    if (group === undefined) done.push(text);
    else for (const part of group.parts.toReversed()) open.push(text.slice(0, group.start) + part + text.slice(group.end + 1));
  }
  return done;
}

function firstGroup(text: string): { start: number; end: number; parts: string[] } | undefined {
  let depth = 0;
  let start = -1;
  let partStart = -1;
  let inClass = false;
  const parts: string[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === "\\") i++;
    else if (inClass) inClass = c !== "]";
    else if (c === "[") inClass = text.includes("]", i + 2);
    else if (c === "{") {
      if (depth++ === 0) [start, partStart] = [i, i + 1];
    } else if (c === "," && depth === 1) {
      parts.push(text.slice(partStart, i));
      partStart = i + 1;
    } else if (c === "}" && depth > 0 && --depth === 0) {
      parts.push(text.slice(partStart, i));
      return { start, end: i, parts };
    }
  }
  if (depth > 0) throw new Error("a { is not closed");
  return undefined;
}

function compileClass(text: string, at: number): { token: Token; next: number } {
  let i = at + 1;
  const negated = text[i] === "!" || text[i] === "^";
  if (negated) i++;
  const ranges: [string, string][] = [];
  for (let first = true; i < text.length && (first || text[i] !== "]"); first = false) {
    if (text[i] === "\\") i++;
    const low = text[i++] ?? "";
    let high = low;
    if (text[i] === "-" && i + 1 < text.length && text[i + 1] !== "]") {
      if (text[++i] === "\\") i++;
      high = text[i++] ?? "";
    }
    if (low > high) throw new Error(`the range ${low}-${high} is empty`);
    ranges.push([low, high]);
  }
  if (i >= text.length) throw new Error("a [ is not closed");
  return { token: { negated, ranges }, next: i + 1 };
}

function compileSegment(text: string): Segment {
  if (text === "**") return { anyDepth: true };
  const tokens: Token[] = [];
  for (let i = 0; i < text.length; ) {
    const c = text[i]!;
    if (c === "*") {
      if (tokens.at(-1) !== "star") tokens.push("star");
      i++;
    } else if (c === "?") {
      tokens.push("any");
      i++;
    } else if (c === "[") {
      const { token, next } = compileClass(text, i);
      tokens.push(token);
      i = next;
    } else {
      if (c === "\\" && i + 1 >= text.length) throw new Error("it ends in a \\ that escapes nothing");
      const char = c === "\\" ? text[++i]! : c;
      tokens.push({ char });
      i++;
    }
  }
  const literal = tokens.map((token) => (typeof token === "object" && "char" in token ? token.char : undefined));
  return literal.includes(undefined) ? { tokens } : { literal: literal.join("") };
}

/**
 * Compiles a glob; a relative one counts from `directory`, which is taken literally. Throws an error that says what is wrong.
 */
export function compileGlob(pattern: string, directory: string): GlobPath[] {
  if (pattern === "") throw new Error("a glob must not be empty");
  if (pattern.includes("\0")) throw new Error("a glob must not hold a NUL");
  if (pattern.length > PATTERN_LENGTH_MAX) throw new Error(`longer than ${PATTERN_LENGTH_MAX} characters`);
  return expandBraces(pattern).map((text) => {
    const path: Segment[] = text.startsWith("/") ? [] : directory.split("/").filter(Boolean).map((literal) => ({ literal }));
    for (const name of text.split("/")) {
      if (name === "..") path.pop();
      else if (name === "**" && path.at(-1) !== undefined && "anyDepth" in path.at(-1)!) continue;
      else if (name !== "." && name !== "") path.push(compileSegment(name));
    }
    if (path.length === 0) throw new Error("it names no file");
    return path;
  });
}

function matchesToken(token: Token, char: string): boolean {
  if (token === "star") return false;
  if (token === "any") return true;
  if ("char" in token) return token.char === char;
  return token.negated !== token.ranges.some(([low, high]) => char >= low && char <= high);
}

/** True when the whole name matches one segment. Backtracks to the last `*` only, which is enough. */
export function matchesName(segment: Segment, name: string): boolean {
  if ("anyDepth" in segment) return true;
  if ("literal" in segment) return segment.literal === name;
  const { tokens } = segment;
  let t = 0;
  let starAt = -1;
  let resume = 0;
  for (let i = 0; i < name.length; ) {
    if (t < tokens.length && matchesToken(tokens[t]!, name[i]!)) {
      i++;
      t++;
    } else if (t < tokens.length && tokens[t] === "star") {
      starAt = t++;
      resume = i;
    } else if (starAt >= 0) {
      t = starAt + 1;
      i = ++resume;
    } else return false;
  }
  while (tokens[t] === "star") t++;
  return t === tokens.length;
}

/** True when the absolute path matches the glob. */
export function matchesPath(glob: GlobPath, path: string): boolean {
  const names = path.split("/").filter(Boolean);
  let g = 0;
  let deepAt = -1;
  let resume = 0;
  for (let i = 0; i < names.length; ) {
    const segment = glob[g];
    if (segment !== undefined && "anyDepth" in segment) {
      deepAt = g++;
      resume = i;
    } else if (segment !== undefined && matchesName(segment, names[i]!)) {
      i++;
      g++;
    } else if (deepAt >= 0) {
      g = deepAt + 1;
      i = ++resume;
    } else return false;
  }
  while (glob[g] !== undefined && "anyDepth" in glob[g]!) g++;
  return g === glob.length;
}
