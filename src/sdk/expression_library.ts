import { Duration, Failure, Timestamp, TypeValue } from "./expression.ts";
import type { Value } from "./expression.ts";
import { int64, INT_OVERFLOW } from "./expression_function.ts";
import type { CelFunction, Library } from "./expression_function.ts";
import { characterCount, STRINGS } from "./expression_strings.ts";
import { TIMES } from "./expression_times.ts";
import { compare, isJsonMap, isList, mapSize, typeName } from "./expression_value.ts";
import type { Frame, MadeMap } from "./expression_value.ts";
import { durationText, formatTime, timeMs } from "./time.ts";

const INT_TEXT = /^[+-]?\d{1,20}$/;
const DOUBLE_TEXT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const DURATION_TEXT = /^([+-]?)((?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h|d|w))+$/;
const UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7, w: 6.048e8,
};
/** 10,000 years: what CEL allows. */
export const DURATION_MAX_MS = 315_576_000_000_000;

const NOT_INT = new Failure("not an integer");
const NOT_NUMBER = new Failure("not a number");
const NOT_BOOL = new Failure("not a boolean");
const NOT_TIME = new Failure("not a time (RFC 3339 or an epoch number)");
const NOT_DURATION = new Failure("not a duration such as 30m");
const NOT_UTF8 = new Failure("bytes are not UTF-8");
const NEGATIVE = new Failure("uint is not negative");
const OUT_OF_RANGE = new Failure("out of range");
const utf8 = new TextDecoder("utf-8", { fatal: true });

function durationOf(text: string): Duration | Failure {
  if (/^[+-]?0$/.test(text)) return new Duration(0);
  const sign = text.length <= 64 ? DURATION_TEXT.exec(text)?.[1] : undefined;
  if (sign === undefined) return NOT_DURATION;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h|d|w)/g)) {
    ms += Number(amount) * UNITS_MS[unit!]!;
  }
  if (ms > DURATION_MAX_MS) return OUT_OF_RANGE;
  // Rounded, so that 0.1s is 100 ms and not a little more.
  return new Duration((sign === "-" ? -1 : 1) * Number(ms.toFixed(6)));
}

function toInt(value: Value | undefined): bigint | Failure | undefined {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return Math.abs(value) < 2 ** 63 ? BigInt(Math.trunc(value)) : INT_OVERFLOW; // NaN too
  if (typeof value === "string") return INT_TEXT.test(value) ? int64(BigInt(value.replace("+", ""))) : NOT_INT;
  if (value instanceof Timestamp) return BigInt(Math.floor(value.ms / 1_000));
  return value instanceof Duration ? BigInt(Math.trunc(value.ms / 1_000)) : undefined;
}

function toDouble(value: Value | undefined): number | Failure | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "string") return undefined;
  if (value.length <= 400 && DOUBLE_TEXT.test(value)) return Number(value);
  if (/^[+-]?inf(?:inity)?$/i.test(value)) return value.startsWith("-") ? -Infinity : Infinity;
  return value === "NaN" ? Number.NaN : NOT_NUMBER;
}

function toText(value: Value | undefined): string | Failure | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
  if (value instanceof Timestamp) return formatTime(value.ms);
  if (value instanceof Duration) return durationText(value.ms);
  if (!(value instanceof Uint8Array)) return undefined;
  try {
    return utf8.decode(value);
  } catch {
    return NOT_UTF8;
  }
}

function toBool(value: Value | undefined): boolean | Failure | undefined {
  if (typeof value === "boolean") return value;
  if (typeof value !== "string") return undefined;
  if (/^(?:true|True|TRUE|t|1)$/.test(value)) return true;
  return /^(?:false|False|FALSE|f|0)$/.test(value) ? false : NOT_BOOL;
}

function toTime(value: Value | undefined): Timestamp | Failure | undefined {
  if (value instanceof Timestamp) return value;
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "bigint") return undefined;
  const ms = timeMs(value);
  return ms === undefined ? NOT_TIME : new Timestamp(ms);
}

function toDuration(value: Value | undefined): Duration | Failure | undefined {
  if (value instanceof Duration) return value;
  return typeof value === "string" ? durationOf(value) : undefined;
}

function size(value: Value | undefined, frame: Frame): bigint | undefined {
  if (typeof value === "string") {
    frame.steps += value.length >> 4;
    return BigInt(characterCount(value));
  }
  if (value === undefined || value === null) return undefined;
  if (isList(value) || value instanceof Uint8Array) return BigInt(value.length);
  if (!(value instanceof Map) && !isJsonMap(value)) return undefined;
  const count = mapSize(value as MadeMap);
  frame.steps += count >> 2;
  return BigInt(count);
}

const conversion = (run: (value: Value | undefined) => Value | Failure | undefined): CelFunction => ({
  call: [1, 1],
  conversion: true,
  run([value], frame) {
    if (typeof value === "string" || value instanceof Uint8Array) frame.steps += value.length >> 4;
    return run(value);
  },
});

/** The greatest or least of the arguments, or of the one list given. */
const extreme = (sign: 1 | -1): CelFunction => ({
  call: [1, 100],
  run(args, frame) {
    const [first] = args;
    const values = args.length === 1 && first !== undefined && isList(first) ? first : args;
    frame.steps += values.length;
    let best: Value | undefined;
    for (const value of values) {
      if (typeof value !== "number" && typeof value !== "bigint") return undefined;
      if (best === undefined || compare(value, best)! * sign > 0) best = value;
    }
    return best;
  },
});

const rounding = (round: (value: number) => number): CelFunction => ({
  call: [1, 1],
  run: ([value]) => (typeof value === "bigint" ? value : typeof value === "number" ? round(value) : undefined),
});

/** Everything that an expression can call. */
export const LIBRARY: ReadonlyMap<string, CelFunction> = new Map(
  Object.entries({
    ...STRINGS,
    ...TIMES,
    size: { call: [1, 1], method: [0, 0], run: ([value], frame) => size(value, frame) },
    int: conversion(toInt),
    uint: conversion((value) => {
      const int = value instanceof Timestamp || value instanceof Duration ? undefined : toInt(value);
      return typeof int === "bigint" && int < 0n ? NEGATIVE : int;
    }),
    double: conversion(toDouble),
    string: conversion(toText),
    bool: conversion(toBool),
    bytes: conversion((value) =>
      typeof value === "string" ? new TextEncoder().encode(value) : value instanceof Uint8Array ? value : undefined),
    timestamp: conversion(toTime),
    duration: conversion(toDuration),
    dyn: conversion((value) => value),
    type: conversion((value) => (value === undefined ? undefined : new TypeValue(typeName(value)))),
    "math.greatest": extreme(1),
    "math.least": extreme(-1),
    "math.abs": {
      call: [1, 1],
      run([value]) {
        if (typeof value === "bigint") return int64(value < 0n ? -value : value);
        return typeof value === "number" ? Math.abs(value) : undefined;
      },
    },
    "math.ceil": rounding(Math.ceil),
    "math.floor": rounding(Math.floor),
    "math.round": rounding((value) => Math.sign(value) * Math.round(Math.abs(value))),
    "math.trunc": rounding(Math.trunc),
  } satisfies Library),
);

/** Names of types, which are values. */
export const TYPE_NAMES: ReadonlyMap<string, TypeValue> = new Map(
  [
    "bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type",
    "google.protobuf.Timestamp", "google.protobuf.Duration",
  ].map((name) => [name, new TypeValue(name === "uint" ? "int" : name)]),
);
