import { base64, exactNumber, jsonValue, rfc3339, shortestFloat } from "../../src/sdk/database_value.ts";
import type { Json } from "../../src/sdk/observation.ts";

/*
 * Column values, the same whether they come from the binlog or from the snapshot's query. The binlog's client decodes most
 * of them; what it gets wrong, or the binlog does not say, is made up for here.
 */

/** What only the table's definition says of a column: the binlog has it as text or bytes. */
export type Hint = "uuid" | "inet4" | "inet6" | "json";

/** Type codes of the binlog. https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html */
const TYPE = { FLOAT: 4, LONGLONG: 8, YEAR: 13, TIMESTAMP: 7, DATETIME: 12, BIT: 16, TIMESTAMP2: 17, DATETIME2: 18, TIME2: 19, JSON: 245, DECIMAL: 246, ENUM: 247 } as const;

/** Makes the value of one column out of what the binlog's client decoded. */
export function fromBinlog(type: number, hint: Hint | undefined): (value: unknown) => Json {
  switch (type) {
    case TYPE.FLOAT: return (value) => (typeof value === "number" ? shortestFloat(value) : plain(value));
    // 0000 is stored as zero, the others as years since 1900.
    case TYPE.YEAR: return (value) => (value === 1_900 ? 0 : plain(value));
    case TYPE.TIMESTAMP: case TYPE.DATETIME: case TYPE.TIMESTAMP2: case TYPE.DATETIME2:
      return (value) => (typeof value === "string" ? rfc3339(value) : plain(value));
    case TYPE.TIME2: return (value) => (typeof value === "string" ? carriedTime(value) : plain(value));
    case TYPE.BIT: return (value) => (value instanceof Uint8Array ? bits(value) : plain(value));
    case TYPE.JSON: return (value) => (typeof value === "string" ? jsonValue(value) : plain(value));
    case TYPE.LONGLONG: case TYPE.DECIMAL: return (value) => (typeof value === "string" ? exactNumber(value) : plain(value));
    // An invalid value is stored as number 0, which has no name.
    case TYPE.ENUM: return (value) => (value === undefined ? "" : plain(value));
    default: return hint === undefined ? plain : (value) => hinted(hint, value);
  }
}

function plain(value: unknown): Json {
  if (value === null || value === undefined) return null;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  if (value instanceof Uint8Array) return base64(value);
  return JSON.parse(JSON.stringify(value)) as Json;
}

function hinted(hint: Hint, value: unknown): Json {
  if (hint === "json") return typeof value === "string" ? jsonValue(value) : plain(value);
  if (!(value instanceof Uint8Array)) return plain(value);
  const hex = Buffer.from(value).toString("hex");
  if (hint === "uuid" && hex.length === 32) return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  if (hint === "inet4" && hex.length === 8) return [...value].join(".");
  if (hint === "inet6" && hex.length === 32) return inet6(value);
  return base64(value);
}

/** As the server prints it: the longest run of zero groups as `::`, an IPv4 address within in dots. */
function inet6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  let run = { at: -1, length: 0 };
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > run.length) run = { at: i, length };
    i += length;
  }
  const dotted = [...bytes.subarray(12)].join(".");
  if (run.at === 0 && run.length === 6) return `::${dotted}`;
  if (run.at === 0 && run.length === 5 && groups[5] === 0xffff) return `::ffff:${dotted}`;
  const text = (part: number[]): string => part.map((group) => group.toString(16)).join(":");
  return run.at < 0 ? text(groups) : `${text(groups.slice(0, run.at))}::${text(groups.slice(run.at + run.length))}`;
}

function bits(bytes: Uint8Array): number | string {
  return exactNumber(BigInt(`0x${Buffer.from(bytes).toString("hex") || "0"}`).toString());
}

/** The client forgets a carry in negative times without fraction: it says -00:00:64 for -00:01:00. */
function carriedTime(text: string): string {
  const match = /^-(\d+):(\d\d):64((?:\.0+)?)$/.exec(text);
  if (match === null) return text;
  const minutes = Number(match[2]) + 1;
  const two = (n: number): string => String(n).padStart(2, "0");
  return minutes === 64 ? `-${two(Number(match[1]) + 1)}:00:00${match[3]}` : `-${two(Number(match[1]))}:${two(minutes)}:00${match[3]}`;
}

/** A column of the snapshot's query. */
export interface QueryColumn {
  readonly sql: string;
  readonly value: (bytes: Buffer) => Json;
}

/** How the snapshot's query asks for a column, and what it makes of the bytes that come. `type`: information_schema's DATA_TYPE. */
export function fromQuery(name: string, type: string, binary: boolean, hint: Hint | undefined): QueryColumn {
  const text = (bytes: Buffer): string => bytes.toString("utf8");
  switch (type) {
    case "tinyint": case "smallint": case "mediumint": case "int": case "bigint": case "decimal": case "year":
      return { sql: name, value: (bytes) => exactNumber(text(bytes)) };
    case "double": return { sql: name, value: (bytes) => Number(text(bytes)) };
    // As text the server rounds a FLOAT to six digits.
    case "float": return { sql: `CAST(${name} AS DOUBLE)`, value: (bytes) => shortestFloat(Number(text(bytes))) };
    case "bit": return { sql: `CAST(${name} AS UNSIGNED)`, value: (bytes) => exactNumber(text(bytes)) };
    case "timestamp": case "datetime": return { sql: name, value: (bytes) => rfc3339(text(bytes)) };
    case "json": return { sql: name, value: (bytes) => jsonValue(text(bytes)) };
    default:
      if (hint === "json") return { sql: name, value: (bytes) => jsonValue(text(bytes)) };
      return { sql: name, value: binary && hint === undefined ? base64 : text };
  }
}
