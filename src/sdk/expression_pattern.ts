import { RE2JS } from "re2js";
import { Failure } from "./expression.ts";
import type { Frame } from "./expression_value.ts";

/** Longest pattern that is not a constant. */
const PATTERN_LENGTH_MAX = 500;
const PATTERNS_MAX = 64;
// Matching is linear, but in length times program: 10 million take up to a second.
const MATCH_COST_MAX = 10_000_000;

// Measured: compiling takes up to 20 µs for each character.
const COMPILE_STEPS = 200;

const BAD_PATTERN = new Failure("not a regular expression (RE2 syntax)");
const PATTERN_TOO_LONG = new Failure(`a pattern of more than ${PATTERN_LENGTH_MAX} characters`);
const TEXT_TOO_LONG = new Failure("the text is too long for this pattern");

/** A compiled pattern. `cost` is its size: what one character may take. */
export interface Pattern {
  test(text: string): boolean;
  readonly cost: number;
}

/** Compiles in linear-time syntax. Throws an error whose message says what is wrong. */
export function compilePattern(pattern: string): Pattern {
  const compiled = RE2JS.compile(pattern);
  return { test: (text) => compiled.test(text), cost: compiled.programSize() };
}

const patterns = new Map<string, Pattern | Failure>();

/** A pattern that came with the data, compiled or found again. */
export function cachedPattern(text: string, frame: Frame): Pattern | Failure {
  if (text.length > PATTERN_LENGTH_MAX) return PATTERN_TOO_LONG;
  let pattern = patterns.get(text);
  if (pattern === undefined) {
    frame.steps += COMPILE_STEPS * text.length;
    try {
      pattern = compilePattern(text);
    } catch {
      pattern = BAD_PATTERN;
    }
    if (patterns.size >= PATTERNS_MAX) patterns.delete(patterns.keys().next().value!);
    patterns.set(text, pattern);
  }
  return pattern;
}

/** Whether the pattern is found anywhere in the text. */
export function matchPattern(pattern: Pattern, text: string, frame: Frame): boolean | Failure {
  const cost = text.length * pattern.cost;
  if (cost > MATCH_COST_MAX) return TEXT_TOO_LONG;
  frame.steps += 1 + cost / 10;
  return pattern.test(text);
}
