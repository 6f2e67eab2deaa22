import { Composer, Lexer, LineCounter, Parser, type Document, type ParsedNode, type YAMLError } from "yaml";
import type { Place, Problem } from "./model.ts";
import { mappingAt, type Tree } from "./tree.ts";
import { DEPTH_MAX, yamlTree } from "./yaml_tree.ts";

/** Larger files are refused unread. */
export const FILE_BYTES_MAX = 1024 * 1024;

// Worst case measured for this many tokens: about a second. A plain line of YAML has about five.
const TOKENS_MAX = 200_000;
const PROBLEMS_MAX = 20;

/** A file as a tree, or what is wrong with it. Never both. */
export type Parsed = { readonly tree: Tree } | { readonly problems: readonly Problem[] };

// The library's own texts quote the source, which may hold a secret.
const MESSAGES: Readonly<Record<string, string>> = {
  ALIAS_PROPS: "an alias cannot have an anchor or a tag",
  BAD_ALIAS: "this alias has no valid name",
  BAD_DIRECTIVE: "this directive is not known; leave it out",
  BAD_DQ_ESCAPE: "this escape is not known in a double-quoted text; write \\\\ for a backslash, or use single quotes",
  BAD_INDENT: "the indentation does not fit, or a bracket is not closed",
  BAD_PROP_ORDER: "anchor and tag must stand before the value",
  BAD_SCALAR_START: "a plain text cannot start with this character; put it in quotes",
  BLOCK_AS_IMPLICIT_KEY: "a nested map cannot start on the line of its key; a text with a colon in it needs quotes",
  BLOCK_IN_FLOW: "inside brackets, only brackets may nest",
  COMMENT_SPACE: "a comment needs a space before its #",
  DUPLICATE_KEY: "this key is given twice",
  IMPOSSIBLE: "this cannot be read as YAML",
  KEY_OVER_1024_CHARS: "a key may have at most 1024 characters",
  MISSING_CHAR: "a comma, colon, quote or bracket is missing here",
  MULTILINE_IMPLICIT_KEY: "a key must fit on one line; is a colon missing?",
  MULTIPLE_ANCHORS: "a value can have one anchor only",
  MULTIPLE_DOCS: "a file holds one document only; use a file for each",
  MULTIPLE_TAGS: "a value can have one tag only",
  RESOURCE_EXHAUSTION: `nested too deeply; at most ${DEPTH_MAX} levels`,
  TAB_AS_INDENT: "a tab cannot indent; use spaces",
  TAG_RESOLVE_FAILED: "this tag is not supported",
  UNEXPECTED_TOKEN: "this is not expected here; is a quote or a comma missing before it?",
};

const UNQUOTED_VARIABLE = "inside brackets, ${…} needs quotes: \"${env:NAME}\"";

/** Decodes and parses one file in bounded time and memory. Never throws for what the file holds. */
export function parseYaml(bytes: Uint8Array, file: string): Parsed {
  const text = decode(bytes, file);
  return typeof text === "string" ? parseText(text, file) : { problems: [text] };
}

/** Parses text; places count from `file:1:1`. */
export function parseText(source: string, file: string): Parsed {
  const lines = new LineCounter();
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(Math.min(offset, source.length));
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const refuse = (offset: number, message: string): Parsed => ({ problems: [{ place: placeAt(offset), path: "", message }] });
  const control = controlCharacter(source);
  if (control !== undefined) {
    return { problems: [{ place: linePlace(source, control.offset, file), path: "", message: control.message }] };
  }
  const composed = compose(source, lines);
  if ("stop" in composed) return refuse(composed.offset, composed.stop);
  const [document, second] = composed.documents;
  if (second !== undefined) return refuse(second.range?.[0] ?? 0, MESSAGES["MULTIPLE_DOCS"]!);
  const start: Place = { file, line: 1, column: 1 };
  if (document === undefined || document.contents === null) return { tree: mappingAt([], { place: start, path: "" }) };
  const version = document.directives?.yaml;
  if (version?.explicit === true && version.version !== "1.2") return refuse(0, "only YAML 1.2 is read; leave the %YAML directive out");
  const wrong: YAMLError[] = [...document.errors, ...document.warnings];
  if (wrong.length > 0) {
    const problems: Problem[] = [];
    for (const error of wrong) {
      const place = placeAt(error.pos[0]);
      // One mistake tends to be found several times over: the first one of a line is the one to read.
      if (problems.some((known) => known.place.line === place.line)) continue;
      const message = source[error.pos[0]] === "{" && source[error.pos[0] - 1] === "$" ? UNQUOTED_VARIABLE : MESSAGES[error.code];
      problems.push({ place, path: "", message: message ?? "this cannot be read as YAML" });
      // Brackets that went wrong make every line after them unexpected.
      if (error.code === "UNEXPECTED_TOKEN") break;
      if (problems.length === PROBLEMS_MAX) break;
    }
    return { problems };
  }
  const parsed = yamlTree(document.contents as ParsedNode, source, file, placeAt);
  const empty = "tree" in parsed && parsed.tree.kind === "scalar" && parsed.tree.value === null;
  return empty ? { tree: mappingAt([], { place: start, path: "" }) } : parsed;
}

type Composed = { readonly documents: readonly Document.Parsed[] } | { readonly stop: string; readonly offset: number };

function compose(source: string, lines: LineCounter): Composed {
  const parser = new Parser(lines.addNewLine);
  // Keys are told apart in yaml_tree: the library's own check takes quadratic time.
  const options = { schema: "core", uniqueKeys: false, logLevel: "silent", prettyErrors: false, lineCounter: lines } as const;
  const composer = new Composer<ParsedNode, true>(options);
  const documents: Document.Parsed[] = [];
  let tokens = 0;
  let depth = 0;
  let offset = 0;
  // A hostile file makes an error for every character: their stack traces would take most of the time.
  const traces = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    lines.addNewLine(0);
    for (const lexeme of new Lexer().lex(source)) {
      if (++tokens > TOKENS_MAX) return { stop: `has more than ${TOKENS_MAX} YAML tokens; split it`, offset };
      if (lexeme === "[" || lexeme === "{") depth++;
      else if (lexeme === "]" || lexeme === "}") depth--;
      if (depth > DEPTH_MAX) return { stop: MESSAGES["RESOURCE_EXHAUSTION"]!, offset };
      offset += lexeme.length;
      for (const token of parser.next(lexeme)) for (const document of composer.next(token)) documents.push(document);
      if (documents.length > 1) return { documents };
    }
    for (const token of parser.end()) for (const document of composer.next(token)) documents.push(document);
    for (const document of composer.end(false, source.length)) documents.push(document);
    return { documents };
  } catch {
    return { stop: "this cannot be read as YAML", offset };
  } finally {
    Error.stackTraceLimit = traces;
  }
}

function decode(bytes: Uint8Array, file: string): string | Problem {
  const start: Place = { file, line: 1, column: 1 };
  if (bytes.length > FILE_BYTES_MAX) return { place: start, path: "", message: "is larger than 1 MiB; split it" };
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    return { place: start, path: "", message: "is UTF-16; save it as UTF-8" };
  }
  try {
    // Takes a byte order mark off.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const lossy = new TextDecoder().decode(bytes);
    return { place: linePlace(lossy, lossy.indexOf("\ufffd"), file), path: "", message: "is not UTF-8 from here on; save it as UTF-8" };
  }
}

/** YAML allows no control characters but tab and line ends; a NUL above all is a sign of a damaged file. */
function controlCharacter(source: string): { readonly offset: number; readonly message: string } | undefined {
  // eslint-disable-next-line no-control-regex
  const offset = source.search(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/);
  if (offset === -1) return undefined;
  const code = source.charCodeAt(offset).toString(16).toUpperCase().padStart(4, "0");
  return { offset, message: `the control character U+${code} is not allowed${code === "0000" ? "; is the file damaged?" : ""}` };
}

function linePlace(text: string, offset: number, file: string): Place {
  const before = text.slice(0, offset).split("\n");
  return { file, line: before.length, column: before.at(-1)!.length + 1 };
}
