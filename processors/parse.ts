import { defineProcessor } from "../src/sdk/component.ts";
import { ConfigError, messageOf } from "../src/sdk/errors.ts";
import { Failure, type Value } from "../src/sdk/expression.ts";
import { isJsonMap } from "../src/sdk/expression_value.ts";
import { wholeBody, withBody, type Json, type Observation } from "../src/sdk/observation.ts";
import { NoChange } from "../src/sdk/row_change.ts";
import { grokParser } from "./parse/grok.ts";
import { parseJson } from "./parse/json.ts";
import { parseLogfmt } from "./parse/logfmt.ts";
import { messageReader, type MessageFormat } from "./parse/messages.ts";
import { Unreadable, type Parser } from "./parse/parser.ts";
import { regexParser } from "./parse/regex.ts";

/**
 * Makes an object of text: the body, or the text that `field` names. What is decoded already passes unchanged, so that
 * `parse` may stand in a pipeline whose other receivers decode by themselves.
 *
 * Patterns run in RE2, in linear time, on at most 64 Ki characters: no pattern and no line can hold the agent up.
 * Text that cannot be read goes where `on_error` says, and is counted.
 *
 * The formats of whole messages (Debezium and so on) read what is decoded, too: there the message itself is what is to be read.
 * It gives its time as well, and one message may give several observations. What says nothing (a heartbeat) is dropped, and
 * counted by its name.
 */
export const parse = defineProcessor({
  type: "parse",
  summary: "Makes fields of text, and changes of messages: JSON, logfmt, regular expression, grok, Debezium, Maxwell, wal2json, CloudEvents.",
  stability: "beta",
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["format"],
    properties: {
      format: {
        type: "string",
        enum: ["json", "logfmt", "regex", "grok", "debezium", "maxwell", "wal2json", "cloudevents"],
        description:
          "How the text is written. debezium, maxwell, wal2json: the body becomes a change {op, before, after, source} as from the receiver cdc. "
          + "cloudevents: it becomes the event's data; in binary mode the receiver's include_headers must name ce-specversion, ce-id and so on (Kafka: ce_specversion).",
      },
      field: {
        type: "string",
        expression: ["body", "attributes", "time", "source", "self", "transition"],
        description: "The text to read, such as body.log or attributes[\"x\"]; without it the whole body.",
      },
      merge: {
        type: "boolean",
        default: false,
        description: "With field: adds the result to the body, where it wins, instead of replacing the body with it.",
      },
      pattern: {
        type: "string",
        maxLength: 16_384,
        description:
          "For regex: RE2 with named groups, (?<status>[a-z]+). For grok: %{WORD:status}, %{NUMBER:n:int}. Found anywhere in the text.",
      },
      patterns: {
        type: "object",
        maxProperties: 1_000,
        propertyNames: { pattern: "^[A-Za-z0-9_]+$" },
        additionalProperties: { type: "string", maxLength: 16_384, description: "The definition, in RE2 and references to others." },
        description: "For grok: your own patterns by name; they go before the standard ones.",
      },
      flattened: {
        type: "boolean",
        default: false,
        description:
          "For debezium: rows come without their envelope (ExtractNewRecordState), and a null value is the deletion of the row that the message's key names.",
      },
      on_error: {
        type: "string",
        enum: ["drop", "pass", "dead_letter"],
        default: "drop",
        description: "What becomes of an observation whose text cannot be read: dropped, passed on, or kept as a dead letter.",
      },
    },
    examples: [
      { format: "json" },
      { format: "logfmt", field: "body.log", merge: true },
      { format: "regex", pattern: "order (?<order_id>[A-Z]+-[0-9]+) is (?<status>[a-z]+)" },
      { format: "debezium" },
      { format: "grok", pattern: "%{ORDER:order.id} costs %{NUMBER:amount:float}", patterns: { ORDER: "ORD-[0-9]+" } },
    ],
  },
  create(config, context) {
    const message = isMessage(config.format) ? messageReader(config.format, config.flattened) : undefined;
    if (config.flattened && config.format !== "debezium") throw new ConfigError("/flattened", `is for debezium, not for ${config.format}`);
    if (config.merge && message !== undefined) throw new ConfigError("/merge", `is not for ${config.format}, which gives a whole body`);
    if (config.merge && config.field === undefined) throw new ConfigError("/merge", "is for text that field names");
    const read = parserOf(config);
    const field = config.field === undefined ? undefined : context.expression("/field", config.field);

    /** The text, what is decoded in its place, or why there is none. */
    function input(observation: Observation): Value | Failure {
      return field === undefined ? wholeBody(observation.body) : field.evaluate(observation, context.clock.now());
    }

    function result(observation: Observation): Json | Unreadable {
      const value = input(observation);
      if (value instanceof Failure) return new Unreadable(value.message);
      const parsed = typeof value === "string" ? read(value) : decoded(value);
      if (!config.merge || parsed instanceof Unreadable) return parsed;
      const body = wholeBody(observation.body);
      if (!isObject(parsed)) return new Unreadable("merge needs an object, and the text holds none");
      // Spreading defines own properties: a key `__proto__` stays a key.
      return isObject(body) ? { ...body, ...parsed } : parsed;
    }

    function readMessage(observation: Observation, next: (observation: Observation) => void): void {
      const value = input(observation);
      const json = value instanceof Failure ? new Unreadable(value.message) : typeof value === "string" ? parseJson(value, true) : messageOfValue(value);
      const read = json instanceof Unreadable ? json : message!(json, observation);
      if (read instanceof NoChange && read.expected) return context.counted(read.reason);
      if (read instanceof NoChange || read instanceof Unreadable) {
        if (context.failed(observation, read.reason, config.on_error)) next(observation);
        return;
      }
      for (const one of read) next(one);
    }

    return {
      process(observation, next) {
        if (message !== undefined) return readMessage(observation, next);
        // A lazy body is decoded as well; it is not asked for its whole value here.
        if (field === undefined && typeof (observation.body as unknown) !== "string") return next(observation);
        const body = result(observation);
        if (!(body instanceof Unreadable)) return next(withBody(observation, body));
        if (context.failed(observation, body.reason, config.on_error)) next(observation);
      },
    };
  },
});

function isMessage(format: string): format is MessageFormat {
  return format === "debezium" || format === "maxwell" || format === "wal2json" || format === "cloudevents";
}

interface PatternConfig {
  readonly format: "json" | "logfmt" | "regex" | "grok" | MessageFormat;
  readonly pattern?: string;
  readonly patterns?: Readonly<Record<string, string>>;
}

function parserOf({ format, pattern, patterns }: PatternConfig): Parser {
  const patterned = format === "regex" || format === "grok";
  if (!patterned && pattern !== undefined) throw new ConfigError("/pattern", `is for regex and grok, not for ${format}`);
  if (format !== "grok" && patterns !== undefined) throw new ConfigError("/patterns", `is for grok, not for ${format}`);
  if (!patterned) return format === "logfmt" ? parseLogfmt : (text) => parseJson(text);
  if (pattern === undefined) throw new ConfigError("", `pattern is missing; ${format} needs it`);
  try {
    return format === "regex" ? regexParser(pattern) : grokParser(pattern, patterns ?? {});
  } catch (error) {
    throw new ConfigError("/pattern", messageOf(error));
  }
}

const NOT_TEXT = new Unreadable("the field is neither text nor an object");

/** A message that somebody decoded: any JSON, for each format to judge. */
function messageOfValue(value: Value): Json | Unreadable {
  return value === null || isObject(value) || Array.isArray(value) ? (value as Json) : NOT_TEXT;
}

/** A field that holds an object instead of text was decoded by someone else: it is the result. */
function decoded(value: Value): Json | Unreadable {
  return isObject(value) ? value : NOT_TEXT;
}

function isObject(value: Value): value is { readonly [key: string]: Json } {
  return isJsonMap(value);
}
