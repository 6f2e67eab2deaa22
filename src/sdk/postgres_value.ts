import { exactNumber, jsonValue, rfc3339 } from "./database_value.ts";
import type { Json } from "./observation.ts";

/** A column's text, as the server writes it, as what flows. */
export type Convert = (text: string) => Json;

/** What is known of a type that is not one of the server's own: an array's elements, a domain's base. */
export interface TypeFacts {
  readonly element: number;
  readonly base: number;
}

const asText: Convert = (text) => text;
/** Its text is the shortest that gives the same double again; what is no number (`NaN`, `Infinity`) stays text. */
const float: Convert = (text) => {
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
};
const boolean: Convert = (text) => text === "t" || text === "true";
/** `\x0aff`: two digits a byte. */
const bytes: Convert = (text) => (text.startsWith("\\x") ? Buffer.from(text.slice(2), "hex").toString("base64") : text);

/**
 * Types of the server's own, by OID (src/include/catalog/pg_type.dat): element, and its array. Whatever is not here (text, uuid,
 * date, time, interval, inet, ranges, geometry…) is its text.
 */
const CONVERTERS = new Map<number, Convert>([
  [16, boolean], [17, bytes],
  [20, exactNumber], [21, exactNumber], [23, exactNumber], [26, exactNumber], [700, float], [701, float], [1700, exactNumber],
  [114, jsonValue], [3802, jsonValue],
  [1114, rfc3339], [1184, rfc3339],
]);

const ARRAYS = new Map<number, number>([
  [1000, 16], [1001, 17], [1016, 20], [1005, 21], [1007, 23], [1028, 26], [1021, 700], [1022, 701], [1231, 1700],
  [199, 114], [3807, 3802], [1115, 1114], [1185, 1184],
  // Of what is text: "char", name, text, bpchar, varchar, date, time, timetz, interval, uuid, inet, cidr, macaddr, bit, varbit, money, xml.
  ...[1002, 1003, 1009, 1014, 1015, 1182, 1183, 1270, 1187, 2951, 1041, 651, 1040, 1561, 1563, 791, 143].map((array) => [array, 25] as const),
]);

/** OIDs from here on were given to types that somebody created. */
const FIRST_CREATED = 16_384;
/** A domain over a domain over an array… ends somewhere. */
const DEPTH_MAX = 8;

/** True when a type's conversion depends on what the catalogue says of it. */
export function isCreated(type: number): boolean {
  return type >= FIRST_CREATED;
}

/** How a type's text is converted; `created`: facts of the types that somebody created. */
export function converterOf(type: number, created: ReadonlyMap<number, TypeFacts>, depth = 0): Convert {
  if (depth > DEPTH_MAX) return asText;
  const own = CONVERTERS.get(type);
  if (own !== undefined) return own;
  const facts = created.get(type);
  if (facts !== undefined && facts.base !== 0) return converterOf(facts.base, created, depth + 1);
  const element = facts === undefined ? ARRAYS.get(type) : facts.element;
  if (element === undefined || element === 0) return asText;
  const convert = converterOf(element, created, depth + 1);
  return (text) => arrayValue(text, convert);
}

/** `{1,NULL,"a \"b\"",{2}}`, with or without bounds (`[0:1]={…}`); text that is no array stays text. */
export function arrayValue(text: string, convert: Convert): Json {
  let at = text.startsWith("[") ? text.indexOf("=") + 1 : 0;
  let failed = false;

  function list(): Json[] {
    const values: Json[] = [];
    at++;
    while (at < text.length && text[at] !== "}") {
      values.push(text[at] === "{" ? list() : text[at] === '"' ? convert(quoted()) : bare());
      if (text[at] === ",") at++;
      else if (text[at] !== "}") break;
    }
    if (text[at] !== "}") failed = true;
    at++;
    return values;
  }

  function bare(): Json {
    const from = at;
    while (at < text.length && text[at] !== "," && text[at] !== "}") at++;
    const word = text.slice(from, at);
    return word === "NULL" ? null : convert(word);
  }

  function quoted(): string {
    let value = "";
    let from = ++at;
    for (; at < text.length && text[at] !== '"'; at++) {
      if (text[at] !== "\\") continue;
      value += text.slice(from, at);
      from = ++at;
    }
    value += text.slice(from, at);
    at++;
    return value;
  }

  if (text[at] !== "{") return text;
  const values = list();
  return failed || at !== text.length ? text : values;
}
