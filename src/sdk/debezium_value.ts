import { createHash } from "node:crypto";
import { base64, exactNumber, jsonValue } from "./database_value.ts";
import { nestsTooDeep } from "./json_text.ts";
import type { Json } from "./observation.ts";
import { isRow, own, ownText, rowOf, type ChangedRow } from "./row_change.ts";

/*
 * Values of Kafka Connect's JsonConverter, by the schema that comes with them, in the form that the direct receivers give them.
 * https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-data-types
 */

/** A longer unscaled value, or a larger scale, than PostgreSQL's numeric can have: 131,072 digits before the point, 16,383 behind. */
const DECIMAL_BYTES_MAX = 65_536;
const SCALE_MAX = 20_000;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const SECONDS_OF_DAY = 86_400;
/** What Debezium makes of PostgreSQL's `infinity` and `-infinity`. */
const FOREVER = 9_223_372_036_825_200_000;
const NEVER = -9_223_372_036_832_400_000;

type Decode = (value: Json, schema: Json) => Json;

const MS: Decode = (value) => instant(value, 3);
const DAYS: Decode = (value) => (typeof value === "number" && Number.isInteger(value) ? (dateTime(value * SECONDS_OF_DAY)?.slice(0, 10) ?? value) : value);
const TIME_MS: Decode = (value) => timeOfDay(value, 3);

/** By the schema's name. Whatever else has a name (ZonedTimestamp, Uuid, Enum, Xml, IsoDate) is text that says it already. */
const DECODERS: ReadonlyMap<string, Decode> = new Map<string, Decode>([
  ["org.apache.kafka.connect.data.Decimal", (value, schema) => decimal(value, own(own(schema, "parameters"), "scale")) ?? value],
  ["io.debezium.data.VariableScaleDecimal", (value) => decimal(own(value, "value"), own(value, "scale")) ?? value],
  ["org.apache.kafka.connect.data.Timestamp", MS],
  ["io.debezium.time.Timestamp", MS],
  ["io.debezium.time.MicroTimestamp", (value) => instant(value, 6)],
  ["io.debezium.time.NanoTimestamp", (value) => instant(value, 9)],
  ["org.apache.kafka.connect.data.Date", DAYS],
  ["io.debezium.time.Date", DAYS],
  ["org.apache.kafka.connect.data.Time", TIME_MS],
  ["io.debezium.time.Time", TIME_MS],
  ["io.debezium.time.MicroTime", (value) => timeOfDay(value, 6)],
  ["io.debezium.time.NanoTime", (value) => timeOfDay(value, 9)],
  ["io.debezium.data.Json", (value) => (typeof value === "string" && !nestsTooDeep(value) ? jsonValue(value) : value)],
]);

/** The value as its schema says. What is not as the schema says, or has none, stays as it is. */
export function decodeBySchema(value: Json, schema: Json | undefined): Json {
  if (value === null || !isRow(schema)) return value;
  const decode = DECODERS.get(ownText(schema, "name") ?? "");
  if (decode !== undefined) return decode(value, schema);
  switch (own(schema, "type")) {
    case "struct":
      return isRow(value) ? decodeStruct(value, schema) : value;
    case "array":
      return Array.isArray(value) ? (value as readonly Json[]).map((item) => decodeBySchema(item, own(schema, "items"))) : value;
    case "map":
      return isRow(value) ? rowOf(Object.entries(value).map(([key, item]) => [key, decodeBySchema(item, own(schema, "values"))])) : value;
    case "float":
    case "double":
      // Java writes more digits than needed at times: they are not a reason to make text of what is a double there.
      return typeof value === "string" && /^-?\d+\.\d+$/.test(value) ? Number(value) : value;
    default:
      return value;
  }
}

function decodeStruct(value: ChangedRow, schema: Json): ChangedRow {
  const schemas = fieldSchemas(schema);
  return rowOf(Object.entries(value).map(([name, item]) => [name, decodeBySchema(item, schemas.get(name))]));
}

/** The schemas of a struct's fields, by name. */
export function fieldSchemas(schema: Json | undefined): ReadonlyMap<string, Json> {
  const fields = own(schema, "fields");
  const schemas = new Map<string, Json>();
  if (!Array.isArray(fields)) return schemas;
  for (const field of fields as readonly Json[]) {
    const name = own(field, "field");
    if (typeof name === "string") schemas.set(name, field);
  }
  return schemas;
}

/** Big-endian two's complement in base64, and where its point is; undefined where it is none. */
function decimal(unscaled: Json | undefined, scale: Json | undefined): Json | undefined {
  // Parameters of a schema are text.
  const places = typeof scale === "string" && /^-?\d{1,5}$/.test(scale) ? Number(scale) : scale;
  if (typeof unscaled !== "string" || typeof places !== "number" || !Number.isInteger(places) || Math.abs(places) > SCALE_MAX) return undefined;
  if (unscaled === "" || unscaled.length > DECIMAL_BYTES_MAX || !BASE64.test(unscaled)) return undefined;
  const bytes = Buffer.from(unscaled, "base64");
  if (bytes.length === 0) return undefined;
  const integer = BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString("hex")}`));
  const sign = integer < 0n ? "-" : "";
  const digits = String(integer < 0n ? -integer : integer);
  if (places <= 0) return exactNumber(`${sign}${digits}${integer === 0n ? "" : "0".repeat(-places)}`);
  const padded = digits.padStart(places + 1, "0");
  return exactNumber(`${sign}${padded.slice(0, -places)}.${padded.slice(-places)}`);
}

/** Whole seconds, and the rest in units of which a second has 10 to the `places`. Exact for text, too. */
function split(value: Json, places: number): readonly [number, number] | undefined {
  const unit = 10 ** places;
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) return undefined;
    const seconds = Math.floor(value / unit);
    return [seconds, value - seconds * unit];
  }
  if (typeof value !== "string" || !/^-?\d{1,19}$/.test(value)) return undefined;
  const whole = BigInt(value);
  const rest = ((whole % BigInt(unit)) + BigInt(unit)) % BigInt(unit);
  return [Number((whole - rest) / BigInt(unit)), Number(rest)];
}

function fraction(rest: number, places: number): string {
  return rest === 0 ? "" : `.${String(rest).padStart(places, "0").replace(/0+$/, "")}`;
}

/** RFC 3339 of a count since the epoch, with every digit of its fraction that is not zero. */
function instant(value: Json, places: number): Json {
  if (typeof value !== "number" && typeof value !== "string") return value;
  if (Number(value) === FOREVER) return "infinity";
  if (Number(value) === NEVER) return "-infinity";
  const parts = split(value, places);
  const text = parts === undefined ? undefined : dateTime(parts[0]);
  return text === undefined ? value : `${text}${fraction(parts![1], places)}Z`;
}

/** `2026-11-22T10:00:00`; undefined outside of the years 0001 to 9999. */
function dateTime(seconds: number): string | undefined {
  if (!(seconds >= -62_135_596_800 && seconds <= 253_402_300_799)) return undefined;
  return new Date(seconds * 1_000).toISOString().slice(0, 19);
}

/** `10:00:00.5`; MySQL's may be negative, and longer than a day. */
function timeOfDay(value: Json, places: number): Json {
  if (typeof value !== "number" && typeof value !== "string") return value;
  const negative = String(value).startsWith("-");
  const parts = split(!negative ? value : typeof value === "number" ? -value : value.slice(1), places);
  if (parts === undefined) return value;
  const [seconds, rest] = parts;
  const two = (count: number): string => String(count).padStart(2, "0");
  const text = `${two(Math.floor(seconds / 3_600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return `${negative ? "-" : ""}${text}${fraction(rest, places)}`;
}

const UNAVAILABLE = "__debezium_unavailable_value";
const UNAVAILABLE_BYTES = Buffer.from(UNAVAILABLE);
const UNAVAILABLE_BASE64 = base64(UNAVAILABLE_BYTES);
/** As Java's `UUID.nameUUIDFromBytes` has it. */
const UNAVAILABLE_UUID = nameUuid(UNAVAILABLE_BYTES);
const UNAVAILABLE_TEXTS: ReadonlySet<Json | undefined> = new Set([UNAVAILABLE, UNAVAILABLE_BASE64, UNAVAILABLE_UUID]);
/** The points that stand for an unchanged geometry or geography. */
const UNAVAILABLE_WKB: ReadonlySet<Json | undefined> = new Set(
  ["0101000020E6100000000000FC83D797C1000000FC83D797C1", "0101000020E61000000C21E7FDFF7F66401842CEFBFF7F5640"].map((hex) => base64(Buffer.from(hex, "hex"))),
);

/**
 * Whether PostgreSQL did not send this column, as it is stored apart (TOAST) and unchanged: in the form that Debezium's
 * placeholder has for text, bytes, arrays (of text, uuid, bytes, numbers), hstore as a map and as JSON, and geometries.
 */
export function isUnavailable(value: Json): boolean {
  if (typeof value === "string") return value === UNAVAILABLE || value === UNAVAILABLE_BASE64 || (value.startsWith(`{"${UNAVAILABLE}"`) && value.length < 100);
  if (value === null || typeof value !== "object") return false;
  if (Array.isArray(value)) return isUnavailableList(value as readonly Json[]);
  const row = value as ChangedRow;
  return own(row, UNAVAILABLE) === UNAVAILABLE || UNAVAILABLE_WKB.has(own(row, "wkb") ?? null);
}

function isUnavailableList(list: readonly Json[]): boolean {
  if (list.length === 1) return UNAVAILABLE_TEXTS.has(list[0]);
  if (list.length !== UNAVAILABLE_BYTES.length) return false;
  return list.every((item, i) => {
    const byte = UNAVAILABLE_BYTES[i]!;
    // Decimals have one byte each, alone or beside their scale.
    return item === byte || (own(item, "value") ?? item) === base64(UNAVAILABLE_BYTES.subarray(i, i + 1));
  });
}

function nameUuid(bytes: Uint8Array): string {
  const digest = createHash("md5").update(bytes).digest();
  digest[6] = (digest[6]! & 0x0f) | 0x30;
  digest[8] = (digest[8]! & 0x3f) | 0x80;
  return digest.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
