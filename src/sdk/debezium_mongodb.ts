import { exactNumber } from "./database_value.ts";
import { exactJson, nestsTooDeep } from "./json_text.ts";
import type { Json } from "./observation.ts";
import { isRow, own, rowOf, type ChangedRow } from "./row_change.ts";
import { formatTime, timeMs } from "./time.ts";

/*
 * Documents of Debezium's MongoDB connector: text that holds MongoDB's Extended JSON.
 * https://debezium.io/documentation/reference/stable/connectors/mongodb.html
 * https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md
 */

/** The document in a text, its types as plain JSON; undefined where it is none. */
export function mongoDocument(value: Json | undefined): ChangedRow | undefined {
  const document = extended(value);
  return isRow(document) ? document : undefined;
}

/** The columns that the key of a message gives: `{"id": "{\"$oid\": \"…\"}"}` is the document's `_id`. */
export function mongoKey(key: ChangedRow | null): ChangedRow | null {
  if (key === null || !Object.hasOwn(key, "id")) return key;
  const id = key["id"]!;
  const decoded = extended(id);
  return { _id: decoded === undefined ? id : decoded };
}

/**
 * What an update says of a document that did not come whole: the fields set, by their path (`address.city`), and null for those
 * removed. `updateDescription` is of change streams; `patch` and `filter` of the oplog, before Debezium 2.
 */
export function mongoUpdate(payload: Json): ChangedRow | undefined {
  const description = own(payload, "updateDescription");
  if (isRow(description)) {
    const removed = own(description, "removedFields");
    return { ...mongoDocument(own(description, "updatedFields")), ...nulls(Array.isArray(removed) ? (removed as readonly Json[]) : []) };
  }
  const patch = mongoDocument(own(payload, "patch"));
  if (patch === undefined) return undefined;
  const { $set, $unset, $v: _, ...rest } = patch;
  return {
    ...mongoDocument(own(payload, "filter")), ...rest, ...(isRow($set) ? $set : undefined), ...nulls(isRow($unset) ? Object.keys($unset) : []),
  };
}

/** Whether the payload is one of MongoDB: its rows are text. */
export function isMongo(payload: Json): boolean {
  return own(own(payload, "source"), "connector") === "mongodb" || typeof own(payload, "after") === "string" || typeof own(payload, "patch") === "string";
}

function nulls(names: readonly Json[]): ChangedRow {
  return rowOf(names.filter((name) => typeof name === "string").map((name) => [name, null]));
}

function extended(value: Json | undefined): Json | undefined {
  if (typeof value !== "string") return isRow(value) ? plain(value) : undefined;
  if (nestsTooDeep(value)) return undefined;
  try {
    return plain(exactJson(value));
  } catch {
    return undefined;
  }
}

/** Recursion is bounded: `nestsTooDeep` was asked. */
function plain(value: Json): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map(plain);
  if (!isRow(value)) return value;
  const names = Object.keys(value);
  if (names.length === 1 && names[0]!.startsWith("$")) {
    const said = typed(names[0]!, value[names[0]!]!);
    if (said !== undefined) return said;
  }
  return rowOf(names.map((name) => [name, plain(value[name]!)]));
}

/** The value of one of Extended JSON's wrappers; undefined for those that have no plain form. */
function typed(name: string, value: Json): Json | undefined {
  switch (name) {
    case "$oid":
    case "$uuid":
    case "$symbol":
      return typeof value === "string" ? value : undefined;
    case "$numberInt":
    case "$numberLong":
    case "$numberDouble":
    case "$numberDecimal":
      if (typeof value === "number") return value;
      return typeof value === "string" ? exactNumber(value) : undefined;
    case "$date": {
      const said = own(value, "$numberLong") ?? value;
      if (typeof said === "string" && !/^-?\d+$/.test(said)) return said;
      // Milliseconds, whatever their magnitude.
      const ms = Number(said);
      return Number.isSafeInteger(ms) && timeMs(formatTime(ms)) !== undefined ? formatTime(ms) : undefined;
    }
    default:
      return undefined;
  }
}
