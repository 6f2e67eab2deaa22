import { Failure } from "./expression.ts";
import type { Value } from "./expression.ts";
import { integer, TOO_LONG } from "./expression_function.ts";
import type { Library } from "./expression_function.ts";
import { cachedPattern, matchPattern } from "./expression_pattern.ts";
import { isList, LENGTH_MAX } from "./expression_value.ts";
import type { Frame } from "./expression_value.ts";

const OUT_OF_BOUNDS = new Failure("index out of bounds");
const SURROGATE = /[\ud800-\udfff]/;

/** Number of characters (code points), as CEL counts. */
export function characterCount(text: string): number {
  if (!SURROGATE.test(text)) return text.length;
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** Scanning text is fast, but a macro may do it for every element of a long list. */
function charge(frame: Frame, text: string): void {
  frame.steps += text.length >> 4;
}

/** Its characters where they are not its UTF-16 units. */
function charactersOf(text: string, frame: Frame): readonly string[] | undefined {
  charge(frame, text);
  if (!SURROGATE.test(text)) return undefined;
  frame.steps += text.length;
  return Array.from(text);
}

/** `text` from character `start` to before `end`. */
function slice(text: string, start: number, end: number | undefined, frame: Frame): string | Failure {
  const chars = charactersOf(text, frame);
  const length = chars?.length ?? text.length;
  const to = end ?? length;
  if (start < 0 || to > length || start > to) return OUT_OF_BOUNDS;
  return chars === undefined ? text.slice(start, to) : chars.slice(start, to).join("");
}

function find(text: string, part: string, start: number | undefined, last: boolean, frame: Frame): bigint | Failure {
  const chars = charactersOf(text, frame);
  const length = chars?.length ?? text.length;
  if (start !== undefined && (start < 0 || start > length)) return OUT_OF_BOUNDS;
  const unit = chars === undefined || start === undefined ? start : chars.slice(0, start).join("").length;
  const found = last ? text.lastIndexOf(part, unit ?? Infinity) : text.indexOf(part, unit ?? 0);
  return BigInt(found < 0 || chars === undefined ? found : characterCount(text.slice(0, found)));
}

// Unicode's White_Space, which is not JavaScript's: U+0085 is in it, U+FEFF is not.
const isSpace = (unit = "x"): boolean => unit === "\u0085" || (unit !== "\ufeff" && /\s/.test(unit));

function trim(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && isSpace(text[start])) start++;
  while (end > start && isSpace(text[end - 1])) end--;
  return text.slice(start, end);
}

function replace(text: string, from: string, to: string, count: number): string | Failure {
  if (count === 0) return text;
  const pieces = from === "" ? ["", ...Array.from(text), ""] : text.split(from);
  const times = count < 0 ? pieces.length - 1 : Math.min(count, pieces.length - 1);
  if (text.length + times * to.length > LENGTH_MAX) return TOO_LONG;
  const replaced = pieces.slice(0, times + 1).join(to);
  return times + 1 < pieces.length ? replaced + from + pieces.slice(times + 1).join(from) : replaced;
}

function split(text: string, separator: string, limit: number): readonly string[] {
  if (limit === 0) return [];
  const pieces = separator === "" ? Array.from(text) : text.split(separator);
  if (limit < 0 || pieces.length <= limit) return pieces;
  return [...pieces.slice(0, limit - 1), pieces.slice(limit - 1).join(separator)];
}

function join(list: readonly Value[], separator: string): string | Failure | undefined {
  let length = 0;
  for (const item of list) {
    if (typeof item !== "string") return undefined;
    length += item.length + separator.length;
  }
  return length > LENGTH_MAX ? TOO_LONG : (list as readonly string[]).join(separator);
}

const bothTexts = (test: (text: string, part: string) => boolean): Library[string] => ({
  method: [1, 1],
  run([text, part], frame) {
    if (typeof text !== "string" || typeof part !== "string") return undefined;
    charge(frame, text);
    return test(text, part);
  },
});

const oneText = (change: (text: string) => string): Library[string] => ({
  method: [0, 0],
  run([text], frame) {
    if (typeof text !== "string") return undefined;
    charge(frame, text);
    return change(text);
  },
});

const finder = (last: boolean): Library[string] => ({
  method: [1, 2],
  run([text, part, start], frame) {
    if (typeof text !== "string" || typeof part !== "string") return undefined;
    const from = integer(start);
    if (start !== undefined && from === undefined) return undefined;
    return find(text, part, from, last, frame);
  },
});

/**
 * CEL's functions of text, and the extensions known from Kubernetes.
 * https://pkg.go.dev/github.com/google/cel-go/ext#Strings
 */
export const STRINGS: Library = {
  contains: bothTexts((text, part) => text.includes(part)),
  startsWith: bothTexts((text, part) => text.startsWith(part)),
  endsWith: bothTexts((text, part) => text.endsWith(part)),
  matches: {
    call: [2, 2],
    method: [1, 1],
    run([text, pattern], frame) {
      if (typeof text !== "string" || typeof pattern !== "string") return undefined;
      const compiled = cachedPattern(pattern, frame);
      return compiled instanceof Failure ? compiled : matchPattern(compiled, text, frame);
    },
  },
  lowerAscii: oneText((text) => text.replace(/[A-Z]+/g, (part) => part.toLowerCase())),
  upperAscii: oneText((text) => text.replace(/[a-z]+/g, (part) => part.toUpperCase())),
  trim: oneText(trim),
  reverse: oneText((text) => Array.from(text).reverse().join("")),
  indexOf: finder(false),
  lastIndexOf: finder(true),
  charAt: {
    method: [1, 1],
    run([text, index], frame) {
      const at = integer(index);
      if (typeof text !== "string" || at === undefined) return undefined;
      return at === characterCount(text) ? "" : slice(text, at, at + 1, frame);
    },
  },
  substring: {
    method: [1, 2],
    run([text, start, end], frame) {
      const from = integer(start);
      const to = integer(end);
      if (typeof text !== "string" || from === undefined || (end !== undefined && to === undefined)) return undefined;
      return slice(text, from, to, frame);
    },
  },
  replace: {
    method: [2, 3],
    run([text, from, to, count], frame) {
      const times = count === undefined ? -1 : integer(count);
      if (typeof text !== "string" || typeof from !== "string" || typeof to !== "string" || times === undefined) {
        return undefined;
      }
      const result = replace(text, from, to, times);
      frame.steps += text.length + (typeof result === "string" ? result.length >> 4 : 0);
      return result;
    },
  },
  split: {
    method: [1, 2],
    run([text, separator, limit], frame) {
      const pieces = limit === undefined ? -1 : integer(limit);
      if (typeof text !== "string" || typeof separator !== "string" || pieces === undefined) return undefined;
      frame.steps += text.length;
      return split(text, separator, pieces);
    },
  },
  join: {
    method: [0, 1],
    run([list, separator = ""], frame) {
      if (list === undefined || !isList(list) || typeof separator !== "string") return undefined;
      const result = join(list, separator);
      frame.steps += list.length + (typeof result === "string" ? result.length >> 4 : 0);
      return result;
    },
  },
};
