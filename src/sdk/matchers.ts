import { compilePattern } from "./expression_pattern.ts";

const PATTERN_LENGTH_MAX = 500;

type Labels = Readonly<Record<string, string>>;

/** One condition on a label. A label that is not there counts as empty. */
export interface Matcher {
  readonly name: string;
  readonly operator: "=" | "!=" | "=~" | "!~";
  readonly value: string;
  matches(labels: Labels): boolean;
}

const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/**
 * Parses `name=value`, `name!=value`, `name=~regex` or `name!~regex`; name and value may stand in double quotes. A regex is
 * RE2's and must match the whole value. Throws an error whose message says what is wrong.
 * https://prometheus.io/docs/alerting/latest/configuration/#label-matchers
 */
export function parseMatcher(text: string): Matcher {
  const parts = /^\s*("(?:[^"\\]|\\.)*"|[^\s=!~"{},]+)\s*(=~|!~|!=|=)\s*([^]*)$/.exec(text);
  if (parts === null) throw new Error("is not a matcher; allowed: name=value, name!=value, name=~regex or name!~regex");
  const [, writtenName = "", operator = "=", writtenValue = ""] = parts;
  const name = unquoted(writtenName);
  if (!writtenName.startsWith('"') && !NAME.test(name)) throw new Error(`${name} is not the name of a label; allowed: letters, digits and _, or double quotes around it`);
  // Alertmanager's newer parser refuses it, too; taken as a value it would match nothing, ever.
  if (/^[=~]/.test(writtenValue)) throw new Error(`has ${operator}${writtenValue[0]!} for an operator; allowed: =, !=, =~ and !~, and double quotes around a value that begins so`);
  const value = unquoted(writtenValue.trimEnd());
  return makeMatcher(name, operator as Matcher["operator"], value);
}

/** A matcher of its parts. Throws where the regex is none. */
export function makeMatcher(name: string, operator: Matcher["operator"], value: string): Matcher {
  const holds = test(operator, value);
  return { name, operator, value, matches: (labels) => holds(Object.hasOwn(labels, name) ? labels[name]! : "") };
}

/** As `parseMatcher` reads it. */
export function matcherText({ name, operator, value }: Matcher): string {
  return `${NAME.test(name) ? name : JSON.stringify(name)}${operator}${JSON.stringify(value)}`;
}

/** All of them hold. */
export function matchesAll(matchers: readonly Matcher[], labels: Labels): boolean {
  return matchers.every((matcher) => matcher.matches(labels));
}

/** Why a text is no matcher; undefined when it is. */
export function matcherError(text: string): string | undefined {
  try {
    parseMatcher(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function test(operator: Matcher["operator"], value: string): (actual: string) => boolean {
  if (operator === "=") return (actual) => actual === value;
  if (operator === "!=") return (actual) => actual !== value;
  if (value.length > PATTERN_LENGTH_MAX) throw new Error(`its regular expression is too long; allowed: at most ${PATTERN_LENGTH_MAX} characters`);
  let pattern;
  try {
    // Compiled as it is, too: what is balanced only with our brackets around it is none.
    compilePattern(value);
    pattern = compilePattern(`^(?:${value})$`);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace(/^error parsing regexp: /, "") : "it cannot be compiled";
    throw new Error(`holds no regular expression: ${reason}; allowed: RE2 syntax`, { cause });
  }
  return operator === "=~" ? (actual) => pattern.test(actual) : (actual) => !pattern.test(actual);
}

function unquoted(text: string): string {
  if (!text.startsWith('"')) {
    if (text.includes('"')) throw new Error("has a stray double quote; allowed: double quotes around the whole value");
    return text;
  }
  if (!/^"(?:[^"\\]|\\.)*"$/s.test(text)) throw new Error("has a double quote without its end, or something behind it");
  return text.slice(1, -1).replace(/\\(.)/gs, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
}
