import type { Problem } from "./model.ts";
import type { Entry, Scalar, Span, Tree } from "./tree.ts";

/** What interpolation reads from outside. */
export interface Sources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Content of `${file:path}` as written in the configuration file `from`; throws with a message for people. */
  file(path: string, from: string): string;
  /**
   * Told of each variable or file that has no value: then a placeholder stands in for it, and it is no error. Where it is the
   * whole text, one that fits the schema (see `validate`).
   */
  readonly unset?: ((name: string) => void) | undefined;
}

const SECRET_NAME = /secret|token|passw|passphrase|key|credential|private/i;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const NESTED_MAX = 8;
const TEXT_CHARS_MAX = 1024 * 1024;

interface Piece {
  readonly text: string;
  readonly secret: boolean;
  readonly placeholder?: boolean;
}

/** What is wrong in a text, and at which character. */
class TextError extends Error {
  readonly offset: number;
  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

/**
 * Replaces `${env:X}`, `${X}`, `${env:X:-default}`, `${file:/path}` and `$$` in every string of the tree.
 * What comes in is never looked at again, so no variable's content is interpolated itself.
 */
export function interpolate(tree: Tree, sources: Sources, problems: Problem[]): Tree {
  // An alias is one tree in two places: it is replaced once, and stays one.
  const done = new Map<Tree, Tree>();
  const visit = (from: Tree): Tree => {
    const known = done.get(from);
    if (known !== undefined) return known;
    const to = replaced(from);
    done.set(from, to);
    return to;
  };
  function replaced(from: Tree): Tree {
    // What has nothing to replace stays the same object: results of checking it are kept by identity.
    if (from.kind === "list") {
      const items = from.items.map(visit);
      return items.every((item, i) => item === from.items[i]) ? from : { ...from, items };
    }
    if (from.kind === "map") {
      const entries = new Map<string, Entry>();
      let same = true;
      for (const [key, entry] of from.entries) {
        const value = visit(entry.value);
        same &&= value === entry.value;
        entries.set(key, { place: entry.place, value });
      }
      return same ? from : { ...from, entries };
    }
    return typeof from.value === "string" && from.value.includes("$") ? text(from, from.value) : from;
  }
  function text(from: Scalar, value: string): Scalar {
    try {
      const pieces: Piece[] = [];
      const interpolated = scan(value, 0, value.length, from.place.file, sources, pieces, 0);
      return { ...from, ...joined(pieces), interpolated };
    } catch (error) {
      if (!(error instanceof TextError)) throw error;
      problems.push({ place: startOf(from, error.offset), path: from.path, message: error.message });
      return from;
    }
  }
  return visit(tree);
}

function startOf(from: Scalar, offset: number): Scalar["place"] {
  const first = from.starts?.length === 1 ? from.starts[0] : undefined;
  return first === undefined ? from.place : { ...first, column: first.column + offset };
}

function joined(pieces: readonly Piece[]): Pick<Scalar, "secrets" | "placeholder"> & { value: string } {
  let value = "";
  const secrets: Span[] = [];
  const filled = pieces.filter(({ text }) => text !== "");
  for (const piece of pieces) {
    if (piece.secret && piece.text !== "") secrets.push({ start: value.length, end: value.length + piece.text.length });
    value += piece.text;
  }
  return { value, secrets, ...(filled.length === 1 && filled[0]!.placeholder === true ? { placeholder: true } : {}) };
}

/** Reads `text` from `start` to `end` into `pieces`; true when something was interpolated. */
function scan(text: string, start: number, end: number, file: string, sources: Sources, pieces: Piece[], depth: number): boolean {
  let found = false;
  let from = start;
  for (;;) {
    const at = text.indexOf("$", from);
    if (at === -1 || at >= end) break;
    pieces.push({ text: text.slice(from, at), secret: false });
    if (text[at + 1] === "$" && at + 1 < end) {
      pieces.push({ text: "$", secret: false });
      from = at + 2;
    } else if (text[at + 1] === "{" && at + 1 < end) {
      const close = closing(text, at, end);
      reference(text, at, close, file, sources, pieces, depth);
      found = true;
      from = close + 1;
    } else {
      pieces.push({ text: "$", secret: false });
      from = at + 1;
    }
  }
  pieces.push({ text: text.slice(from, end), secret: false });
  if (pieces.reduce((sum, piece) => sum + piece.text.length, 0) > TEXT_CHARS_MAX) {
    throw new TextError(start, "is longer than 1 MiB once its variables are filled in");
  }
  return found;
}

/** Where the `}` of the `${` at `at` is. */
function closing(text: string, at: number, end: number): number {
  let open = 0;
  for (let i = at; i < end; i++) {
    if (text[i] === "$" && text[i + 1] === "{") {
      open++;
      i++;
    } else if (text[i] === "}" && --open === 0) return i;
  }
  throw new TextError(at, "the ${ is not closed; write $${ where a literal ${ is meant");
}

function reference(text: string, at: number, close: number, file: string, sources: Sources, pieces: Piece[], depth: number): void {
  const inside = text.slice(at + 2, close);
  if (inside.startsWith("file:")) {
    const path = inside.slice("file:".length);
    if (path === "") throw new TextError(at, "${file:} names no file");
    try {
      // Files that are read in hold secrets, nearly always.
      pieces.push({ text: sources.file(path, file), secret: true });
    } catch (error) {
      if (sources.unset !== undefined) return void pieces.push(standIn(`file:${path}`, text, at, close, sources.unset));
      throw new TextError(at, `\${file:${path}} ${error instanceof Error ? error.message : "cannot be read"}`);
    }
    return;
  }
  const nameAt = at + 2 + (inside.startsWith("env:") ? "env:".length : 0);
  const dash = text.indexOf(":-", nameAt);
  const hasDefault = dash !== -1 && dash < close;
  const name = text.slice(nameAt, hasDefault ? dash : close);
  if (!NAME.test(name)) {
    const scheme = /^([a-z]+):/.exec(inside)?.[1];
    throw new TextError(
      at,
      scheme !== undefined && scheme !== "env"
        ? `\${${scheme}:…} is not known; allowed: \${env:NAME}, \${NAME}, \${env:NAME:-default}, \${file:/path}`
        : "the name of a variable has letters, digits and _ only; write $${ where a literal ${ is meant",
    );
  }
  const value = Object.hasOwn(sources.env, name) ? sources.env[name] : undefined;
  if (value !== undefined) {
    pieces.push({ text: value, secret: SECRET_NAME.test(name) });
    return;
  }
  if (!hasDefault && sources.unset !== undefined) return void pieces.push(standIn(name, text, at, close, sources.unset));
  if (!hasDefault) {
    throw new TextError(at, `the environment variable ${name} is not set; set it, or give a default: \${env:${name}:-default}`);
  }
  if (depth >= NESTED_MAX) throw new TextError(at, `defaults are nested too deeply; at most ${NESTED_MAX}`);
  scan(text, dash + 2, close, file, sources, pieces, depth + 1);
}

/** What is most likely to do within a text: before a path or alone a URL, before a port a host. */
function standIn(name: string, text: string, at: number, close: number, unset: (name: string) => void): Piece {
  unset(name);
  const host = "placeholder.invalid";
  const next = text[close + 1];
  const url = /url|uri|endpoint/i.test(name) || (at === 0 && next === "/");
  return { text: /port$/i.test(name) ? "1" : url ? `https://${host}` : next === ":" ? host : "placeholder", secret: false, placeholder: true };
}
